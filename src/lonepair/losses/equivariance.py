"""Equivariance: how far the translation of a moved image differs from the moved translation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.noise import RandomStream

MAX_MOTION = 0.1
"""Largest random translation, in halves of the longest side, rotation, in radians, and relative change of scale. Moves
between the frames of a clip add up to such motions within seconds."""
GRID = 4
"""Points a side of the grid of random displacements that bend the image smoothly."""
BEND = 0.25
"""Largest of these displacements, as a share of `MAX_MOTION`."""


@dataclass(frozen=True)
class SmoothWarp:
    """A random smooth motion of an image: translation, rotation, zoom and bending."""

    positions: Float[Tensor, "1 h w 2"]
    """(x, y) in the image of each pixel of the moved one, from -1 at one border to 1 at the other."""

    @classmethod
    def sample(cls, size: tuple[int, int], rng: RandomStream) -> SmoothWarp:
        """A random warp of images of (h, w) `size`."""
        h, w = size
        numbers = MAX_MOTION * (2 * rng.uniform(4) - 1)
        bends = BEND * MAX_MOTION * (2 * rng.uniform(1, 2, GRID, GRID) - 1)
        # Positions in the moved image, in units of half the longest side, so that a rotation keeps angles.
        half_w, half_h = w / max(h, w), h / max(h, w)
        identity = F.affine_grid(torch.eye(2, 3, device=numbers.device)[None], [1, 1, h, w], align_corners=False)
        x, y = identity[..., 0] * half_w, identity[..., 1] * half_h
        # Zoom, rotate, translate and bend them.
        cos, sin = (numbers[3].exp() * part for part in (numbers[2].cos(), numbers[2].sin()))
        bend = F.interpolate(bends, size, mode="bicubic", align_corners=True)
        moved_x = x * cos - y * sin + numbers[0] + bend[:, 0]
        moved_y = x * sin + y * cos + numbers[1] + bend[:, 1]
        return cls(torch.stack([moved_x / half_w, moved_y / half_h], -1))

    def __call__(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """`image` moved; beyond its border it is mirrored."""
        # Bicubic: what a linear interpolation blurs would count as a difference.
        return F.grid_sample(image, self.positions, mode="bicubic", padding_mode="reflection", align_corners=False)

    @property
    def inside(self) -> Bool[Tensor, "1 1 h w"]:
        """Which pixels of the moved image show the image, and not what lies beyond its border."""
        return (self.positions.abs() < 1).all(-1)[:, None]


def equivariance_distance(
    moved_output: Float[Tensor, "1 c h w"], output: Float[Tensor, "1 c h w"], warp: SmoothWarp
) -> Float[Tensor, ""]:
    """Root mean square of G(T x) - T G(x), over the pixels that T does not take from beyond the border.

    Args:
        moved_output: G(T x).
        output: G(x).
        warp: T.
    """
    inside = warp.inside
    squares = ((moved_output - warp(output)).square() * inside).sum() / (inside.sum() * output.shape[1]).clamp(min=1)
    root: Tensor = squares.add(1e-8).sqrt()
    return root
