"""Random smooth deformations of an image: a layout that is new and still plausible."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream

CELLS = 8
"""Number of independent displacements along the longest side of the image."""
VERTICAL_SHARE = 1 / 3
"""Vertical displacements over horizontal ones: what is above mostly stays above."""


def random_warp(
    image: Float[Tensor, "1 c h w"], size: tuple[int, int], strength: float, rng: RandomStream
) -> Float[Tensor, "1 c h2 w2"]:
    """`image` with its pixels displaced at random, smoothly and mostly along rows.

    Args:
        image: In [-1, 1].
        size: (h, w) of the result. Its height shows the full height of `image`. In its width a pixel is as wide as one
            of `image`; beyond the left and the right border the mirror image follows.
        strength: Standard deviation of the horizontal displacements at their nodes, as a share of the image's width.
        rng: Gives the displacements.
    """
    (h, w), (own_h, own_w) = size, image.shape[-2:]
    spacing = max(own_h, own_w) / CELLS
    nodes = [max(2, round(n / spacing) + 1) for n in size]

    def displacements() -> Float[Tensor, "h2 w2"]:
        noise = rng.normal(1, 1, *nodes).to(image.device)
        return F.interpolate(noise, size, mode="bicubic", align_corners=True)[0, 0]

    # The position in `image` of each pixel, as grid_sample takes it: -1 at the first pixel, 1 at the last.
    shift = strength * (2 * rng.uniform(1).to(image.device) - 1)
    across = (torch.arange(w, device=image.device) - 0.5 * (w - 1)) / max(1, own_w - 1)
    x = 2 * (across + shift + strength * displacements())
    # Vertical ones have a mean of 0: sky and ground keep their shares of the image.
    vertical = displacements()
    vertical = VERTICAL_SHARE * strength * (vertical - vertical.mean())
    y = torch.linspace(-1, 1, h, device=image.device)[:, None] + 2 * vertical
    x = 1 - ((x + 1).remainder(4) - 2).abs()  # mirrored at -1 and 1
    grid = torch.stack([x, y.clamp(-1, 1)], -1)[None]
    return F.grid_sample(image, grid, align_corners=True)
