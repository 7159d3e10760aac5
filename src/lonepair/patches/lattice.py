"""Patches on a regular lattice: their positions, the matches that neighbors suggest, and the image they blend to."""

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

    The last ones may exceed the lower and the right border by less than a step.
    """

    size: tuple[int, int]
    side: int
    step: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of patches in a column and in a row."""
        h, w = (1 - (self.side - n) // self.step for n in self.size)
        return h, w

    @property
    def _padded_size(self) -> tuple[int, int]:
        """(h, w) of the area that the patches cover."""
        h, w = ((n - 1) * self.step + self.side for n in self.shape)
        return h, w

    def pad(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h2 w2"]:
        """`image` with its last row and column repeated as far as the patches extend."""
        h, w = self._padded_size
        return F.pad(image, [0, w - self.size[1], 0, h - self.size[0]], mode="replicate")

    # -- blending -------------------------------------------------------------------------------------------------

    def assemble(
        self, texture: Float[Tensor, "1 c h2 w2"], index: Int[Tensor, m], sigma: float = math.inf
    ) -> Float[Tensor, "1 c {self.size[0]} {self.size[1]}"]:
        """The image whose every pixel is the weighted mean of the patches of `texture` that cover it.

        Args:
            index: For each position of the lattice, the patch of `texture` there.
            sigma: Standard deviation in pixels of the Gaussian patch weights. Smaller is sharper and rougher.
        """
        # The index of each patch's first pixel in the texture.
        (rows, columns), step = self.shape, self.step
        colors, width = texture[0].flatten(1), texture.shape[3]
        patches_in_row = width - self.side + 1
        first = index // patches_in_row * width + index % patches_in_row
        total_weights = _total_weights(self, sigma, texture.device, texture.dtype)
        if texture.device.type != "cpu":
            return self.fold_patches(colors, first, width, sigma) / total_weights
        # On a CPU, pixels by their position within a step: one pixel of all patches is then added as one block.
        offset, weights = torch.arange(self.side), _weights(self.side, sigma)
        beyond = (self.side - 1) // step
        total = texture.new_zeros(len(colors), step, step, rows + beyond, columns + beyond)
        for dy in range(self.side):
            strips = colors.index_select(1, (first + (dy * width + offset)[:, None]).flatten())
            strips = strips.view(len(colors), self.side, rows, columns)
            for dx in range(self.side):
                (y, row), (x, column) = divmod(dy, step), divmod(dx, step)
                block = total[:, row, column, y : y + rows, x : x + columns]
                block.add_(strips[:, dx], alpha=weights[dy] * weights[dx])
        image = total.permute(0, 3, 1, 4, 2).flatten(3, 4).flatten(1, 2)[:, : self.size[0], : self.size[1]]
        return (image / total_weights)[None]

    def fold_patches(
        self, colors: Float[Tensor, "c k"], first: Int[Tensor, m], width: int, sigma: float
    ) -> Float[Tensor, "1 c {self.size[0]} {self.size[1]}"]:
        """The weighted sum of patches in few launches, for a GPU; a CPU would be slow at it.

        Args:
            colors: The pixels of a texture, row by row.
            first: The index of each patch's first pixel there.
            width: Width of the texture in pixels.
        """
        offset = torch.arange(self.side, device=first.device)
        pixels = (offset[:, None] * width + offset).flatten()
        patches = colors.index_select(1, (first + pixels[:, None]).flatten()).view(len(colors), len(pixels), len(first))
        patches = patches * _patch_weights(self.side, sigma, colors.device, colors.dtype)
        return F.fold(patches.flatten(0, 1), self._padded_size, self.side, stride=self.step)[
            None, :, : self.size[0], : self.size[1]
        ]

    def total_weight(self, weights: Sequence[float], axis: int) -> Float[Tensor, n]:
        """The sum of the patches' `weights` at each row (`axis` 0) or column (1) of the image."""
        total = torch.zeros(self._padded_size[axis], dtype=torch.float64)
        for offset, weight in enumerate(weights):
            total[offset :: self.step][: self.shape[axis]] += weight
        return total[: self.size[axis]]

    def to_pixels(self, values: Float[Tensor, m]) -> Float[Tensor, "1 1 {self.size[0]} {self.size[1]}"]:
        """One value a patch as one a pixel: that of the patch whose center is nearest."""
        rows, columns = (
            ((torch.arange(n, device=values.device) - self.side // 2) / self.step).round().long().clamp(0, count - 1)
            for n, count in zip(self.size, self.shape, strict=True)
        )
        return values.view(self.shape)[rows[:, None], columns][None, None]

    # -- matches --------------------------------------------------------------------------------------------------

    def moves(self, shape: tuple[int, int], distance: int) -> Iterator[Move]:
        """Candidates for better matches (Barnes et al., PatchMatch, SIGGRAPH 2009).

        First the position beside a neighbor's match, for neighbors `distance`, `distance` / 2, ..., 1 patches away;
        then the eight positions around a patch's own match.

        Args:
            shape: Number of the target's patches in a column and in a row.
            distance: Of the farthest neighbors, in patches of the lattice.
        """
        while distance >= 1:
            for dy, dx in ((-distance, 0), (distance, 0), (0, -distance), (0, distance)):
                yield functools.partial(self._beside, dy, dx, shape)
            distance //= 2
        yield from self.around(shape)

    @staticmethod
    def around(shape: tuple[int, int]) -> Iterator[Move]:
        """The eight positions around a match."""
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if dy or dx:
                    yield functools.partial(_move, dy, dx, shape)

    def _beside(self, dy: int, dx: int, shape: tuple[int, int], positions: Tensor) -> Tensor:
        """The positions beside the matches of the neighbors `dy` rows below and `dx` columns to the right."""
        neighbor, offset = _neighbors(self.shape, dy, dx, self.step, positions.device)
        return _clamp_positions(positions.index_select(1, neighbor) + offset, shape)

    def enlarge(
        self,
        matches: Int[Tensor, n],
        before: Lattice,
        shape_before: tuple[int, int],
        shape: tuple[int, int],
    ) -> Int[Tensor, m]:
        """The `matches` of the lattice `before` over a smaller version of the image, for this lattice.

        Shifts grow with the target, from `shape_before` to `shape` patches.
        """
        # The patch of `before` at the same relative position, and its match.
        nearest = [
            (torch.arange(count, device=matches.device) * (old_count - 1) / max(1, count - 1)).round().long()
            for count, old_count in zip(self.shape, before.shape, strict=True)
        ]
        match = matches.view(before.shape)[nearest[0][:, None], nearest[1]]
        # The match's shift relative to its patch, scaled like the target.
        positions = []
        for axis, at in enumerate((match // shape_before[1], match % shape_before[1])):
            here = self.step * torch.arange(self.shape[axis], device=matches.device)
            there = before.step * nearest[axis]
            if axis == 0:
                here, there = here[:, None], there[:, None]
            positions.append((here + (at - there) * shape[axis] / shape_before[axis]).round().long())
        return _clamp(positions[0], positions[1], shape).flatten()


@functools.lru_cache(maxsize=8)
def _weights(side: int, sigma: float) -> list[float]:
    """Gaussian weights of a patch's pixels along an axis."""
    distance = torch.arange(side) - side // 2
    weights: list[float] = torch.exp(-(distance**2) / (2 * sigma**2)).tolist()
    return weights


@cached(16)
def _patch_weights(side: int, sigma: float, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "p 1"]:
    """Gaussian weights of a patch's pixels, row by row."""
    weights = torch.tensor(_weights(side, sigma))
    return torch.outer(weights, weights).view(-1, 1).to(device=device, dtype=dtype)


@cached(16)
def _total_weights(lattice: Lattice, sigma: float, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "h w"]:
    """The sum of weights at each pixel of a lattice's image."""
    weights = _weights(lattice.side, sigma)
    return torch.outer(*(lattice.total_weight(weights, axis) for axis in (0, 1))).to(device=device, dtype=dtype)


@cached(512)
def _neighbors(
    shape: tuple[int, int], dy: int, dx: int, step: int, device: torch.device
) -> tuple[Int[Tensor, m], Int[Tensor, "2 m"]]:
    """The neighbor of each patch, and the offset back to the patch.

    Returns:
        The index of the patch `dy` rows below and `dx` columns to the right, or at the border; and the (rows, columns)
        in pixels from there to the patch.
    """
    row, column = (torch.arange(n) for n in shape)
    below, beside = (row + dy).clamp(0, shape[0] - 1), (column + dx).clamp(0, shape[1] - 1)
    neighbor = below[:, None] * shape[1] + beside
    offset = torch.stack([(row - below)[:, None].expand(shape), (column - beside).expand(shape)])
    return neighbor.flatten().to(device), (step * offset).flatten(1).to(device)


@cached(512)
def _point(y: int, x: int, device: torch.device) -> Int[Tensor, "2 1"]:
    """A row and a column as a tensor; cached, because copies to a GPU are slow."""
    return torch.tensor([[y], [x]], device=device)


def _move(dy: int, dx: int, shape: tuple[int, int], positions: Tensor) -> Tensor:
    """`positions` moved by `dy` rows and `dx` columns, clamped to `shape`."""
    return _clamp_positions(positions + _point(dy, dx, positions.device), shape)


def _clamp_positions(positions: Int[Tensor, "2 m"], shape: tuple[int, int]) -> Int[Tensor, "2 m"]:
    """`positions`, rows and columns, clamped to a target of `shape` patches."""
    return torch.clamp(positions, _point(0, 0, positions.device), _point(shape[0] - 1, shape[1] - 1, positions.device))


def _clamp(y: Tensor, x: Tensor, shape: tuple[int, int]) -> Tensor:
    """Indices of the patches at rows `y` and columns `x`, clamped to `shape`."""
    return y.clamp(0, shape[0] - 1) * shape[1] + x.clamp(0, shape[1] - 1)
