"""The command `batch`: exit status, last lines, the estimate, and what it needs to be installed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from command_line import list_files
from lonepair.api.batch.estimate import measure_row
from lonepair.api.batch.jobs import read_rows
from lonepair.api.batch.rows import named_rows
from lonepair.commands.main import main
from tiny_settings import TINY

SETTINGS = {name: value for name, value in TINY.items() if name != "device"}
FLAGS = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]


def test_a_failed_row_is_listed_last_and_decides_the_status(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.png").write_bytes(b"hello " * 40)
    shutil.copy("a.png", "c.png")
    images = ["a.png", "c.png", "bad.png"]
    options = ["--style", "b.png", "-o", "out", "--scratch", "s", "--device", "cpu", *FLAGS]
    assert main(["batch", *images, *options]) == 2
    *_, summary, problem = capsys.readouterr().err.splitlines()
    assert summary.startswith("2 of 3 rows are done in out, 1 of them equal to another row (")
    assert problem.startswith("row 3, bad-as-b: ")
    assert "is neither an image nor a video" in problem
    assert {"a-as-b.png", "jobs.jsonl", "rows/a-as-b.json"} <= list_files("out")
    # Without the row that failed, nothing runs again.
    Path("bad.png").unlink()
    assert main(["batch", *images[:2], *options]) == 0
    assert "2 of 2 rows are done in out, 2 of them earlier (" in capsys.readouterr().err


def test_an_estimate_counts_all_steps_and_frames(here: Path) -> None:
    [row] = named_rows(read_rows("a.png", "b.png", {**SETTINGS, "steps": 4000, "finest_steps": 4000}))
    estimate = measure_row(row, "cpu")
    assert estimate.frames == 1
    assert 4 < estimate.training_seconds < estimate.seconds
    assert estimate.memory > 10**8


@pytest.mark.parametrize(
    ("words", "module", "message"),
    [
        (["--address", "auto"], "ray", "--address needs Ray; install it with `pip install 'lonepair[cluster]'`"),
        (["-o", "memory://x"], "fsspec.core", "needs a package; install it with `pip install 'lonepair[cluster]'`"),
    ],
)
def test_a_missing_package_is_one_line_that_says_how_to_install_it(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    module: str,
    message: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["batch", "a.png", "--style", "b.png", "-o", "out", *words]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(message)
