"""Rows whose clips are rendered in parts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import lonepair
from in_this_process import InThisProcess
from lonepair.api.batch.identity import row_fingerprint
from lonepair.api.batch.pools import InProcess, Lost
from lonepair.api.batch.records import RowResult, RowTask, Unit
from lonepair.api.batch.rows import BatchRow, split_settings
from lonepair.api.batch.task import run_row
from lonepair.errors import UserError
from lonepair.media.stills.image import write_image
from lonepair.render.translation import Translation
from media_samples import write_clip
from tiny_models import untrained
from tiny_settings import picture

FAST = {"synthesize": False, "carry": "on"}


def test_settings_of_a_row_split_its_clip() -> None:
    row = BatchRow("a.mp4", "b.png", {"workers": 4, "segment_frames": 96, "run_in": 8})
    assert split_settings(row).workers == lonepair.Workers(4, 96, 8)
    assert split_settings(BatchRow("a.mp4", "b.png")).workers == lonepair.Workers()
    with pytest.raises(UserError, match="segment_frames is 10 and run_in is 12"):
        split_settings(BatchRow("a.mp4", "b.png", {"segment_frames": 10}))


def test_a_row_renders_with_its_workers_and_their_number_changes_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrained("lonepair", tmp_path / "model.safetensors")
    write_image(tmp_path / "a.png", picture(20, 24))
    workers: list[object] = []
    save = Translation.save

    def noting_save(self: Translation, path: Path, **options: object) -> Path:
        workers.append(options["workers"])
        return save(self, path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Translation, "save", noting_save)
    model = str(tmp_path / "model.safetensors")
    one, two = (BatchRow(str(tmp_path / "a.png"), model, {"workers": n}, "a") for n in (1, 2))
    fingerprint = row_fingerprint(two)
    assert fingerprint == row_fingerprint(one)
    assert fingerprint != row_fingerprint(BatchRow(two.source, model, {"segment_frames": 48}, "a"))
    assert run_row(RowTask(two, fingerprint, str(tmp_path / "out"), str(tmp_path / "work"))).state == "done"
    assert workers == [lonepair.Workers(2)]


class SplittingPool(InProcess):
    """Runs units in this process, as a pool whose workers render parts of one clip; the first one of a part is lost."""

    splits = True

    def __init__(self, broken: str = "") -> None:
        super().__init__()
        self._broken = broken
        self._lost: list[Unit] = []
        self.units: list[Unit] = []

    def submit(self, unit: Unit, task: RowTask) -> None:
        is_first = unit.part is not None and not any(other.part for other in self.units)
        self.units.append(unit)
        if is_first:
            self._lost.append(unit)
        else:
            super().submit(unit, task)

    def wait(self, seconds: float) -> list[tuple[Unit, RowResult | Lost]]:
        lost, self._lost = self._lost, []
        results = [(unit, Lost("its process was killed")) for unit in lost] or super().wait(seconds)
        return [
            (unit, RowResult("failed", self._broken) if self._broken and unit.part is not None else result)
            for unit, result in results
        ]


@pytest.fixture
def clip_row(tmp_path: Path) -> BatchRow:
    """A shot of nine frames, in segments of four; the target is a model."""
    frames = [picture(24, 32).roll(shift, 3) for shift in range(9)]
    write_clip(tmp_path / "clip.mkv", frames, [Fraction(index, 10) for index in range(len(frames))])
    model = untrained("lonepair", tmp_path / "model.safetensors")
    return BatchRow(str(tmp_path / "clip.mkv"), str(model), {**FAST, "segment_frames": 4, "run_in": 1}, "clip")


def test_segments_of_a_clip_are_units_that_are_joined(
    tmp_path: Path, clip_row: BatchRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = SplittingPool()
    out = tmp_path / "out"
    place = lonepair.BatchPlace(scratch=str(tmp_path / "scratch"))
    [row] = lonepair.run_batch([clip_row], out, pool=pool, place=place).rows
    # The row, the lost part, all parts, and the row again.
    starts = [None if unit.part is None else unit.part.start for unit in pool.units]
    assert starts == [None, 0, 3, 0, None]
    assert (row.state, row.error, row.attempts, row.parts, row.parts_done) == ("done", "", 2, 2, 2)
    # The same file as that of one process with the same segments; nothing else is left.
    monkeypatch.setattr("lonepair.render.workers.ProcessPoolExecutor", InThisProcess)
    translation = lonepair.load(clip_row.target, "cpu").translate(clip_row.source, **FAST)
    whole = translation.save(tmp_path / "whole.mp4", workers=lonepair.Workers(1, 4, 1))
    assert (out / "clip.mp4").read_bytes() == whole.read_bytes()
    assert not (out / "parts/clip").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_part_that_fails_fails_its_row(tmp_path: Path, clip_row: BatchRow) -> None:
    pool = SplittingPool(broken="the disk is full")
    [state] = lonepair.run_batch([clip_row], tmp_path / "out", pool=pool).rows
    assert (state.state, state.error) == ("failed", "the disk is full")
    assert len(pool.units) <= 3
