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

from lonepair.ops.device import cached
from lonepair.patches.search import Move


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
        covered = _covered(self, focus, texture.device, texture.dtype)
        if texture.device.type != "cpu":
            return self.folded(colours, first, width, focus) / covered
        near, weights = torch.arange(self.side), _weights(self.side, focus)
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
        return (image / covered)[None]

    def folded(
        self, colours: Float[Tensor, "c k"], first: Int[Tensor, m], width: int, focus: float
    ) -> Float[Tensor, "1 c {self.size[0]} {self.size[1]}"]:
        """The sum of what patches say, in the few launches that a GPU wants; a CPU would be slow at it.

        Args:
            colours: The pixels of a texture, row by row.
            first: Each patch's first pixel there.
            width: Of the texture, in pixels.
        """
        near = torch.arange(self.side, device=first.device)
        pixels = (near[:, None] * width + near).flatten()
        said = colours.index_select(1, (first + pixels[:, None]).flatten()).view(len(colours), len(pixels), len(first))
        said = said * _counts(self.side, focus, colours.device, colours.dtype)
        return F.fold(said.flatten(0, 1), self._reached, self.side, stride=self.step)[
            None, :, : self.size[0], : self.size[1]
        ]

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

    def _beside(self, dy: int, dx: int, shape: tuple[int, int], places: Tensor) -> Tensor:
        neighbour, apart = _neighbours(self.shape, dy, dx, self.step, places.device)
        return _within(places.index_select(1, neighbour) + apart, shape)

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


@cached(16)
def _counts(side: int, focus: float, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "p 1"]:
    """How much each of a patch's pixels counts, row by row."""
    weights = torch.tensor(_weights(side, focus))
    return torch.outer(weights, weights).view(-1, 1).to(device=device, dtype=dtype)


@cached(16)
def _covered(lattice: Lattice, focus: float, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "h w"]:
    """By how much each pixel of a lattice's image is covered."""
    weights = _weights(lattice.side, focus)
    return torch.outer(*(lattice.covered(weights, axis) for axis in (0, 1))).to(device=device, dtype=dtype)


@cached(512)
def _neighbours(
    shape: tuple[int, int], dy: int, dx: int, step: int, device: torch.device
) -> tuple[Int[Tensor, m], Int[Tensor, "2 m"]]:
    """Of each patch of a lattice the one so many rows down and columns right, or at the border, and how many pixels
    down and right of that it is."""
    row, column = (torch.arange(n) for n in shape)
    below, behind = (row + dy).clamp(0, shape[0] - 1), (column + dx).clamp(0, shape[1] - 1)
    neighbour = below[:, None] * shape[1] + behind
    apart = torch.stack([(row - below)[:, None].expand(shape), (column - behind).expand(shape)])
    return neighbour.flatten().to(device), (step * apart).flatten(1).to(device)


@cached(512)
def _one(dy: int, dx: int, device: torch.device) -> Int[Tensor, "2 1"]:
    return torch.tensor([[dy], [dx]], device=device)


def _moved(dy: int, dx: int, shape: tuple[int, int], places: Tensor) -> Tensor:
    return _within(places + _one(dy, dx, places.device), shape)


def _within(places: Int[Tensor, "2 m"], shape: tuple[int, int]) -> Int[Tensor, "2 m"]:
    """`places` of a target of `shape` patches, brought within it."""
    return torch.clamp(places, _one(0, 0, places.device), _one(shape[0] - 1, shape[1] - 1, places.device))


def _clamped(y: Tensor, x: Tensor, shape: tuple[int, int]) -> Tensor:
    """The indices of the places y, x, brought within `shape`."""
    return y.clamp(0, shape[0] - 1) * shape[1] + x.clamp(0, shape[1] - 1)
