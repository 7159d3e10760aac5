"""Copying: the fraction of an output that consists of large regions copied from the target. Range [0, 1]; our own."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.resize import resize
from lonepair.patches.search import copied_regions, patches_of

PATCH_SIZE = 7
"""Side of a patch in pixels."""
MAX_SIDE = 96
"""Images are compared at this many pixels on the longest side at most: a copy at full size is one there, too."""
MIN_REGION = 14
"""Side of the smallest copied region in patches, twice a patch's side: MIN_REGION + PATCH_SIZE - 1 = 20 pixels."""


def copying(output: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"]) -> float:
    """The fraction of the output's 7x7 patches that lie in copied regions of the target.

    For each patch of the output, an exact search finds the most similar patch of the target. Their shift is the
    difference of their positions. A patch is copied if it is one of 14 neighbors in its row and of 14 in its column
    that have the same shift. Rotated, mirrored and scaled copies do not count.

    Args:
        output: In [-1, 1].
        target: In [-1, 1], at the output's scale.

    Returns:
        A value in [0, 1]. 0: no region of 20x20 pixels or more is copied. 1: the output is the target. The untranslated
        source has a value by chance; report it beside the output's. About 2 s on one core.
    """
    return float(copy_map(output, target).float().mean())


def copy_map(output: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"]) -> Bool[Tensor, "h3 w3"]:
    """Whether each of the output's 7x7 patches lies in a copied region, by the patch's upper left pixel.

    Both images are first reduced so that the longest side of the larger one has 96 pixels at most. h3 and w3 are the
    output's sides then, less 6.
    """
    output, target = _reduce(output, target)
    output_patches, target_patches = patches_of(output, PATCH_SIZE), patches_of(target, PATCH_SIZE)
    # |a - b|² = |a|² + |b|² - 2ab, where |a|² is the same for all candidates.
    squares = target_patches.square().sum(1)
    # In parts, so that the table of distances fits in memory.
    parts = torch.split(output_patches, 2048)
    nearest = torch.cat([(squares - 2 * part @ target_patches.T).argmin(1) for part in parts])
    # A region is copied if neighboring patches have one shift.
    size = (output.shape[2] - PATCH_SIZE + 1, output.shape[3] - PATCH_SIZE + 1)
    return copied_regions(nearest, size, target.shape[3] - PATCH_SIZE + 1, MIN_REGION)


def _reduce(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both images, scaled by one factor so that no side is longer than `MAX_SIDE`."""
    factor = min(1.0, MAX_SIDE / max(*output.shape[-2:], *target.shape[-2:]))

    def reduce(image: Tensor) -> Tensor:
        h, w = image.shape[-2:]
        return resize(image, (max(PATCH_SIZE, round(h * factor)), max(PATCH_SIZE, round(w * factor))))

    return reduce(output), reduce(target)
