"""The one resize of the package: exact integer sizes, antialiased when shrinking, on the tensor's own device."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def resize(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """`image` at `size` = (h, w) pixels, bicubic, antialiased where it shrinks.

    Its own size gives back the very same tensor. Values may overshoot [-1, 1] a little at sharp edges, as bicubic
    kernels do; the caller clamps where it matters (`resize_image`).
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
