"""Peak signal-to-noise ratio: how far two images are apart, pixel by pixel."""

import math

from jaxtyping import Float
from torch import Tensor


def psnr(one: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h w"]) -> float:
    """Peak signal-to-noise ratio in dB: 10·log₁₀(2² / MSE) for images in [-1, 1]; infinite for equal ones."""
    error = float((one - other).square().mean())
    return math.inf if error == 0 else 10 * math.log10(4 / error)
