"""Diversity: 0 for equal samples, and proportional to their standard deviation."""

import pytest
import torch

from lonepair.metrics import diversity
from synthetic_images import blobs


def test_diversity_of_equal_samples_is_zero() -> None:
    image = blobs(48, 48)
    assert diversity(image.expand(5, -1, -1, -1), image) == 0


@pytest.mark.parametrize("amplitude", [0.5, 1.0])
def test_diversity_is_the_samples_deviation_over_that_of_the_image(amplitude: float) -> None:
    noise = torch.randn(200, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert diversity(amplitude * noise, noise[:1]) == pytest.approx(amplitude, rel=0.1)


def test_diversity_needs_two_samples() -> None:
    with pytest.raises(AssertionError, match="two samples"):
        diversity(blobs(12, 12), blobs(12, 12))
