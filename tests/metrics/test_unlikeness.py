"""Unlikeness: 1 for more of the same, large for another texture, none for what is too small."""

from __future__ import annotations

import pytest
import torch

from lonepair.metrics.unlikeness import unlikeness
from synthetic_images import add_noise, blobs


def test_same_image_is_like_itself() -> None:
    image = blobs(60, 120)
    assert unlikeness(image, image) == pytest.approx(0, abs=1e-3)


def test_other_layout_of_the_same_texture_is_like_it() -> None:
    ratio = unlikeness(blobs(60, 180, seed=1), blobs(60, 180, seed=2))
    assert ratio is not None
    assert 0.5 < ratio < 1.5


def test_other_texture_is_unlike_it() -> None:
    wave = torch.sin(torch.arange(120) / 2).expand(1, 3, 60, 120)
    ratio = unlikeness(add_noise(wave, 0.05).clamp(-1, 1), blobs(60, 120))
    assert ratio is not None
    assert ratio > 3


@pytest.mark.parametrize("size", [(60, 40), (10, 120)])
def test_small_image_is_not_measured(size: tuple[int, int]) -> None:
    assert unlikeness(blobs(60, 120)[..., : size[0], : size[1]], blobs(60, 120)) is None
