"""Copying: the fraction of an output that consists of large regions copied from the target. Range [0, 1]; our own."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.resize import resize
from lonepair.patches.search import NearestPatches, copied_regions, patches_of

PATCH_SIZE = 7
"""Side of a patch in pixels."""
MAX_SIDE = 96
"""Images are compared at this many pixels on the longest side at most: a copy at full size is one there, too."""
MIN_REGION = 14
"""Side of the smallest copied region in patches, twice a patch's side: MIN_REGION + PATCH_SIZE - 1 = 20 pixels."""

SHARE_SIDE = 64
"""Longest side in pixels at which `copied_share` compares images."""


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


def copied_share(output: Float[Tensor, "1 c h w"], image: Float[Tensor, "1 c h2 w2"]) -> float:
    """The fraction of the output's patches that lie beside each other as their nearest patches do in the image.

    Stricter than `copying`: it also counts small and slightly distorted copies. Both images are reduced to 64 pixels on
    the longest side. A patch counts if at least half of the 24 around it have its shift, within a pixel along each
    axis. (Published samples: about .5 of SinGAN's, .9 of GPNN's.)

    Args:
        output: In [-1, 1].
        image: The training image, in [-1, 1], at the output's scale.

    Returns:
        A value in [0, 1]; plain areas count by chance. About 0.3 s on one core.
    """
    output, image = _reduce(output, image, SHARE_SIDE)
    search = NearestPatches(image, PATCH_SIZE, components=image.shape[1] * PATCH_SIZE**2)
    matches = search(search.queries(output))
    size = (output.shape[2] - PATCH_SIZE + 1, output.shape[3] - PATCH_SIZE + 1)
    rows = matches // search.columns - torch.arange(size[0], device=matches.device).repeat_interleave(size[1])
    columns = matches % search.columns - torch.arange(size[1], device=matches.device).repeat(size[0])
    shifts = torch.stack([rows, columns]).float().view(1, 2, *size)
    # The shifts of 5x5 patches around each; beyond the border the last row or column repeats.
    around = F.unfold(F.pad(shifts, [2] * 4, mode="replicate"), 5).view(2, 25, -1)
    agrees = (around - shifts.view(2, 1, -1)).abs().amax(0) <= 1
    return float((agrees.float().mean(0) > 0.5).float().mean())


def _reduce(output: Tensor, target: Tensor, max_side: int = MAX_SIDE) -> tuple[Tensor, Tensor]:
    """Both images, scaled by one factor so that no side is longer than `max_side`."""
    factor = min(1.0, max_side / max(*output.shape[-2:], *target.shape[-2:]))

    def reduce(image: Tensor) -> Tensor:
        h, w = image.shape[-2:]
        return resize(image, (max(PATCH_SIZE, round(h * factor)), max(PATCH_SIZE, round(w * factor))))

    return reduce(output), reduce(target)
