"""Copying: how much of an output is cut out of the target in one piece."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lonepair.resize import resize

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
    shifts = _shifts(ours, theirs)
    return _in_long_runs(shifts) & _in_long_runs(shifts.T).T


def _reduced(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    factor = min(1.0, LONGEST / max(*output.shape[-2:], *target.shape[-2:]))

    def one(image: Tensor) -> Tensor:
        h, w = image.shape[-2:]
        return resize(image, (max(PATCH, round(h * factor)), max(PATCH, round(w * factor))))

    return one(output), one(target)


def _shifts(ours: Tensor, theirs: Tensor) -> Int[Tensor, "h w"]:
    """For each patch of `ours`, a number for the shift to its nearest patch of `theirs`."""
    a, b = F.unfold(ours, PATCH)[0].T, F.unfold(theirs, PATCH)[0].T
    squares = b.square().sum(1)
    nearest = torch.cat([(squares - 2 * part @ b.T).argmin(1) for part in torch.split(a, 2048)])
    h, w = ours.shape[2] - PATCH + 1, ours.shape[3] - PATCH + 1
    columns = theirs.shape[3] - PATCH + 1
    rows_apart = nearest // columns - torch.arange(h, device=a.device).repeat_interleave(w)
    columns_apart = nearest % columns - torch.arange(w, device=a.device).repeat(h)
    return (rows_apart * 10_000 + columns_apart).view(h, w)


def _in_long_runs(shifts: Int[Tensor, "h w"]) -> Tensor:
    """Whether each patch is one of `RUN` neighbours in its row that have one shift."""
    if shifts.shape[1] < RUN:
        return torch.zeros_like(shifts, dtype=torch.bool)
    windows = shifts.unfold(1, RUN, 1)
    whole = (windows == windows[..., :1]).all(2).float()
    return F.max_pool1d(F.pad(whole, [RUN - 1, RUN - 1])[:, None], RUN, 1)[:, 0] > 0
