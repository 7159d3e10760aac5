"""Rows whose clips are rendered in parts."""

from __future__ import annotations

from pathlib import Path

import pytest

import lonepair
from lonepair.api.batch.rows import BatchRow, split_settings
from lonepair.api.batch.task import RowTask, row_fingerprint, run_row
from lonepair.errors import UserError
from lonepair.media.stills.image import write_image
from lonepair.render.translation import Translation
from tiny_models import untrained
from tiny_settings import picture


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
