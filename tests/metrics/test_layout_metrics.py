"""Distances to nearest patches both ways, plain patch-SWD and the copied share, on images with known answers."""

from __future__ import annotations

import torch
from torch import Tensor

from lonepair.metrics import bidirectional, copied_share, layout_distance, patch_swd
from tiny_settings import picture


def landscape() -> Tensor:
    """Dark above, bright below, with one texture, 36x48 pixels."""
    texture = 0.2 * torch.randn(1, 3, 36, 48, generator=torch.Generator().manual_seed(0))
    return (texture + torch.linspace(-0.6, 0.6, 36)[:, None]).clamp(-1, 1)


def test_the_image_itself_has_no_distance_and_is_a_copy() -> None:
    image = landscape()
    assert max(bidirectional(image, image)) < 1e-4
    assert layout_distance(image, image) < 1e-4
    assert patch_swd(image, image) < 1e-6
    assert copied_share(image, image) == 1
    assert copied_share(picture(36, 48, seed=5), image) < 0.3


def test_half_of_the_image_is_coherent_and_incomplete() -> None:
    image = landscape()
    coherence, completeness = bidirectional(image[:, :, :18], image)
    assert coherence < 0.02 < 0.1 < completeness
    assert bidirectional(image, image[:, :, :18])[0] > 0.1


def test_layout_and_swd_see_that_the_ground_is_above_the_sky() -> None:
    image = landscape()
    turned = image.flip(2)
    assert layout_distance(turned, image) > 10 * layout_distance(image.roll(8, 3), image)
    # Areas of color have the same size: SWD sees large gradients alone, which are turned.
    assert patch_swd(image * 0.5, image) > 0.1 > patch_swd(image.roll(8, 3), image)


def test_a_shifted_copy_counts_and_a_mirror_image_does_not() -> None:
    image = torch.randn(1, 3, 36, 48, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    assert copied_share(image.roll(9, 3), image) > 0.7
    assert copied_share(image.flip(3), image) < 0.3
