"""Structure: whether what is alike in the source is alike in the output, whatever the colours."""

from jaxtyping import Float
from torch import Tensor

from lonepair.losses import correlation, self_similarity
from lonepair.ops.resize import resize

GRID = 64
"""Longest side, in places, of the grid at which images are compared: objects and their outlines, not grain."""


def structure(output: Float[Tensor, "1 c h w"], source: Float[Tensor, "1 c2 h2 w2"]) -> float:
    """Correlation between the self-similarities of two images, -1 to 1.

    Both are reduced to one grid of at most 64x64 places, and each is compared with itself: the distance in colour of
    every place to every other. The Pearson correlation of the two tables is 1 where two places are alike in the output
    just as far as they are in the source, and 0 where the layouts have nothing in common. Colours as such do not count:
    a negative, or any rotation, shift or scaling of colours, has 1. (Comparing tables of distances is representational
    similarity analysis, Kriegeskorte et al. 2008; self-similarity as layout is Shechtman and Irani's, CVPR 2007.)
    Symmetric in images of one aspect; 0 where either is flat. Texture that the source lacks lowers it, and a blurred
    output has more of it: read it beside `look`, to which blur is a loss. About 0.5 s on one core.
    """
    h, w = source.shape[-2:]
    size = (max(1, round(h * GRID / max(h, w))), max(1, round(w * GRID / max(h, w))))
    one, other = (self_similarity(resize(image, size)).double() for image in (output, source))
    return float(correlation(one, other))
