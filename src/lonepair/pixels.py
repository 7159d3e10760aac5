"""Pixels in memory: grey, RGB and RGBA into one another, and the package's tensors to 8-bit arrays and back."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from lonepair.errors import UserError

CHANNELS = (1, 3, 4)
"""Grey, RGB, RGBA with straight alpha."""

_LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G, B in grey: Rec. 601, as in JPEG and Pillow."""


def mirrored(image: Float[Tensor, "b c h w"], by: int) -> Float[Tensor, "b c h2 w2"]:
    """`image` with `by` pixels more on each side, mirrored at the border; with a derivative that is the same twice."""
    if image.device.type == "cpu":
        return F.pad(image, [by] * 4, mode="reflect")
    # A GPU adds up what pixels are given back in whatever order it comes. Along one axis that is two numbers at most.
    return F.pad(F.pad(image, [by, by, 0, 0], mode="reflect"), [0, 0, by, by], mode="reflect")


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


def to_uint8(image: Float[Tensor, "1 c h w"]) -> UInt8[np.ndarray, "h w c"]:
    """`image`, [-1, 1] (what lies outside is clamped), rounded to 0..255. What was 8-bit comes back bit for bit."""
    pixels = image[0].detach().to("cpu", torch.float32).clamp(-1, 1).add(1).mul(127.5).round()
    array: np.ndarray = pixels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return array


def to_pil(image: Float[Tensor, "1 c h w"]) -> Image.Image:
    """`image`, [-1, 1], as an 8-bit Pillow image of mode L, RGB or RGBA."""
    _check_channels(image.shape[1])
    array = to_uint8(image)
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def from_integers(array: np.ndarray) -> Float[Tensor, "1 c h w"]:
    """A uint8 (0..255) or uint16 (0..65535) array (h, w) or (h, w, c) as a tensor in [-1, 1], at full precision."""
    assert array.dtype in (np.uint8, np.uint16), array.dtype
    half = np.float32(np.iinfo(array.dtype).max / 2)
    planes = array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0)
    return torch.from_numpy(np.ascontiguousarray(planes[None], dtype=np.float32) / half - np.float32(1))


def _check_channels(count: int) -> None:
    if count not in CHANNELS:
        raise UserError(f"an image has {count} channels; give 1 (grey), 3 (RGB) or 4 (RGBA)")
