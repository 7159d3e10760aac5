"""Patches side by side: where they lie in an image, what their neighbours suggest, and the image that they make."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lonepair.losses import Move


@dataclass(frozen=True)
class Lattice:
    """Patches of `side` pixels at every `step`-th row and column of an image of (h, w) `size`.

    The last ones may reach over the lower and the right border by less than a step.
    """

    size: tuple[int, int]
    side: int
    step: int

    @property
    def shape(self) -> tuple[int, int]:
        """Patches in a column and in a row."""
        h, w = (1 - (self.side - n) // self.step for n in self.size)
        return h, w

    def over(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h2 w2"]:
        """`image`, its last row and column repeated as far as patches reach."""
        h, w = self._reached
        return F.pad(image, [0, w - self.size[1], 0, h - self.size[0]], mode="replicate")

    @property
    def _reached(self) -> tuple[int, int]:
        h, w = ((n - 1) * self.step + self.side for n in self.shape)
        return h, w

    def assembled(
        self, texture: Float[Tensor, "1 c h2 w2"], index: Int[Tensor, m], focus: float = math.inf
    ) -> Float[Tensor, "1 c {self.size[0]} {self.size[1]}"]:
        """The image whose every pixel is the mean of what the patches of `texture` that cover it say.

        Args:
            focus: A patch counts less away from its centre, as a Gaussian of so many pixels falls: the smaller, the
                sharper, and the rougher.
        """
        (rows, columns), step = self.shape, self.step
        colours, width = texture[0].flatten(1), texture.shape[3]
        own = width - self.side + 1
        first = index // own * width + index % own
        near, weights = torch.arange(self.side, device=index.device), _weights(self.side, focus)
        # Pixels by their place in the steps' squares: what one pixel of all patches says is added in one piece.
        beyond = (self.side - 1) // step
        total = texture.new_zeros(len(colours), step, step, rows + beyond, columns + beyond)
        for dy in range(self.side):
            strips = colours.index_select(1, (first + (dy * width + near)[:, None]).flatten())
            strips = strips.view(len(colours), self.side, rows, columns)
            for dx in range(self.side):
                (y, row), (x, column) = divmod(dy, step), divmod(dx, step)
                places = total[:, row, column, y : y + rows, x : x + columns]
                places.add_(strips[:, dx], alpha=weights[dy] * weights[dx])
        image = total.permute(0, 3, 1, 4, 2).flatten(3, 4).flatten(1, 2)[:, : self.size[0], : self.size[1]]
        return (image / _covered(self, focus, texture.device, texture.dtype))[None]

    def covered(self, weights: Sequence[float], axis: int) -> Float[Tensor, n]:
        """By how much each row, or column, of the image is covered by patches, of whose pixels each counts so much."""
        covered = torch.zeros(self._reached[axis], dtype=torch.float64)
        for at, weight in enumerate(weights):
            covered[at :: self.step][: self.shape[axis]] += weight
        return covered[: self.size[axis]]

    def spread(self, values: Float[Tensor, m]) -> Float[Tensor, "1 1 {self.size[0]} {self.size[1]}"]:
        """What is known of each patch, for each pixel: that of the patch whose centre is nearest."""
        rows, columns = (
            ((torch.arange(n, device=values.device) - self.side // 2) / self.step).round().long().clamp(0, most - 1)
            for n, most in zip(self.size, self.shape, strict=True)
        )
        return values.view(self.shape)[rows[:, None], columns][None, None]

    def moves(self, shape: tuple[int, int]) -> Iterator[Move]:
        """What the matches of a lattice suggest to each other, where the target has `shape` patches: the place beside a
        neighbour's match, of neighbours ever nearer, then the places around a patch's own."""
        for reach in (4, 2, 1):
            for dy, dx in ((-reach, 0), (reach, 0), (0, -reach), (0, reach)):
                yield functools.partial(self._beside, dy, dx, shape)
        yield from self.around(shape)

    @staticmethod
    def around(shape: tuple[int, int]) -> Iterator[Move]:
        """The eight places around a match."""
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if dy or dx:
                    yield functools.partial(_moved, dy, dx, shape)

    def _beside(self, dy: int, dx: int, shape: tuple[int, int], found: Tensor) -> Tensor:
        (rows, columns), device = self.shape, found.device
        row, column = torch.arange(rows, device=device), torch.arange(columns, device=device)
        above, before = (row + dy).clamp(0, rows - 1), (column + dx).clamp(0, columns - 1)
        match = found.view(rows, columns).index_select(0, above).index_select(1, before)
        y = match // shape[1] + self.step * (row - above)[:, None]
        x = match % shape[1] + self.step * (column - before)
        return _clamped(y, x, shape).flatten()

    def carried(self, found: Int[Tensor, m], flow: Float[Tensor, "1 2 h w"], shape: tuple[int, int]) -> Int[Tensor, m]:
        """The matches `found` after what stands at each pixel moved by `flow`, (dx, dy), as patches' centres did."""
        here = [self.step * torch.arange(own, device=found.device) for own in self.shape]
        centres = [(at + self.side // 2).clamp(max=most - 1) for at, most in zip(here, self.size, strict=True)]
        moved = flow[0][:, centres[0][:, None], centres[1]]
        there = [here[0][:, None] - moved[1], here[1] - moved[0]]
        near = [(at / self.step).round().long().clamp(0, own - 1) for at, own in zip(there, self.shape, strict=True)]
        match = found.view(self.shape)[near[0], near[1]]
        beside = [(at - self.step * index).round().long() for at, index in zip(there, near, strict=True)]
        return _clamped(match // shape[1] + beside[0], match % shape[1] + beside[1], shape).flatten()

    def enlarged(
        self,
        found: Int[Tensor, n],
        before: Lattice,
        shape_before: tuple[int, int],
        shape: tuple[int, int],
    ) -> Int[Tensor, m]:
        """The matches `found` of the lattice `before`, of the same image smaller, for this one: shifts grow as the
        target does, from `shape_before` to `shape` patches."""
        near = [
            (torch.arange(own, device=found.device) * (old - 1) / max(1, own - 1)).round().long()
            for own, old in zip(self.shape, before.shape, strict=True)
        ]
        match = found.view(before.shape)[near[0][:, None], near[1]]
        places = []
        for axis, at in enumerate((match // shape_before[1], match % shape_before[1])):
            here = self.step * torch.arange(self.shape[axis], device=found.device)
            there = before.step * near[axis]
            if axis == 0:
                here, there = here[:, None], there[:, None]
            places.append((here + (at - there) * shape[axis] / shape_before[axis]).round().long())
        return _clamped(places[0], places[1], shape).flatten()


@functools.lru_cache(maxsize=8)
def _weights(side: int, focus: float) -> list[float]:
    """How much a patch's pixels count, by their distance to its centre along an axis."""
    near = torch.arange(side)
    weights: list[float] = torch.exp(-((near - side // 2) ** 2) / (2 * focus**2)).tolist()
    return weights


@functools.lru_cache(maxsize=16)
def _covered(lattice: Lattice, focus: float, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "h w"]:
    """By how much each pixel of a lattice's image is covered."""
    weights = _weights(lattice.side, focus)
    return torch.outer(*(lattice.covered(weights, axis) for axis in (0, 1))).to(device=device, dtype=dtype)


def _moved(dy: int, dx: int, shape: tuple[int, int], found: Tensor) -> Tensor:
    return _clamped(found // shape[1] + dy, found % shape[1] + dx, shape)


def _clamped(y: Tensor, x: Tensor, shape: tuple[int, int]) -> Tensor:
    """The indices of the places y, x, brought within `shape`."""
    return y.clamp(0, shape[0] - 1) * shape[1] + x.clamp(0, shape[1] - 1)
