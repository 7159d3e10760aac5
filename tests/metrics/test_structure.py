"""Structure: invariances, and its decrease as the layout changes.

The images are long and narrow: their tables have fewer entries, so that the tests are fast.
"""

import pytest
import torch

from lonepair.metrics import structure
from synthetic_images import blobs, shuffle_blocks


@pytest.mark.parametrize("size", [(64, 18), (21, 71), (130, 30)])
def test_structure_does_not_depend_on_colors(size: tuple[int, int]) -> None:
    image = blobs(*size)
    for changed in (image, -image, 0.3 * image + 0.1, image[:, [2, 0, 1]], image[:, [1, 0, 2]] * -1):
        assert structure(changed, image) == pytest.approx(1, abs=1e-4)


def test_structure_of_one_color_is_zero() -> None:
    image = blobs(18, 64)
    assert structure(torch.zeros_like(image), image) == 0


def test_structure_of_a_square_image_with_itself_is_one() -> None:
    assert structure(-blobs(64, 64), blobs(64, 64)) == pytest.approx(1, abs=1e-4)


def test_structure_falls_with_the_share_of_another_layout() -> None:
    image, other = blobs(36, 144), blobs(36, 144, 1)
    assert structure(other, image) == pytest.approx(structure(image, other), abs=1e-5)
    assert abs(structure(other, image)) < 0.15
    values = [structure(image + share * (other - image), image) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert values == sorted(values, reverse=True)


def test_structure_falls_when_blocks_are_shuffled() -> None:
    image = blobs(36, 144)
    assert structure(shuffle_blocks(image, 12), image) < 0.3
