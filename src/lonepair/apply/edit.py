"""Edit: make seamless an image in which something was moved, copied or pasted (SinGAN, sec. 4)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import ImageInput, ImageOption, Use, number_problems, read_still
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.media.stills import exr
    from lonepair.ops import resize
    from lonepair.render import highlights, masks, results, still
    from lonepair.render.results import Picture
else:
    exr = lazy("lonepair.media.stills.exr")
    highlights = lazy("lonepair.render.highlights")
    masks = lazy("lonepair.render.masks")
    resize = lazy("lonepair.ops.resize")
    results = lazy("lonepair.render.results")
    still = lazy("lonepair.render.still")


@dataclass(frozen=True)
class Edit(Use["Picture"]):
    """Make an edited image seamless: the model generates the edited region again, the rest stays."""

    name = "edit"
    summary = "make an edited image seamless"

    image: ImageInput
    """The edited image."""
    mask: ImageOption | None = None
    """Mask of the edit: white (or opaque) pixels were edited. Any size. If omitted, pixels that differ from the
    original."""
    _: KW_ONLY
    original: ImageOption | None = None
    """The image before the edit; the result shows it outside the mask. If omitted, the edited image."""
    start_stage: int | None = None
    """Stage at which the image enters, from 0 (coarsest). A larger value keeps more of the image. If omitted, the
    method's own choice, about halfway."""
    dilate: int = 20
    """Dilation of the mask, 0 to 200, in pixels of an image whose longest side is 250; in pixels of the image if it is
    smaller. A larger value regenerates more around the edit."""
    feather: float = 5.0
    """Standard deviation of the mask's soft edge, 0 to 200, in the same pixels. A larger value blends more softly."""
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""

    def problems(self) -> list[str]:
        problems = number_problems(self, 0, 200, "dilate", "feather", unit="pixels")
        if self.mask is None and self.original is None:
            problems.append("mask and original are both missing: give one of them")
        return problems

    def run(self, model: TrainedModel) -> Picture:
        still.advise_preset(self.name, model)
        start_stage = still.start_stage_for(self.name, model, self.start_stage)
        edited = read_still(self.image)
        size = (edited.image.shape[-2], edited.image.shape[-1])
        original = None if self.original is None else read_still(self.original)
        if self.mask is not None:
            mask = masks.read_mask(self.mask, size)
        elif original is not None:
            mask = masks.difference_mask(edited.image, original.image)
        else:
            raise UserError("mask and original are both missing: give one of them")

        # Translate the full image, so that the region fits its surroundings, and show the region only.
        prediction = still.translate_still(model, edited.image, start_stage, self.seed)
        outside = edited if original is None else original
        mask = masks.soften_for_edit(mask, self.dilate, self.feather)
        blended = masks.blend(prediction, resize.resize_image(outside.image, size), mask)
        gain = highlights.blended_gain(edited.gain, exr.fit_gain(outside.gain, size), mask)
        return results.Picture(blended, self.metadata(model, start_stage=start_stage), edited.bits, gain)
