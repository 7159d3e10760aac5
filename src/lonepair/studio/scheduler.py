"""The queue: starts a worker process for the next job of each free device, and takes over where a worker died.

Workers run in their own sessions: they go on when the server ends. After a restart the scheduler recognizes them by
the locks that they hold, and starts again what has no worker; a job then resumes from its last checkpoint.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lonepair import UserError
from lonepair.api.toolkit import FileLock
from lonepair.studio.jobs import FINAL, JobStore, Status, StudioJob, read_job
from lonepair.studio.worker import FORK, WAIT

logger = logging.getLogger("lonepair")

MAX_STARTS = 3
"""Workers that may end without progress before a job counts as failed."""
TAKE_SECONDS = 30
"""Longest time in which a process that waits takes a job; it may still be loading."""


@dataclass(frozen=True)
class _Promise:
    """A job that the process that waits was given."""

    deadline: float
    """Time, of the monotonic clock, until which it has to begin with the job."""
    status: Status
    """The job's status before."""


class Scheduler:
    """Context manager of the queue of one workspace. One process at a time schedules; others only add jobs."""

    def __init__(self, store: JobStore, devices: Sequence[str], seconds: float = 0.5, has_spare: bool = False) -> None:
        """
        Args:
            store: The jobs.
            devices: Such as ["cpu"] or ["cuda:0", "cuda:1"]. Each has at most one job.
            seconds: Time between two looks at the queue.
            has_spare: A process that has loaded everything waits for the next job, which starts at once then.
        """
        self.store, self.devices, self._seconds = store, tuple(devices), seconds
        self._lock = FileLock(store.folder / "scheduler.lock")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._promises: dict[str, _Promise] = {}
        self._has_spare = has_spare
        self._forks = has_spare and self.devices == ("cpu",) and sys.platform == "linux"
        self.spare: subprocess.Popen[bytes] | None = None
        """Process that waits for a job. Without a GPU it copies itself for each; else another one takes its place."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)

    def __enter__(self) -> Scheduler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the scheduler. Workers go on; one that waits for a job ends."""
        self._end.set()
        self._thread.join()
        if self.spare is not None and self.spare.stdin is not None:
            self.spare.stdin.close()
            self.spare.wait()
        self._lock.release()
        for process in self._processes.values():
            if process.poll() is None:
                process.returncode = 0  # this process does not wait for it; `Popen` would warn

    def _loop(self) -> None:
        is_first = False
        while not self._end.wait(self._seconds):
            # Two servers on one workspace: the second one waits until the first one has ended.
            is_first = is_first or self._lock.take()
            if is_first:
                try:
                    self.tick()
                except (OSError, UserError) as error:  # such as a job that is deleted at the same time
                    logger.warning("the queue cannot be read (%s); it is tried again", error)

    def tick(self) -> None:
        """Look at all jobs once: delete what is to be deleted, and start the next job of each free device."""
        self._processes = {name: process for name, process in self._processes.items() if process.poll() is None}
        waiting: list[StudioJob] = []
        busy: set[str] = set()
        for job in self.store.jobs():
            if job.id in self._processes or self._is_promised(job) or job.has_worker:
                busy.add(job.device)
            elif job.wish == "delete":
                shutil.rmtree(job.folder, ignore_errors=True)
            elif job.wish == "run" and job.status.state not in FINAL and self._may_start(job):
                waiting.append(job)
        for device in (device for device in self.devices if device not in busy):
            if (next_job := _next(waiting)) is not None:
                self._start(next_job, device)
                busy.add(device)
        # It loads while no job runs.
        if self._has_spare and not busy and (self.spare is None or self.spare.poll() is not None):
            self.spare = _worker([FORK if self._forks else WAIT], stdin=subprocess.PIPE)

    def _may_start(self, job: StudioJob) -> bool:
        """Whether the training that a job needs is done. A job whose training is gone or has failed fails, too."""
        needed = job.task.get("after", "")
        if not needed:
            return True
        training = read_job(self.store.folder / needed)
        state = "failed" if training is None else training.status.state
        if state == "failed":
            job.write_status(Status("failed", text="its training is deleted or has failed; train again"))
        return state == "done"

    def _start(self, job: StudioJob, device: str) -> None:
        """Start a worker process for `job`."""
        share = job.status.share
        starts = job.starts + 1 if share <= job.share_at_start else 1
        job.update(device=device, starts=starts, share_at_start=share)
        if not self.hand_over(job, device):
            self._processes[job.id] = self._new(job, device)

    def hand_over(self, job: StudioJob, device: str) -> bool:
        """Let the process that waits have the job; False where there is none, or where it does not take the job."""
        spare = self.spare
        if spare is None or spare.stdin is None or spare.poll() is not None:
            return False
        values = {"folder": str(job.folder), "environment": dict(_environment(device))}
        try:
            spare.stdin.write(json.dumps(values).encode() + b"\n")
            spare.stdin.flush()
        except OSError:  # it has just ended
            return False
        if self._forks:
            self._promises[job.id] = _Promise(time.monotonic() + TAKE_SECONDS, job.status)
        else:
            spare.stdin.close()
            self.spare, self._processes[job.id] = None, spare
        return True

    def _is_promised(self, job: StudioJob) -> bool:
        """Whether the process that waits was given the job, and has not begun with it."""
        promise = self._promises.get(job.id)
        # A worker holds its lock; one that has already ended has changed the status.
        if promise is None or job.has_worker or job.status != promise.status:
            self._promises.pop(job.id, None)
            return False
        if time.monotonic() < promise.deadline:
            return True
        del self._promises[job.id]
        if self.spare is not None:
            self.spare.kill()
            self.spare.wait()
            self.spare = None
        return False

    def _new(self, job: StudioJob, device: str) -> subprocess.Popen[bytes]:
        with (job.folder / "log.txt").open("ab") as log:
            environment = {**os.environ, **_environment(device)}
            return _worker([str(job.folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def _worker(arguments: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a worker process outside the server's group: Ctrl-C in its terminal, or its end, does not stop the job."""
    command = [sys.executable, "-m", "lonepair.studio.worker", *arguments]
    return subprocess.Popen(command, start_new_session=True, **options)


def _next(waiting: list[StudioJob]) -> StudioJob | None:
    """Take the first job off the list. One whose workers died too often without progress has failed, and is skipped."""
    while waiting:
        job = waiting.pop(0)
        if job.starts < MAX_STARTS or job.status.share > job.share_at_start:
            return job
        text = f"its process ended {job.starts} times without an error message; {job.folder / 'log.txt'} may say why"
        job.write_status(Status("failed", job.status.share, text))
    return None


def _environment(device: str) -> Mapping[str, str]:
    """Variables of a worker that make `device` the only one it sees."""
    kind, _, index = device.partition(":")
    return {"CUDA_VISIBLE_DEVICES": index} if kind == "cuda" else {}
