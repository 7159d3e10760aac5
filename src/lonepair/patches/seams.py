"""Where two styles meet: the seam runs where their images are alike, so that it cuts through no object.

Kwatra et al. (Graphcut textures, SIGGRAPH 2003) find the cut between two overlapping images whose summed difference is
least. Here the labels are relaxed to probabilities, as by the random walker (Grady, Random walks for image
segmentation, PAMI 2006): a linear system that a few sweeps solve, for any number of styles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.blur import gaussian_blur
from lonepair.ops.color import common_channels, match_channels
from lonepair.ops.morphology import dilate
from lonepair.ops.resize import resize, resize_image

FIRST_BAND = 0.06
"""Largest distance of the seam from the mask's edge at the coarsest scale, as a share of the longest side."""
NEXT_BAND = 3
"""Largest distance in pixels by which the seam moves at each scale above."""
SWEEPS = 6
"""Sweeps over the linear system in each round, for each pixel by which the seam may move."""
SOFTNESS = 0.8
"""Standard deviation in pixels of the blend across the seam."""
FLAT_SOFTNESS = 0.03
"""The same where all styles are flat, such as skies, as a share of the longest side: no texture can fit there."""
_FLAT_CONTRAST = 0.06
"""Local contrast, in units of the images, at which an area is half flat."""
_FLOOR = 0.02
"""Difference of two images, as a share of its mean, that a seam costs everywhere, so that it stays short."""
_REACH = 0.05
"""Standard deviation, as a share of the longest side, with which masks extend into pixels that no mask marks."""


class SeamFinder:
    """Blends the images of several styles round by round, coarse to fine, and finds the seams between them."""

    def __init__(self, masks: Float[Tensor, "1 k h w"], moves_seams: bool = True) -> None:
        """
        Args:
            masks: Weight of each style, 0 to 1, of any size.
            moves_seams: Whether seams may leave the edges of the masks.
        """
        self._masks = masks
        self._moves_seams = moves_seams
        self._scale: tuple[Tensor, Tensor, int] | None = None
        self._shares: Tensor | None = None

    def shares(self, size: tuple[int, int]) -> Float[Tensor, "1 k h2 w2"]:
        """The share of each style in a pixel at (h, w) `size`, in all 1."""
        if self._shares is None or not self._moves_seams:
            shares = mask_shares((resize_image(2 * self._masks - 1, size) + 1) / 2)
            return gaussian_blur(shares, SOFTNESS)
        return _sharpen((resize_image(2 * self._shares - 1, size) + 1) / 2)

    def mix(self, images: Sequence[Tensor]) -> list[Tensor]:
        """The blend of one image (1, c, h, w) for each style, in [-1, 1], once for each, with its channels."""
        size = (images[0].shape[-2], images[0].shape[-1])
        channels = common_channels(*(image.shape[1] for image in images))
        wide = [match_channels(image, channels) for image in images]
        # At each scale the seam starts from where the scale before has left it.
        if self._scale is None or tuple(self._scale[0].shape[-2:]) != size:
            band = max(NEXT_BAND, round(FIRST_BAND * max(size))) if self._scale is None else NEXT_BAND
            initial = self.shares(size)
            self._scale = initial, ~_far_from_seams(initial, band), SWEEPS * band
        initial, is_free, sweeps = self._scale
        shares = initial
        if self._moves_seams and bool(is_free.any()):
            # The smallest rectangle around the free pixels, and one more on each side.
            box = _bounding_box(is_free)
            shares = initial.clone()
            shares[box] = _cut([image[box] for image in wide], initial[box], ~is_free[box], sweeps)
            shares = _sharpen(shares)
        self._shares = shares
        blend = blend_styles(wide, shares)
        return [match_channels(blend, image.shape[1]) for image in images]


def blend_styles(images: Sequence[Tensor], shares: Float[Tensor, "1 k h w"]) -> Float[Tensor, "1 c h w"]:
    """The finished image of one image (1, c, h, w) for each style: a wide blend across seams where all are flat.

    Burt and Adelson (A multiresolution spline, 1983) blend coarse bands widely and fine bands narrowly; here an area
    without fine bands is blended widely.
    """
    sigma = FLAT_SOFTNESS * max(shares.shape[-2:])
    contrasts = [(image - _wide_blur(image, sigma)).square().mean(1, keepdim=True) for image in images]
    contrast = _wide_blur(torch.cat(contrasts, 1).amax(1, keepdim=True), sigma)
    flatness = 1 / (1 + contrast / _FLAT_CONTRAST**2)
    return weighted_sum(images, torch.lerp(shares, _wide_blur(shares, sigma), flatness))


