"""Look: reference values, order under blur and blending, and invariances."""

import math

import pytest
import torch

from lonepair.metrics import look, look_distance
from synthetic_images import add_noise, blobs, blur, shuffle_blocks


def test_look_is_zero_for_the_target_and_one_for_the_source() -> None:
    source, target = blobs(64, 48), add_noise(blobs(48, 60, 1) * 0.5 + 0.5, 0.1)
    assert look_distance(target, target) == 0
    assert look(target, target, source) == 0
    assert look(source, target, source) == 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_look_distance_grows_with_blur(channels: int) -> None:
    source, target = blobs(64, 64, 0, channels), add_noise(blobs(64, 64, 1, channels), 0.2)
    distances = [look_distance(blur(target, factor), target) for factor in (1, 1.5, 3)]
    assert distances == sorted(distances)
    # Unnormalized patches would hide the blur behind their means.
    assert distances[1] > 0.1 * look_distance(source, target)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_look_distance_grows_with_the_share_of_another_image(channels: int) -> None:
    source, target = blobs(64, 64, 0, channels), add_noise(blobs(64, 64, 1, channels), 0.2)
    distances = [look_distance(target + share * (source - target), target) for share in (0.0, 0.3, 0.6, 1.0)]
    assert distances == sorted(distances)


def test_look_does_not_depend_on_layout() -> None:
    source, target = blobs(64, 64), add_noise(blobs(64, 64, 1), 0.2)
    assert look(target.flip(3), target, source) < 0.3  # not 0: a level of 16 pixels has few patches
    assert look(shuffle_blocks(target, 32), target, source) < 0.45


def test_look_distance_shows_hues_that_a_grey_target_lacks() -> None:
    """Colored noise on a grey target is further from it than grey noise of the same strength."""
    target = add_noise(blobs(64, 64, 1, 1), 0.2).expand(1, 3, -1, -1)
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 0.1
    grey = noise.mean(1, keepdim=True) * math.sqrt(3)
    assert look_distance(target + noise, target) > 2 * look_distance(target + grey, target)
