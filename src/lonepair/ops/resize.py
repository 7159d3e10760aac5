"""Bicubic resizing to exact sizes, on the tensor's own device; the package has no other resize.

`resize` is for images. `resize_features` and `resize_align_corners` are for the features of networks: they are products
with a matrix for each axis, stored in bands without its zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.device import cached

_MAX_GPU_SHRINK = 16
"""Factor up to which a GPU's antialiased kernel has room for its weights, about."""
_BAND_ROWS = 32
"""Rows of a resize matrix that are multiplied together: fewer rows multiply fewer zeros, but need more calls."""


# -- images -----------------------------------------------------------------------------------------------------------


def resize(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`image` at `size` = (h, w) pixels, float32, antialiased bicubic.

    The kernel is Keys' with a = -0.5, stretched where it shrinks the image: that of MATLAB, Pillow and the published
    code. For its own size the same tensor is returned. Values may overshoot [-1, 1] a little at sharp edges;
    `resize_image` clamps them.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    # Images are resized in float32, whatever the networks compute in.
    with torch.autocast(image.device.type, enabled=False):
        shrink = max(old / new for old, new in zip(image.shape[-2:], size, strict=True))
        if image.requires_grad or (image.device.type != "cpu" and shrink > _MAX_GPU_SHRINK):
            # The antialiased kernel has no backward on some devices, and one without a fixed order of sums on others.
            return _resize_by_matrices(image.float(), size, antialias=True)
        return F.interpolate(image.float(), size=tuple(size), mode="bicubic", align_corners=False, antialias=True)


def resize_image(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`resize`, clamped to an image's range [-1, 1]."""
    return resize(image, size).clamp(-1, 1)


# -- features ---------------------------------------------------------------------------------------------------------


def resize_features(features: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`features` at `size` as `F.interpolate` resizes them (a = -0.75 to enlarge), in their own precision.

    Antialiased if an axis shrinks. Matrix products suit many channels in channels-last layout: forward and backward of
    64 channels from 75x100 to 96x128 take 2.3 ms, with `F.interpolate` 22.7 ms (bfloat16, one CPU core), which was a
    quarter of a training step.
    """
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return _resize_by_matrices(features, size, antialias=_shrinks(features, size))


def resize_align_corners(features: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`features` at `size`, with `align_corners` and never antialiased: ConSinGAN's upsampling."""
    return _resize_by_matrices(features, size, antialias=False, align_corners=True)


def resize_rows(
    features: Float[Tensor, "b c h w"], size: tuple[int, int], rows: slice, align_corners: bool
) -> Float[Tensor, "b c r w2"]:
    """Some `rows` of the output of `resize_features` or, with `align_corners`, `resize_align_corners`; no gradient."""
    if not align_corners and tuple(features.shape[-2:]) == tuple(size):
        return features[:, :, rows]
    antialias = _shrinks(features, size) and not align_corners
    return _resize_by_matrices(features, size, antialias, align_corners, rows)


def _shrinks(features: Tensor, size: tuple[int, int]) -> bool:
    return size[0] < features.shape[-2] or size[1] < features.shape[-1]


@cached(128)
def resize_matrix(
    old: int, new: int, align_corners: bool, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "{new} {old}"]:
    """The matrix that resizes an axis of `old` values to `new`, zeros included, so that any block can be cut from it.

    It is that of `resize_align_corners` if `align_corners`, otherwise that of `resize_features` where it enlarges.
    """
    return _interpolation_matrix(old, new, False, align_corners).to(device, dtype)


def apply_resize_matrices(
    image: Float[Tensor, "1 c h w"], vertical: Float[Tensor, "h2 h"], horizontal: Float[Tensor, "w2 w"]
) -> Float[Tensor, "1 c h2 w2"]:
    """`image` resized by a matrix for each axis."""
    c, h, w = image.shape[1:]
    columns = torch.matmul(vertical, image.permute(0, 2, 3, 1).reshape(1, h, w * c))
    pixels = torch.matmul(horizontal, columns.reshape(len(vertical), w, c))
    return pixels[None].permute(0, 3, 1, 2)


def _resize_by_matrices(
    image: Float[Tensor, "b c h w"],
    size: tuple[int, int],
    antialias: bool,
    align_corners: bool = False,
    rows: slice | None = None,
) -> Float[Tensor, "b c h2 w2"]:
    """`image` at (h, w) `size`, or some `rows` of that, by a banded matrix for each axis."""
    # Rows first, with columns and channels as one axis, then columns: both products are large and contiguous.
    b, c, h, w = image.shape
    vertical = _banded_matrices(h, size[0], antialias, align_corners, image.device, image.dtype)
    horizontal = _banded_matrices(w, size[1], antialias, align_corners, image.device, image.dtype)
    lines = image.permute(0, 2, 3, 1).reshape(b, h, w * c)
    columns = _multiply(lines, vertical) if rows is None else vertical[0].select(rows).multiply(lines)
    height = columns.shape[1]
    pixels = _multiply(columns.reshape(b * height, w, c), horizontal)
    return pixels.reshape(b, height, size[1], c).permute(0, 3, 1, 2)


# -- banded matrices --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _BandedMatrix:
    """A matrix (m, n) whose entries lie near its diagonal, as bands of rows without the zeros left and right."""

    columns: list[slice]
    """Of each band, the columns that it holds."""
    bands: list[Tensor]
    """Of each band, its entries."""

    def multiply(self, lines: Float[Tensor, "b n k"]) -> Float[Tensor, "b m k"]:
        """The product of the matrix and each of `lines`."""
        pairs = zip(self.bands, self.columns, strict=True)
        return torch.cat([torch.matmul(band, lines[:, columns]) for band, columns in pairs], 1)

    def select(self, rows: slice) -> _BandedMatrix:
        """The matrix of some of the rows."""
        # The bands that hold the rows; the first and the last one are cut.
        indices = range(rows.start // _BAND_ROWS, -(-rows.stop // _BAND_ROWS))
        starts = [max(0, rows.start - index * _BAND_ROWS) for index in indices]
        bands = [
            self.bands[index][start : rows.stop - index * _BAND_ROWS]
            for index, start in zip(indices, starts, strict=True)
        ]
        return _BandedMatrix([self.columns[index] for index in indices], bands)


def _multiply(lines: Float[Tensor, "b n k"], matrices: tuple[_BandedMatrix, _BandedMatrix]) -> Float[Tensor, "b m k"]:
    """The first matrix times each of `lines`; the second one is its transpose."""
    product: Tensor = _BandedProduct.apply(lines, *matrices)  # type: ignore[no-untyped-call]
    return product


class _BandedProduct(torch.autograd.Function):
    """A banded product whose derivative is the product with the transpose.

    Autograd's derivative of slices would add up tensors of the full size, one for each band.
    """

    @staticmethod
    def forward(ctx: Any, lines: Tensor, matrix: _BandedMatrix, transpose: _BandedMatrix) -> Tensor:
        # The product is linear: its derivative needs the matrices only, and no tensor is stored.
        ctx.matrices = matrix, transpose
        return matrix.multiply(lines)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        matrix, transpose = ctx.matrices
        return _multiply(gradients[0], (transpose, matrix)), None, None


@cached(512)
def _banded_matrices(
    old: int, new: int, antialias: bool, align_corners: bool, device: torch.device, dtype: torch.dtype
) -> tuple[_BandedMatrix, _BandedMatrix]:
    """The matrix that resizes an axis of `old` values to `new`, and its transpose."""
    matrix = _interpolation_matrix(old, new, antialias, align_corners).to(dtype)
    return _to_bands(matrix, device), _to_bands(matrix.T, device)


@torch.no_grad()
def _interpolation_matrix(old: int, new: int, antialias: bool, align_corners: bool) -> Float[Tensor, "{new} {old}"]:
    """The matrix of torch's own kernel: its result for unit vectors."""
    # Each column of the identity, resized, is a column of the matrix.
    with torch.autocast("cpu", enabled=False):
        columns = F.interpolate(
            torch.eye(old)[None, None], (new, old), mode="bicubic", align_corners=align_corners, antialias=antialias
        )
    return columns[0, 0]


def _to_bands(matrix: Float[Tensor, "m n"], device: torch.device) -> _BandedMatrix:
    all_columns, bands = [], []
    # The range of columns in which any row of the band is not zero.
    for rows in torch.split(matrix, _BAND_ROWS):
        nonzero = rows.any(0).nonzero()
        columns = slice(int(nonzero[0]), int(nonzero[-1]) + 1) if len(nonzero) else slice(0, 1)
        all_columns.append(columns)
        bands.append(rows[:, columns].contiguous().to(device))
    return _BandedMatrix(all_columns, bands)
