"""Channels of image tensors: grey, RGB and RGBA converted into one another."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError

CHANNELS = (1, 3, 4)
"""Grey, RGB, RGBA with straight alpha."""

_LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G, B in grey: Rec. 601, as in JPEG and Pillow."""


def common_channels(*channels: int) -> int:
    """The fewest channels (1, 3 or 4) that hold images of all these `channels` with nothing lost."""
    for count in channels:
        _check_channels(count)
    return max(channels)


def match_channels(image: Float[Tensor, "b c h w"], channels: int) -> Float[Tensor, "b channels h w"]:
    """`image`, [-1, 1], as grey (1), RGB (3) or RGBA (4).

    Grey is Rec. 601 luma; grey to RGB repeats; a new alpha is opaque; alpha that goes is composited over white, as a
    viewer or a browser shows it. An image that has `channels` already is returned itself.

    Raises:
        UserError: either count is not 1, 3 or 4.
    """
    have = image.shape[1]
    _check_channels(have)
    _check_channels(channels)
    if have == channels:
        return image
    if have == 4:
        return match_channels(over_white(image), channels)
    if channels == 1:
        weights = torch.tensor(_LUMA, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
        return (image * weights).sum(dim=1, keepdim=True)
    color = image.expand(-1, 3, -1, -1)
    if channels == 3:
        return color.contiguous()
    return torch.cat([color, torch.ones_like(color[:, :1])], dim=1)


def over_white(image: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b 3 h w"]:
    """RGBA composited over white; all in [-1, 1]."""
    color, alpha = image[:, :3], (image[:, 3:] + 1) / 2
    return color * alpha + (1 - alpha)


def _check_channels(count: int) -> None:
    if count not in CHANNELS:
        raise UserError(f"an image has {count} channels; give 1 (grey), 3 (RGB) or 4 (RGBA)")
