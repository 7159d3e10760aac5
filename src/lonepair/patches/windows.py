"""Windows: rectangles of an image that are synthesized by themselves, and how they cover a mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

_OVERHEAD = 0.12
"""Share of an image that takes as long to synthesize as what every window takes beside its area."""


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, in cells of a grid over it. It crops images of any size alike."""

    rows: tuple[int, int]
    """First row of cells, and the one after the last."""
    columns: tuple[int, int]
    grid: tuple[int, int]
    """Number of cells in a column and in a row of the image."""

    def slices(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """The rows and columns of pixels in an image of (h, w) `size`."""
        sides = zip((self.rows, self.columns), self.grid, size, strict=True)
        rows, columns = (slice(round(a * n / cells), round(b * n / cells)) for (a, b), cells, n in sides)
        return rows, columns

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) in pixels of the window in an image of (h, w) `size`, at least 1."""
        rows, columns = self.slices(size)
        return max(1, rows.stop - rows.start), max(1, columns.stop - columns.start)

    def crop(self, image: Tensor) -> Tensor:
        """The part of `image`, (..., h, w), in the window: a view."""
        return image[(..., *self.slices((image.shape[-2], image.shape[-1])))]

    @property
    def area_share(self) -> float:
        """Area of the window over that of the image."""
        return _area(self) / (self.grid[0] * self.grid[1])

    @property
    def heights(self) -> tuple[float, float]:
        """Its top and its bottom, from 0 at the image's top to 1 at the image's bottom."""
        return self.rows[0] / self.grid[0], self.rows[1] / self.grid[0]

    @property
    def share(self) -> float:
        """Longest side of the window over that of the image."""
        sides = (self.rows[1] - self.rows[0], self.columns[1] - self.columns[0])
        return max(sides) / max(self.grid)


def covering_windows(
    mask: Bool[Tensor, "1 1 h w"], grid: tuple[int, int], margin: int, min_side: int, max_share: float = 0.6
) -> list[Window]:
    """Windows that hold all true pixels of `mask` with `margin` cells around them; empty for a mask without any.

    Args:
        mask: The pixels to cover.
        grid: Number of cells in a column and in a row.
        margin: Cells around the pixels of a window.
        min_side: Shortest side of a window in cells.
        max_share: Where the windows' area exceeds this share of the image, one window covers all of it.
    """
    is_open = (F.adaptive_max_pool2d(mask.float(), grid)[0, 0] > 0).cpu().numpy()
    windows, area = [], 0
    for top in range(grid[0]):
        for left in range(grid[1]):
            if not is_open[top, left]:
                continue
            # The longest run to the right, then as many rows below it as are entirely open.
            right, bottom = left, top
            while right < grid[1] and is_open[top, right]:
                right += 1
            while bottom < grid[0] and is_open[bottom, left:right].all():
                bottom += 1
            is_open[top:bottom, left:right] = False
            rows = _widened(top, bottom, margin, min_side, grid[0])
            columns = _widened(left, right, margin, min_side, grid[1])
            windows.append(Window(rows, columns, grid))
            area += (rows[1] - rows[0]) * (columns[1] - columns[0])
    windows = _merged(windows)
    if sum(_area(window) for window in windows) > max_share * grid[0] * grid[1]:
        return [Window((0, grid[0]), (0, grid[1]), grid)]
    return windows


def _widened(first: int, stop: int, margin: int, min_side: int, cells: int) -> tuple[int, int]:
    """The cells `first` to `stop` with a margin, at least `min_side` of them, within 0 to `cells`."""
    margin = max(margin, -(-(min_side - (stop - first)) // 2))
    first, stop = first - margin, stop + margin
    # What exceeds one border is added at the other.
    first, stop = first - max(0, stop - cells), stop - min(0, first)
    return max(0, first), min(cells, stop)


def _merged(windows: list[Window]) -> list[Window]:
    """The windows, with every two whose bounding box is not much larger than both replaced by that box."""
    merged: list[Window] = []
    for window in windows:
        while True:
            for other in merged:
                box = Window(_span(window.rows, other.rows), _span(window.columns, other.columns), window.grid)
                if _area(box) <= _area(window) + _area(other) + _OVERHEAD * window.grid[0] * window.grid[1]:
                    merged.remove(other)
                    window = box
                    break
            else:
                break
        merged.append(window)
    return merged


def _span(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return min(one[0], other[0]), max(one[1], other[1])


def _area(window: Window) -> int:
    return (window.rows[1] - window.rows[0]) * (window.columns[1] - window.columns[0])
