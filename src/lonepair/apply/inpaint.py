"""Inpaint: fill a hole in an image with patches of its surroundings; all other pixels stay as they are.

The networks propose a layout beside the known pixels, and `patches.completion` makes the picture at the image's own
resolution. The model decides the layout of large holes; the texture is the image's own.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import ImageInput, MaskInput, Use, number_problems, read_still
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.render import completion, highlights, masks, results
    from lonepair.render.results import Picture
else:
    completion = lazy("lonepair.render.completion")
    highlights = lazy("lonepair.render.highlights")
    masks = lazy("lonepair.render.masks")
    results = lazy("lonepair.render.results")


@dataclass(frozen=True)
class Inpaint(Use["Picture"]):
    """Fill a hole in an image with patches of its surroundings; all other pixels stay equal."""

    name = "inpaint"
    summary = "fill a hole in an image"

    image: ImageInput
    """The image to fill, of any size. Its pixels inside the hole are not used."""
    mask: MaskInput
    """Mask of the hole: white (or opaque) pixels are filled. Any size."""
    _: KW_ONLY
    dilate: int = 2
    """Dilation of the mask in pixels, 0 to 200. A larger value also replaces more of the hole's border."""
    seed: int = 0
    """Random seed of the layout and the search, 0 to 4294967295. Another seed gives another filling."""

    def problems(self) -> list[str]:
        return number_problems(self, 0, 200, "dilate", unit="pixels")

    def run(self, model: TrainedModel) -> Picture:
        original = read_still(self.image)
        size = (original.image.shape[-2], original.image.shape[-1])
        hole = masks.soften(masks.read_mask(self.mask, size), self.dilate, 0)
        if bool(hole.all()):
            raise UserError("the mask marks the whole image: leave pixels around the hole black")
        filled = completion.fill_hole(model, original.image, hole, self.seed)
        gain = highlights.completed_gain(original.gain, (0, 0, 0, 0), hole[0, 0] == 0, filled)
        return results.Picture(filled, self.metadata(model), original.bits, gain)
