"""Patches on a lattice: blending, propagation, motion and enlargement of matches."""

import itertools
import math

import pytest
import torch

from lonepair.patches.lattice import Lattice
from lonepair.patches.search import NearestPatches, patches_of
from tiny_settings import picture


@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_images_own_patches_blend_to_the_image(step: int) -> None:
    image = picture(24, 31)
    lattice = Lattice((19, 26), 5, step)
    rows, columns = lattice.shape
    y, x = torch.meshgrid(torch.arange(rows) * step, torch.arange(columns) * step, indexing="ij")
    positions = (y * (31 - 5 + 1) + x).flatten()
    assert torch.allclose(lattice.assemble(image, positions), image[..., :19, :26], atol=1e-6)
    corner = patches_of(lattice.pad(image[..., :19, :26]), 5, step)
    assert corner.shape == (rows * columns, 75)


def test_every_pixel_is_the_mean_of_the_patches_that_cover_it() -> None:
    """Two patches of 3 pixels, one of zeros and one of ones, overlap by one."""
    texture = torch.cat([torch.zeros(1, 1, 3, 3), torch.ones(1, 1, 3, 3)], 3)
    image = Lattice((3, 5), 3, 2).assemble(texture, torch.tensor([0, 3]))
    assert torch.equal(image[0, 0], torch.tensor([0, 0, 0.5, 1, 1]).expand(3, 5))


def test_follow_propagates_good_matches_to_neighbors() -> None:
    """The image is a crop of the target at (5, 9). One patch in six starts with the right match."""
    target = torch.randn(1, 3, 40, 44, generator=torch.Generator().manual_seed(0))
    search, lattice = NearestPatches(target, 3), Lattice((24, 24), 3, 1)
    queries = search.queries(target[..., 5:29, 9:33])
    rows, columns = torch.meshgrid(torch.arange(22), torch.arange(22), indexing="ij")
    right = ((rows + 5) * 42 + columns + 9).flatten()
    wrong = torch.randint(0, 38 * 42, (22 * 22,), generator=torch.Generator().manual_seed(1))
    is_right = torch.arange(22 * 22) % 6 == 0
    matches = search.follow(queries, torch.where(is_right, right, wrong), lattice.moves((38, 42), 4), 0.01, 512)
    assert float((matches == right).float().mean()) > 0.95
    assert torch.equal(search.follow(queries, right, lattice.moves((38, 42), 4), 0.01, 512), right)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("sigma", [0.8, math.inf])
def test_pixels_are_the_gaussian_weighted_mean_of_patches(step: int, sigma: float) -> None:
    texture = torch.rand(1, 2, 11, 13, generator=torch.Generator().manual_seed(0))
    lattice = Lattice((14, 17), 5, step)
    rows, columns = lattice.shape
    index = torch.randint(0, 7 * 9, (rows * columns,), generator=torch.Generator().manual_seed(1))
    total, weight = torch.zeros(2, 2, 40, 40)
    for number, match in enumerate(index.tolist()):
        for dy, dx in itertools.product(range(5), repeat=2):
            gaussian = math.exp(-((dy - 2) ** 2 + (dx - 2) ** 2) / (2 * sigma**2))
            y, x = number // columns * step + dy, number % columns * step + dx
            total[:, y, x] += gaussian * texture[0, :, match // 9 + dy, match % 9 + dx]
            weight[:, y, x] += gaussian
    image = lattice.assemble(texture, index, sigma)[0]
    assert torch.allclose(image, (total / weight)[:, :14, :17], atol=1e-6)
    weighted_sum = lattice.fold_patches(texture[0].flatten(1), index // 9 * 13 + index % 9, 13, sigma)[0]
    assert torch.allclose(weighted_sum, total[:, :14, :17], atol=1e-5)


def test_a_pixel_has_the_value_of_the_patch_centered_there() -> None:
    lattice = Lattice((9, 8), 3, 2)
    assert lattice.shape == (4, 4)
    pixels = lattice.to_pixels(torch.arange(16.0))[0, 0]
    assert pixels.shape == (9, 8)
    for row in range(4):
        for column in range(3):
            assert pixels[2 * row + 1, 2 * column + 1] == 4 * row + column
    assert pixels[8, 7] == 15


def test_shifts_of_matches_scale_with_the_target() -> None:
    """A shift by a tenth of the target's side is twice as long in a target twice as large."""
    small, large = Lattice((20, 20), 5, 1), Lattice((40, 40), 5, 2)
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    matches = ((rows + 4) * 36 + columns + 2).flatten()
    larger = large.enlarge(matches, small, (36, 36), (72, 72))
    rows, columns = torch.meshgrid(2 * torch.arange(19), 2 * torch.arange(19), indexing="ij")
    shifts = torch.stack([larger // 72 - rows.flatten(), larger % 72 - columns.flatten()])
    expected = torch.tensor([8, 4])[:, None]
    inside = (rows + 8 < 72) & (columns + 4 < 72)
    assert (shifts[:, inside.flatten()] - expected).abs().max() <= 1


def test_with_a_small_sigma_a_pixel_is_the_center_of_its_patch() -> None:
    texture = torch.rand(1, 3, 30, 34, generator=torch.Generator().manual_seed(3))
    lattice = Lattice((21, 25), 7, 2)
    index = torch.randint(
        0, 24 * 28, (lattice.shape[0] * lattice.shape[1],), generator=torch.Generator().manual_seed(4)
    )
    sharp, mean = lattice.assemble(texture, index, sigma=0.2), lattice.assemble(texture, index)
    row, column = 3, 4
    match = int(index.view(lattice.shape)[row, column])
    center = texture[0, :, match // 28 + 3, match % 28 + 3]
    assert torch.allclose(sharp[0, :, 2 * row + 3, 2 * column + 3], center, atol=1e-4)
    assert not torch.allclose(mean[0, :, 2 * row + 3, 2 * column + 3], center, atol=1e-2)
