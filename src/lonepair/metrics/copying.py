"""Copying: how much of an output is cut out of the target in one piece."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.resize import resize
from lonepair.patches.search import copied_regions, patches_of

PATCH = 7
LONGEST = 96
"""Images are compared at this many pixels on the longest side at most: a copy at full size is one there, too."""
RUN = 14
"""A run of one shift is long from so many patches, twice a patch's side."""


def copying(output: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"]) -> float:
    """Share of the output's 7x7 patches that lie in long runs of one shift of the target, along the row and the column.

    For every patch of the output the most similar patch of the target is found (exactly); its shift is the difference
    of their places. Where the output is a piece of the target, neighbours have one shift. 0: nothing is copied in
    pieces of 20 pixels or more; 1: everything, as of the target itself. The untranslated source has its own value,
    which is no copying but chance; report it beside. Turned, mirrored or scaled copies are not found. About 2 s.
    """
    return float(copy_map(output, target).float().mean())


def copy_map(output: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"]) -> Bool[Tensor, "h3 w3"]:
    """Which of the output's 7x7 patches `copying` counts, by their upper left pixels.

    Both images are first reduced to 96 pixels on the longest side of the larger one; h3 and w3 are the output's sides
    there, less 6.
    """
    ours, theirs = _reduced(output, target)
    a, b = patches_of(ours, PATCH), patches_of(theirs, PATCH)
    squares = b.square().sum(1)
    nearest = torch.cat([(squares - 2 * part @ b.T).argmin(1) for part in torch.split(a, 2048)])
    size = (ours.shape[2] - PATCH + 1, ours.shape[3] - PATCH + 1)
    return copied_regions(nearest, size, theirs.shape[3] - PATCH + 1, RUN)


def _reduced(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    factor = min(1.0, LONGEST / max(*output.shape[-2:], *target.shape[-2:]))

    def one(image: Tensor) -> Tensor:
        h, w = image.shape[-2:]
        return resize(image, (max(PATCH, round(h * factor)), max(PATCH, round(w * factor))))

    return one(output), one(target)
