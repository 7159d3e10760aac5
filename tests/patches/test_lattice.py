import itertools
import math

import pytest
import torch

from conftest import picture
from lonepair.patches.lattice import Lattice
from lonepair.patches.search import NearestPatches, patches_of


@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_image_is_assembled_of_its_own_patches(step: int) -> None:
    image = picture(24, 31)
    lattice = Lattice((19, 26), 5, step)
    rows, columns = lattice.shape
    y, x = torch.meshgrid(torch.arange(rows) * step, torch.arange(columns) * step, indexing="ij")
    places = (y * (31 - 5 + 1) + x).flatten()
    assert torch.allclose(lattice.assembled(image, places), image[..., :19, :26], atol=1e-6)
    corner = patches_of(lattice.over(image[..., :19, :26]), 5, step)
    assert corner.shape == (rows * columns, 75)


def test_every_pixel_is_the_mean_of_what_covers_it() -> None:
    """Two patches of 3 pixels, one of zeros and one of ones, overlap by one."""
    texture = torch.cat([torch.zeros(1, 1, 3, 3), torch.ones(1, 1, 3, 3)], 3)
    made = Lattice((3, 5), 3, 2).assembled(texture, torch.tensor([0, 3]))
    assert torch.equal(made[0, 0], torch.tensor([0, 0, 0.5, 1, 1]).expand(3, 5))


def test_following_takes_what_is_nearer_and_finds_what_only_a_few_know() -> None:
    """Of a piece of the target moved by (5, 9), one patch in six knows where it comes from; its neighbours learn it."""
    target = torch.randn(1, 3, 40, 44, generator=torch.Generator().manual_seed(0))
    search, lattice = NearestPatches(target, 3), Lattice((24, 24), 3, 1)
    queries = search.queries(target[..., 5:29, 9:33])
    rows, columns = torch.meshgrid(torch.arange(22), torch.arange(22), indexing="ij")
    right = ((rows + 5) * 42 + columns + 9).flatten()
    wrong = torch.randint(0, 38 * 42, (22 * 22,), generator=torch.Generator().manual_seed(1))
    known = torch.arange(22 * 22) % 6 == 0
    found = search.follow(queries, torch.where(known, right, wrong), lattice.moves((38, 42), 4), 0.01, 512)
    assert float((found == right).float().mean()) > 0.95
    fresh = search.follow(queries, wrong, [], 0.01, 512, searches_all=True)
    assert torch.equal(fresh, right)  # fewer than are searched for among all
    assert torch.equal(search.follow(queries, right, lattice.moves((38, 42), 4), 0.01, 512), right)


def test_followed_roughly_what_is_fresh_comes_from_every_second_patch() -> None:
    """In a row and in a column, of the target's 11 x 16."""
    target = torch.randn(1, 3, 13, 18, generator=torch.Generator().manual_seed(0))
    search, wrong = NearestPatches(target, 3), torch.full((176,), 17)
    queries = search.queries(target)
    fresh = search.follow(queries, wrong, [], 0.01, 176, searches_all=True, every_second=True)
    every_second = (fresh // 16 % 2 == 0) & (fresh % 16 % 2 == 0)
    assert (every_second | (fresh == 17)).all()
    own = torch.arange(176)
    is_second = (own // 16 % 2 == 0) & (own % 16 % 2 == 0)
    assert torch.equal(fresh[is_second], own[is_second])


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("sigma", [0.8, math.inf])
def test_an_image_is_the_weighed_mean_of_its_patches(step: int, sigma: float) -> None:
    texture = torch.rand(1, 2, 11, 13, generator=torch.Generator().manual_seed(0))
    lattice = Lattice((14, 17), 5, step)
    rows, columns = lattice.shape
    index = torch.randint(0, 7 * 9, (rows * columns,), generator=torch.Generator().manual_seed(1))
    total, weight = torch.zeros(2, 2, 40, 40)
    for number, match in enumerate(index.tolist()):
        for dy, dx in itertools.product(range(5), repeat=2):
            own = math.exp(-((dy - 2) ** 2 + (dx - 2) ** 2) / (2 * sigma**2))
            y, x = number // columns * step + dy, number % columns * step + dx
            total[:, y, x] += own * texture[0, :, match // 9 + dy, match % 9 + dx]
            weight[:, y, x] += own
    made = lattice.assembled(texture, index, sigma)[0]
    assert torch.allclose(made, (total / weight)[:, :14, :17], atol=1e-6)
    folded = lattice.folded(texture[0].flatten(1), index // 9 * 13 + index % 9, 13, sigma)[0]
    assert torch.allclose(folded, total[:, :14, :17], atol=1e-5)


def test_a_pixel_has_what_is_known_of_the_patch_around_it() -> None:
    lattice = Lattice((9, 8), 3, 2)
    assert lattice.shape == (4, 4)
    spread = lattice.spread(torch.arange(16.0))[0, 0]
    assert spread.shape == (9, 8)
    for row in range(4):
        for column in range(3):
            assert spread[2 * row + 1, 2 * column + 1] == 4 * row + column
    assert spread[8, 7] == 15


def test_matches_grow_with_the_image() -> None:
    """Shifted by a tenth of the target's side: twice as large, the shift is twice as long."""
    small, large = Lattice((20, 20), 5, 1), Lattice((40, 40), 5, 2)
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    found = ((rows + 4) * 36 + columns + 2).flatten()
    grown = large.enlarged(found, small, (36, 36), (72, 72))
    rows, columns = torch.meshgrid(2 * torch.arange(19), 2 * torch.arange(19), indexing="ij")
    apart = torch.stack([grown // 72 - rows.flatten(), grown % 72 - columns.flatten()])
    expected = torch.tensor([8, 4])[:, None]
    inside = (rows + 8 < 72) & (columns + 4 < 72)
    assert (apart[:, inside.flatten()] - expected).abs().max() <= 1


def test_in_focus_a_pixel_is_what_is_said_by_the_patch_that_is_centred_there() -> None:
    texture = torch.rand(1, 3, 30, 34, generator=torch.Generator().manual_seed(3))
    lattice = Lattice((21, 25), 7, 2)
    index = torch.randint(
        0, 24 * 28, (lattice.shape[0] * lattice.shape[1],), generator=torch.Generator().manual_seed(4)
    )
    sharp, mean = lattice.assembled(texture, index, sigma=0.2), lattice.assembled(texture, index)
    row, column = 3, 4
    match = int(index.view(lattice.shape)[row, column])
    centre = texture[0, :, match // 28 + 3, match % 28 + 3]
    assert torch.allclose(sharp[0, :, 2 * row + 3, 2 * column + 3], centre, atol=1e-4)
    assert not torch.allclose(mean[0, :, 2 * row + 3, 2 * column + 3], centre, atol=1e-2)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-4, 1)])
def test_matches_move_with_the_picture(shift: tuple[int, int]) -> None:
    """An image assembled of matches that moved is, away from the border, the moved image."""
    image, (dy, dx) = picture(40, 44), shift
    lattice = Lattice((40, 44), 5, 3)
    rows, columns = (
        torch.arange(n).mul(3).clamp(max=most - 5) for n, most in zip(lattice.shape, (40, 44), strict=True)
    )
    places = (rows[:, None] * 40 + columns).flatten()
    flow = torch.tensor([float(dx), float(dy)]).view(1, 2, 1, 1).expand(1, 2, 40, 44)
    moved = lattice.assembled(image, lattice.carried(places, flow, (36, 40)))
    assert torch.allclose(moved[..., 10:-10, 10:-10], image.roll(shift, (2, 3))[..., 10:-10, 10:-10], atol=1e-6)
