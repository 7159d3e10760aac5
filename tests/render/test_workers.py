"""Clips that are rendered in parts: the plan of the parts, the same frames as in one process, and stopping."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair
from in_this_process import InThisProcess
from lonepair.errors import UserError
from lonepair.media.clips.container import Frame
from lonepair.render.clip_parts import render_part
from lonepair.render.folder import RenderFolder
from lonepair.render.parts import Part, Workers, plan_parts
from lonepair.render.translation import Translation
from lonepair.render.workers import PartRenderer
from tiny_models import SIZE, model_of
from tiny_settings import picture


def shot(seed: int, frames: int) -> Tensor:
    """A slow pan; each seed gives another scene."""
    image = picture(*SIZE, seed=seed) * 0.3 + 0.6 * ((seed % 3) - 1)
    return torch.cat([image.roll(shift, 3) for shift in range(frames)])


CLIP = torch.cat([shot(0, 4), shot(2, 5), shot(1, 3)])
"""Scenes of 4, 5 and 3 frames."""
CHANGES = {"anchor_interval": 2, "anchors": 3}


def translation(clip: Tensor = CLIP, **settings: Any) -> Translation:
    return model_of("lonepair").translate(clip, synthesis=CHANGES, **settings)


@cache
def whole_frames(**settings: Any) -> list[Tensor]:
    """The frames that one process computes. Tests only read them."""
    return [frame.image for frame in translation(**settings).frames()]


@cache
def whole_file(folder: Path) -> bytes:
    """The file that one process writes, into `folder`."""
    return translation().save(folder / "whole-of-workers.mkv").read_bytes()


def plan(clip: Translation, first: int = 0, stop: int | None = None, **workers: int) -> list[Part]:
    return list(plan_parts(clip.run, first, stop, Workers(**{"count": 2, **workers})))


def test_parts_are_the_scenes() -> None:
    parts = plan(translation())
    assert [(part.scene, part.first, part.stop) for part in parts] == [(0, 0, 4), (4, 4, 9), (9, 9, 12)]
    assert all(part.joint == part.start and part.blended == part.stop for part in parts)


def test_parts_of_a_range_start_at_its_scene() -> None:
    parts = plan(translation(), 6, 11)
    assert [(part.start, part.first, part.stop) for part in parts] == [(4, 6, 9), (9, 9, 11)]


def test_frames_that_do_not_depend_on_one_another_are_split_evenly() -> None:
    parts = plan(translation(torch.cat([CLIP, CLIP]), carry="off"))
    assert [(part.start, part.stop) for part in parts] == [(0, 16), (16, 24)]


def test_segments_overlap_by_their_run_in_and_stay_in_their_scene() -> None:
    parts = plan(translation(torch.cat([shot(0, 11), shot(2, 4)])), segment_frames=4, run_in=2)
    found = [(part.scene, part.start, part.joint, part.blended, part.stop) for part in parts]
    # The last segment of a scene has two to six frames of its own.
    assert found == [(0, 0, 0, 2, 4), (0, 2, 4, 6, 8), (0, 6, 8, 11, 11), (11, 11, 11, 15, 15)]
    assert [parts[1].weight(frame) for frame in (2, 3, 4, 5)] == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_segments_of_a_range_are_those_of_the_whole_clip() -> None:
    clip = translation(shot(0, 15))
    wholes = plan(clip, segment_frames=4, run_in=2)
    parts = plan(clip, 5, 8, segment_frames=4, run_in=2)
    assert [(part.start, part.joint) for part in parts] == [(2, 4), (6, 8)]
    assert {(part.start, part.joint) for part in parts} <= {(part.start, part.joint) for part in wholes}
    assert [(part.first, part.blended, part.stop) for part in parts] == [(5, 6, 8), (6, 8, 8)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "workers is 0: give a whole number from 1 on"),
        ({"run_in": 0}, "run_in is 0"),
        ({"segment_frames": 20}, "segment_frames is 20 and run_in is 12: a segment needs twice its run-in"),
    ],
)
def test_wrong_numbers_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Workers(**settings)


def test_segments_with_two_passes_are_refused() -> None:
    with pytest.raises(UserError, match="segment_frames is 4, and with keys or two passes"):
        plan(translation(passes=2), segment_frames=4, run_in=2)


def render_all(clip: Translation, folder: Path, **workers: int) -> list[Tensor]:
    """The frames of every part, rendered one after another in this process."""
    images = []
    for part in plan(clip, **workers):
        path = folder / f"{part.start}"
        assert render_part(clip, part, path, "key", 16, lambda: False)
        with RenderFolder(path, is_part=True) as kept:
            kept.open("key", 16)
            images += list(kept.frames())
    return images


@pytest.mark.parametrize("settings", [{}, {"carry": "off"}, {"passes": 2}])
def test_parts_have_the_frames_of_one_pass(tmp_path: Path, settings: dict[str, Any]) -> None:
    clip = translation(**settings)
    whole = whole_frames(**settings)
    images = render_all(clip, tmp_path)
    assert len(images) == len(whole)
    assert all((one - other).abs().max() < 1e-4 for one, other in zip(images, whole, strict=True))


def test_a_part_that_stops_continues_bit_for_bit(tmp_path: Path) -> None:
    clip = translation()
    # The second part of a scene: the frame that opens the scene is not one of its own.
    part = Part(4, 6, 6, 6, 9, 9)
    assert render_part(clip, part, tmp_path / "whole", "key", 16, lambda: False)
    for _ in range(2):
        assert not render_part(clip, part, tmp_path / "stopped", "key", 16, lambda: True)
    assert render_part(clip, part, tmp_path / "stopped", "key", 16, lambda: True)
    files = [tmp_path / name / "frames.raw" for name in ("whole", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


def stop_at(count: int, stop: Event, frames: Iterator[Frame]) -> Iterator[Frame]:
    """Set `stop` while frame number `count` is written."""
    for number, frame in enumerate(frames, 1):
        if number == count:
            stop.set()
        yield frame


def test_a_render_in_parts_continues_after_a_stop(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lonepair.render.workers.ProcessPoolExecutor", InThisProcess)
    whole, out, stop = whole_file(tmp_path_factory.getbasetemp()), tmp_path / "out.mkv", Event()
    with pytest.raises(KeyboardInterrupt, match=r"stopped after \d+ frames?; start the same again to continue there"):
        translation().save(out, progress=partial(stop_at, 2, stop), stop=stop, workers=2)
    with caplog.at_level("INFO", "lonepair"):
        translation().save(out, workers=3)
    assert "an earlier render stopped after" in caplog.text
    assert out.read_bytes() == whole
    # In one process it starts again, and the other way around.
    for first, second in ((2, 1), (1, 2)):
        stop, out = Event(), tmp_path / f"{first}.mkv"
        with pytest.raises(KeyboardInterrupt):
            translation().save(out, progress=partial(stop_at, 6, stop), stop=stop, workers=first)
        with caplog.at_level("INFO", "lonepair"):
            translation().save(out, workers=second)
        assert f"{'it was' if first > 1 else 'it was not'} rendered in parts" in caplog.text
        assert out.read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.mkv", "2.mkv", "out.mkv"]


@pytest.mark.usefixtures("quick_start")
def test_a_worker_process_writes_the_file_of_one_process(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Scenes shorter than a segment are not split.
    translation().save(tmp_path / "out.mkv", workers=Workers(1, segment_frames=24))
    assert (tmp_path / "out.mkv").read_bytes() == whole_file(tmp_path_factory.getbasetemp())


def test_every_kind_of_translation_can_be_copied_to_a_worker() -> None:
    mask = torch.ones(*SIZE)
    mask[:, :10] = -1
    model = model_of("lonepair")
    regions = lonepair.translate_regions(CLIP, [model, model], [mask, -mask])
    kinds = [regions, lonepair.stabilize(CLIP, CLIP), translation(keys={1: picture(*SIZE)}, frames="1:2")]
    for kind in kinds:
        copy = pickle.loads(pickle.dumps(kind))
        assert copy.frame(0).image.equal(kind.frame(0).image)


def test_segments_are_blended_over_the_run_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lonepair.render.workers.ProcessPoolExecutor", InThisProcess)
    clip = translation(shot(0, 12))
    with RenderFolder(tmp_path / "render") as folder:
        frames = list(PartRenderer(clip, folder, 16, Workers(2, 4, 2)).frames(0, None))
    alone = [frame.image for frame in clip.frames()]
    assert len(frames) == 12
    is_same = [bool((one - other).abs().max() < 1e-3) for one, other in zip(frames, alone, strict=True)]
    assert is_same[:2] == [True, True]
    assert not any(is_same[4:])
