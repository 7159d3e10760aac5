"""Tile: an image that repeats without a visible seam.

A band along the borders is synthesized from the image's own patches on a plane that continues across those borders; the
middle stays unchanged. A size larger than the image's is filled in the same way.
"""

from __future__ import annotations

import logging
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal

from lonepair.apply.base import ImageInput, SizeInput, Use, number_problems, read_still
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.metrics import seam
    from lonepair.render import completion, results
    from lonepair.render.results import Picture
else:
    seam = lazy("lonepair.metrics.seam")
    completion = lazy("lonepair.render.completion")
    results = lazy("lonepair.render.results")

logger = logging.getLogger("lonepair")

VISIBLE_SEAM = 1.0
"""Error of a seam, in gray levels, up to which it is as strong as any other line."""


@dataclass(frozen=True)
class Tile(Use["Picture"]):
    """Make an image that repeats without a visible seam; its middle stays equal."""

    name = "tile"
    summary = "make an image that repeats without a seam"

    image: ImageInput | None = None
    """The image to repeat, of any size. If omitted, the training image as the model stores it."""
    _: KW_ONLY
    axes: Literal["x", "y", "xy"] = "xy"
    """Directions in which the result repeats: x for left and right, y for top and bottom, xy for both."""
    size: SizeInput | None = None
    """Size of the tile in pixels; it shows the middle of the image, and new texture around it where the tile is
    larger. If omitted, the image's size."""
    margin: float = 0.15
    """Width of the synthesized band at each border, as a share of the tile's side, 0.02 to 0.5. A larger value leaves
    more room to close the seam; at 0.5 the whole tile is new."""
    seed: int = 0
    """Random seed of the layout and the search, 0 to 4294967295. Another seed gives another tile."""

    def problems(self) -> list[str]:
        return number_problems(self, 0.02, 0.5, "margin")

    def run(self, model: TrainedModel) -> Picture:
        image = completion.training_image(model) if self.image is None else read_still(self.image)
        wraps = ("y" in self.axes, "x" in self.axes)
        size = self.size or (image.shape[-2], image.shape[-1])
        source, canvas = completion.centered(image, size, [self.margin * wrap for wrap in wraps])
        tile = completion.complete_image(model, canvas, source, self.seed, wraps)
        # The seams, as the file will have them.
        errors = {f"seam_error_{axis}": round(seam.seam_error(tile, axis), 2) for axis in self.axes}
        for axis, error in zip(self.axes, errors.values(), strict=True):
            remedy = "" if error <= VISIBLE_SEAM else "; try a larger margin or another seed"
            logger.info("seam in %s: %+.2f gray levels beyond the contrast of other lines%s", axis, error, remedy)
        return results.Picture(tile, self.metadata(model, **errors))
