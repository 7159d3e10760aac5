"""Renders of clips that are stopped and continued: the same frames, and the same file."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import signal
import time
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair.render.folder as folder_module
from lonepair.errors import UserError
from lonepair.media.clips.container import Frame
from lonepair.render.folder import RenderFolder
from lonepair.render.run import FrameRun
from lonepair.render.sequence import SequenceState
from lonepair.render.translation import Translation
from tiny_models import SIZE, model_of
from tiny_settings import picture

CLIP = torch.cat(
    [
        torch.cat([picture(*SIZE, seed=scene).roll(shift, 3) * 0.3 + 0.6 * (scene - 1) for shift in range(0, 10, 2)])
        for scene in (0, 2)
    ]
)
"""Two scenes of five frames."""
CHANGES = {"anchor_interval": 2, "anchors": 3}


def translation(**settings: Any) -> Translation:
    return model_of("lonepair").translate(CLIP, synthesis=CHANGES, **settings)


@cache
def whole_render(folder: Path, suffix: str, **settings: Any) -> tuple[bytes, Tensor]:
    """The file that a render in one go writes into `folder`, and its sheet."""
    whole = translation(**settings)
    path = whole.save(folder / f"{'-'.join(['whole', *settings])}{suffix}")
    return path.read_bytes(), whole.sheet()


def whole_file(folder: Path, **settings: Any) -> bytes:
    return whole_render(folder, ".mkv", **settings)[0]


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files of all tests."""
    return tmp_path_factory.getbasetemp()


def states_of(run: FrameRun) -> tuple[list[Tensor], list[SequenceState]]:
    """The frames of a run, and a copy of its state after each."""
    frames, states = [], []
    for _, finished in run.frames():
        assert finished is not None
        state = finished.state()
        frames.append(finished.result.image)
        states.append(
            SequenceState(state.count, state.scene_start, {name: each.clone() for name, each in state.scene.items()})
        )
    return frames, states


@pytest.mark.parametrize("carry", ["on", "off"])
def test_a_run_continues_bit_for_bit_after_any_frame(carry: str) -> None:
    """The first of a scene, the second, one that renews anchors, the last of a scene, and the last but one."""
    clip = translation(carry=carry)
    run = FrameRun(clip.pipeline, clip.source, None)
    frames, states = states_of(run)
    assert len(frames) == len(CLIP)
    assert carry == "off" or {state.scene_start for state in states} == {0, 5}
    for state in (states[index] for index in (0, 1, 2, 4, 8)):
        rest = [finished for _, finished in run.frames(start=state)]
        assert rest[: state.count] == [None] * state.count
        images = [finished.result.image for finished in rest if finished is not None]
        assert len(images) == len(frames) - state.count
        assert all(torch.equal(one, other) for one, other in zip(images, frames[state.count :], strict=True))


