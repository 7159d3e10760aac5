"""Regions: rectangles of one size in maps of one size, and how a training step samples, crops and upsamples them.

The host knows sizes only. Positions are random numbers in a tensor on the device, which is used as an index there, so
that every step on random crops launches the same operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lonepair.ops.device import is_on_cpu
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import apply_resize_matrices, resize_matrix

Size = tuple[int, int]
InputSupport = Callable[[Tensor, int, int, int], tuple[Tensor, int]]
"""The inputs that an interval of outputs depends on, along one axis: (first outputs (n,), number of outputs, length of
the input's axis, length of the output's) -> (first inputs (n,), which may lie outside the axis; number of inputs)."""

_CROPS_PER_AXIS = 2
"""Crops side by side, and one below the other: one in each quarter of the image."""
_FRACTION_STEPS = 1 << 24
"""A fraction in [0, 1) is counted in these steps: products of integers need no float64 and never round up to 1."""


@dataclass(frozen=True, eq=False)
class Regions:
    """Rectangles of one size in maps of one size."""

    map_size: Size
    """(h, w) of the maps."""
    size: Size
    """(h, w) of each region."""
    top_left: Int[Tensor, "n 2"]
    """(row, column) of the upper left pixel of each region."""

    @classmethod
    def full_image(cls, size: Size, device: torch.device) -> Regions:
        """One region that covers a map of (h, w) `size`."""
        return cls(size, size, torch.zeros(1, 2, dtype=torch.long, device=device))

    def __len__(self) -> int:
        return len(self.top_left)

    @property
    def is_full_image(self) -> bool:
        return self.size == self.map_size

    @property
    def pixels(self) -> int:
        """Number of pixels of all regions."""
        return len(self) * self.size[0] * self.size[1]

    # -- pixels of the regions --------------------------------------------------------------------------------------

    def crop(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """Crops of one map at these regions."""
        return _crop(image, self.top_left, self.size)

    def crop_from(self, crops: Float[Tensor, "n c h w"], source: Regions) -> Float[Tensor, "n c h2 w2"]:
        """Crops at these regions, cut from `crops` at the regions `source`, each of which contains the one here."""
        return _crop(crops, self.top_left - source.top_left, self.size)

    def crop_with_zeros(
        self, crops: Float[Tensor, "n c h w"], source: Regions, margin: int
    ) -> Float[Tensor, "n c h2 w2"]:
        """As `crop_from`, with `margin` more pixels on each side, zero outside the maps.

        `source` must be these regions `expanded` by `margin` or more.
        """
        size = (self.size[0] + 2 * margin, self.size[1] + 2 * margin)
        return _crop(F.pad(crops, [margin] * 4), self.top_left - source.top_left, size)

    def upsample(
        self, crops: Float[Tensor, "m c h w"], source: Regions, align_corners: bool
    ) -> Float[Tensor, "n c h2 w2"]:
        """The values at these regions of a map that is upsampled from `source.map_size` to `map_size`, bicubic.

        Args:
            crops: Values of the smaller map at `source`: one region for all, or one for each region here.
            source: Regions of the smaller map that contain the `input_regions` of these.
            align_corners: As `resize_align_corners` does it, otherwise as `resize_features`.
        """
        # For each axis and region, the part of the resize matrix that maps the source's values to this region's.
        matrices = []
        for axis, (old, new) in enumerate(zip(source.map_size, self.map_size, strict=True)):
            matrix = resize_matrix(old, new, align_corners, crops.device, crops.dtype)
            # A block starts at the region's row of outputs and the source's column of inputs.
            block = torch.stack([self.top_left[:, axis], source.top_left[:, axis].expand(len(self))], 1)
            matrices.append(_crop(matrix[None, None], block, (self.size[axis], source.size[axis]))[:, 0])
        each = [crops] * len(self) if len(crops) == 1 else torch.split(crops, 1)
        return torch.cat([apply_resize_matrices(*factors) for factors in zip(each, *matrices, strict=True)])

    # -- other regions ----------------------------------------------------------------------------------------------

    def expanded(self, margin: int) -> Regions:
        """These regions with `margin` more pixels on each side; those at a border of the map are moved inside."""
        lengths = [length + 2 * margin for length in self.size]
        return _inside(self.map_size, lengths, [first - margin for first in self.top_left.unbind(1)])

    def input_regions(self, map_size: Size, support: InputSupport) -> Regions:
        """The regions of maps of (h, w) `map_size` that these depend on, where `support` states it for one axis."""
        axes = zip(self.top_left.unbind(1), self.size, map_size, self.map_size, strict=True)
        firsts, lengths = zip(*(support(*axis) for axis in axes), strict=True)
        return _inside(map_size, lengths, firsts)


def _inside(map_size: Size, lengths: Sequence[int], firsts: Sequence[Int[Tensor, " n"]]) -> Regions:
    """Regions of these lengths, at most the map's, that start at `firsts` or as near to it as keeps them inside."""
    h, w = map(min, lengths, map_size)
    starts = [first.clamp(0, full - length) for first, full, length in zip(firsts, map_size, (h, w), strict=True)]
    return Regions(map_size, (h, w), torch.stack(starts, 1))


