"""Random changes of an image that a network learns to undo. Pure functions of an image and a random stream."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream

Image = Float[Tensor, "1 c h w"]


def recolor(image: Image, rng: RandomStream) -> Image:
    """`image`, in [-1, 1], with other colors, noise and flat rectangles, like a pasted object (harmonization).

    Each channel is scaled by a factor in [0.7, 1.3) and shifted by an amount in [-0.3, 0.3). One image in five becomes
    grey. Noise has a standard deviation in [0, 0.1). One rectangle with sides of a quarter to half of the image's
    shorter side, or two with sides of an eighth to a quarter, gets one color. Alpha is not changed.
    """
    color, alpha = image[:, :3], image[:, 3:]
    # Scale and shift of each channel.
    numbers = rng.host_uniform(3, color.shape[1], 1, 1).to(image.device)
    if rng.host_bernoulli(0.2):
        color = color.mean(1, keepdim=True).expand_as(color)
    color = color * (0.7 + 0.6 * numbers[0]) + 0.6 * numbers[1] - 0.3
    color = color + 0.1 * float(rng.host_uniform(1)) * rng.feature_noise(*color.shape[1:]).to(image.device)
    # Flat rectangles.
    shorter, count = min(image.shape[-2:]), 1 + rng.host_integer(2)
    sides = (shorter // 4, shorter // 2) if count == 1 else (shorter // 8, shorter // 4)
    for _ in range(count):
        top, left, h, w = _random_rectangle(image, sides, rng)
        color[:, :, top : top + h, left : left + w] = 2 * rng.host_uniform(color.shape[1], 1, 1).to(image.device) - 1
    return torch.cat([color.clamp(-1, 1), alpha], 1)


def rearrange(image: Image, rng: RandomStream) -> Image:
    """`image` with one to five of its rectangles copied to other positions, like an edited picture.

    Sides of a rectangle are a twelfth to a third of the image's shorter side.
    """
    # Every rectangle is cut from the original, so that copies of copies do not accumulate.
    shorter, output = min(image.shape[-2:]), image.clone()
    for _ in range(1 + rng.host_integer(5)):
        top, left, h, w = _random_rectangle(image, (max(1, shorter // 12), max(1, shorter // 3)), rng)
        new_top, new_left = rng.host_integer(image.shape[-2] - h + 1), rng.host_integer(image.shape[-1] - w + 1)
        output[:, :, new_top : new_top + h, new_left : new_left + w] = image[:, :, top : top + h, left : left + w]
    return output


def _random_rectangle(image: Image, sides: tuple[int, int], rng: RandomStream) -> tuple[int, int, int, int]:
    """(top, left, h, w) of a rectangle within `image`, with each side in [sides[0], sides[1]]."""
    # Height and width first, so that the position can be uniform over all that fit.
    h, w = (max(1, sides[0] + rng.host_integer(sides[1] - sides[0] + 1)) for _ in range(2))
    return rng.host_integer(image.shape[-2] - h + 1), rng.host_integer(image.shape[-1] - w + 1), h, w
