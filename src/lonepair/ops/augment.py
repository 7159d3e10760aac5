"""Random changes of an image that ConSinGAN learns to undo, with the probabilities of its authors' code.

Pure functions of an image and a random stream.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream

Image = Float[Tensor, "1 c h w"]

COLOR_PROBABILITY = 0.25
"""Probability of one change of the colors."""
COLOR_CHANGES = {"black": 77 / 192, "noise": 25 / 192, "invert": 30 / 192, "drop": 30 / 192, "shuffle": 30 / 192}
"""Change of the colors -> its probability if there is one.

The authors' code nests choices of albumentations (0.4.3) with the weights 0.5 for noise (multiplicative 0.2, gray 0.5,
colored 0.5), 0.5 for inversion or sepia, 0.5 for dropping or exchanging channels, and 0.1 for hue and saturation. It
passes images in [0, 255] as float32, of which albumentations clips the results of multiplicative and colored noise, of
sepia and of hue and saturation to [0, 1]: in effect those images are black.
"""
NOISE_RANGE = (0.02, 0.1)
"""Least and largest standard deviation of the noise, in [-1, 1]: 0.01 and 0.05 of the range."""
RECTANGLE_PROBABILITY = 0.9
"""Probability of flat rectangles."""

TILE_SIDES = {1: (0.2, 0.5), 2: (0.15, 0.3), 3: (0.1, 0.2), 4: (0.1, 0.15), 5: (0.1, 0.15)}
"""Number of tiles -> least and largest side of each, as a fraction of the image's."""
TILE_SHIFTS = {1: (0.05, 0.15), 2: (0.05, 0.1), 3: (0.05, 0.1), 4: (0.05, 0.1), 5: (0.05, 0.1)}
"""Number of tiles -> least and largest shift of each, as a fraction of the image's side."""


def recolor(image: Image, rng: RandomStream) -> Image:
    """`image`, in [-1, 1], like one with a pasted object (harmonization). Alpha is not changed.

    One image in four has one of `COLOR_CHANGES`. Nine in ten have flat rectangles of one random color: one with sides
    of a quarter to half of the image's shorter side, or two with sides of an eighth to a quarter.
    """
    color, alpha = image[:, :3].clone(), image[:, 3:]
    if rng.host_bernoulli(COLOR_PROBABILITY):
        color = _change_colors(color, rng)
    if rng.host_bernoulli(RECTANGLE_PROBABILITY):
        _draw_rectangles(color, rng)
    return torch.cat([color.clamp(-1, 1), alpha], 1)


def _change_colors(color: Image, rng: RandomStream) -> Image:
    """`color` with one of `COLOR_CHANGES`."""
    limits = torch.tensor(list(COLOR_CHANGES.values())).cumsum(0)
    change = list(COLOR_CHANGES)[int((rng.host_uniform(1) >= limits[:-1]).sum())]
    channels = color.shape[1]
    if change == "black":
        return torch.full_like(color, -1)
    if change == "noise":
        # The same noise for every channel.
        least, largest = NOISE_RANGE
        deviation = least + (largest - least) * float(rng.host_uniform(1))
        noisy: Image = color + deviation * rng.feature_noise(1, *color.shape[2:]).to(color.device)
        return noisy
    if change == "invert":
        return -color
    if change == "drop":
        color[:, rng.host_integer(channels)] = -1
        return color
    return color[:, rng.host_uniform(channels).argsort().to(color.device)]


def _draw_rectangles(color: Image, rng: RandomStream) -> None:
    """Draw one or two flat rectangles of one size and color on `color`.

    A rectangle beyond the left or upper border is moved inside; one beyond the right or lower border is cut off.
    """
    count = 1 + rng.host_integer(2)
    shorter = min(color.shape[-2:])
    least, largest = (shorter // 4, shorter // 2) if count == 1 else (shorter // 8, shorter // 4)
    h, w = (max(1, least + rng.host_integer(largest - least + 1)) for _ in range(2))
    fill = 2 * rng.host_uniform(color.shape[1], 1, 1).to(color.device) - 1
    for _ in range(count):
        # A uniform center, also on the border.
        top, left = (
            max(0, rng.host_integer(side + 1) - length // 2)
            for side, length in zip(color.shape[-2:], (h, w), strict=True)
        )
        color[:, :, top : top + h, left : left + w] = fill


def rearrange(image: Image, rng: RandomStream) -> Image:
    """`image` with one to five of its rectangles (tiles) copied a little aside, like an edited picture (editing)."""
    count, output = 1 + rng.host_integer(5), image.clone()
    # Every tile is cut from the original, so that copies of copies do not accumulate.
    for _ in range(count):
        is_backwards = rng.host_bernoulli(0.5)
        (top, h, new_top), (left, w, new_left) = (
            tile_span(side, count, is_backwards, rng) for side in image.shape[-2:]
        )
        output[:, :, new_top : new_top + h, new_left : new_left + w] = image[:, :, top : top + h, left : left + w]
    return output


def tile_span(side: int, count: int, is_backwards: bool, rng: RandomStream) -> tuple[int, int, int]:
    """(position, length, new position) of a tile along an axis of `side` pixels; it stays within the image."""
    position = rng.host_integer(side + 1)
    length = min(_fraction_of(side, TILE_SIDES[count], rng), side - position)
    shift = _fraction_of(side, TILE_SHIFTS[count], rng)
    moved = max(0, position - shift) if is_backwards else min(side - length, position + shift)
    return position, length, moved


def _fraction_of(side: int, fractions: tuple[float, float], rng: RandomStream) -> int:
    """A random number of pixels between two fractions of `side`, each rounded down."""
    least, largest = (int(side * fraction) for fraction in fractions)
    return least + rng.host_integer(largest - least + 1)
