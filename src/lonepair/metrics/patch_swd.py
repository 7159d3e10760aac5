"""Patch-SWD: the sliced Wasserstein distance of patches, plain (Elnekave and Weiss, GPDM, CVPR 2022). Range [0, ∞)."""

from jaxtyping import Float
from torch import Tensor

from lonepair.media.sizes import fit_inside
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from lonepair.patches.distance import random_filters, sliced_wasserstein

PATCH_SIZE = 7
"""Side of a patch in pixels."""
FILTERS = 128
"""Number of random directions in which patches are compared."""
SIDES = (128, 64, 32, 16)
"""Longest sides in pixels at which images are compared."""


def patch_swd(output: Float[Tensor, "1 c h w"], image: Float[Tensor, "1 c h2 w2"]) -> float:
    """The sliced Wasserstein distance between the 7x7 patches of two images, mean over `SIDES`.

    Unlike `look_distance`, it compares the pixels themselves rather than bands of detail: areas of color count most.

    Args:
        output: In [-1, 1].
        image: The training image, in [-1, 1].

    Returns:
        The distance in units of the image's standard deviation; 0 for equal images. Lower is better. About 0.05 s.
    """
    filters = random_filters(FILTERS, image.shape[1], PATCH_SIZE, RandomStream(PATCH_SIZE, FILTERS)).to(image.device)
    deviation = float(image.std().clamp(min=1e-9))
    distances = []
    for side in SIDES:
        one, other = (resize(each, _size(each, side)) for each in (output, image))
        distances.append(float(sliced_wasserstein(one, other, filters)) / deviation)
    return sum(distances) / len(distances)


def _size(image: Tensor, side: int) -> tuple[int, int]:
    h, w = fit_inside((image.shape[-2], image.shape[-1]), min(side, max(image.shape[-2:])))
    return max(PATCH_SIZE, h), max(PATCH_SIZE, w)
