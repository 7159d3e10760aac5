"""Random changes of an image: their shape and range, their dependence on the seed, and the pixels that they change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lonepair.ops.augment import COLOR_CHANGES, rearrange, recolor, tile_span
from lonepair.ops.noise import RandomStream
from tiny_settings import picture

both_changes = pytest.mark.parametrize("change", [recolor, rearrange])


@both_changes
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(12, 31), (40, 25)])
def test_changes_keep_shape_and_range(change: Callable[..., Tensor], channels: int, size: tuple[int, int]) -> None:
    image = picture(*size, channels)
    changed = [change(image, RandomStream(seed)) for seed in range(20)]
    assert {tuple(one.shape) for one in changed} == {tuple(image.shape)}
    assert max(float(one.abs().max()) for one in changed) <= 1
    assert sum(torch.equal(one, image) for one in changed) < 10


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
    """Every color of the result is one of the image's, and less than half of the pixels change."""
    image = torch.arange(40 * 50, dtype=torch.float32).reshape(1, 1, 40, 50) / 2000
    shares = []
    for seed in range(40):
        changed = rearrange(image, RandomStream(seed))
        assert set(changed.flatten().tolist()) <= set(image.flatten().tolist())
        shares.append(float((changed != image).float().mean()))
    # One tile has up to half of each side, five tiles up to 0.15 each.
    assert max(shares) <= 0.26
    assert sum(shares) / len(shares) > 0.02


def test_rearranged_tiles_have_the_released_lengths_and_shifts() -> None:
    """A single tile has sides of 0.2 to 0.5 of the image's and moves by 0.05 to 0.15, both axes in one direction."""
    tiles = [tile_span(100, 1, False, RandomStream(seed)) for seed in range(300)]
    inner = [(length, moved - top) for top, length, moved in tiles if top >= 15 and moved + length < 100]
    lengths, shifts = zip(*inner, strict=True)
    assert (min(lengths), max(lengths), min(shifts), max(shifts)) == (20, 50, 5, 15)
    assert all(moved + length <= 100 and moved >= top for top, length, moved in tiles if length)
    backwards = [tile_span(100, 5, True, RandomStream(seed)) for seed in range(300)]
    assert {top - moved for top, _, moved in backwards if top >= 10} == {5, 6, 7, 8, 9, 10}


def test_recolor_has_the_released_probabilities() -> None:
    """Colors change in one image of four; of these 40 % are black, 13 % noisy, and a sixth each of the others.

    The released code nests weights 0.5, 0.5, 0.5 and 0.1; within the first, 0.2, 0.5 and 0.5.
    """
    noise, other, hue = 0.5 / 1.6, 0.5 / 1.6, 0.1 / 1.6
    gray = noise * 0.5 / 1.2
    black = noise * 0.7 / 1.2 + other / 2 + hue
    expected = {"black": black, "noise": gray, "invert": other / 2, "drop": other / 2, "shuffle": other / 2}
    assert pytest.approx(expected) == COLOR_CHANGES
    image = picture(24, 24).clamp(-0.5, 0.5)
    results = [recolor(image, RandomStream(seed)) for seed in range(400)]
    # A pixel that no rectangle covers is in a corner of most images.
    black_share = sum(float((one == -1).all(1).float().mean() > 0.5) for one in results) / len(results)
    assert black_share == pytest.approx(0.25 * black, abs=0.04)
    same_share = sum(torch.equal(one, image) for one in results) / len(results)
    assert same_share == pytest.approx(0.75 * 0.1, abs=0.04)


def test_recolor_adds_flat_rectangles_of_the_stated_sizes() -> None:
    """In nine of ten images: one with sides of 16 to 32 pixels, or two of 8 to 16; cut off at the border."""
    areas = []
    for seed in range(60):
        changed = recolor(picture(64, 80), RandomStream(seed))
        flat = (changed[:, :, 1:, 1:] == changed[:, :, :-1, :-1]).all(1)
        areas.append(float(flat.sum()))
    rectangles = [area for area in areas if 0 < area < 1500]
    assert 0.65 < len(rectangles) / len(areas) < 0.98
    assert 16**2 < max(rectangles) <= 1.2 * 32**2
