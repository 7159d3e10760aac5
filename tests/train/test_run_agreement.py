"""The files of a run agree after a resume, whatever a crash or a damage has left; what cannot be repaired is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lonepair.api.model import load
from lonepair.errors import UserError
from lonepair.media.stills.image import read_image
from lonepair.storage.lock import FileLock
from lonepair.train.loop import Interrupted
from lonepair.train.run import RunFolder
from tiny_runs import new_job, reported_steps, resume, stopped_run
from tiny_settings import StopAfter

SETTINGS = {"checkpoint_minutes": 0.0}


@cache
def complete_run(folder: Path) -> Path:
    """The folder of an uninterrupted run, which lies in `folder`."""
    job = new_job(**SETTINGS)
    job.run(job.folder(folder / "complete", False))
    return folder / "complete"


@pytest.fixture
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run. Tests only read it."""
    return complete_run(tmp_path_factory.getbasetemp())


@pytest.fixture
def run(complete: Path, tmp_path: Path) -> Path:
    """A copy of `complete`."""
    return shutil.copytree(complete, tmp_path / "run")


def flip(path: Path) -> None:
    """Change some bytes in the middle of a file."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(value ^ 0x5A for value in data[middle : middle + 8])
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    """Replace a file's second half by zeros, as a loss of power does."""
    half = path.stat().st_size // 2
    path.write_bytes(path.read_bytes()[:half] + bytes(half))


DAMAGES: dict[str, Callable[[Path], object]] = {"missing": Path.unlink, "bits": flip, "zeros": zero}


