"""Outpaint: continue an image beyond its borders; its own pixels stay as they are.

The networks propose a layout of the new area beside the image, and `patches.completion` makes the picture of patches of
the image, at its own resolution.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import ImageInput, SizeInput, StillInput, Use, number_problems, read_still
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.render import completion, highlights, results
    from lonepair.render.results import Picture
else:
    completion = lazy("lonepair.render.completion")
    highlights = lazy("lonepair.render.highlights")
    results = lazy("lonepair.render.results")

SIDES = ("left", "right", "top", "bottom")


@dataclass(frozen=True)
class Outpaint(Use["Picture"]):
    """Continue an image beyond its borders; its own pixels stay equal."""

    name = "outpaint"
    summary = "continue an image beyond its borders"

    image: ImageInput | None = None
    """The image to continue, of any size. If omitted, the training image as the model stores it."""
    _: KW_ONLY
    left: int = 0
    """Number of pixels to add on the left, 0 to 4096."""
    right: int = 0
    """Number of pixels to add on the right, 0 to 4096."""
    top: int = 0
    """Number of pixels to add at the top, 0 to 4096."""
    bottom: int = 0
    """Number of pixels to add at the bottom, 0 to 4096."""
    size: SizeInput | None = None
    """Size of the result in pixels, in place of numbers for the sides; the image is in the middle. At least the
    image's."""
    seed: int = 0
    """Random seed of the layout and the search, 0 to 4294967295. Another seed gives another picture."""

    def problems(self) -> list[str]:
        problems = number_problems(self, 0, 4096, *SIDES, unit="pixels")
        has_sides = any(getattr(self, side) for side in SIDES)
        if not problems and has_sides == (self.size is not None):
            given = "both given" if has_sides else "missing"
            problems.append(f"left, right, top, bottom and size are {given}: give pixels for some sides, or a size")
        return problems

    def run(self, model: TrainedModel) -> Picture:
        base = StillInput(completion.training_image(model)) if self.image is None else read_still(self.image)
        image = base.image
        sides = (self.left, self.right, self.top, self.bottom)
        if self.size is not None:
            sides = completion.border((image.shape[-2], image.shape[-1]), self.size)
            if min(sides) < 0 or max(sides) == 0:
                own = f"{image.shape[-1]}x{image.shape[-2]}"
                raise UserError(
                    f"size is {self.size[1]}x{self.size[0]}, the image has {own} pixels: choose a larger size"
                )
        source, canvas = completion.extended(image, sides)
        picture = completion.complete_image(model, canvas, source, self.seed)
        gain = highlights.completed_gain(base.gain, sides, canvas.known, picture)
        return results.Picture(picture, self.metadata(model), base.bits, gain)
