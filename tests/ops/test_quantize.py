"""Reduction of a painting to a palette: the published clusters, and no object is lost."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lonepair.ops.quantize import palette_colors, quantize_to_palette
from tiny_settings import picture


def colors_of(image: Tensor) -> set[tuple[float, ...]]:
    """The colors of an image, rounded."""
    return {tuple(round(float(v), 2) for v in color) for color in image[0].flatten(1).T}


def two_colors() -> Tensor:
    """A palette image of two colors."""
    palette = torch.zeros(1, 3, 10, 10)
    palette[:, 0, :5], palette[:, 2, 5:] = 1, -1
    return palette


def test_quantized_painting_has_the_colors_of_the_palette() -> None:
    used, allowed = colors_of(quantize_to_palette(picture(30, 37), two_colors(), 2)), colors_of(two_colors())
    assert len(used) == 2
    assert all(min(math.dist(color, other) for other in allowed) < 0.02 for color in used)


def test_clusters_are_the_paintings_own() -> None:
    """As published: two colors of the painting stay two, even if one color of the palette is nearer to both."""
    palette = torch.full((1, 3, 20, 20), -1.0)
    palette[..., 10:] = 0.2
    painting = torch.full((1, 3, 20, 20), 0.4)
    painting[..., 8:] = 1.0
    assert (quantize_to_palette(painting, palette, 2)[0, 0, 0] < 0).sum() in (8, 12)


def test_painting_is_clustered_by_k_means_that_starts_at_the_palettes_centers() -> None:
    """As published: each cluster of the painting has the color of the center where it began, not its own mean."""
    painting, centers = picture(30, 37), palette_colors(picture(40, 40, seed=7), 5)
    pixels, means = painting[0].flatten(1).T, centers
    for _ in range(50):
        labels = (pixels[:, None] - means).norm(dim=2).argmin(1)
        means = torch.stack([pixels[labels == number].mean(0) for number in range(5)])
    expected = centers[labels].T.reshape(1, 3, 30, 37)
    assert torch.allclose(quantize_to_palette(painting, picture(40, 40, seed=7), 5), expected)


@pytest.mark.parametrize("colors", [2, 5, 16])
def test_number_of_colors_is_limited_for_a_picture_without_flat_objects(colors: int) -> None:
    painted = quantize_to_palette(picture(30, 37), picture(40, 40, seed=7), colors)
    assert len(colors_of(painted)) <= colors


def test_alpha_channel_stays() -> None:
    image = picture(30, 37, 4)
    assert torch.equal(quantize_to_palette(image, picture(20, 20), 4)[:, 3], image[:, 3])


@pytest.mark.parametrize("side", [3, 6])
@pytest.mark.parametrize("palette_has_red", [True, False])
def test_small_object_does_not_vanish(side: int, palette_has_red: bool) -> None:
    """A red square of a few pixels, in a drawing of more colors than the palette gets."""
    drawing = torch.full((1, 3, 90, 120), 1.0)
    for index, level in enumerate((-0.9, -0.5, -0.1, 0.3, 0.7)):
        drawing[:, :, :, 20 * index : 20 * index + 20] = level
    drawing[:, :, 40 : 40 + side, 50 : 50 + side] = torch.tensor([0.9, -0.9, -0.9]).view(3, 1, 1)
    palette = picture(60, 60, seed=4) if palette_has_red else picture(60, 60, 1, seed=4).expand(1, 3, -1, -1)
    painted = quantize_to_palette(drawing, palette, 5)
    inside = painted[0, :, 40 : 40 + side, 50 : 50 + side].flatten(1)
    assert (inside == inside[:, :1]).all()
    surroundings = painted[0, :, 35, 50:56]
    assert (surroundings - inside[:, :1]).norm(dim=0).min() > 0.2
