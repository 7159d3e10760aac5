"""The values above 1 of an OpenEXR image, in a picture that is generated in part.

Such a pixel is a color whose largest channel is 1, times a gain (`media.stills.exr`). Pixels that stay have the gain of
their image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.patches import poisson
from lonepair.patches.sites import Axes

_BRIGHT = 0.95
"""Largest channel, in [0, 1], from which on a new pixel has a part of the gain around; at 1 it has all of it."""
_SCREENING = 1e-4
"""Of `poisson.solve`: a gain fades out within about 100 pixels of those that have it."""


def blended_gain(
    inside: Float[Tensor, "1 1 h w"] | None, outside: Float[Tensor, "1 1 h w"] | None, mask: Float[Tensor, "1 1 h w"]
) -> Float[Tensor, "1 1 h w"] | None:
    """The gain of a blend (`masks.blend`) of two images with these gains; None: 1 everywhere."""
    if inside is None and outside is None:
        return None
    one, other = (torch.zeros_like(mask) if gain is None else gain.log2() for gain in (inside, outside))
    return (mask * one + (1 - mask) * other).exp2()


def completed_gain(
    gain: Float[Tensor, "1 1 h2 w2"] | None,
    by: tuple[int, int, int, int],
    known: Bool[Tensor, "h w"],
    image: Float[Tensor, "1 c h w"],
    wraps: Axes = (False, False),
) -> Float[Tensor, "1 1 h w"] | None:
    """The gain of a completed image: `gain` where its pixels are `known`, and its smooth continuation elsewhere.

    Args:
        gain: Of the image before; None: 1 everywhere.
        by: Pixels (left, right, top, bottom) around that image, as of `completion.extended`.
        known: Which pixels stay.
        image: The completed image, in [-1, 1]. A new pixel that is dark has no gain: a branch before the sun.
        wraps: Whether the image continues across its top and bottom, and across its left and right border.
    """
    if gain is None:
        return None
    stops = F.pad(gain.log2(), by) * known
    nothing = torch.zeros_like(stops).repeat(1, 2, 1, 1)
    continued = poisson.solve(stops, nothing, known, wraps, _SCREENING).clamp(min=0)
    largest = (image[:, :3].amax(1, keepdim=True) + 1) / 2
    brightness = ((largest - _BRIGHT) / (1 - _BRIGHT)).clamp(0, 1)
    return torch.where(known, stops, continued * brightness).exp2()
