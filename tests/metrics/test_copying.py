"""Copying: regions of the target are recognized, and small or chance matches are not."""

import pytest
import torch
from torch import Tensor

from lonepair.metrics import copy_map, copying
from lonepair.ops.resize import resize
from synthetic_images import add_noise, blobs, shuffle_blocks

H, W = 48, 60


def target_and_other() -> tuple[Tensor, Tensor]:
    return add_noise(blobs(H, W, 1), 0.1), add_noise(blobs(H, W, 2), 0.1)


def left_half_copied(target: Tensor, other: Tensor) -> Tensor:
    return torch.cat([target[..., : W // 2], other[..., W // 2 :]], 3)


def test_copying_is_one_for_the_target_and_zero_for_another_image() -> None:
    target, other = target_and_other()
    assert copying(target, target) == 1
    assert copying(other, target) < 0.01


def test_copying_counts_shifted_regions() -> None:
    target, _ = target_and_other()
    assert copying(torch.roll(target, (9, 20), (2, 3)), target) > 0.45  # four regions, each with one shift


def test_copying_does_not_count_small_blocks() -> None:
    target, _ = target_and_other()
    assert copying(shuffle_blocks(target, 12), target) < 0.1


def test_copying_is_the_fraction_of_the_copied_half() -> None:
    target, other = target_and_other()
    assert copying(left_half_copied(target, other), target) == pytest.approx(0.44, abs=0.1)


def test_copy_map_marks_the_copied_half() -> None:
    target, other = target_and_other()
    half = left_half_copied(target, other)
    copied = copy_map(half, target)
    assert copied.shape == (H - 6, W - 6)
    assert copied[:, : W // 2 - 6].all()
    assert not copied[:, W // 2 :].any()
    assert float(copied.float().mean()) == copying(half, target)


def test_copy_map_of_large_images_is_that_of_96_pixels() -> None:
    target, other = (resize(image, (40, 200)) for image in target_and_other())
    assert copy_map(other, target).shape == (19 - 6, 96 - 6)
