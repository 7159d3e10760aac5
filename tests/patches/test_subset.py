"""Subsets of an image's patches."""

import torch

from lonepair.ops.noise import RandomStream
from lonepair.patches.search import patches_of
from lonepair.patches.subset import pack_patches, reduce_target, sample_patches


def test_sample_has_at_most_the_requested_number_and_every_patch_has_a_chance() -> None:
    image = torch.arange(13.0 * 17).view(1, 1, 13, 17)
    corners = set()
    for seed in range(60):
        sample, step = sample_patches(image, 3, 20, RandomStream(seed))
        values = patches_of(sample, 3, step)[:, 0]
        assert 6 <= len(values) <= 20
        corners |= set(values.tolist())
    assert corners == set(image[0, 0, :-2, :-2].flatten().tolist())


def test_sample_of_few_patches_is_all_of_them() -> None:
    image = torch.arange(13.0 * 17).view(1, 1, 13, 17)
    assert sample_patches(image, 3, 1000, RandomStream(0))[1] == 1


def test_target_is_reduced_only_above_the_limit() -> None:
    """27 x 36 patches are represented by all of them, or by 9 x 12."""
    image = torch.arange(2 * 31 * 40.0).view(1, 2, 31, 40)
    assert torch.equal(patches_of(*reduce_target(image, 5, 27 * 36, 120)), patches_of(image, 5))
    assert torch.equal(patches_of(*reduce_target(image, 5, 27 * 36 - 1, 120)), patches_of(image, 5, 3))


def test_packing_keeps_every_patch_and_drops_pixels_between() -> None:
    image = torch.arange(2 * 31 * 40.0).view(1, 2, 31, 40)
    for step in (2, 5, 6, 9):
        packed = pack_patches(image, 5, step)
        assert torch.equal(patches_of(*packed), patches_of(image, 5, step))
        assert packed[0].numel() <= image.numel()
