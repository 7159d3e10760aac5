"""Peak signal-to-noise ratio: the pixelwise error of an image, in dB. Higher is closer, ∞ for equal images."""

import math

from jaxtyping import Float
from torch import Tensor


def psnr(one: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h w"]) -> float:
    """The peak signal-to-noise ratio of two images in [-1, 1], in dB; symmetric, infinite for equal images."""
    error = float((one - other).square().mean())
    # 10·log₁₀(range² / MSE), with a range of 2.
    return math.inf if error == 0 else 10 * math.log10(4 / error)
