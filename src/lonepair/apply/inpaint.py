"""Inpaint: fill a hole in an image like the training image. Not from a paper.

The hole starts as the mean color around it. Each round translates the full image from one stage finer than the round
before, and takes the prediction inside the hole only, so that the hole first gets a layout and then texture. It suits
small holes in textures. The networks never saw a hole in training, so an object that the hole cuts is not continued.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import ImageInput, MaskInput, Use, number_problems, read_still
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    import torch

    from lonepair.render import masks, results, still
    from lonepair.render.results import Picture
else:
    torch = lazy("torch")
    masks = lazy("lonepair.render.masks")
    results = lazy("lonepair.render.results")
    still = lazy("lonepair.render.still")


@dataclass(frozen=True)
class Inpaint(Use["Picture"]):
    """Fill a hole in an image with what the model generates there; suits small holes in textures."""

    name = "inpaint"
    summary = "fill a hole in an image"
    requires = "edit"

    image: ImageInput
    """The image to fill. Its pixels inside the hole are not used."""
    mask: MaskInput
    """Mask of the hole: white (or opaque) pixels are filled. Any size."""
    _: KW_ONLY
    start_stage: int | None = None
    """Stage at which the image enters in the first round, from 0 (coarsest). A larger value generates only finer
    shapes in the hole. If omitted, the second stage."""
    dilate: int = 2
    """Dilation of the mask in pixels, 0 to 200. A larger value also replaces more of the hole's border."""
    feather: float = 2.0
    """Standard deviation of the soft edge outside the hole in pixels, 0 to 200. A larger value blends more softly."""
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""

    def problems(self) -> list[str]:
        return number_problems(self, 0, 200, "dilate", "feather", unit="pixels")

    def run(self, model: TrainedModel) -> Picture:
        start_stage = still.start_stage_for(self.name, model, self.start_stage)
        original = read_still(self.image)
        hole = masks.soften(masks.read_mask(self.mask, (original.shape[-2], original.shape[-1])), self.dilate, 0)
        if bool(hole.all()):
            raise UserError("the mask marks the whole image: leave pixels around the hole black")

        # Fill with the mean color of the pixels around the hole.
        around = original.flatten(2)[:, :, hole.flatten() == 0]
        current = masks.blend(around.mean(2)[:, :, None, None].expand_as(original), original, hole)

        # One round a stage: layout first, then texture. Outside the hole every round sees the original.
        for stage in range(start_stage, model.method.stage + 1):
            current = masks.blend(still.translate_still(model, current, stage, self.seed), current, hole)

        # The soft edge lies outside the hole, so that no pixel of the hole shows through.
        prediction = still.translate_still(model, current, model.method.stage, self.seed)
        weight = torch.maximum(masks.soften(hole, 0, self.feather), hole)
        inside = masks.blend(current, prediction, hole)
        return results.Picture(masks.blend(inside, original, weight), self.metadata(model, start_stage=start_stage))