def _crop(images: Float[Tensor, "m c h w"], top_left: Int[Tensor, "n 2"], size: Size) -> Float[Tensor, "n c h2 w2"]:
    """Crops of (h, w) `size` at `top_left`: all of one image (m = 1), or one of each image (m = n).

    On a GPU the derivative sums crops of one image in no fixed order where more than two overlap.
    """
    h, w = size
    # On a CPU slices are views, and far faster than indices.
    if is_on_cpu(top_left):
        each = torch.split(images, 1) if len(images) > 1 else [images] * len(top_left)
        pairs = zip(each, top_left.tolist(), strict=True)
        return torch.cat([image[:, :, top : top + h, left : left + w] for image, (top, left) in pairs])
    # Indices on the device, so that the host need not wait for the positions.
    assert len(images) in (1, len(top_left))
    rows, columns = (
        first[:, None] + torch.arange(length, device=first.device)
        for first, length in zip(top_left.unbind(1), size, strict=True)
    )
    # Images are stacked along the rows, so that one index names image, row and column.
    if len(images) > 1:
        rows = rows + images.shape[2] * torch.arange(len(images), device=rows.device)[:, None]
    pixels = rows[:, :, None] * images.shape[3] + columns[:, None, :]
    # One row of the index_select is one pixel, which channels-last keeps in one piece of memory.
    values = images.permute(0, 2, 3, 1).flatten(0, 2).index_select(0, pixels.flatten())
    return values.view(*pixels.shape, images.shape[1]).permute(0, 3, 1, 2)


def crop_at(image: Float[Tensor, "b c h w"], size: Size, position: Float[Tensor, " 2"]) -> Float[Tensor, "b c h2 w2"]:
    """A crop of an image.

    Args:
        image: The image.
        size: (h, w) of the crop; a side that is longer than the image's is not cropped.
        position: Vertical and horizontal position in [0, 1), from the first possible one to the last one.
    """
    for axis, length, fraction in zip((2, 3), size, position, strict=True):
        if length < image.shape[axis]:
            positions = image.shape[axis] - length + 1
            image = narrow_at(image, axis, _fraction_steps(fraction) * positions // _FRACTION_STEPS, length)
    return image


def narrow_at(values: Tensor, axis: int, first: Int[Tensor, ""], length: int) -> Tensor:
    """`torch.narrow` from a `first` that may be on a GPU, without waiting for its value there."""
    if is_on_cpu(first):
        return values.narrow(axis, int(first), length)
    return values.index_select(axis, first + torch.arange(length, device=first.device))


# -- random crops for a training step ---------------------------------------------------------------------------------


def needs_crops(pixels: int, side: int) -> bool:
    """Whether an image of `pixels` pixels is trained on crops: if it has more than 2·side² and `side` is not 0."""
    return 0 < 2 * side**2 < pixels


def sample_regions(size: Size, side: int, patch: int, rng: RandomStream) -> Regions | None:
    """Four random regions of an image, one in each quarter, that together have the pixels of a square of `side`.

    Every patch of the image is equally likely to lie in a region, patches at the border too. The patches along an axis
    are divided into equal cells, from one end or the other with equal probability, and each region is one cell, chosen
    uniformly. (Where the cells do not divide the patches, the remainder at each end is half as likely. With an odd
    number of cells both halves of an axis can choose the middle one.)

    Args:
        size: (h, w) of the image in pixels.
        side: Side of the square in pixels; 0 disables crops.
        patch: Side in pixels of the patches that the loss compares.
        rng: Chooses the cells and the ends.

    Returns:
        The regions, of the image's aspect; None where the image is too small for crops (see `needs_crops`).
    """
    h, w = size
    if not needs_crops(h * w, side):
        return None
    # The number of cells on each axis: four cells together have the pixels of the square.
    cells = max(_CROPS_PER_AXIS, round(_CROPS_PER_AXIS * (h * w) ** 0.5 / side))
    cells = min(cells, h - patch + 1, w - patch + 1)
    # Two starts for each axis, and the four pairs of them.
    rows, columns = (_random_starts(length - patch + 1, cells, rng) for length in size)
    top_left = torch.stack([rows[:, None].expand(-1, len(columns)), columns[None].expand(len(rows), -1)], -1)
    region_h, region_w = ((length - patch + 1) // cells + patch - 1 for length in size)
    return Regions(size, (region_h, region_w), top_left.flatten(0, 1))


def _random_starts(patches: int, cells: int, rng: RandomStream) -> Int[Tensor, " n"]:
    """The first patch of one random cell in each half of an axis of `patches` patches and `cells` cells."""
    cell = patches // cells
    # Integers and products of integers: the position may be on a GPU, and must not round up to the next cell.
    from_end, fractions = rng.integer(2), _fraction_steps(rng.uniform(_CROPS_PER_AXIS))
    halves = _FRACTION_STEPS * torch.arange(_CROPS_PER_AXIS, device=fractions.device)
    index = (halves + fractions) * cells // (_CROPS_PER_AXIS * _FRACTION_STEPS)
    return (patches - cell * cells) * from_end + index * cell


def _fraction_steps(fractions: Float[Tensor, "*d"]) -> Int[Tensor, "*d"]:
    """Fractions in [0, 1), counted in `_FRACTION_STEPS`."""
    return (fractions * _FRACTION_STEPS).long()
