"""Low-pass filters."""

import pytest
import torch

from lonepair.ops.blur import gaussian_blur, reduce_and_enlarge, reduce_by
from tiny_settings import picture


@pytest.mark.parametrize("sigma", [1.0, 4.0, 9.7])
def test_a_gaussian_keeps_constants_and_has_its_variance(sigma: float) -> None:
    assert torch.allclose(gaussian_blur(torch.full((1, 3, 90, 81), 0.4), sigma), torch.full((1, 3, 90, 81), 0.4))
    line = torch.zeros(1, 1, 40, 121)
    line[..., 60] = 1
    blurred = gaussian_blur(line, sigma)[0, 0, 20]
    assert abs(float(blurred.sum()) - 1) < 1e-4
    distance = torch.arange(-60.0, 61)
    center = float((blurred * distance).sum())
    assert float((blurred * (distance - center) ** 2).sum()) == pytest.approx(sigma**2, rel=0.08)


def test_a_gaussian_keeps_the_sum_of_a_point() -> None:
    point = torch.zeros(1, 1, 31, 31)
    point[..., 15, 15] = 1
    blurred = gaussian_blur(point, 1.5)
    assert abs(float(blurred.sum()) - 1) < 1e-5
    distance = torch.arange(-15.0, 16)
    assert abs(float((blurred[0, 0].sum(0) * distance**2).sum()) - 1.5**2) < 0.05


def test_reduction_keeps_large_shapes_and_removes_fine_ones() -> None:
    image = picture(40, 48)
    assert reduce_and_enlarge(image, (40, 48)) is image
    stripes = torch.ones(1, 3, 40, 48)
    stripes[..., ::2] = -1
    assert float(reduce_by(stripes, 0.25).abs().max()) < 0.1
    ramp = torch.linspace(-1, 1, 48).expand(1, 3, 40, 48)
    assert torch.allclose(reduce_by(ramp, 0.25)[..., 8:40], ramp[..., 8:40], atol=0.02)
