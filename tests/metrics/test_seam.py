"""The error of a tile's seam."""

from __future__ import annotations

import pytest
import torch

from lonepair.metrics.seam import seam_error


@pytest.mark.parametrize("axis", ["x", "y"])
def test_periodic_image_has_no_seam(axis: str) -> None:
    wave = torch.sin(torch.arange(60) * 2 * torch.pi / 20).expand(1, 3, 40, 60)
    image = wave if axis == "x" else wave.transpose(2, 3)
    # The difference across the seam is that of a zero crossing, the largest of the wave, as some of its own lines.
    assert seam_error(image, axis) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_line_as_strong_as_one_in_ten_of_the_image_is_no_seam(axis: str) -> None:
    joints = (torch.arange(60) // 10 % 2).float().expand(1, 1, 40, 60)
    assert seam_error(joints if axis == "x" else joints.transpose(2, 3), axis) == 0


@pytest.mark.parametrize(("axis", "expected"), [("x", 127.5 * (2 - 2 / 59)), ("y", 0.0)])
def test_ramp_has_the_seam_of_its_range(axis: str, expected: float) -> None:
    ramp = torch.linspace(-1, 1, 60).expand(1, 1, 40, 60)
    assert seam_error(ramp, axis) == pytest.approx(expected, abs=0.01)


def test_alpha_does_not_count() -> None:
    image = torch.zeros(1, 4, 20, 20)
    image[:, 3] = torch.linspace(-1, 1, 20)
    assert seam_error(image, "x") == 0
