"""Ways to disturb an image at random, for networks that learn to undo it. Pure functions of an image and a rng."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream

Image = Float[Tensor, "1 c h w"]


def recolor(image: Image, rng: RandomStream) -> Image:
    """`image` with other colours, noise and one or two flat patches, as a pasted object might have (harmonization).

    Each channel is scaled by 0.7 to 1.3 and shifted by up to 0.3; one image in five loses its colour; noise has a
    standard deviation of up to 0.1. One patch of a quarter to half of the shorter side, or two of an eighth to a
    quarter. Alpha is left alone.
    """
    colour, alpha = image[:, :3], image[:, 3:]
    numbers = rng.host_uniform(3, colour.shape[1], 1, 1).to(image.device)
    if rng.host_bernoulli(0.2):
        colour = colour.mean(1, keepdim=True).expand_as(colour)
    colour = colour * (0.7 + 0.6 * numbers[0]) + 0.6 * numbers[1] - 0.3
    colour = colour + 0.1 * float(rng.host_uniform(1)) * rng.feature_noise(*colour.shape[1:]).to(image.device)
    shorter, patches = min(image.shape[-2:]), 1 + rng.host_integer(2)
    least, most = (shorter // 4, shorter // 2) if patches == 1 else (shorter // 8, shorter // 4)
    for _ in range(patches):
        top, left, h, w = _place(image, (least, most), rng)
        colour[:, :, top : top + h, left : left + w] = 2 * rng.host_uniform(colour.shape[1], 1, 1).to(image.device) - 1
    return torch.cat([colour.clamp(-1, 1), alpha], 1)


def rearrange(image: Image, rng: RandomStream) -> Image:
    """`image` with one to five of its rectangles copied elsewhere, as in an edited picture.

    Their sides are a twelfth to a third of the shorter side.
    """
    shorter, moved = min(image.shape[-2:]), image.clone()
    for _ in range(1 + rng.host_integer(5)):
        top, left, h, w = _place(image, (max(1, shorter // 12), max(1, shorter // 3)), rng)
        to_top, to_left = rng.host_integer(image.shape[-2] - h + 1), rng.host_integer(image.shape[-1] - w + 1)
        moved[:, :, to_top : to_top + h, to_left : to_left + w] = image[:, :, top : top + h, left : left + w]
    return moved


def _place(image: Image, sides: tuple[int, int], rng: RandomStream) -> tuple[int, int, int, int]:
    """(top, left, h, w) of a rectangle within `image`, each side from sides[0] to sides[1]."""
    h, w = (max(1, sides[0] + rng.host_integer(sides[1] - sides[0] + 1)) for _ in range(2))
    return rng.host_integer(image.shape[-2] - h + 1), rng.host_integer(image.shape[-1] - w + 1), h, w
