"""Sites: the patches of an image that cover at least one unknown pixel, and what matches are voted to there.

They lie on a lattice that may continue across the image's borders, so that an image can be completed as one tile of a
plane.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

Axes = tuple[bool, bool]
"""Whether rows (y) and columns (x) continue across the border."""


class Sites:
    """Patches of `side` pixels that cover an unknown pixel, at every `step`-th row and column."""

    def __init__(self, known: Bool[Tensor, "h w"], side: int, step: int, wraps: Axes) -> None:
        """
        Args:
            known: Which pixels have a value that must stay.
            side: Side of the patches in pixels; the image has at least as many on either side.
            step: Distance in pixels between patches.
            wraps: Axes on which patches continue across the border.
        """
        self.size: tuple[int, int] = (known.shape[0], known.shape[1])
        self.side, self.step, self.wraps = side, step, wraps
        axes = [_first_pixels(n, side, step, wrap, known.device) for n, wrap in zip(self.size, wraps, strict=True)]
        covers = _covers_unknown(known, side, wraps)[axes[0][:, None], axes[1]]
        rows, columns = covers.nonzero(as_tuple=True)
        self.positions: Int[Tensor, "2 m"] = torch.stack([axes[0][rows], axes[1][columns]])
        """Row and column of each site's first pixel."""
        self._cells = torch.stack([rows, columns])
        self._numbers = torch.full(covers.shape, -1, device=known.device)
        self._numbers[rows, columns] = torch.arange(len(rows), device=known.device)

    def __len__(self) -> int:
        return self.positions.shape[1]

    # -- pixels ---------------------------------------------------------------------------------------------------

    def patches(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "m c p p"]:
        """The patches of `image` at the sites."""
        colors = image[0].flatten(1).T
        patches = torch.stack([colors.index_select(0, pixels) for pixels, _ in self._pixels()], 1)
        return patches.view(len(self), self.side, self.side, -1).permute(0, 3, 1, 2)

    def vote(
        self,
        source: Float[Tensor, "1 c h2 w2"],
        matches: Int[Tensor, "2 m"],
        weights: Float[Tensor, m],
        sigma: float = math.inf,
    ) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 1 h w"]]:
        """The weighted mean, at each pixel, of the patches of `source` that cover it, and the sum of their weights.

        Args:
            source: The image that patches come from.
            matches: Row and column, in `source`, of the first pixel of each site's match.
            weights: Of each site.
            sigma: Standard deviation in pixels of the Gaussian weights within a patch. Smaller is sharper.
        """
        colors, width = source[0].flatten(1).T.contiguous(), source.shape[3]
        first = matches[0] * width + matches[1]
        total = colors.new_zeros(self.size[0] * self.size[1], colors.shape[1] + 1)
        for pixels, (dy, dx) in self._pixels():
            radius = (dy - self.side // 2) ** 2 + (dx - self.side // 2) ** 2
            weight = (weights * math.exp(-radius / (2 * sigma**2)))[:, None]
            values = colors.index_select(0, first + dy * width + dx)
            # No pixel occurs twice: all patches have the same offset here.
            total.index_add_(0, pixels, torch.cat([values * weight, weight], 1))
        image = (total[:, :-1] / total[:, -1:].clamp(min=1e-12)).T.view(1, -1, *self.size)
        return image, total[:, -1].view(1, 1, *self.size)

    def _pixels(self) -> Iterator[tuple[Int[Tensor, m], tuple[int, int]]]:
        """For each (dy, dx) within a patch, the index of that pixel of every site."""
        h, w = self.size
        for dy in range(self.side):
            rows = (self.positions[0] + dy) % h * w
            for dx in range(self.side):
                yield rows + (self.positions[1] + dx) % w, (dy, dx)

    # -- matches --------------------------------------------------------------------------------------------------

    def beside(self, matches: Int[Tensor, "2 m"], dy: int, dx: int) -> Int[Tensor, "2 m"]:
        """The patches beside the matches of the neighbors `dy` rows below and `dx` columns to the right.

        A site without that neighbor suggests its own match.
        """
        cells = []
        for axis, by in enumerate((dy, dx)):
            moved, count = self._cells[axis] + by, self._numbers.shape[axis]
            cells.append(moved % count if self.wraps[axis] else moved.clamp(0, count - 1))
        number = self._numbers[cells[0], cells[1]]
        number = torch.where(number < 0, torch.arange(len(self), device=number.device), number)
        offset = self.positions - self.positions.index_select(1, number)
        for axis, n in enumerate(self.size):
            if self.wraps[axis]:  # the short way around
                offset[axis] = (offset[axis] + n // 2) % n - n // 2
        return matches.index_select(1, number) + offset

    def carry(self, before: Sites, matches: Int[Tensor, "2 k"], shape: tuple[int, int]) -> Int[Tensor, "2 m"]:
        """The `matches` of the sites `before`, of a smaller version of the image, for these sites.

        Shifts grow as the image does.

        Args:
            shape: (h, w) of the source in pixels at the new scale.
        """
        numbers = _fill(before._numbers)
        here, there, cells = [], [], []
        for axis, (new, old) in enumerate(zip(self.size, before.size, strict=True)):
            count = numbers.shape[axis]
            scaled = self.positions[axis] * old / new
            cells.append((scaled / before.step).round().long().clamp(0, count - 1))
            here.append(scaled)
        number = numbers[cells[0], cells[1]]
        for axis in (0, 1):
            there.append(before.positions[axis].index_select(0, number).float())
        found = []
        for axis, (new, old) in enumerate(zip(self.size, before.size, strict=True)):
            shift = here[axis] - there[axis]
            if self.wraps[axis]:
                shift = (shift + old / 2) % old - old / 2
            position = (matches[axis].index_select(0, number) + shift) * new / old
            found.append(position.round().long().clamp(0, shape[axis] - self.side))
        return torch.stack(found)


def _first_pixels(n: int, side: int, step: int, wraps: bool, device: torch.device) -> Int[Tensor, k]:
    """First pixels of the patches along an axis of `n` pixels. All pixels are covered."""
    if wraps:
        return torch.arange(0, n, step, device=device)
    first = torch.arange(0, n - side + 1, step, device=device)
    return first if int(first[-1]) == n - side else torch.cat([first, first.new_tensor([n - side])])


def _covers_unknown(known: Tensor, side: int, wraps: Axes) -> Bool[Tensor, "h w"]:
    """Whether the patch that begins at each pixel covers an unknown one."""
    unknown = (~known).float()[None, None]
    for axis, wrap in enumerate(wraps):
        pad = [0, 0, 0, side - 1] if axis == 0 else [0, side - 1, 0, 0]
        unknown = F.pad(unknown, pad, mode="circular" if wrap else "constant")
    return F.max_pool2d(unknown, side, stride=1)[0, 0] > 0


def _fill(numbers: Int[Tensor, "rows columns"]) -> Int[Tensor, "rows columns"]:
    """`numbers` with that of a nearby cell where it is -1."""
    while bool((numbers < 0).any()):
        wider = F.max_pool2d(numbers[None].float(), 3, 1, 1)[0].long()
        numbers = torch.where(numbers < 0, wider, numbers)
    return numbers
