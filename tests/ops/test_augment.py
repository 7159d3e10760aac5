"""What disturbs an image keeps its shape and range, is decided by its rng, and leaves alone what it says it leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from conftest import picture
from lonepair.ops.augment import rearrange, recolor
from lonepair.ops.noise import RandomStream

disturbances = pytest.mark.parametrize("disturb", [recolor, rearrange])


@disturbances
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(12, 31), (40, 25)])
def test_shape_and_range(disturb: Callable[..., Tensor], channels: int, size: tuple[int, int]) -> None:
    image = picture(*size, channels)
    for seed in range(20):
        changed = disturb(image, RandomStream(seed))
        assert changed.shape == image.shape
        assert changed.abs().max() <= 1
        assert not torch.equal(changed, image)


@disturbances
def test_the_draw_decides(disturb: Callable[..., Tensor]) -> None:
    image = picture(30, 30)
    before = image.clone()
    assert torch.equal(disturb(image, RandomStream(1)), disturb(image, RandomStream(1)))
    assert not torch.equal(disturb(image, RandomStream(1)), disturb(image, RandomStream(2)))
    assert torch.equal(image, before)


def test_recolouring_leaves_alpha_alone() -> None:
    image = picture(30, 30, 4)
    assert all(torch.equal(recolor(image, RandomStream(seed))[:, 3:], image[:, 3:]) for seed in range(10))


def test_rearranging_moves_pixels_and_makes_none() -> None:
    """Every colour of the result is one of the image's, and between a hundredth and most of its places changed."""
    image = torch.arange(40 * 50, dtype=torch.float32).reshape(1, 1, 40, 50) / 2000
    for seed in range(20):
        changed = rearrange(image, RandomStream(seed))
        assert set(changed.flatten().tolist()) <= set(image.flatten().tolist())
        assert 0.002 < float((changed != image).float().mean()) < 0.6


def test_flat_patches_are_of_the_size_that_is_said() -> None:
    """One of a quarter to half of the shorter side, or two of an eighth to a quarter: seen where colour is constant."""
    areas = []
    for seed in range(40):
        noisy = recolor(picture(64, 80), RandomStream(seed))
        flat = (noisy[:, :, 1:, 1:] == noisy[:, :, :-1, :-1]).all(1)
        areas.append(float(flat.sum()))
    assert min(areas) >= 7**2 * 0.7
    assert 28**2 <= max(areas) <= 1.2 * 32**2
