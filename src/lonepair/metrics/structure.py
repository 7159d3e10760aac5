"""Structure: whether the output has the layout of the source; colors do not count. Range [-1, 1], higher is closer."""

from jaxtyping import Float
from torch import Tensor

from lonepair.losses import correlation, self_similarity
from lonepair.ops.resize import resize

GRID = 64
"""Longest side, in pixels, at which images are compared: objects and their outlines, not grain."""


def structure(output: Float[Tensor, "1 c h w"], source: Float[Tensor, "1 c2 h2 w2"]) -> float:
    """The Pearson correlation between the self-similarities of two images.

    Both images are reduced to one size of at most 64x64 pixels. The self-similarity of an image is the table of the
    color distances between each two of its pixels. Only differences between pixels count: a negative, or any rotation,
    shift or scaling of the colors, has the value 1.

    (The comparison of distance tables is representational similarity analysis, Kriegeskorte et al. 2008. The use of
    self-similarity as layout is that of Shechtman and Irani, CVPR 2007.)

    Returns:
        A value in [-1, 1]. 1: the same layout. 0: unrelated layouts, or an image of one color. Symmetric for images of
        one aspect ratio. Texture that the source lacks lowers the value and blur raises it; read it beside `look`,
        which blur worsens. About 0.5 s on one core.
    """
    # One size for both, so that the tables have the same entries: 4096 x 4096 for a square.
    h, w = source.shape[-2:]
    size = (max(1, round(h * GRID / max(h, w))), max(1, round(w * GRID / max(h, w))))
    one, other = (self_similarity(resize(image, size)).double() for image in (output, source))
    return float(correlation(one, other))
