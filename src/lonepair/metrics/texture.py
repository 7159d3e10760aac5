"""Fine texture of an image: its band, its energy, and how much of it is new in another frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.blur import gaussian_blur

SIGMA = 3.0
"""Standard deviation in pixels of the Gaussian whose residual is fine texture."""
NOISE_FLOOR = (2 / 127.5) ** 2
"""Squared contrast, of images in [-1, 1], below which texture is invisible: two grey levels of 255."""

BLOCK = 16
"""Side in pixels of the blocks in which new texture is counted; they overlap by half."""


def fine_texture(image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
    """`image` less its Gaussian blur of 3 pixels: strokes, grain and edges without areas of color."""
    return image - gaussian_blur(image, SIGMA)


def gradient_energy(image: Float[Tensor, "1 c h w"]) -> float:
    """Mean squared difference of horizontal neighbors plus that of vertical ones."""
    return float(image.diff(dim=3).square().mean() + image.diff(dim=2).square().mean())


def squared_sum(values: Float[Tensor, "1 c h w"], mask: Bool[Tensor, "1 1 h w"]) -> float:
    """The sum over the pixels of `mask` of the squares, averaged over channels."""
    return float(torch.where(mask, values.square().mean(1, keepdim=True), 0.0).sum())


def absolute_sum(values: Float[Tensor, "1 c h w"], mask: Bool[Tensor, "1 1 h w"]) -> float:
    """The sum over the pixels of `mask` of the absolute values, averaged over channels."""
    return float(torch.where(mask, values.abs().mean(1, keepdim=True), 0.0).sum())


def new_share(
    texture: Float[Tensor, "1 c h w"], earlier: Float[Tensor, "1 c h w"], mask: Bool[Tensor, "1 1 h w"]
) -> tuple[float, float]:
    """How much of `texture` is new beside the `earlier` one, as the sums of a quotient.

    E|d - d'|^2 / (E d^2 + E d'^2) is 0 for equal textures, 1 for independent ones, and up to 2 for a negative. A blur
    lowers both sums alike. (One less the value is the normalized cross-correlation of textures of equal energy.)

    Returns:
        The numerator and the denominator, summed over the pixels of `mask`.
    """
    return squared_sum(texture - earlier, mask), squared_sum(texture, mask) + squared_sum(earlier, mask)


def texture_strength(image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 1 h w"]:
    """The energy of gradients in a Gaussian window of 3 pixels around each pixel."""
    dy, dx = torch.gradient(image, dim=(2, 3))
    return gaussian_blur((dy.square() + dx.square()).mean(1, keepdim=True), SIGMA)


def new_blocks(
    texture: Float[Tensor, "1 c h w"], earlier: Float[Tensor, "1 c h w"], mask: Bool[Tensor, "1 1 h w"]
) -> Bool[Tensor, "1 1 rows columns"]:
    """Whether half of the texture of each block of 16x16 pixels is new, over the pixels of `mask`."""
    side = min(BLOCK, *texture.shape[-2:])

    def energy(values: Tensor) -> Tensor:
        masked = torch.where(mask, values.square().mean(1, keepdim=True), 0.0)
        return F.avg_pool2d(masked, side, max(1, side // 2))

    # Where nothing is visible, nothing is new: the noise floor of both textures.
    return energy(texture - earlier) > 0.5 * (energy(texture) + energy(earlier) + 2 * NOISE_FLOOR)


def counted_blocks(mask: Bool[Tensor, "1 1 h w"]) -> Bool[Tensor, "1 1 rows columns"]:
    """Whether at least half of each block of `new_blocks` lies in `mask`."""
    side = min(BLOCK, *mask.shape[-2:])
    return F.avg_pool2d(mask.float(), side, max(1, side // 2)) >= 0.5
