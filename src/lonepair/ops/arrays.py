"""Conversion of image tensors in [-1, 1] to and from integer arrays and Pillow images."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt16
from PIL import Image
from torch import Tensor

from lonepair.ops.color import CHANNELS


def to_uint8(image: Float[Tensor, "1 c h w"]) -> UInt8[np.ndarray, "h w c"]:
    """`image`, in [-1, 1] (clamped), rounded to 0..255; the inverse of `from_integers` for 8-bit images."""
    pixels = image[0].detach().to("cpu", torch.float32).clamp(-1, 1).add(1).mul(127.5).round()
    array: np.ndarray = pixels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return array


def to_uint16(image: Float[Tensor, "1 c h w"]) -> UInt16[np.ndarray, "h w c"]:
    """`image`, in [-1, 1] (clamped), rounded to 0..65535; the inverse of `from_integers` for 16-bit images."""
    pixels = image[0].detach().to("cpu", torch.float64).clamp(-1, 1).add(1).mul(32767.5).round()
    array: np.ndarray = pixels.permute(1, 2, 0).contiguous().numpy().astype(np.uint16)
    return array


def to_pil(image: Float[Tensor, "1 c h w"]) -> Image.Image:
    """`image`, in [-1, 1] (clamped), as an 8-bit Pillow image of mode L, RGB or RGBA."""
    assert image.shape[1] in CHANNELS, image.shape
    array = to_uint8(image)
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def from_integers(array: np.ndarray) -> Float[Tensor, "1 c h w"]:
    """A uint8 (0..255) or uint16 (0..65535) array (h, w) or (h, w, c) as a float32 tensor in [-1, 1]."""
    assert array.dtype in (np.uint8, np.uint16), array.dtype
    half = np.float32(np.iinfo(array.dtype).max / 2)
    planes = array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0)
    return torch.from_numpy(np.ascontiguousarray(planes[None], dtype=np.float32) / half - np.float32(1))
