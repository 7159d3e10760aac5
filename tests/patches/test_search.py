"""Search for the nearest patches, and copied regions."""

import pytest
import torch

from lonepair.patches.search import NearestPatches, copied_regions, patches_of


def test_excluded_patches_are_not_matched() -> None:
    target = torch.randn(1, 3, 12, 17, generator=torch.Generator().manual_seed(0))  # 150 patches of 3x3
    search, excluded = NearestPatches(target, 3), torch.arange(150) % 2 == 0
    for alpha in (0.0, 0.03):
        matches = search(search.queries(target), alpha, excluded)
        assert (matches % 2 == 1).all()
        assert torch.equal(matches[1::2], torch.arange(1, 150, 2))
        # All are excluded, so one of them is matched.
        assert (search(search.queries(target), alpha, torch.ones(150).bool()) < 150).all()


@pytest.mark.parametrize("alpha", [0.0, 0.03])
def test_search_is_exact_over_several_tiles(alpha: float) -> None:
    target, image = torch.randn(2, 1, 3, 36, 40, generator=torch.Generator().manual_seed(0))
    # 27 dimensions, so that all components are used; more than a tile of each.
    candidates, patches = patches_of(target, 3), patches_of(image, 3)
    distances = torch.cdist(patches.double(), candidates.double()).square() / 27
    if alpha:
        distances = distances / (alpha + distances.min(0).values)
    search = NearestPatches(target, 3)
    matches = search(search.queries(image), alpha)
    assert torch.allclose(distances.gather(1, matches[:, None])[:, 0], distances.min(1).values, rtol=1e-3)
    index = torch.arange(len(candidates))
    assert torch.equal(search(search.queries(target).flip(0)), index.flip(0))
    assert torch.equal(search.patches(index), candidates)
    expected = torch.cdist(patches[:40].double(), candidates[:40].double()).square().diagonal() / 27
    assert torch.allclose(search.distances(search.queries(image)[:40], index[:40]).double(), expected, rtol=1e-4)


def test_equal_patches_match_at_their_own_height_where_rows_have_a_weight() -> None:
    """A texture that repeats every 6 rows: each patch has an equal one at 5 heights."""
    target = torch.randn(1, 3, 6, 9, generator=torch.Generator().manual_seed(0)).repeat(1, 1, 5, 1)
    search = NearestPatches(target, 3, row_weight=1.0)
    assert torch.equal(search(search.queries(target)), torch.arange(28 * 7))
    # The lower half of an image is searched for in the lower half of the target.
    half = search(search.queries(target[:, :, 12:24], rows=(0.5, 1.0))) // 7
    assert half.min() >= 10
    assert (search(search.queries(target[:, :, 12:24])) // 7).min() < 6


def test_copied_regions_are_runs_of_one_shift_in_rows_and_columns() -> None:
    """12x12 patches, 5x6 of them copied as one region of a target of 30 columns, the others from random positions."""
    index = torch.randint(0, 600, (12, 12), generator=torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(5), torch.arange(6), indexing="ij")
    index[3:8, 2:8] = (rows + 11) * 30 + columns + 7
    is_copied = copied_regions(index.flatten(), (12, 12), 30, 5)
    expected = torch.zeros(12, 12, dtype=torch.bool)
    expected[3:8, 2:8] = True
    assert torch.equal(is_copied, expected)
    assert not copied_regions(index.flatten(), (12, 12), 30, 7).any()


def test_copied_regions_are_detected_on_a_lattice() -> None:
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(7), indexing="ij")
    index = ((2 * rows + 3) * 40 + 2 * columns + 5).flatten()
    assert copied_regions(index, (6, 7), 40, 4, step=2).all()
    assert not copied_regions(index, (6, 7), 40, 4).any()
