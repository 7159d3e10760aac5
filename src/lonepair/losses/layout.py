"""Layout: whether what is alike in one image is alike in another, whatever the colours."""

import torch
from jaxtyping import Float
from torch import Tensor


def self_similarity(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "n n"]:
    """Distance in colour between every two of the n = b·h·w places of an image, or of its crops."""
    return _apart(image, image)


def rarity(image: Float[Tensor, "b c h w"], world: Float[Tensor, "b2 c h2 w2"]) -> Float[Tensor, "n"]:
    """How far each of the n = b·h·w places of `image` is in colour from those of `world`, on average.

    Of an image in its own world: figures are rare, grounds are not.
    """
    return _apart(image, world).mean(1)


def _apart(one: Tensor, other: Tensor) -> Float[Tensor, "n m"]:
    # Not as a² + b² - 2ab, whose rounding is as large as the distance of two colours that are alike.
    ours, theirs = (image.transpose(0, 1).flatten(1) for image in (one, other))
    if ours.device.type == "cpu":
        return torch.cdist(ours.T, theirs.T, compute_mode="donot_use_mm_for_euclid_dist")
    # The same in a fifth of a GPU's time; what is equal is not to be moved apart, whatever a root's derivative is at 0.
    return (ours[:, :, None] - theirs[:, None]).square().sum(0).clamp(min=1e-20).sqrt()


def correlation(one: Float[Tensor, "*n"], other: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """Pearson correlation of two tables, or lists, -1 to 1; 0 where one is flat."""
    a, b = one - one.mean(), other - other.mean()
    found: Tensor = (a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-3)
    return found
