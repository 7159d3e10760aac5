"""The closed-form denoiser: known answers, a brute-force softmax, bands, tiles, and the search for few neighbors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lonepair.patches.closed_form import ClosedFormDenoiser, denoise
from lonepair.patches.lattice import Lattice
from lonepair.patches.search import patches_of
from tiny_settings import picture

SIDE = 5


def textured(height: int, width: int, seed: int) -> Tensor:
    """A picture whose patches all differ."""
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return 0.5 * picture(height, width, seed=seed) + 0.5 * noise


def brute_force(noisy: Tensor, target: Tensor, sigma: float, alpha: float) -> Tensor:
    """Mean clean patch of every patch of `noisy`, in double precision, by the definition."""
    patches, keys = patches_of(noisy.double(), SIDE), patches_of(target.double(), SIDE)
    distances = (patches[:, None] - alpha * keys).square().sum(2)
    return (-distances / (2 * sigma**2)).softmax(1) @ keys


def blend(means: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """The Gaussian mean of overlapping patches: the pixels of patch n are those of a picture of patch n alone."""
    lattice = Lattice(size, SIDE, 1)
    total, weight = torch.zeros(3, *size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    offset = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    gauss = torch.exp(-offset.square() / (2 * sigma**2))
    window = torch.outer(gauss, gauss)
    for index, patch in enumerate(means.view(-1, 3, SIDE, SIDE)):
        row, column = divmod(index, lattice.shape[1])
        total[:, row : row + SIDE, column : column + SIDE] += patch * window
        weight[row : row + SIDE, column : column + SIDE] += window
    return (total / weight)[None]


@pytest.mark.parametrize(("sigma", "alpha"), [(0.3, 1.0), (0.5, 0.5), (1.0, 0.0), (2.0, 1.0)])
def test_denoiser_equals_a_brute_force_softmax(sigma: float, alpha: float) -> None:
    noisy, target = textured(13, 9, 1), textured(11, 12, 2)
    expected = blend(brute_force(noisy, target, sigma, alpha), (13, 9), 0.2 * SIDE)
    assert torch.allclose(denoise(noisy, target, sigma, SIDE, alpha=alpha).double(), expected, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.01, 10.0])
@pytest.mark.parametrize("neighbors", [0, 4])
def test_a_target_of_one_patch_is_returned_at_every_position(sigma: float, neighbors: int) -> None:
    """Blended by the weights of a patch at each position, whatever the noisy image is."""
    target = textured(SIDE, SIDE, 1)
    one_patch = denoise(textured(SIDE, SIDE, 2), target, sigma, SIDE, neighbors=neighbors)
    assert torch.allclose(one_patch, target, atol=1e-6)


@pytest.mark.parametrize("neighbors", [0, 4])
def test_without_noise_the_nearest_patch_is_returned(neighbors: int) -> None:
    """The target's own patches are nearest to themselves: the target is a fixed point, and noise far below the
    difference of two patches is removed."""
    target = textured(20, 20, 3)
    noisy = target + 0.02 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(denoise(target, target, 1e-2, SIDE, neighbors=neighbors), target, atol=1e-5)
    assert torch.allclose(denoise(noisy, target, 2e-2, SIDE, neighbors=neighbors), target, atol=1e-5)


def test_with_strong_noise_the_mean_patch_is_returned() -> None:
    noisy, target = textured(SIDE, SIDE, 1), textured(12, 12, 2)
    mean = patches_of(target, SIDE).mean(0).view(1, 3, SIDE, SIDE)
    assert torch.allclose(denoise(noisy, target, 1e3, SIDE), mean, atol=1e-4)
    assert torch.allclose(denoise(noisy, target, 1.0, SIDE, alpha=0.0), mean, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("neighbors", [0, 6])
def test_bands_and_tiles_change_nothing_but_rounding(
    stride: int, neighbors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy, target = textured(24, 19, 1), textured(15, 17, 2)
    full = denoise(noisy, target, 0.4, SIDE, stride=stride, neighbors=neighbors)
    for name, value in (("BAND", 16), ("TILE", 64), ("STORED", 0)):
        monkeypatch.setattr(f"lonepair.patches.closed_form.{name}", value)
    tiled = denoise(noisy, target, 0.4, SIDE, stride=stride, neighbors=neighbors)
    assert full.shape == noisy.shape
    assert torch.allclose(full, tiled, atol=1e-5)


def test_all_neighbors_equal_the_exact_softmax() -> None:
    noisy, target = textured(14, 12, 1), textured(10, 9, 2)
    count = len(patches_of(target, SIDE))
    exact = denoise(noisy, target, 0.5, SIDE, alpha=0.5)
    assert torch.allclose(denoise(noisy, target, 0.5, SIDE, alpha=0.5, neighbors=count), exact, atol=1e-5)


def test_few_neighbors_are_near_the_exact_softmax_where_noise_is_weak() -> None:
    target = textured(24, 24, 1)
    noisy = target + 0.15 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    exact = denoise(noisy, target, 0.15, SIDE)
    near, only = (denoise(noisy, target, 0.15, SIDE, neighbors=count) for count in (8, 1))
    assert float((near - exact).abs().mean()) < 0.01 < 0.05 < float((noisy - exact).abs().mean())
    assert float((near - exact).abs().mean()) <= float((only - exact).abs().mean())


def test_patches_of_all_frames_are_the_data_set() -> None:
    noisy, frames = textured(12, 12, 1), torch.cat([textured(10, 10, seed) for seed in (2, 3)])
    wide = ClosedFormDenoiser(frames, SIDE)(noisy, 0.3)
    means = torch.cat([patches_of(frame, SIDE) for frame in frames.split(1)])
    distances = (patches_of(noisy, SIDE)[:, None] - means).square().sum(2)
    expected = blend(((-distances / (2 * 0.3**2)).softmax(1) @ means).double(), (12, 12), 0.2 * SIDE)
    assert torch.allclose(wide.double(), expected, atol=1e-5)


def test_images_smaller_than_a_patch_are_extended_by_their_border() -> None:
    small = textured(SIDE - 2, 9, 1)
    extended = torch.nn.functional.pad(small, [0, 0, 0, 2], mode="replicate")
    assert denoise(small, textured(9, 9, 2), 0.3, SIDE).shape == small.shape
    noisy = textured(9, 9, 2)
    assert torch.allclose(denoise(noisy, small, 0.3, SIDE), denoise(noisy, extended, 0.3, SIDE), atol=1e-5)
