"""Jobs of the studio: their states, their queue, and worker processes that can end at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lonepair as lp
import warm_processes
from lonepair.api.toolkit import FileLock
from lonepair.studio import worker
from lonepair.studio.context import Studio
from lonepair.studio.jobs import JobStore, Status, StudioJob
from lonepair.studio.library import delete_run, picture_of
from lonepair.studio.scheduler import MAX_STARTS, Scheduler
from lonepair.studio.trainings import newest_preview, start_render, stop_render
from lonepair.studio.uploads import Limits
from tiny_settings import TINY


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs")


def training(files: tuple[Path, Path], **settings: Any) -> dict[str, Any]:
    inputs = {domain: str(path) for domain, path in zip("ab", files, strict=True)}
    return {
        "inputs": inputs,
        "method": "lonepair",
        "preset": "standard",
        "settings": {**TINY, "threads": 1, **settings},
    }


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def reread(store: JobStore, job: StudioJob) -> StudioJob:
    return store.job(job.id, job.owner)


def test_training_and_render_give_files(store: JobStore, pair_files: tuple[Path, Path]) -> None:
    job = store.add("train", "me", "a to b", training(pair_files))
    assert job.state == "queued"
    assert worker.main(job.folder) == 0
    assert (job.state, job.status.share) == ("done", 1.0)
    assert job.result_files() == [(job.run / "model.safetensors").resolve()]

    task = {
        "models": [str(job.run)],
        "source": str(pair_files[0]),
        "settings": {"structure": 0.5, "size": [24, 20]},
        "masks": [],
        "file": "out.png",
        "encoding": {},
    }
    render = store.add("render", "me", "picture", task)
    worker.main(render.folder)
    assert [path.name for path in render.result_files()] == ["out.png"]
    expected = lp.load(job.run).translate(pair_files[0], structure=0.5, size=(24, 20)).pil()
    with Image.open(render.result_files()[0]) as image:
        assert image.tobytes() == expected.tobytes()


def test_paused_training_continues_to_the_same_model(
    store: JobStore, pair_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)
    monkeypatch.setattr("lonepair.train.loop.FETCH_EVERY", 1)
    job = store.add("train", "me", "a", training(pair_files, steps=8)).update(wish="run")

    def pause() -> None:
        wait_until(lambda: (job.run / "metrics.jsonl").exists())
        reread(store, job).update(wish="pause")

    thread = threading.Thread(target=pause)
    thread.start()
    worker.main(job.folder)
    thread.join()
    assert reread(store, job).state == "paused"
    again = store.resume(reread(store, job))
    assert again.state == "queued"
    worker.main(job.folder)
    assert again.state == "done"
    other = store.add("train", "me", "b", training(pair_files, steps=8))
    worker.main(other.folder)
    models = [(each.run / "model.safetensors").read_bytes() for each in (job, other)]
    assert models[0] == models[1]


def test_wrong_input_is_one_line(store: JobStore, pair_files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    job = store.add("train", "me", "bad", training((tmp_path / "bad.png", pair_files[1])))
    worker.main(job.folder)
    assert job.state == "failed"
    assert job.status.text.startswith(str(tmp_path / "bad.png"))
    assert "\n" not in job.status.text


def test_killed_worker_is_replaced_by_another_server(
    store: JobStore, pair_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the server and the worker die: the next server's worker continues the run."""
    monkeypatch.setattr("subprocess.Popen", warm_processes.Popen)
    job = store.add("train", "me", "a", training(pair_files, steps=100_000, checkpoint_minutes=0.005))
    with Scheduler(store, ["cpu"], seconds=0.05):
        wait_until(lambda: (job.run / "state" / "state.pt").exists())
    assert job.has_worker  # it outlives the server
    os.kill(int(FileLock(job.folder / "worker.lock").holder().split()[1]), signal.SIGKILL)
    wait_until(lambda: not job.has_worker)
    log = job.folder / "log.txt"
    with Scheduler(store, ["cpu"], seconds=0.05):
        wait_until(lambda: "resumes at stage" in log.read_text())
        reread(store, job).update(wish="stop")
        wait_until(lambda: reread(store, job).state == "stopped")


