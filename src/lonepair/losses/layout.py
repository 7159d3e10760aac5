"""Layout losses: tables of color distances within an image, and their correlation with those of another image.

Two images have the same layout if pixels with similar colors in one have similar colors in the other. The colors
themselves may differ.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def self_similarity(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "n n"]:
    """The color distance between each two of the n = b·h·w pixels of an image, or of its crops."""
    return _color_distances(image, image)


def rarity(image: Float[Tensor, "b c h w"], reference: Float[Tensor, "b2 c h2 w2"]) -> Float[Tensor, "n"]:
    """The mean color distance of each of the n = b·h·w pixels of `image` to all pixels of `reference`.

    With an image as its own reference, small objects are rare and the background is not.
    """
    return _color_distances(image, reference).mean(1)


def _color_distances(one: Float[Tensor, "b c h w"], other: Float[Tensor, "b2 c h2 w2"]) -> Float[Tensor, "n m"]:
    """The Euclidean distance between the colors of each pixel of `one` and each pixel of `other`."""
    colors, other_colors = (image.transpose(0, 1).flatten(1) for image in (one, other))
    if colors.device.type == "cpu":
        # Not as a² + b² - 2ab, whose rounding error is as large as the distance between two similar colors.
        return torch.cdist(colors.T, other_colors.T, compute_mode="donot_use_mm_for_euclid_dist")
    # On a GPU this takes a fifth of cdist's time. The clamp makes the gradient 0 for equal colors, where the root has
    # no derivative.
    return (colors[:, :, None] - other_colors[:, None]).square().sum(0).clamp(min=1e-20).sqrt()


def correlation(one: Float[Tensor, "*n"], other: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """The Pearson correlation of two tables, in [-1, 1]; 0 where one is constant."""
    # The clamp bounds the gradient where a table is nearly constant, as for a prediction of one color.
    a, b = one - one.mean(), other - other.mean()
    coefficient: Tensor = (a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-3)
    return coefficient
