"""Conversion of image tensors between grey, RGB and RGBA."""

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
    """The smallest number of channels (1, 3 or 4) that holds images of all these `channels` without loss."""
    for count in channels:
        _check_channels(count)
    return max(channels)


def match_channels(image: Float[Tensor, "b c h w"], channels: int) -> Float[Tensor, "b channels h w"]:
    """`image`, in [-1, 1], as grey (1), RGB (3) or RGBA (4).

    Grey is the Rec. 601 luma of RGB; RGB of grey repeats it. A new alpha channel is opaque. An alpha channel is removed
    by compositing over white, as a viewer or a browser shows the image. An image that has `channels` already is
    returned itself.

    Raises:
        UserError: The image's channels or `channels` are not 1, 3 or 4.
    """
    old_channels = image.shape[1]
    _check_channels(old_channels)
    _check_channels(channels)
    if old_channels == channels:
        return image
    # Fewer channels: first without alpha, then grey.
    if old_channels == 4:
        return match_channels(over_white(image), channels)
    if channels == 1:
        weights = torch.tensor(_LUMA, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
        return (image * weights).sum(dim=1, keepdim=True)
    # More channels: grey repeats, and a new alpha is opaque.
    color = image.expand(-1, 3, -1, -1)
    if channels == 3:
        return color.contiguous()
    return torch.cat([color, torch.ones_like(color[:, :1])], dim=1)


def negative(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """`image` with inverted colors; an alpha channel stays."""
    return torch.cat([-image[:, :3], image[:, 3:]], dim=1)


def quantize_luminance(image: Float[Tensor, "b c h w"], levels: int) -> Float[Tensor, "b c h w"]:
    """`image` with `levels`, 2 or more, values of the mean of its colors; hues and alpha stay."""
    luminance = image[:, :3].mean(1, keepdim=True)
    quantized = ((luminance + 1) / 2 * (levels - 1)).round() / (levels - 1) * 2 - 1
    return torch.cat([(image[:, :3] + quantized - luminance).clamp(-1, 1), image[:, 3:]], 1)


def over_white(image: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b 3 h w"]:
    """RGBA with straight alpha, composited over white; all in [-1, 1]."""
    color, alpha = image[:, :3], (image[:, 3:] + 1) / 2
    return color * alpha + (1 - alpha)


def _check_channels(count: int) -> None:
    if count not in CHANNELS:
        raise UserError(f"an image has {count} channels; give 1 (grey), 3 (RGB) or 4 (RGBA)")
