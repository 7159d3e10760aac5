"""Tile: an image that repeats without a visible seam.

A band along the borders is synthesized from the image's own patches on a plane that continues across those borders; the
middle stays unchanged. A size larger than the image's is filled in the same way.
"""

from __future__ import annotations

import logging
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal

from lonepair.apply.base import ImageInput, SizeInput, StillInput, Use, number_problems, read_still
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from lonepair.metrics import seam
    from lonepair.render import completion, highlights, results
    from lonepair.render.results import Picture
else:
    seam = lazy("lonepair.metrics.seam")
    completion = lazy("lonepair.render.completion")
    highlights = lazy("lonepair.render.highlights")
    results = lazy("lonepair.render.results")

logger = logging.getLogger("lonepair")

VISIBLE_SEAM = 1.0
"""Error of a seam, in gray levels, up to which it is as strong as the image's own lines."""
MARGINS = (0.15, 0.3, 0.5)
"""Margins that are tried in turn, until no seam is visible, where the user chooses none."""


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
    margin: float | None = None
    """Width of the synthesized band at each border, as a share of the tile's side, 0.02 to 0.5. A larger value leaves
    more room to close the seam; at 0.5 the whole tile is new. If omitted, the first of 0.15, 0.3 and 0.5 whose seams
    are no stronger than the image's own lines, or the one with the weakest seams."""
    seed: int = 0
    """Random seed of the layout and the search, 0 to 4294967295. Another seed gives another tile."""

    def problems(self) -> list[str]:
        return number_problems(self, 0.02, 0.5, "margin")

    def run(self, model: TrainedModel) -> Picture:
        base = StillInput(completion.training_image(model)) if self.image is None else read_still(self.image)
        # The first margin without a visible seam, else the one whose worst seam is the weakest.
        tiles = []
        for margin in MARGINS if self.margin is None else (self.margin,):
            tiles.append(self._tile(model, base, margin))
            if tiles[-1].worst_error <= VISIBLE_SEAM:
                break
        tile = min(tiles, key=lambda tile: tile.worst_error)
        # Say how visible the seams are.
        for axis, error in tile.errors.items():
            remedy = "" if error <= VISIBLE_SEAM else "; try another seed, or --axes without this axis"
            logger.info("seam in %s: %+.2f gray levels beyond the image's own lines%s", axis, error, remedy)
        errors = {f"seam_error_{axis}": error for axis, error in tile.errors.items()}
        return results.Picture(tile.image, self.metadata(model, margin=tile.margin, **errors), base.bits, tile.gain)

    def _tile(self, model: TrainedModel, base: StillInput, margin: float) -> _Tile:
        """A tile of the image with a synthesized band of `margin`, and the errors of its seams as the file has them."""
        wraps = ("y" in self.axes, "x" in self.axes)
        size = self.size or (base.image.shape[-2], base.image.shape[-1])
        border = completion.border((base.image.shape[-2], base.image.shape[-1]), size)
        source, canvas = completion.centered(base.image, size, [margin * wrap for wrap in wraps])
        tile = completion.complete_image(model, canvas, source, self.seed, wraps)
        gain = highlights.completed_gain(base.gain, border, canvas.known, tile, wraps)
        return _Tile(tile, gain, margin, {axis: round(seam.seam_error(tile, axis), 2) for axis in self.axes})


@dataclass(frozen=True)
class _Tile:
    """One try."""

    image: Float[Tensor, "1 c h w"]
    gain: Float[Tensor, "1 1 h w"] | None
    margin: float
    errors: dict[str, float]
    """Axis -> error of its seam in gray levels."""

    @property
    def worst_error(self) -> float:
        return max(self.errors.values())
