"""Folders of runs from strangers: bounded before they are unpacked, checked before a training continues."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lonepair.errors import UserError
from lonepair.evaluate.runs import read_history
from lonepair.train.run import RunFolder
from lonepair.train.validation import check_archive, read_completion, read_settings
from tiny_runs import new_job, resume, stopped_run


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after a checkpoint."""
    folder = tmp_path_factory.mktemp("run") / "run"
    stopped_run(folder, 4, checkpoint_minutes=0.0, width=2)
    return folder


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


def rewritten(path: Path, change: Callable[[str, bytes], bytes], compression: int) -> Path:
    """The archive at `path` with changed entries."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))
    return path


def test_a_state_is_not_unpacked_where_it_could_be_larger_than_its_file(run: Path) -> None:
    state = run / "state" / "state.pt"
    check_archive(state)
    bomb = rewritten(state, lambda name, data: data + bytes(2**20 * ("/data/0" in name)), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed entries"):
        check_archive(bomb)
    long = rewritten(bomb, lambda name, data: data + bytes(2**23 * name.endswith("data.pkl")), zipfile.ZIP_STORED)
    with pytest.raises(ValueError, match="list of tensors has more than"):
        check_archive(long)
    with zipfile.ZipFile(run / "long.pt", "w") as archive:
        for index in range(70):
            archive.writestr(f"{index:060000d}", b"")
    with pytest.raises(ValueError, match="list of entries is too long"):
        check_archive(run / "long.pt")
    with (run / "long.pt").open("ab") as file:
        file.write(b"?")
    with pytest.raises(zipfile.BadZipFile, match="its end is missing"):
        check_archive(run / "long.pt")
    bomb.write_bytes(b"#!/bin/sh\n" + bomb.read_bytes())
    with pytest.raises(zipfile.BadZipFile):
        check_archive(bomb)


def deform(state: dict[str, Any], name: str) -> None:
    """Give the first parameter's moment of an optimizer another shape, or a NaN."""
    values = next(iter(next(iter(state["optimizers"].values()))["state"].values()))
    values["exp_avg"] = torch.full_like(values["exp_avg"], float("nan")) if name == "nan" else torch.zeros(7)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.update(stage=10**9), "stage 1000000001 of 2"),
        (lambda s: s.update(stage=True), "entry stage is missing or of another type"),
        (lambda s: s.update(step=10**9), "step 1000000000 of 3"),
        (lambda s: s.update(step=-1), "step -1 of 3"),
        (lambda s: s.update(seconds=float("nan")), "its time is negative or NaN"),
        (lambda s: s.update(metrics_bytes=-5), "metrics.jsonl is negative"),
        (lambda s: s.update(optimizers={"g_a": {}}), "cannot read the state"),
        (lambda s: s.update(optimizers={"g_a": 3}), "cannot read the state"),
        (lambda s: s["nets"].popitem(), "cannot read the state"),
        (lambda s: next(iter(s["nets"].values())).fill_(float("nan")), "holds NaN"),
        (lambda s: deform(s, "shape"), "exp_avg of the optimizer g_a does not fit its parameter"),
        (lambda s: deform(s, "nan"), "exp_avg of the optimizer g_a is NaN"),
    ],
)
def test_a_state_that_no_training_can_have_saved_is_refused_in_one_line(
    change: Callable[[dict[str, Any]], object], says: str, run: Path
) -> None:
    for path in (run / "state").glob("*.pt"):
        state = torch.load(path, weights_only=True)
        change(state)
        torch.save(state, path)
    with pytest.raises(UserError, match=rf"state\.pt: .*{says}") as caught:
        resume(new_job(checkpoint_minutes=0.0, width=2), run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"method": 3}',
        '{"inputs": {"a": "x"}}',
        '{"seed": NaN}',
        '{"a": 1, "a": 2}',
        "[]",
        '{"a": ' * 5000,
        '{"config": "' + "x" * 5000 + '"}',
        '{"a": "' + "x" * 2_000_000 + '"}',
        "\udcff",
    ],
)
def test_a_config_that_is_no_record_of_a_training_counts_as_unreadable(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_settings(path) is None


def test_a_completion_that_is_no_record_counts_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "completion.json"
    for text in ('{"date": 3}', f'{{"date": "{"9" * 99}"}}', "{", "null"):
        path.write_text(text)
        assert read_completion(path) is None
    path.write_text('{"date": "2026-11-26 21:00"}')
    assert read_completion(path) == {"date": "2026-11-26 21:00"}
    assert RunFolder(tmp_path).completion() is not None


@pytest.mark.parametrize(
    "line",
    [
        '{"stage": 1000000, "step": 1, "seconds": 1}',
        '{"stage": -1, "step": 1, "seconds": 1}',
        '{"stage": 0, "step": 1, "seconds": NaN}',
        '{"stage": 0, "step": 1, "seconds": ' + "9" * 400 + "}",
        '{"stage": 0, "step": 1, "seconds": true}',
        "[" * 9000,
        '{"stage": 0, "step": 1, "seconds": 1, "x": "' + "x" * 20_000 + '"}',
    ],
)
def test_lines_of_metrics_that_are_no_reports_are_refused_by_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"stage": 0, "step": 1, "seconds": 1}\n' + line + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl: line 2 is not"):
        read_history(path)
