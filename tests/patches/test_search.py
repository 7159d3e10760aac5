import pytest
import torch

from lonepair.patches.search import NearestPatches, copied_regions, patches_of


def test_what_is_shut_out_is_not_the_nearest() -> None:
    target = torch.randn(1, 3, 12, 17, generator=torch.Generator().manual_seed(0))  # 150 patches of 3x3
    search, shut = NearestPatches(target, 3), torch.arange(150) % 2 == 0
    for alpha in (0.0, 0.03):
        found = search(search.queries(target), alpha, shut)
        assert (found % 2 == 1).all()
        assert torch.equal(found[1::2], torch.arange(1, 150, 2))
        for roughly in (False, True):  # there are no others
            assert (search(search.queries(target), alpha, torch.ones(150).bool(), roughly) < 150).all()


@pytest.mark.parametrize("alpha", [0.0, 0.03])
@pytest.mark.parametrize("size", [(12, 17), (13, 18), (40, 36)])
def test_roughly_the_nearest_is_the_nearest_of_every_second(alpha: float, size: tuple[int, int]) -> None:
    """In a row and in a column, without what is shut out."""
    target, image = torch.randn(2, 1, 3, *size, generator=torch.Generator().manual_seed(0))
    columns, patches = size[1] - 2, patches_of(target, 3)
    own = torch.arange(len(patches))
    shut = own % 3 == 0
    seen = own[(own // columns % 2 == 0) & (own % columns % 2 == 0) & (own % 3 != 0)]
    apart = torch.cdist(patches_of(image, 3).double(), patches[seen].double()).square() / 27
    if alpha:
        apart = apart / (alpha + apart.min(0).values)
    search = NearestPatches(target, 3)
    found = search(search.queries(image), alpha, shut, every_second=True)
    assert torch.isin(found, seen).all()
    chosen = torch.searchsorted(seen, found)
    assert torch.allclose(apart.gather(1, chosen[:, None])[:, 0], apart.min(1).values, rtol=1e-3)


@pytest.mark.parametrize("alpha", [0.0, 0.03])
def test_nearest_is_the_nearest_in_every_tile(alpha: float) -> None:
    target, image = torch.randn(2, 1, 3, 36, 40, generator=torch.Generator().manual_seed(0))
    theirs, ours = patches_of(target, 3), patches_of(image, 3)  # 27 dimensions, all kept; more than a tile of each
    apart = torch.cdist(ours.double(), theirs.double()).square() / 27
    if alpha:
        apart = apart / (alpha + apart.min(0).values)
    search = NearestPatches(target, 3)
    found = search(search.queries(image), alpha)
    assert torch.allclose(apart.gather(1, found[:, None])[:, 0], apart.min(1).values, rtol=1e-3)
    own = torch.arange(len(theirs))
    assert torch.equal(search(search.queries(target).flip(0)), own.flip(0))
    assert torch.equal(search.patches(own), theirs)
    far = torch.cdist(ours[:40].double(), theirs[:40].double()).square().diagonal() / 27
    assert torch.allclose(search.distances(search.queries(image)[:40], own[:40]).double(), far, rtol=1e-4)


def test_pieces_are_runs_of_one_shift_both_ways() -> None:
    """A 12x12 image of 30 columns' target: a 5x6 block is cut out, the rest comes from anywhere."""
    index = torch.randint(0, 600, (12, 12), generator=torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(5), torch.arange(6), indexing="ij")
    index[3:8, 2:8] = (rows + 11) * 30 + columns + 7
    found = copied_regions(index.flatten(), (12, 12), 30, 5)
    expected = torch.zeros(12, 12, dtype=torch.bool)
    expected[3:8, 2:8] = True
    assert torch.equal(found, expected)
    assert not copied_regions(index.flatten(), (12, 12), 30, 7).any()


def test_pieces_are_known_by_their_shift_where_patches_lie_apart() -> None:
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(7), indexing="ij")
    index = ((2 * rows + 3) * 40 + 2 * columns + 5).flatten()
    assert copied_regions(index, (6, 7), 40, 4, step=2).all()
    assert not copied_regions(index, (6, 7), 40, 4).any()
