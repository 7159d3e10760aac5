"""Jobs of the studio on disk: what each does, what its user wants of it, and how far its worker is.

A job is a folder:

    job.json     what to do and whether to go on; the server writes it
    status.json  how far the job is; its worker writes it
    worker.lock  held while a worker process has the job
    log.txt      messages of the worker
    run/         the run's folder of a training
    out/         the files of a result

Every JSON file is replaced in one atomic move, and each has one writer. So server and worker can end at any moment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lonepair import UserError
from lonepair.api.toolkit import FileLock, atomic_write

Kind = Literal["train", "render", "use", "compare"]
Wish = Literal["run", "pause", "stop", "delete"]
State = Literal["queued", "running", "pausing", "paused", "stopping", "stopped", "done", "failed"]

FINAL: frozenset[str] = frozenset({"done", "failed"})
"""States that a worker writes and that no wish changes."""
RESTING: frozenset[State] = frozenset({"paused", "stopped", "done", "failed"})
"""States in which nothing happens until the user wants it."""
_WRITING = threading.Lock()
JOB_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Status:
    """How far a job is. Its worker writes it."""

    state: str = "queued"
    """running, stopped, done or failed."""
    share: float = 0.0
    """Share of the work that is done, 0 to 1."""
    text: str = ""
    """One line: what is done at the moment, or why the job failed."""
    eta_seconds: float | None = None
    """Estimated time to the end; None while nobody knows."""
    files: tuple[str, ...] = ()
    """Files of the result, relative to the job's folder, the main one first."""


@dataclass(frozen=True)
class StudioJob:
    """A job: one training, render, use of a model or comparison of runs."""

    folder: Path
    kind: Kind
    owner: str
    """Name of the session that may see it."""
    name: str
    """Title that the user may change."""
    task: Mapping[str, Any]
    """Arguments of the function in `tasks`, as JSON holds them."""
    wish: Wish = "run"
    created: float = field(default_factory=time.time)
    """Time since the epoch, in seconds. The queue is in this order."""
    device: str = ""
    """Device of the last worker, such as "cpu" or "cuda:1"."""
    starts: int = 0
    """Workers that were started since the job last made progress."""
    share_at_start: float = 0.0
    """`Status.share` when the last worker was started."""

    @property
    def id(self) -> str:
        """Name of the job's folder: 16 hexadecimal digits."""
        return self.folder.name

    @property
    def run(self) -> Path:
        """The run's folder of a training."""
        return self.folder / "run"

    @property
    def out(self) -> Path:
        """The folder of a result's files."""
        return self.folder / "out"

    @property
    def status(self) -> Status:
        """What the worker wrote last."""
        values = read_json(self.folder / "status.json")
        known = {field.name for field in dataclasses.fields(Status)}
        values = {name: value for name, value in values.items() if name in known}
        return Status(**{**values, "files": tuple(values.get("files", ()))})

    @property
    def has_worker(self) -> bool:
        """Whether a process has the job at the moment."""
        lock = FileLock(self.folder / "worker.lock")
        try:
            if not lock.take():
                return True
        except OSError:
            return False
        lock.release()
        return False

    @property
    def state(self) -> State:
        """What to show: the wish of the user and the worker's state in one word."""
        status = self.status
        if status.state in FINAL:
            return "done" if status.state == "done" else "failed"
        is_alive = self.has_worker
        if self.wish == "run":
            return "running" if is_alive else "queued"
        if self.wish == "pause":
            return "pausing" if is_alive else "paused"
        return "stopping" if is_alive else "stopped"

    def result_files(self) -> list[Path]:
        """The files of the result that exist, the main one first. A status cannot name files outside the folder."""
        root = self.folder.resolve()
        paths = [(root / name).resolve() for name in self.status.files]
        return [path for path in paths if path.is_relative_to(root) and path.is_file()]

    def update(self, **values: Any) -> StudioJob:
        """The job as it is on disk with other values, written to disk.

        Pages and the scheduler change jobs from several threads: neither undoes what the other has written.
        """
        with _WRITING:
            job = dataclasses.replace(read_job(self.folder) or self, **values)
            job.write()
        return job

    def write(self) -> None:
        """Write job.json."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "folder"}
        write_json(self.folder / "job.json", values)

    def write_status(self, status: Status) -> None:
        """Write status.json. Only the worker calls it, and a scheduler that knows that there is none."""
        write_json(self.folder / "status.json", dataclasses.asdict(status))


class JobStore:
    """All jobs of a workspace."""

    def __init__(self, folder: Path) -> None:
        """`folder` is created where it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def add(self, kind: Kind, owner: str, name: str, task: Mapping[str, Any]) -> StudioJob:
        """Create a job at the end of the queue."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir()
        job = StudioJob(folder, kind, owner, name, json.loads(json.dumps(task)))
        job.write()
        return job

    def jobs(self, owner: str | None = None) -> list[StudioJob]:
        """The jobs of `owner`, or of all, in the order of their creation."""
        jobs = [job for folder in self.folder.iterdir() if (job := read_job(folder)) is not None]
        return sorted((job for job in jobs if owner in (None, job.owner)), key=lambda job: (job.created, job.id))

    def job(self, job_id: str, owner: str) -> StudioJob:
        """The job of that id.

        Raises:
            UserError: There is none, or it is another session's: the message is the same, so that nobody learns which.
        """
        # The id is checked before it becomes a path.
        job = read_job(self.folder / job_id) if JOB_ID.fullmatch(job_id) else None
        if job is None or job.owner != owner:
            raise UserError("this job does not exist any more; reload the page")
        return job

    def resume(self, job: StudioJob) -> StudioJob:
        """Put a job that was paused, stopped or failed into the queue again. It continues from its last checkpoint."""
        if job.status.state == "failed" and not job.has_worker:
            job.write_status(Status("queued", job.status.share))
        return job.update(wish="run", starts=0)

    def delete(self, job: StudioJob) -> None:
        """Delete a job; one that has a worker is deleted as soon as that has stopped (`Scheduler.tick`)."""
        if job.has_worker:
            job.update(wish="delete")
        else:
            shutil.rmtree(job.folder, ignore_errors=True)


def read_job(folder: Path) -> StudioJob | None:
    """The job in `folder`; None where there is none that can be read."""
    values = read_json(folder / "job.json")
    known = {field.name for field in dataclasses.fields(StudioJob)}
    with contextlib.suppress(TypeError):
        return StudioJob(folder, **{name: value for name, value in values.items() if name in known})
    return None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where it is missing or cannot be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a JSON file in one move."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1), encoding="utf-8")
