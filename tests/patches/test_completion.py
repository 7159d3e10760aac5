"""Completion: known pixels stay, periodic textures continue, and results repeat where they should."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lonepair.metrics.seam import seam_error
from lonepair.patches.completion import PartialImage, complete
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.sites import Sites

CONFIG = SynthesisConfig(patch_stride=2, propagation_distance=4, max_scale_ratio=1.4)


def periodic(h: int, w: int, period: int = 8) -> Tensor:
    """A texture (1, 3, h, w) in [-1, 1] that repeats every `period` pixels in both directions."""
    cell = 2 * torch.rand(1, 3, period, period, generator=torch.Generator().manual_seed(3)) - 1
    return cell.repeat(1, 1, -(-h // period), -(-w // period))[..., :h, :w]


def noise(h: int, w: int) -> Tensor:
    """White noise (1, 3, h, w) in [-1, 1]."""
    return 2 * torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(5)) - 1


def with_hole(h: int, w: int, rows: slice, columns: slice) -> Tensor:
    """Which pixels are known: all but those of a rectangle."""
    known = torch.ones(h, w, dtype=torch.bool)
    known[rows, columns] = False
    return known


def test_known_pixels_stay_and_unknown_ones_have_no_effect() -> None:
    known = with_hole(40, 48, slice(10, 22), slice(14, 30))
    image, other = noise(40, 48), noise(40, 48)
    other[..., ~known] = 1.0
    results = [complete(PartialImage(i, known), PartialImage(i, known), CONFIG) for i in (image, other)]
    assert torch.equal(results[0][..., known], image[..., known])
    assert torch.equal(*results)


@pytest.mark.parametrize("rows", [slice(12, 22), slice(0, 9)])
def test_hole_in_a_periodic_texture_is_filled_exactly(rows: slice) -> None:
    image, known = periodic(48, 56), with_hole(48, 56, rows, slice(20, 34))
    partial = PartialImage(torch.where(known, image, 0.0), known)
    assert torch.allclose(complete(partial, partial, CONFIG), image, atol=1e-5)


@pytest.mark.parametrize("wraps", [(False, True), (True, False), (True, True)])
def test_completed_border_of_noise_has_no_seam(wraps: tuple[bool, bool]) -> None:
    image = noise(64, 60)
    known = torch.zeros(64, 60, dtype=torch.bool)
    margins = [10 if wrap else 0 for wrap in wraps]
    known[margins[0] : 64 - margins[0], margins[1] : 60 - margins[1]] = True
    source = PartialImage(image, torch.ones_like(known))
    tile = complete(PartialImage(image, known), source, CONFIG, wraps)
    for axis, wrap in zip("yx", wraps, strict=True):
        # Noise has no stronger line than any other: the standard error of a line's mean is about 5 gray levels.
        assert not wrap or seam_error(tile, axis) < 10


def test_wave_of_another_period_repeats_without_a_seam() -> None:
    wave = torch.sin(2 * torch.pi * torch.arange(76) / 24).expand(1, 3, 48, 76).contiguous()
    known = torch.ones(48, 76, dtype=torch.bool)
    known[:, :18] = known[:, 58:] = False
    tile = complete(PartialImage(wave, known), PartialImage(wave, torch.ones_like(known)), CONFIG, (False, True))
    assert seam_error(tile, "x") < seam_error(wave, "x") / 2


def test_completion_begins_at_the_start() -> None:
    """Where nothing is known the start decides where the source's two colors go."""
    source = torch.full((1, 1, 40, 40), -0.5)
    source[..., 20:] = 0.5
    start = torch.full((1, 1, 40, 40), 0.5)
    start[..., 20:, :] = -0.5
    known = torch.zeros(40, 40, dtype=torch.bool)
    config = CONFIG.with_changes({"completeness": 10.0})  # the source's edge need not appear
    result = complete(PartialImage(source, known), PartialImage(source, ~known), config, start=start)
    assert result[..., :14, :].mean() > 0.35
    assert result[..., 26:, :].mean() < -0.35


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("wraps", [(False, False), (True, True)])
def test_votes_of_an_images_own_patches_are_the_image(step: int, wraps: tuple[bool, bool]) -> None:
    image = noise(20, 23)
    sites = Sites(torch.zeros(20, 23, dtype=torch.bool), 7, step, wraps)
    source = torch.cat([image, image[..., :6]], 3)
    source = torch.cat([source, source[..., :6, :]], 2)
    votes, weights = sites.vote(source, sites.positions, torch.ones(len(sites)))
    assert torch.allclose(votes, image, atol=1e-5)
    assert (weights > 0).all()


def test_sites_cover_unknown_pixels_only() -> None:
    known = with_hole(30, 30, slice(10, 12), slice(20, 21))
    sites = Sites(known, 5, 1, (False, False))
    assert sites.positions.amin(1).tolist() == [6, 16]
    assert sites.positions.amax(1).tolist() == [11, 20]
    assert len(sites) == 6 * 5


def test_resized_image_does_not_mix_in_unknown_pixels() -> None:
    known = with_hole(40, 40, slice(10, 30), slice(10, 30))
    image = torch.where(known, 0.25, -1.0).expand(1, 3, 40, 40)
    small = PartialImage(image, known).resized((13, 13))
    assert 0 < small.known.float().mean() < 1
    assert torch.allclose(small.image[..., small.known], torch.tensor(0.25), atol=0.02)
    assert torch.allclose(PartialImage(image, known).filled(), torch.tensor(0.25), atol=1e-4)
