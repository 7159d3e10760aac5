"""Layout: whether what is alike in one image is alike in another, whatever the colours."""

from jaxtyping import Float
from torch import Tensor


def self_similarity(image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "n n"]:
    """Distance in colour between every two of the n = h·w places of `image`."""
    colours = image[0].flatten(1).T
    # Not as a² + b² - 2ab, whose rounding is as large as the distance of two colours that are alike; and the square
    # root has no derivative at 0.
    squares: Tensor = (colours[:, None] - colours[None]).square().sum(2)
    return squares.add(1e-6).sqrt()


def rarity(table: Float[Tensor, "n n"]) -> Float[Tensor, "n"]:
    """How far each place is from all others, the mean of its row of self-similarity: figures are rare, grounds not."""
    return table.mean(1)


def correlation(one: Float[Tensor, "*n"], other: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """Pearson correlation of two tables, or lists, -1 to 1; 0 where one is flat."""
    a, b = one - one.mean(), other - other.mean()
    found: Tensor = (a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-3)
    return found
