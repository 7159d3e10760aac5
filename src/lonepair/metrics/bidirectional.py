"""Bidirectional similarity: distances to the nearest patches, both ways (Simakov et al., CVPR 2008). Range [0, ∞).

*Coherence* asks whether everything in an output comes from the image, *completeness* whether everything in the image is
in the output. At a few pixels a side, a patch spans much of the picture, and the same distances see the layout: what
stands on what.
"""

from jaxtyping import Float
from torch import Tensor

from lonepair.media.sizes import fit_inside
from lonepair.ops.resize import resize
from lonepair.patches.search import NearestPatches

PATCH_SIZE = 7
"""Side of a patch in pixels."""
SIDE = 64
"""Longest side in pixels at which coherence and completeness are measured."""
LAYOUT_SIDES = (32, 16)
"""Longest sides in pixels at which the layout is measured: a patch is a fifth and nearly half of the picture."""


def bidirectional(
    output: Float[Tensor, "1 c h w"], image: Float[Tensor, "1 c h2 w2"], side: int = SIDE
) -> tuple[float, float]:
    """The coherence and the completeness of an output, as distances.

    Both images are reduced by one factor, so that the longest side of `image` has `side` pixels.

    Args:
        output: In [-1, 1].
        image: The training image, in [-1, 1], at the output's scale.

    Returns:
        The mean squared difference of the output's 7x7 patches to the nearest of the image, and of the image's to the
        nearest of the output, in units of the image's variance: 0 where every patch has an equal one. Lower is better.
        About 0.3 s at 64 pixels on one core.
    """
    one, other = _reduce(output, image, side)
    variance = float(other.var().clamp(min=1e-9))
    return _distance(one, other) / variance, _distance(other, one) / variance


def layout_distance(output: Float[Tensor, "1 c h w"], image: Float[Tensor, "1 c h2 w2"]) -> float:
    """The mean of coherence and completeness at `LAYOUT_SIDES`: lower where large parts stand as in the image.

    The image itself, shifted, has nearly 0. A sample that only rearranges small patches has a large value.
    """
    values = [value for side in LAYOUT_SIDES for value in bidirectional(output, image, side)]
    return sum(values) / len(values)


def _reduce(output: Tensor, image: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Both images, by the factor at which `image` has `side` pixels on its longest side."""
    factor = min(1.0, side / max(image.shape[-2:]))

    def reduce(each: Tensor) -> Tensor:
        longest = max(PATCH_SIZE, round(factor * max(each.shape[-2:])))
        h, w = fit_inside((each.shape[-2], each.shape[-1]), longest)
        return resize(each, (max(PATCH_SIZE, h), max(PATCH_SIZE, w)))

    return reduce(output), reduce(image)


def _distance(one: Tensor, other: Tensor) -> float:
    """The mean squared difference of the patches of `one` to the nearest of `other`."""
    # All components: the search is exact.
    search = NearestPatches(other, PATCH_SIZE, components=one.shape[1] * PATCH_SIZE**2)
    queries = search.queries(one)
    return float(search.distances(queries, search(queries)).mean())