class Started:
    """Stands in for the worker processes that a scheduler starts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folders: list[str] = []
        monkeypatch.setattr(Scheduler, "_new", lambda _, job, device: self.start(job))

    def start(self, job: StudioJob) -> Started:
        self.folders.append(job.id)
        return self

    def poll(self) -> int:
        return 0


def test_stopped_render_goes_on_and_another_one_is_new(tmp_path: Path) -> None:
    studio = Studio(tmp_path, Limits())
    store = studio.jobs
    training = store.add("train", "me", "a to b", {})
    training.write_status(Status("done", 1.0))
    training.run.mkdir()
    (training.run / "model.safetensors").touch()
    project = studio.projects.add("me").update(source="/a.png", styles=("/b.png",), models=(training.id,))
    first = start_render(studio, project)
    stop_render(studio, first)
    assert store.job(first.render, "me").state == "stopped"
    again = start_render(studio, first)
    assert again.render == first.render
    assert store.job(first.render, "me").state == "queued"
    stop_render(studio, again)
    other = start_render(studio, again.update(dials={**again.dials, "structure": 1.0}))
    assert other.render != first.render
    assert len(store.jobs("me")) == 2  # the earlier render is gone


def test_deleted_run_takes_its_renders_and_earlier_uploads_along(tmp_path: Path) -> None:
    studio = Studio(tmp_path, Limits(kept_megabytes=1))
    training, render = (studio.jobs.add(kind, "me", kind, {}) for kind in ("train", "render"))
    old = studio.projects.add("me").update(models=(training.id,), render=render.id)
    (old.folder / "clip.mp4").write_bytes(bytes(1_000_000))
    new = studio.projects.add("me")
    studio.check_space("you")
    with pytest.raises(lp.UserError, match="keeps 1 MB, and the limit is 1 MB"):
        studio.check_space("me")
    delete_run(studio, training)
    studio.check_space("me")
    assert studio.jobs.jobs("me") == []
    assert studio.projects.projects("me") == [new]


def test_preview_that_is_being_written_is_not_shown(store: JobStore) -> None:
    job = store.add("train", "me", "a", {})
    previews = job.run / "previews"
    previews.mkdir(parents=True)
    (previews / "1.png").touch()
    (previews / ".2.png").touch()
    assert newest_preview([job]) == picture_of(job) == previews / "1.png"


def test_waiting_process_gets_the_job_and_its_device(store: JobStore) -> None:
    job, scheduler = store.add("train", "me", "a", {}), Scheduler(store, ["cuda:1"])
    assert not scheduler.hand_over(job, "cuda:1")
    command = [sys.executable, "-c", "print(input())"]
    spare = scheduler.spare = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert scheduler.hand_over(job, "cuda:1")
    assert scheduler.spare is None
    with spare:
        assert spare.stdout is not None
        answer = spare.stdout.read()
    assert json.loads(answer) == {"folder": str(job.folder), "environment": {"CUDA_VISIBLE_DEVICES": "1"}}


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")
def test_process_that_waits_copies_itself_for_each_job(store: JobStore) -> None:
    jobs = [store.add("use", "me", name, {"model": f"missing-{name}", "use": "sample"}) for name in "ab"]
    lines = "".join(json.dumps({"folder": str(job.folder), "environment": {}}) + "\n" for job in jobs)
    printed = warm_processes.output_of(
        "import os, sys\n"
        "from lonepair.studio import worker\n"
        "end, start = os.pipe()\n"
        f"os.write(start, {lines.encode()!r})\n"
        "os.close(start)\n"
        "sys.stdin = os.fdopen(end)\n"
        "folder = worker.wait_for_job(forks=True)\n"
        "print('waits' if folder is None else worker.main(folder), flush=True)\n"
        "os._exit(0)\n"
    )
    assert printed == "waits\n"
    wait_until(lambda: all(job.state == "failed" for job in jobs))
    for job, name in zip(jobs, "ab", strict=True):
        assert f"missing-{name}" in job.status.text
        assert "0\n" in (job.folder / "log.txt").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")
def test_job_that_the_waiting_process_does_not_take_gets_another_worker(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch)
    monkeypatch.setattr("lonepair.studio.scheduler.TAKE_SECONDS", 0.05)
    job, scheduler = store.add("train", "me", "a", {}), Scheduler(store, ["cpu"], has_spare=True)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as spare:
        scheduler.spare = spare
        scheduler.tick()
        assert started.folders == []
        time.sleep(0.06)
        scheduler.tick()
        assert spare.poll() is not None
    assert started.folders == [job.id]


def test_one_job_a_device_in_the_order_of_the_queue(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch)
    jobs = [store.add("train", owner, str(number), {}) for number, owner in enumerate("aabb")]
    jobs[1].update(wish="pause")
    lock = FileLock(jobs[0].folder / "worker.lock")
    assert lock.take()
    jobs[0].update(device="cuda:0")
    scheduler = Scheduler(store, ["cuda:0", "cuda:1"])
    scheduler.tick()
    assert started.folders == [jobs[2].id]
    assert reread(store, jobs[2]).device == "cuda:1"
    lock.release()


def test_use_waits_for_its_training(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch)
    training_job = store.add("train", "me", "a", {}).update(wish="pause")
    use = store.add("use", "me", "b", {"after": training_job.id})
    orphan = store.add("use", "me", "c", {"after": "0" * 16})
    scheduler = Scheduler(store, ["cpu"])
    scheduler.tick()
    assert started.folders == []
    assert (use.state, orphan.state) == ("queued", "failed")
    training_job.write_status(Status("done", 1.0))
    scheduler.tick()
    assert started.folders == [use.id]


def test_job_whose_worker_dies_without_progress_fails(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch)
    job = store.add("train", "me", "a", {})
    scheduler = Scheduler(store, ["cpu"])
    for _ in range(MAX_STARTS + 2):
        scheduler.tick()
    assert started.folders == [job.id] * MAX_STARTS
    assert job.state == "failed"
    assert store.resume(reread(store, job)).state == "queued"


def test_session_sees_its_own_jobs_only(store: JobStore) -> None:
    mine, other = (store.add("train", owner, "a", {}) for owner in ("me", "you"))
    assert [job.id for job in store.jobs("me")] == [mine.id]
    for job_id in (other.id, f"../{mine.id}", f"{mine.id}/../{mine.id}", "", "0" * 16):
        with pytest.raises(lp.UserError, match="does not exist"):
            store.job(job_id, "me")


def test_deleted_job_goes_once_its_worker_has_stopped(store: JobStore) -> None:
    job = store.add("train", "me", "a", {})
    lock = FileLock(job.folder / "worker.lock")
    assert lock.take()
    store.delete(job)
    scheduler = Scheduler(store, [])
    scheduler.tick()
    assert job.folder.exists()
    assert reread(store, job).state == "stopping"
    lock.release()
    scheduler.tick()
    assert not job.folder.exists()


def test_change_keeps_what_another_thread_has_changed(store: JobStore) -> None:
    job = store.add("train", "me", "a", {})
    job.update(wish="pause")
    assert job.update(device="cpu").wish == "pause"


def test_status_names_no_file_outside_the_folder(store: JobStore) -> None:
    job = store.add("use", "me", "a", {})
    (job.folder / "a.png").write_bytes(b"1")
    job.write_status(Status("done", 1.0, files=("../../secret", "/etc/passwd", "a.png")))
    assert [path.name for path in job.result_files()] == ["a.png"]
