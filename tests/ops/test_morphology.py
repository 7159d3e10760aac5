"""Dilation and erosion."""

import pytest
import torch
import torch.nn.functional as F

from lonepair.ops.morphology import dilate, erode


@pytest.mark.parametrize("radius", [0, 1, 3, 10, 40])
def test_dilation_takes_the_largest_value_of_the_square(radius: int) -> None:
    values = torch.rand(1, 1, 23, 31)
    side = 2 * radius + 1
    assert torch.equal(dilate(values, radius), F.max_pool2d(F.pad(values, [radius] * 4, value=-1), side, 1))
    assert torch.equal(erode(values, radius), 1 - dilate(1 - values, radius))


def test_masks_grow_and_shrink_by_the_radius() -> None:
    mask = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    mask[..., 4:9, 5:8] = True
    grown = torch.zeros_like(mask)
    grown[..., 2:11, 3:10] = True
    assert torch.equal(dilate(mask, 2), grown)
    assert torch.equal(erode(grown, 2), mask)
    # What lies beyond the border neither grows in nor shrinks a mask.
    assert bool(erode(torch.ones(1, 1, 5, 5, dtype=torch.bool), 2).all())
