"""Dilation and erosion of masks and of single-channel images with a square: the largest and the smallest value around
each pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dilate(values: Tensor, radius: int) -> Tensor:
    """The largest value up to `radius` rows and columns away from each pixel.

    Args:
        values: (..., h, w), bool or floating point.
        radius: In pixels, 0 or more. The time grows with its logarithm.
    """
    if values.dtype == torch.bool:
        return dilate(values.float(), radius) > 0
    for axis in (-1, -2):
        values = _running_maximum(values.transpose(axis, -1), radius).transpose(axis, -1)
    return values


def erode(values: Tensor, radius: int) -> Tensor:
    """The smallest value up to `radius` rows and columns away from each pixel; arguments as of `dilate`."""
    if values.dtype == torch.bool:
        return ~dilate(~values, radius)
    return -dilate(-values, radius)


def _running_maximum(values: Tensor, radius: int) -> Tensor:
    """The largest value within `radius` positions along the last axis."""
    count, side, width = values.shape[-1], 2 * radius + 1, 1
    values = F.pad(values, [radius, radius], value=-torch.inf)
    # Maxima of `width` neighbors, of twice as many, and so on; two that overlap make up `side`.
    while 2 * width <= side:
        values = torch.maximum(values[..., :-width], values[..., width:])
        width *= 2
    rest = side - width
    return torch.maximum(values[..., :count], values[..., rest : rest + count])
