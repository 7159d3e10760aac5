"""A run's folder: inputs, metrics, the state to resume from, settings, names of folders."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import lonepair.methods as methods
from corrupt_files import Malicious
from lonepair.api.job import Job
from lonepair.errors import UserError
from lonepair.media.stills.image import write_image
from lonepair.storage.files import atomic_write
from lonepair.train.run import RunFolder
from tiny_runs import new_job, reported_steps, resume, stopped_run
from tiny_settings import TINY, picture


@pytest.fixture
def frequent_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report every second step."""
    monkeypatch.setattr("lonepair.train.loop.FETCH_EVERY", 2)


@pytest.mark.usefixtures("frequent_reports")
def test_metrics_of_resumed_run_have_every_step_once(tmp_path: Path) -> None:
    """Killed in the second stage after step 3: 2 are reported there, and none of them is saved."""
    settings = {"steps": 2, "finest_steps": 4, "checkpoint_minutes": 60.0, "width": 2}
    run = tmp_path / "run"
    job = stopped_run(run, 5, **settings)
    assert reported_steps(run)[-1] == (1, 2)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"stage": 1, "st')  # cut off in the middle of a line
    resume(job, run)
    assert reported_steps(run) == [(0, 2), (1, 2), (1, 4)]


@pytest.mark.usefixtures("frequent_reports")
def test_run_without_checkpoint_resumes_from_the_beginning(tmp_path: Path) -> None:
    settings = {"steps": 4, "finest_steps": 2, "checkpoint_minutes": 60.0, "width": 2}
    job = stopped_run(tmp_path / "run", 3, **settings)
    assert reported_steps(tmp_path / "run") == [(0, 2)]
    resume(job, tmp_path / "run")
    assert reported_steps(tmp_path / "run") == [(0, 2), (0, 4), (1, 2)]


def test_state_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = stopped_run(tmp_path / "run", 4, checkpoint_minutes=0.0)
    for name in ("state", "previous"):
        torch.save({"stage": Malicious()}, tmp_path / "run" / "state" / f"{name}.pt")
    with pytest.raises(UserError, match=r"state\.pt: cannot read the state \(.*more than numbers\)"):
        resume(job, tmp_path / "run")
    assert not (tmp_path / "owned").exists()


def test_resume_with_other_settings_is_refused_with_both_values(tmp_path: Path) -> None:
    stopped_run(tmp_path / "run", 4, checkpoint_minutes=0.0)
    with pytest.raises(UserError, match=r"steps was 3, is now 5; width was 8, is now 6"):
        resume(new_job(steps=5, width=6), tmp_path / "run")
    with pytest.raises(UserError, match=r"seed was 0, is now 1"):
        resume(new_job(seed=1), tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text("{")
    (tmp_path / "run" / "state" / "state.pt").unlink()
    (tmp_path / "run" / "state" / "previous.pt").unlink()
    with pytest.raises(UserError, match=r"no readable config\.json"):
        resume(new_job(), tmp_path / "run")


def test_latest_is_the_last_run_with_the_same_settings(tmp_path: Path) -> None:
    def settings(seed: int, name: str = "a.png") -> dict[str, Any]:
        return {"config": {"seed": seed, "sizes": (1, 2)}, "inputs": {"a": {"name": name, "sha256": "00"}}}

    def latest(name: str, seed: int) -> str:
        return RunFolder.latest(tmp_path / name, settings(seed, "renamed.png")).path.name

    seeds = {"run": 0, "run-2": 1, "run-9": 0, "run-10": 2, "run-11": 3, "run-x": 1, "run-1": 1, "runs": 1, "[a]": 0}
    for name, seed in seeds.items():
        (tmp_path / name).mkdir()
        RunFolder(tmp_path / name).write_config(settings(seed))
    (tmp_path / "run-11" / "config.json").write_text("{")
    (tmp_path / "run-12").mkdir()
    (tmp_path / "run-77").touch()
    assert [latest("run", seed) for seed in range(3)] == ["run-9", "run-2", "run-10"]
    assert latest("run", 5) == "run"
    assert latest("[a]", 0) == latest("[a]", 1) == "[a]"
    # A name that ends in a number is first of all its own.
    RunFolder.create(tmp_path / "run-9").write_config(settings(0))
    assert (tmp_path / "run-9-2").is_dir()
    assert [latest("run-9", seed) for seed in (0, 1)] == ["run-9", "run-9"]
    RunFolder(tmp_path / "run-9-2").write_config(settings(4))
    assert latest("run-9", 4) == "run-9-2"
    # Where the first is gone, the last one says what differs.
    shutil.rmtree(tmp_path / "run")
    assert (latest("run", 0), latest("run", 5)) == ("run-9", "run-11")
    with pytest.raises(UserError, match="no run to resume there"):
        latest("other", 0)


def test_undecodable_frame_leaves_no_run(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for index in range(2):
        write_image(tmp_path / "clip" / f"{index}.jpg", picture(40, 40))
    data = (tmp_path / "clip" / "1.jpg").read_bytes()
    (tmp_path / "clip" / "1.jpg").write_bytes(data[: len(data) // 2])
    job = Job.prepare({"a": tmp_path / "clip", "b": picture(20, 26)}, methods.DEFAULT, "standard", TINY)
    with pytest.raises(UserError, match=r"1\.jpg: the image is damaged or cut short"):
        job.run(job.folder(tmp_path / "run", False))
    assert not (tmp_path / "run").exists()


def test_failed_save_leaves_the_previous_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = stopped_run(tmp_path / "run", 4, checkpoint_minutes=0.0)
    state = tmp_path / "run" / "state" / "state.pt"
    before = state.read_bytes()

    def full(path: Path) -> Any:
        if path.name == "state.pt":
            raise UserError("full")
        return atomic_write(path)

    monkeypatch.setattr("lonepair.train.state.atomic_write", full)
    with pytest.raises(UserError, match="full"):
        resume(job, tmp_path / "run")
    assert state.read_bytes() == before
    assert sorted(path.name for path in state.parent.iterdir()) == ["lock", "previous.pt", "state.pt"]


def test_runs_that_start_at_the_same_time_get_different_folders(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: RunFolder.create(tmp_path / "runs" / "a"), range(8)))
    assert len({run.path for run in runs}) == 8
    assert all((run.path / "state").is_dir() for run in runs)
