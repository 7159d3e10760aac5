"""Random changes of an image: their shape and range, their dependence on the seed, and the pixels that they change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from conftest import picture
from lonepair.ops.augment import rearrange, recolor
from lonepair.ops.noise import RandomStream

both_changes = pytest.mark.parametrize("change", [recolor, rearrange])


@both_changes
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(12, 31), (40, 25)])
def test_changes_keep_shape_and_range(change: Callable[..., Tensor], channels: int, size: tuple[int, int]) -> None:
    image = picture(*size, channels)
    for seed in range(20):
        changed = change(image, RandomStream(seed))
        assert changed.shape == image.shape
        assert changed.abs().max() <= 1
        assert not torch.equal(changed, image)


@both_changes
def test_changes_depend_on_the_seed_only(change: Callable[..., Tensor]) -> None:
    image = picture(30, 30)
    before = image.clone()
    assert torch.equal(change(image, RandomStream(1)), change(image, RandomStream(1)))
    assert not torch.equal(change(image, RandomStream(1)), change(image, RandomStream(2)))
    assert torch.equal(image, before)


def test_recolor_does_not_change_alpha() -> None:
    image = picture(30, 30, 4)
    assert all(torch.equal(recolor(image, RandomStream(seed))[:, 3:], image[:, 3:]) for seed in range(10))


def test_rearrange_copies_pixels_of_the_image() -> None:
    """Every color of the result is one of the image's, and between 0.2% and 60% of the pixels change."""
    image = torch.arange(40 * 50, dtype=torch.float32).reshape(1, 1, 40, 50) / 2000
    for seed in range(20):
        changed = rearrange(image, RandomStream(seed))
        assert set(changed.flatten().tolist()) <= set(image.flatten().tolist())
        assert 0.002 < float((changed != image).float().mean()) < 0.6


def test_recolor_adds_flat_rectangles_of_the_stated_sizes() -> None:
    """One with sides of 16 to 32 pixels, or two of 8 to 16: where neighbors have the same color."""
    areas = []
    for seed in range(40):
        noisy = recolor(picture(64, 80), RandomStream(seed))
        flat = (noisy[:, :, 1:, 1:] == noisy[:, :, :-1, :-1]).all(1)
        areas.append(float(flat.sum()))
    assert min(areas) >= 7**2 * 0.7
    assert 28**2 <= max(areas) <= 1.2 * 32**2
