"""Distances between images, for reconstruction and cycle terms."""

from jaxtyping import Float
from torch import Tensor


def mean_squared_error(a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """Mean of (a - b)² over pixels and channels: the papers' ‖a - b‖², made independent of the image's size."""
    return (a - b).square().mean()
