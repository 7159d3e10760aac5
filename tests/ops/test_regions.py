"""Regions: crops, upsampled crops, and random regions that cover each patch of an image with equal likelihood.

"As on a GPU" means that the host does not read positions (the fixture `either_way`).
"""

import pytest
import torch
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.regions import Regions, crop_at, narrow_at, needs_crops, sample_regions
from lonepair.ops.resize import resize_align_corners, resize_features

CPU = torch.device("cpu")
TOP_LEFT = torch.tensor([(0, 0), (5, 7), (12, 2), (12, 9)])


def image(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


class PrescribedStream(RandomStream):
    """A random stream whose numbers the test chooses."""

    def __init__(self, fraction: float, integer: int) -> None:
        super().__init__(0)
        self.fraction, self.chosen = fraction, integer

    def uniform(self, *shape: int) -> Tensor:
        return torch.full(shape, self.fraction)

    def integer(self, bound: int) -> Tensor:
        assert self.chosen < bound
        return torch.tensor(self.chosen)


# -- crops ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("either_way")
def test_crop_equals_slicing() -> None:
    full, regions = image(20, 15), Regions((20, 15), (8, 6), TOP_LEFT)
    expected = [full[:, :, top : top + 8, left : left + 6] for top, left in TOP_LEFT.tolist()]
    assert torch.equal(regions.crop(full), torch.cat(expected))


@pytest.mark.usefixtures("either_way")
def test_crop_from_larger_crops_equals_a_crop_of_the_image() -> None:
    full, regions = image(20, 15), Regions((20, 15), (8, 6), TOP_LEFT)
    larger = regions.expanded(2)
    assert larger.size == (12, 10)
    assert torch.equal(regions.crop_from(larger.crop(full), larger), regions.crop(full))


@pytest.mark.usefixtures("either_way")
def test_crop_with_zeros_equals_a_crop_of_the_padded_image() -> None:
    full, regions = image(20, 15), Regions((20, 15), (8, 6), TOP_LEFT)
    padded = torch.nn.functional.pad(full, [2] * 4)
    expected = Regions((24, 19), (12, 10), TOP_LEFT).crop(padded)
    larger = regions.expanded(2)
    assert torch.equal(regions.crop_with_zeros(larger.crop(full), larger, 2), expected)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("align_corners", [False, True])
def test_upsampled_crops_equal_crops_of_the_upsampled_image(align_corners: bool) -> None:
    small, regions = image(12, 9), Regions((20, 15), (8, 6), TOP_LEFT)
    large = resize_align_corners(small, (20, 15)) if align_corners else resize_features(small, (20, 15))
    source = Regions.full_image((12, 9), CPU)
    assert torch.allclose(regions.upsample(small, source, align_corners), regions.crop(large), atol=1e-5)


@pytest.mark.usefixtures("either_way")
def test_gradient_of_crops_equals_that_of_slices() -> None:
    regions = Regions((20, 15), (8, 6), TOP_LEFT)
    full = image(20, 15).requires_grad_(True)
    sliced = torch.cat([full[:, :, top : top + 8, left : left + 6] for top, left in TOP_LEFT.tolist()])
    gradients = [torch.autograd.grad(crops.square().sum(), full)[0] for crops in (regions.crop(full), sliced)]
    assert torch.allclose(*gradients, atol=1e-6)


def test_expanded_regions_stay_inside_the_map() -> None:
    expanded = Regions((20, 15), (8, 6), TOP_LEFT).expanded(3)
    assert expanded.size == (14, 12)
    assert expanded.top_left.tolist() == [[0, 0], [2, 3], [6, 0], [6, 3]]
    assert Regions((20, 15), (8, 6), TOP_LEFT).expanded(9).is_full_image


# -- one crop ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("either_way")
def test_crop_at_reaches_each_position_equally_often() -> None:
    rows = torch.arange(8.0).view(1, 1, 8, 1).expand(-1, -1, -1, 5)
    fractions = torch.arange(0, 1, 0.01).tolist()
    tops = [int(crop_at(rows, (5, 5), torch.tensor([fraction, 0.0]))[0, 0, 0, 0]) for fraction in fractions]
    assert {top: tops.count(top) for top in tops} == {0: 25, 1: 25, 2: 25, 3: 25}


@pytest.mark.usefixtures("either_way")
def test_narrow_at_equals_narrow() -> None:
    values = image(8, 5)
    assert torch.equal(narrow_at(values, 2, torch.tensor(3), 4), values.narrow(2, 3, 4))


# -- random regions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pixels", "expected"), [(32 * 32, False), (2 * 32 * 32, False), (2 * 32 * 32 + 1, True)])
def test_images_of_more_than_two_squares_need_crops(pixels: int, expected: bool) -> None:
    assert needs_crops(pixels, 32) is expected
    assert not needs_crops(pixels, 0)


@pytest.mark.parametrize("size", [(64, 64), (61, 90), (200, 40)])
def test_each_quarter_of_an_image_has_one_region_with_a_quarter_of_the_pixels(size: tuple[int, int]) -> None:
    rng, side, patch = RandomStream(0), 24, 7
    for _ in range(30):
        regions = sample_regions(size, side, patch, rng)
        assert regions is not None
        assert len(regions) == 4
        (top, left), (bottom, right) = regions.top_left[0].tolist(), regions.top_left[3].tolist()
        assert regions.top_left.tolist() == [[top, left], [top, right], [bottom, left], [bottom, right]]
        assert 0 <= top <= bottom <= size[0] - regions.size[0]
        assert 0 <= left <= right <= size[1] - regions.size[1]
        # A region of cells of patches is larger than the cells by the patch's border.
        assert 4 * (regions.size[0] - patch + 1) * (regions.size[1] - patch + 1) <= side**2 <= 2 * regions.pixels


def test_random_regions_depend_on_the_stream() -> None:
    positions = set()
    for seed in range(20):
        regions = sample_regions((64, 64), 16, 7, RandomStream(seed))
        assert regions is not None
        positions.add(tuple(regions.top_left.flatten().tolist()))
    assert len(positions) > 15


@pytest.mark.parametrize("size", [(64, 64), (61, 90), (200, 40)])
def test_each_patch_is_equally_likely_to_lie_in_a_region(size: tuple[int, int]) -> None:
    """Over all random numbers, evenly spaced; rows and columns are independent, so that likelihoods multiply."""
    patch, steps = 7, 100
    rows, columns = torch.zeros(size[0] - patch + 1), torch.zeros(size[1] - patch + 1)
    for integer in (0, 1):
        for step in range(steps):
            regions = sample_regions(size, 16, patch, PrescribedStream((step + 0.5) / steps, integer))
            assert regions is not None
            h, w = regions.size
            for top in regions.top_left[[0, 2], 0].tolist():
                rows[top : top + h - patch + 1] += 1
            for left in regions.top_left[[0, 1], 1].tolist():
                columns[left : left + w - patch + 1] += 1
    # The remainder at each end, where cells do not divide the patches, is half as likely along its axis.
    remainders = []
    for counts in (rows, columns):
        share = counts / counts.median()
        interior = share > 0.75
        # 100 steps are not divided evenly among the cells: 36 to 38 of 2 x 100 are in each.
        assert torch.allclose(share[interior], torch.ones(()), atol=0.06)
        assert torch.allclose(share[~interior], torch.full((), 0.5), atol=0.05)
        remainder = int((~interior).sum())
        assert interior[(remainder + 1) // 2 : len(counts) - (remainder + 1) // 2].all()
        assert remainder < len(counts) / 2
        remainders.append(remainder)
    assert max(remainders) > 0
