"""How much each frame of a clip differs from its neighbors in time."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def frame_changes(frames: Float[Tensor, "n c h w"]) -> Float[Tensor, n]:
    """The part of the clip's whole change that each frame stands for, on the CPU; 0 or more.

    The clip is a path through the space of images; its length is the sum of the mean absolute differences of successive
    frames. A frame stands for the half of the way to the frame before it and the half of the way to the next. Frames
    that are drawn with these weights are spread evenly along the path: a shot in which nothing changes counts as one
    frame, however long it is, and a frame that differs from all others counts much.
    """
    # One difference at a time: all of them would need as much memory as the frames.
    steps = [(after - before).abs().mean() for before, after in itertools.pairwise(frames)]
    halves = torch.stack(steps).float().cpu() / 2 if steps else torch.zeros(0)
    return F.pad(halves, (1, 0)) + F.pad(halves, (0, 1))


def mix_with_even(weights: Float[Tensor, n], share: float) -> Float[Tensor, n]:
    """Probabilities of which `share`, 0 to 1, is proportional to `weights`, and the rest is even.

    Weights that are all 0 give even probabilities.
    """
    even = torch.full_like(weights, 1 / len(weights))
    total = weights.sum()
    return even if total == 0 else torch.lerp(even, weights / total, share)
