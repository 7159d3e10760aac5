"""The one resize of the package: exact sizes, bicubic, antialiased when shrinking, on the tensor's own device."""

import functools

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def resize(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`image` at `size` = (h, w) pixels, bicubic, antialiased where it shrinks.

    Its own size gives back the very same tensor. Values may overshoot [-1, 1] a little at sharp edges, as bicubic
    kernels do; `resize_image` clamps.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    shrinks = size[0] < image.shape[-2] or size[1] < image.shape[-1]
    # The antialiased kernel has no bfloat16 form on the CPU, and an image's own resizing should not round anyway.
    wide = image.float() if shrinks else image
    return F.interpolate(wide, size=tuple(size), mode="bicubic", align_corners=False, antialias=shrinks)


def resize_image(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`resize`, clamped to an image's range [-1, 1]."""
    return resize(image, size).clamp(-1, 1)


def enlarge_features(features: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """What `resize` gives where nothing shrinks, as one matrix product for each axis.

    With many channels, channels-last, this is what matrix units are made for: forward and backward of 64 channels
    from 75x100 to 96x128 take 2.3 ms instead of 22.7 (bfloat16, one CPU core), once a quarter of a training step.
    """
    (b, c, h, w), (rows, columns) = features.shape, size
    if (h, w) == (rows, columns):
        return features
    last = features.permute(0, 2, 3, 1)
    vertical = _weights(h, rows, features.device, features.dtype)
    horizontal = _weights(w, columns, features.device, features.dtype)
    last = torch.matmul(vertical, last.reshape(b, h, w * c)).reshape(b, rows, w, c)
    return torch.matmul(horizontal, last).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=256)
def _weights(old: int, new: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "{new} {old}"]:
    """The matrix that resizes a line of `old` values to `new`: the library's own kernel applied to unit vectors."""
    lines = F.interpolate(torch.eye(old)[None, None], size=(new, old), mode="bicubic", align_corners=False)
    return lines[0, 0].to(device, dtype)
