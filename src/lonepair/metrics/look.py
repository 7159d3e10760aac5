"""Look: how close an image's patch distribution is to the target's. Range [0, ∞), lower is closer.

The *look* of an image is the distribution of its small patches: which patches it has, and how often; positions do not
count. `look_distance` is the distance between two such distributions, after Karras et al. (ICLR 2018, sec. 5). `look`
divides it by the distance of the untranslated source, so that the values of different pairs have one scale.
"""

from collections.abc import Iterator, Sequence

from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from lonepair.patches.distance import ColorWhitening, random_filters, sliced_wasserstein

PATCH_SIZE = 7
"""Side of a patch in pixels."""
FILTERS = 128
"""Number of random directions in which patches are compared."""
MIN_SIDE = 16
"""Pixels on the shortest side of the coarsest level, at least."""


def look(
    output: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"], source: Float[Tensor, "1 c h3 w3"]
) -> float:
    """The `look_distance` of the output to the target, divided by that of the untranslated source to the target.

    Returns:
        0 for the target's patches at every scale, 1 for patches no closer than the source's, more than 1 for patches
        that are further away.
    """
    # The division makes pairs comparable: a source that resembles its target has a small distance from the start.
    return look_distance(output, target) / max(look_distance(source, target), 1e-9)


def look_distance(image: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"]) -> float:
    """The sliced Wasserstein distance between the 7x7 patches of two images, averaged over a Laplacian pyramid.

    Karras et al. compare two sets of images in this way; here each set is one image. Each level is divided by the
    target's contrast (`patches.distance.ColorWhitening`), so that fine grain counts as much as large areas. (Most of
    the variance of unnormalized patches is that of their means, so that a blurred output would have a small distance.)
    The whitening also shows hues that the target lacks.

    Args:
        image: In [-1, 1].
        target: In [-1, 1]; its pixels are taken to have the size of the image's pixels.

    Returns:
        The mean distance over levels, in units of the target's contrast: 0 for equal images, no upper bound. It is not
        symmetric. About 0.2 s for 128x128 on one core.
    """
    levels = min(_level_count(image), _level_count(target))
    distances = []
    pairs = zip(_laplacian_pyramid(image, levels), _laplacian_pyramid(target, levels), strict=True)
    for level, (image_band, target_band) in enumerate(pairs):
        whiten = ColorWhitening(target_band)
        # The same directions in every call: two calls with equal images give equal values.
        rng = RandomStream(level, PATCH_SIZE, FILTERS)
        filters = random_filters(FILTERS, image.shape[1], PATCH_SIZE, rng).to(image.device)
        distances.append(float(sliced_wasserstein(whiten(image_band), whiten(target_band), filters)))
    return sum(distances) / len(distances)


def _level_count(image: Tensor) -> int:
    """The number of levels, halving from one to the next, whose shortest side has `MIN_SIDE` pixels or more."""
    count, side = 1, min(image.shape[-2:])
    while side // 2 >= MIN_SIDE:
        count, side = count + 1, side // 2
    return count


def _laplacian_pyramid(image: Tensor, levels: int) -> Iterator[Tensor]:
    """The levels of a Laplacian pyramid, fine first: the detail that each halving removes, then the smallest image."""
    # Each level holds what halving removes; only the last one is an image.
    for _ in range(levels - 1):
        half = resize(image, _half(image.shape[-2:]))
        yield image - resize(half, (image.shape[-2], image.shape[-1]))
        image = half
    yield image


def _half(size: Sequence[int]) -> tuple[int, int]:
    return (size[0] + 1) // 2, (size[1] + 1) // 2
