"""The one resize of the package: exact sizes, antialiased bicubic, on the tensor's own device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.device import cached

_SHRINKS = 16
"""A GPU's antialiased kernel has room for so much, about."""
_BAND = 32
"""Rows of a resizing matrix that are multiplied at once: fewer multiply fewer zeros, and are more calls."""


def resize(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`image` at `size` = (h, w) pixels, float32, antialiased bicubic.

    The kernel is Keys' with a = -0.5, stretched where it shrinks: MATLAB's and Pillow's, and the published code's, too.
    Its own size gives back the very same tensor. Values may overshoot [-1, 1] a little at sharp edges, as bicubic
    kernels do; `resize_image` clamps.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    # An image's resizing should not be rounded, whatever the networks compute in.
    with torch.autocast(image.device.type, enabled=False):
        shrinks = max(old / new for old, new in zip(image.shape[-2:], size, strict=True))
        if image.requires_grad or (image.device.type != "cpu" and shrinks > _SHRINKS):
            # The antialiased kernel has no backward on some devices, and one without a fixed order of sums on others.
            return _by_matrices(image.float(), size, antialias=True)
        return F.interpolate(image.float(), size=tuple(size), mode="bicubic", align_corners=False, antialias=True)


def resize_image(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`resize`, clamped to an image's range [-1, 1]."""
    return resize(image, size).clamp(-1, 1)


def resize_features(features: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """Bicubic as networks have it (a = -0.75 where it enlarges), in the features' own precision.

    Matrix products along each axis: with many channels, channels-last, this is what matrix units are made for. Forward
    and backward of 64 channels from 75x100 to 96x128 take 2.3 ms instead of 22.7 (bfloat16, one CPU core), once a
    quarter of a training step. In bands, as a kernel of four pixels leaves most of a large matrix zero.
    """
    shrinks = size[0] < features.shape[-2] or size[1] < features.shape[-1]
    return features if tuple(features.shape[-2:]) == tuple(size) else _by_matrices(features, size, antialias=shrinks)


def resize_corners(features: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """Bicubic with the corner pixels' centres kept in the corners, never antialiased: ConSinGAN's enlargement."""
    return _by_matrices(features, size, antialias=False, corners=True)


def resize_rows(
    features: Float[Tensor, "b c h w"], size: tuple[int, int], rows: slice, corners: bool
) -> Float[Tensor, "b c r w2"]:
    """Some rows of what `resize_features`, or with `corners` `resize_corners`, gives; without a derivative."""
    if not corners and tuple(features.shape[-2:]) == tuple(size):
        return features[:, :, rows]
    shrinks = size[0] < features.shape[-2] or size[1] < features.shape[-1]
    return _by_matrices(features, size, antialias=shrinks and not corners, corners=corners, rows=rows)


@cached(128)
def resizing(
    old: int, new: int, antialias: bool, corners: bool, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "{new} {old}"]:
    """The matrix that resizes a line of `old` values to `new`, zeros and all, of which rows and columns can be taken.

    With neither `antialias` nor `corners` that of `resize_features` where it enlarges, with `antialias` that of
    `resize`, with `corners` that of `resize_corners`.
    """
    return _kernel(old, new, antialias, corners).to(device, dtype)


def resized_by(
    part: Float[Tensor, "1 c h w"], vertical: Float[Tensor, "h2 h"], horizontal: Float[Tensor, "w2 w"]
) -> Float[Tensor, "1 c h2 w2"]:
    """A matrix for each axis times all lines of `part` along it."""
    c, h, w = part.shape[1:]
    last = torch.matmul(vertical, part.permute(0, 2, 3, 1).reshape(1, h, w * c))
    last = torch.matmul(horizontal, last.reshape(len(vertical), w, c))
    return last[None].permute(0, 3, 1, 2)


def _by_matrices(
    image: Float[Tensor, "b c h w"],
    size: tuple[int, int],
    antialias: bool,
    corners: bool = False,
    rows: slice | None = None,
) -> Float[Tensor, "b c h2 w2"]:
    b, c, h, w = image.shape
    last = image.permute(0, 2, 3, 1)
    vertical = _bands(h, size[0], antialias, corners, image.device, image.dtype)
    horizontal = _bands(w, size[1], antialias, corners, image.device, image.dtype)
    if rows is None:
        last = _product(last.reshape(b, h, w * c), vertical)
    else:
        last = vertical[0].some(rows).times(last.reshape(b, h, w * c))
    count = last.shape[1]
    last = _product(last.reshape(b * count, w, c), horizontal)
    return last.reshape(b, count, size[1], c).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _Bands:
    """A matrix of (m, n) whose entries lie about its diagonal, in bands of rows without the zeros left and right."""

    places: list[slice]
    """Of each band, the columns that it has."""
    parts: list[Tensor]
    """Of each band, its entries."""

    def times(self, lines: Float[Tensor, "b n k"]) -> Float[Tensor, "b m k"]:
        """The product of the matrix and each of `lines`."""
        pairs = zip(self.parts, self.places, strict=True)
        return torch.cat([torch.matmul(part, lines[:, place]) for part, place in pairs], 1)

    def some(self, rows: slice) -> _Bands:
        """The matrix of some of the rows."""
        wanted = range(rows.start // _BAND, -(-rows.stop // _BAND))
        first = [max(0, rows.start - band * _BAND) for band in wanted]
        parts = [self.parts[band][at : rows.stop - band * _BAND] for band, at in zip(wanted, first, strict=True)]
        return _Bands([self.places[band] for band in wanted], parts)


def _product(lines: Float[Tensor, "b n k"], matrices: tuple[_Bands, _Bands]) -> Float[Tensor, "b m k"]:
    """The first matrix times each of `lines`; the second is the first one's transpose."""
    product: Tensor = _Product.apply(lines, *matrices)  # type: ignore[no-untyped-call]
    return product


class _Product(torch.autograd.Function):
    """Its derivative is the product with the transpose, which the general one for slices would add up in full size."""

    @staticmethod
    def forward(ctx: Any, lines: Tensor, matrix: _Bands, transpose: _Bands) -> Tensor:
        ctx.matrices = matrix, transpose
        return matrix.times(lines)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        matrix, transpose = ctx.matrices
        return _product(gradients[0], (transpose, matrix)), None, None


@cached(512)
def _bands(
    old: int, new: int, antialias: bool, corners: bool, device: torch.device, dtype: torch.dtype
) -> tuple[_Bands, _Bands]:
    """The matrix that resizes a line of `old` values to `new`, and its transpose."""
    whole = _kernel(old, new, antialias, corners).to(dtype)
    return _banded(whole, device), _banded(whole.T, device)


@torch.no_grad()
def _kernel(old: int, new: int, antialias: bool, corners: bool) -> Float[Tensor, "{new} {old}"]:
    """The library's own kernel applied to unit vectors."""
    with torch.autocast("cpu", enabled=False):
        lines = F.interpolate(
            torch.eye(old)[None, None], size=(new, old), mode="bicubic", align_corners=corners, antialias=antialias
        )
    return lines[0, 0]


def _banded(matrix: Float[Tensor, "m n"], device: torch.device) -> _Bands:
    places, parts = [], []
    for rows in torch.split(matrix, _BAND):
        used = rows.any(0).nonzero()
        place = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        places.append(place)
        parts.append(rows[:, place].contiguous().to(device))
    return _Bands(places, parts)
