"""Conversions between tensors, integer arrays and Pillow images."""

import numpy as np
import pytest
import torch

from lonepair.ops.arrays import from_integers, to_pil, to_uint8


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_8_bit_array_is_restored_exactly(channels: int) -> None:
    array = np.random.default_rng(0).integers(0, 256, (16, 16, channels), dtype=np.uint8)
    assert np.array_equal(to_uint8(from_integers(array)), array)
    assert np.array_equal(np.asarray(to_pil(from_integers(array))).reshape(array.shape), array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_range_of_integers_is_that_of_images(dtype: type[np.integer]) -> None:
    array = np.array([[0, np.iinfo(dtype).max]], dtype=dtype)
    assert from_integers(array).tolist() == [[[[-1.0, 1.0]]]]


def test_values_outside_the_range_are_clamped() -> None:
    image = torch.tensor([-2.0, 0.0, 2.0]).view(1, 1, 1, 3)
    assert to_uint8(image)[0, :, 0].tolist() == [0, 128, 255]