def mask_shares(masks: Float[Tensor, "1 k h w"]) -> Float[Tensor, "1 k h w"]:
    """The share of each style in a pixel, in all 1: masks that overlap are normalized.

    Where no mask marks a pixel, the nearest ones extend into it, and far from all of them all styles are equal.
    """
    reach = _wide_blur(masks, _REACH * max(masks.shape[-2:])).clamp(min=0)
    extended = masks + 1e-3 * reach + 1e-9
    return extended / extended.sum(1, keepdim=True)


def weighted_sum(images: Sequence[Tensor], weights: Float[Tensor, "1 k h w"]) -> Float[Tensor, "1 c h w"]:
    """The sum of one image (1, c, h, w) for each of the k weights."""
    parts = [image * weight for image, weight in zip(images, torch.split(weights, 1, 1), strict=True)]
    return torch.stack(parts).sum(0)


def _wide_blur(image: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "1 c h w"]:
    """`gaussian_blur`, in fewer pixels where `sigma` is large: its time does not grow with `sigma`."""
    size, factor = (image.shape[-2], image.shape[-1]), min(1.0, 3 / sigma)
    reduced = resize(image, (max(1, round(size[0] * factor)), max(1, round(size[1] * factor))))
    return resize(gaussian_blur(reduced, sigma * factor), size)


def _far_from_seams(shares: Tensor, band: int) -> Tensor:
    """Whether each pixel, (1, 1, h, w), has one style alone in all of the pixels up to `band` away."""
    near = (shares.amax(1, keepdim=True) < 0.95).float()
    for axis in (2, 3):
        change = (shares.diff(dim=axis).abs().amax(1, keepdim=True) > 0.5).float()
        after = near.narrow(axis, 1, change.shape[axis])
        after.copy_(torch.maximum(after, change))
    return dilate(near, band) == 0


def _bounding_box(mask: Tensor) -> tuple[slice, ...]:
    """The smallest rectangle that holds the true pixels of `mask`, (1, 1, h, w), and their neighbors."""
    ranges = [mask[0, 0].any(axis).nonzero()[:, 0] for axis in (1, 0)]
    sides = [slice(max(0, int(indices[0]) - 1), int(indices[-1]) + 2) for indices in ranges]
    return slice(None), slice(None), *sides


def _cut(images: Sequence[Tensor], shares: Tensor, is_fixed: Tensor, sweeps: int) -> Tensor:
    """The probability of each style, (1, k, h, w): the random walker's between the pixels that are fixed."""
    # Cost of a seam at each pixel: how much the styles differ (Kwatra et al., eq. 1).
    stack = torch.stack(list(images))
    cost = (stack - stack.mean(0)).square().mean((0, 2), keepdim=False)[:, None]
    cost = cost + _FLOOR * cost.mean() + 1e-9
    pair_costs = [(cost + torch.roll(cost, shift, axis)) / 2 for axis in (2, 3) for shift in (1, -1)]
    for (axis, shift), pair in zip([(2, 1), (2, -1), (3, 1), (3, -1)], pair_costs, strict=True):
        pair.select(axis, 0 if shift == 1 else -1).zero_()  # no neighbor beyond the border
    total = sum(pair_costs)
    # Sweeps of the Jacobi method: each free pixel becomes the mean of its neighbors, weighted by the costs.
    values = shares
    for _ in range(sweeps):
        neighbors = [torch.roll(values, shift, axis) for axis in (2, 3) for shift in (1, -1)]
        mean = sum(pair * neighbor for pair, neighbor in zip(pair_costs, neighbors, strict=True)) / total
        values = torch.where(is_fixed, shares, mean)
    return values


def _sharpen(shares: Tensor) -> Tensor:
    """The likeliest style of each pixel alone, softened by a pixel."""
    best = F.one_hot(shares.argmax(1), shares.shape[1]).permute(0, 3, 1, 2).to(shares.dtype)
    return gaussian_blur(best, SOFTNESS)
