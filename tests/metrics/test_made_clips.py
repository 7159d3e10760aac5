"""Clips of known motion: their flow carries one frame onto another wherever they say that it is visible."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lonepair.metrics.motion import carry
from lonepair.metrics.texture import absolute_sum

pytest.importorskip("skimage", reason="the photographs are those of scikit-image")


def made_clips() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        return importlib.import_module("made_clips")


MADE = made_clips()


@pytest.mark.parametrize("name", [*MADE.CLIPS])
def test_true_flow_carries_one_frame_onto_another(name: str) -> None:
    clip = MADE.make_clip(name, 64, 16)
    index, earlier = 3, 1
    flow, visible = clip.between(index, earlier)
    assert visible.float().mean() > 0.5
    # Brightness and noise change pixels, and are not motion.
    gain = clip.gain(index) / clip.gain(earlier)
    carried = (carry(clip.frame(earlier), flow) + 1) * gain - 1
    noise = 2 * 2 * clip.noise / torch.pi**0.5
    difference = absolute_sum(clip.frame(index) - carried, visible) / float(visible.sum())
    assert difference < 0.04 + noise
    standing = absolute_sum(clip.frame(index) - clip.frame(earlier), visible) / float(visible.sum())
    assert difference < 0.5 * standing or name in ("noise", "brightness", "crossing")


def test_revealed_pixels_are_not_visible_before() -> None:
    clip = MADE.make_clip("parallax", 64, 16)
    posts = clip.layer_mask(3, 1)
    flow, visible = clip.between(3, 1)
    # Left of each post that moves to the left, the far layer is hidden in one of both frames.
    assert 0.02 < 1 - visible.float().mean() < 0.5
    assert flow[:, 0][posts[:, 0]].mean() == pytest.approx(2 * 2.4, abs=0.01)
    assert flow[:, 0][~posts[:, 0]].mean() == pytest.approx(2 * 0.6, abs=0.01)


@pytest.mark.parametrize(("name", "cut"), [("jump", 8), ("fade", 8)])
def test_no_motion_is_defined_across_a_cut(name: str, cut: int) -> None:
    clip = MADE.make_clip(name, 64, 16)
    assert cut in clip.cuts
    assert not clip.between(cut, cut - 1)[1].any()
    assert clip.between(2, 1)[1].any()
    assert clip.between(15, 14)[1].any()


def test_object_is_whole_in_the_first_frame_and_gone_in_the_last() -> None:
    clip = MADE.make_clip("crossing", 64, 16)
    areas = [int(clip.mask(index).sum()) for index in range(clip.length)]
    assert areas[0] == pytest.approx(max(areas), rel=0.15)
    assert areas[-1] == areas[-2] == 0
    assert clip.path is clip
    assert MADE.make_clip("pan", 64, 16).path is None


def test_frames_do_not_depend_on_their_order() -> None:
    clip = MADE.make_clip("noise", 64, 4)
    assert torch.equal(list(clip.frames())[2], clip.frame(2))
    assert not torch.equal(clip.frame(1), clip.frame(2))