@pytest.mark.parametrize("damage", ["missing", "bits"])
def test_a_damaged_model_is_refused_and_resume_writes_it_again(
    run: Path, complete: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    DAMAGES[damage](run / "model.safetensors")
    with pytest.raises(UserError, match=r"`resume` of .*run writes it again$") as error:
        load(run, "cpu")
    assert "\n" not in str(error.value)
    resume(new_job(**SETTINGS), run)
    assert "it is written again from the state" in caplog.text
    assert (run / "model.safetensors").read_bytes() == (complete / "model.safetensors").read_bytes()
    load(run, "cpu")


def test_a_model_of_an_earlier_moment_is_replaced(tmp_path: Path, complete: Path) -> None:
    """Killed between the state and the model: the model of the checkpoint before is whole, but not the state's."""
    job = stopped_run(tmp_path / "run", 5, **SETTINGS)
    old = (tmp_path / "run" / "model.safetensors").read_bytes()
    run = shutil.copytree(complete, tmp_path / "other")
    (run / "model.safetensors").write_bytes(old)
    with pytest.raises(UserError, match="is not the model with which its training ended"):
        load(run, "cpu")
    resume(job, run)
    assert (run / "model.safetensors").read_bytes() == (complete / "model.safetensors").read_bytes()


@pytest.mark.parametrize("damage", ["missing", "zeros"])
def test_a_damaged_state_is_replaced_by_the_one_before(
    tmp_path: Path, complete: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = stopped_run(tmp_path / "run", 5, **SETTINGS)
    state = tmp_path / "run" / "state" / "state.pt"
    DAMAGES[damage](state)
    resume(job, tmp_path / "run")
    (line,) = (record.getMessage() for record in caplog.records if "the state before it is used" in record.getMessage())
    assert "of stage 1 after 3 steps" in line
    assert (state.parent / "damaged.pt").exists() == (damage != "missing")
    for name in ("model.safetensors", "inputs/a.png", "inputs/b.png", "previews/stage-1.png", "config.json"):
        assert (tmp_path / "run" / name).read_bytes() == (complete / name).read_bytes(), name
    assert reported_steps(tmp_path / "run") == reported_steps(complete)


def test_without_a_readable_state_nothing_is_written(run: Path) -> None:
    for name in ("state", "previous"):
        zero(run / "state" / f"{name}.pt")
    before = {path: path.read_bytes() for path in run.rglob("*.pt")} | {run: (run / "model.safetensors").read_bytes()}
    with pytest.raises(UserError, match=r"state\.pt: cannot read the state .*start a new run"):
        resume(new_job(**SETTINGS), run)
    assert before == {path: path.read_bytes() for path in run.rglob("*.pt")} | {
        run: (run / "model.safetensors").read_bytes()
    }
    shutil.rmtree(run / "state")
    with pytest.raises(UserError, match=r"state\.pt: is missing.*the model beside it can be used"):
        resume(new_job(**SETTINGS), run)


REPAIRS: dict[str, tuple[Callable[[Path], object], str]] = {
    "config.json": (truncate, "config.json: is missing or cannot be read; it is written again"),
    "environment.json": (Path.unlink, ""),
    "inputs/a.png": (lambda path: path.write_bytes(b"mine"), "a.png: does not show the input; it is written again"),
    "inputs/b.png": (flip, "b.png: does not show the input; it is written again"),
    "completion.json": (truncate, ""),
    "log.txt": (lambda path: path.write_bytes(path.read_bytes() + bytes(9)), "log.txt: 9 bytes at its end were lost"),
    "metrics.jsonl": (lambda path: path.write_bytes(path.read_bytes() + b'{"stage": 1, "st'), ""),
}


def test_every_other_file_is_repaired(run: Path, complete: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, (damage, _) in REPAIRS.items():
        damage(run / name)
    resume(new_job(**SETTINGS), run)
    for name, (_, message) in REPAIRS.items():
        assert message in caplog.text
        assert (run / name).exists()
        if name not in ("log.txt", "completion.json"):  # they have dates
            assert (run / name).read_bytes() == (complete / name).read_bytes(), name
    assert b"\0" not in (run / "log.txt").read_bytes()
    assert json.loads((run / "completion.json").read_text())["inputs"]


def test_what_cannot_be_repaired_is_named(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(bytes(len(lines[0]) - 1) + b"\n" + b"".join(lines[1:]))
    truncate(run / "previews" / "stage-0.png")
    resume(new_job(**SETTINGS), run)
    assert f"metrics.jsonl: {len(lines[0])} bytes of its lines are lost" in caplog.text
    assert "stage-0.png: cannot be read" in caplog.text
    assert (run / "metrics.jsonl").read_bytes() == b"".join(lines[1:])


def test_a_run_that_was_killed_before_its_first_file_starts(tmp_path: Path, complete: Path) -> None:
    (tmp_path / "run" / "state").mkdir(parents=True)
    resume(new_job(**SETTINGS), tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (complete / "model.safetensors").read_bytes()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(UserError, match=r"no readable config\.json"):
        resume(new_job(**SETTINGS), tmp_path / "photos")


def test_one_process_writes_at_a_time(run: Path) -> None:
    lock = FileLock(run / "state" / "lock")
    assert lock.take()
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=rf"run: is in use by process {os.getpid()} on \S+, since 20.*; wait"):
        resume(new_job(**SETTINGS), run)
    assert files == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    lock.release()
    resume(new_job(**SETTINGS), run)


@pytest.mark.parametrize("name", ["state", "previews", "inputs", "log.txt", "metrics.jsonl"])
def test_links_that_lead_out_of_the_folder_are_not_written_through(run: Path, tmp_path: Path, name: str) -> None:
    (run / name).rename(tmp_path / "outside")
    (run / name).symlink_to(tmp_path / "outside")
    outside = tmp_path / "outside"
    files = [outside] if outside.is_file() else sorted(outside.iterdir())
    before = [path.read_bytes() for path in files]
    with pytest.raises(UserError, match=rf"{name}: is a link that leads out of the run's folder"):
        resume(new_job(**SETTINGS), run)
    assert [path.read_bytes() for path in files] == before


def test_linked_files_outside_stay_unchanged(run: Path, tmp_path: Path) -> None:
    """`cp -al` makes a copy of hard links; a model or a lock may be a symbolic one."""
    names = [path.relative_to(run) for path in run.rglob("*") if path.is_file()]
    copy = shutil.copytree(run, tmp_path / "copy", copy_function=os.link)
    truncate_to = (run / "metrics.jsonl").read_bytes() + b'{"stage'
    (run / "metrics.jsonl").write_bytes(truncate_to)
    before = {name: (copy / name).read_bytes() for name in names}
    (tmp_path / "precious").write_bytes(b"mine")
    (run / "environment.json").unlink()
    (run / "environment.json").symlink_to(tmp_path / "precious")
    resume(new_job(**SETTINGS), run)
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert {name: (copy / name).read_bytes() for name in names} == before


def test_temporary_files_of_killed_processes_are_removed(run: Path) -> None:
    for folder in (run, run / "state", run / "previews"):
        (folder / ".lonepair-999999-0123abcd.png").touch()
    (run / ".lonepair-note").touch()
    resume(new_job(**SETTINGS), run)
    assert [path.name for path in run.rglob(".lonepair*")] == [".lonepair-note"]


def test_a_preview_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    job = new_job(**SETTINGS)
    folder = job.folder(tmp_path / "run", False)
    for stage in range(2):
        (folder.previews / f"stage-{stage}.png").mkdir()
    job.run(folder)
    assert caplog.text.count("the training continues without it") == 2
    assert read_image(folder.inputs / "a.png").shape[-2:] == (20, 17)
    assert RunFolder(folder.path).completion() is not None


def test_a_run_that_is_stopped_keeps_two_generations(tmp_path: Path) -> None:
    job = new_job(**SETTINGS)
    folder = job.folder(tmp_path / "run", False)
    with pytest.raises(Interrupted):
        job.run(folder, callbacks=[StopAfter(5)])
    with folder.states.readable() as state:
        assert (state["stage"], state["step"]) == (1, 1)
    folder.states.newest.unlink()
    with folder.states.readable() as state:
        assert (state["stage"], state["step"]) == (0, 3)
