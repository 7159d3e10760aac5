"""The sliced Wasserstein distance agrees with the exact distance in one dimension."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.patches.distance import random_filters, sliced_wasserstein
from synthetic_images import blobs


def exact_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The area between the cumulative distributions of two samples."""
    values = np.sort(np.concatenate([one, other]))
    first, second = (np.searchsorted(np.sort(each), values[:-1], "right") / len(each) for each in (one, other))
    return float(np.sum(np.abs(first - second) * np.diff(values)))


def mean_exact_distance(one: Tensor, other: Tensor, filters: Tensor) -> float:
    distances = []
    for filter_ in filters:
        a, b = (torch.nn.functional.conv2d(image, filter_[None]).flatten().numpy() for image in (one, other))
        distances.append(exact_distance(a, b))
    return float(np.mean(distances))


def test_random_filters_have_unit_length() -> None:
    filters = random_filters(5, 3, 7, RandomStream(1))
    assert filters.flatten(1).norm(dim=1).tolist() == pytest.approx([1.0] * 5)


def test_distance_of_equal_sizes_is_the_exact_one() -> None:
    one, other, filters = blobs(30, 24), blobs(30, 24, 1), random_filters(5, 3, 7, RandomStream(1))
    expected = mean_exact_distance(one, other, filters)
    assert float(sliced_wasserstein(one, other, filters)) == pytest.approx(expected, rel=1e-4)


def test_distance_of_unequal_sizes_is_close_to_the_exact_one_and_symmetric() -> None:
    one, other, filters = blobs(30, 24), blobs(36, 48, 1), random_filters(5, 3, 7, RandomStream(1))
    distance = float(sliced_wasserstein(one, other, filters))
    assert distance == pytest.approx(float(sliced_wasserstein(other, one, filters)), rel=1e-6)
    # Quantiles are interpolated, not read as steps.
    assert distance == pytest.approx(mean_exact_distance(one, other, filters), rel=0.03)


def test_distance_of_a_shift_is_the_shift() -> None:
    image = blobs(30, 24)
    filters = torch.full((1, 3, 7, 7), 1 / math.sqrt(147))
    assert float(sliced_wasserstein(image, image + 0.25, filters)) == pytest.approx(0.25 * math.sqrt(147), rel=1e-4)
