"""Pixelwise distance between images, for reconstruction and cycle terms."""

from jaxtyping import Float
from torch import Tensor


def mean_squared_error(a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """The mean of (a - b)² over pixels and channels: the papers' ‖a - b‖², divided by the number of values."""
    return (a - b).square().mean()
