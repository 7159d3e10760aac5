"""Stability: flicker and frozen motion raise the error, and blur lowers the sharpness."""

import pytest
from torch import Tensor

from lonepair.metrics import stability
from synthetic_images import add_noise, blobs, blur


def moving_clip(count: int, step: int = 2) -> list[Tensor]:
    """Frames of 48x60 whose content moves to the left by `step` pixels a frame."""
    panorama = add_noise(blobs(48, 96), 0.05)
    return [panorama[..., step * i : step * i + 60] for i in range(count)]


def test_stability_of_a_negative_clip_is_that_of_the_source() -> None:
    source = moving_clip(4)
    steady = stability([-frame for frame in source], source, source[0])
    assert steady.error == pytest.approx(steady.source_error, rel=0.1)
    assert steady.sharpness == pytest.approx(1, abs=0.1)
    assert steady.tracked_fraction > 0.5


def test_flicker_and_frozen_motion_raise_the_error() -> None:
    source = moving_clip(4)
    flickering = [add_noise(frame, 0.2) if i % 2 else frame for i, frame in enumerate(source)]
    for output in (flickering, [source[0]] * 4):
        result = stability(output, source, source[0])
        assert result.error > 2 * result.source_error


def test_blur_lowers_both_the_error_and_the_sharpness() -> None:
    still = moving_clip(1) * 4
    shaky = [add_noise(frame, 0.1 * i) for i, frame in enumerate(still)]
    sharp = stability(shaky, still, still[0])
    blurred = stability([blur(frame, 4) for frame in shaky], still, still[0])
    assert blurred.error < sharp.error / 2
    assert blurred.sharpness < 0.8 < sharp.sharpness


def test_error_of_one_frame_is_zero() -> None:
    clip = moving_clip(1)
    assert stability(clip, clip, clip[0]).error == 0