def stop_after(count: int, stop: Event, frames: Iterator[Frame]) -> Iterator[Frame]:
    """Set `stop` while frame number `count` is written."""
    for index, frame in enumerate(frames, 1):
        if index == count:
            stop.set()
        yield frame


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif"])
def test_a_stopped_render_continues_and_gives_the_same_file(tmp_path: Path, files: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    for count in (3, 7):
        stop = Event()
        with pytest.raises(KeyboardInterrupt, match=f"stopped after {count} frames"):
            translation().save(path, progress=partial(stop_after, count, stop), stop=stop)
        assert not path.exists()
    clip = translation()
    clip.save(path)
    data, sheet = whole_render(files, suffix)
    assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert torch.equal(clip.sheet(), sheet)


class LostError(Exception):
    """Ends a render where it is."""


def lose_after(count: int, frames: Iterator[Frame]) -> Iterator[Frame]:
    yield from itertools.islice(frames, count)
    raise LostError


def lose_render(folder: Path, out: Path, count: int, **settings: Any) -> None:
    """Leave a render in `folder` that ended during its frame number `count`, with a state after each frame."""
    with pytest.raises(LostError), RenderFolder(folder, after_each=True) as render:
        translation(**settings).save(out, folder=render, progress=lambda frames: lose_after(count, frames))


def test_a_kill_loses_the_frames_since_the_last_state_only(
    tmp_path: Path, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.mkv"
    folder = RenderFolder.beside(out).path
    lose_render(folder, out, 5)
    # A frame that is written in part, and a state that is not complete.
    with (folder / "frames.raw").open("ab") as file:
        file.write(b"\1" * 100)
    (folder / ".lonepair-999999-0123abcd.safetensors").write_bytes(b"\1")
    with caplog.at_level("INFO", "lonepair"):
        translation().save(out)
    assert "stopped after 5 frames; it continues there" in caplog.text
    assert out.read_bytes() == whole_file(files)
    assert not folder.exists()


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_links_in_the_folder_are_not_written_through(tmp_path: Path, files: Path) -> None:
    out = tmp_path / "out.mkv"
    folder = RenderFolder.beside(out).path
    lose_render(folder, out, 3)
    for name, link in (("frames.raw", os.link), ("state.safetensors", os.symlink)):
        (folder / name).rename(tmp_path / name)
        link(tmp_path / name, folder / name)
    before = [(tmp_path / name).read_bytes() for name in ("frames.raw", "state.safetensors")]
    translation().save(out)
    assert out.read_bytes() == whole_file(files)
    assert before == [(tmp_path / name).read_bytes() for name in ("frames.raw", "state.safetensors")]
    # The folder itself: another name is taken.
    (tmp_path / "mine").mkdir()
    folder.symlink_to(tmp_path / "mine")
    with RenderFolder.beside(out) as render:
        assert render.path.name == ".out.mkv.render-2"
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork a process")
def test_a_process_that_is_killed_loses_nothing_that_a_state_holds(tmp_path: Path, files: Path) -> None:
    out, folder = tmp_path / "out.mkv", RenderFolder.beside(tmp_path / "out.mkv").path

    def wait_after(frames: Iterator[Frame]) -> Iterator[Frame]:
        yield from itertools.islice(frames, 6)
        (tmp_path / "waits").touch()
        time.sleep(60)

    if (process := os.fork()) == 0:
        try:
            with RenderFolder(folder, after_each=True) as render:
                translation().save(out, folder=render, progress=wait_after)
        finally:
            os._exit(1)
    while not (tmp_path / "waits").exists():
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with RenderFolder.beside(out) as render:
        translation().save(out, folder=render)
        assert render.path == folder
        continued = render.start
    assert continued is not None
    count = continued.count
    assert count == 6
    assert out.read_bytes() == whole_file(files)


def test_a_render_with_other_settings_starts_at_its_beginning(
    tmp_path: Path, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.mkv"
    lose_render(RenderFolder.beside(out).path, out, 5)
    with caplog.at_level("INFO", "lonepair"):
        translation(colour=0.5).save(out)
    assert "5 frames of another render are deleted" in caplog.text
    assert out.read_bytes() == whole_file(files, colour=0.5)


def test_a_state_that_cannot_be_read_starts_the_render_again(
    tmp_path: Path, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.mkv"
    folder = RenderFolder.beside(out).path
    lose_render(folder, out, 5)
    (folder / "state.safetensors").write_bytes(b"\1" * 50)
    translation().save(out)
    assert "cannot be read" in caplog.text
    assert out.read_bytes() == whole_file(files)


def test_a_call_that_cannot_be_done_keeps_an_unfinished_render(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    lose_render(RenderFolder.beside(out).path, out, 5)
    out.touch()
    with pytest.raises(UserError, match="exists already"):
        translation().save(out)
    assert RenderFolder.beside(out).has_state


def test_two_renders_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    with RenderFolder(tmp_path / "render") as one, RenderFolder(tmp_path / "render") as other:
        assert [one.path.name, other.path.name] == ["render", "render-2"]
        assert translation().save(tmp_path / "out.mkv", folder=other).exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out.mkv"]


def test_a_full_disk_costs_the_kept_frames_and_not_the_output(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lonepair.render.folder.save_file", fail)
    with RenderFolder(tmp_path / "render", after_each=True) as folder:
        out = translation().save(tmp_path / "out.mkv", folder=folder)
    assert "no space left" in caplog.text
    monkeypatch.undo()
    assert out.read_bytes() == whole_file(files)


def test_only_new_anchors_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def record(path: Path, *rest: Any) -> None:
        names.append(path.name)
        write(path, *rest)

    write = folder_module.write_tensors
    monkeypatch.setattr(folder_module, "write_tensors", record)
    with RenderFolder(tmp_path / "render", after_each=True) as folder:
        translation().save(tmp_path / "out.mkv", folder=folder)
    anchors = [name for name in names if name.startswith("anchor")]
    frames, count = len(CLIP), len(names) - len(anchors)
    assert count == frames
    assert len(anchors) == len(set(anchors)) > 1


def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    clip = model_of("lonepair").translate(CLIP.repeat(3, 1, 1, 1), synthesis=CHANGES)
    run = FrameRun(clip.pipeline, clip.source, None)
    # To list all objects takes longer than a frame.
    sizes = {number: live_bytes() for number, _ in enumerate(run.frames()) if number > 9 and number % 3 == 0}
    early, late = ([size for number, size in sizes.items() if number // 10 == tens] for tens in (1, 2))
    assert max(late) <= 1.05 * max(early)


def live_bytes() -> int:
    """Bytes of all tensors."""
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage() for each in tensors()}
    return sum(storage.nbytes() for storage in storages.values())


def tensors() -> list[Tensor]:
    return [each for each in gc.get_objects() if type(each) is Tensor]
