"""The process of one job: `python -m lonepair.studio.worker FOLDER`. It outlives the server that started it.

With `--wait` in place of the folder it loads everything first, and then waits for a job: that starts at once then.
With `--fork` it goes on waiting, and each job gets a copy of it.

It looks at job.json for the wish of the user, writes status.json, and ends with a state from which the next worker
continues.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lonepair import Interrupted, UserError
from lonepair.api.toolkit import FileLock
from lonepair.studio.jobs import StudioJob, read_job
from lonepair.studio.tasks import TASKS, Progress

logger = logging.getLogger("lonepair")

WAIT = "--wait"
"""Argument of a process that waits for its job."""
FORK = "--fork"
"""Argument of a process that waits for jobs and copies itself for each. A copy cannot use a GPU."""
POLL_SECONDS = 0.3
"""Seconds between two looks at the wish of the user."""


def main(folder: Path) -> int:
    """Run the job in `folder`; returns the exit status of the process."""
    lock = FileLock(folder / "worker.lock")
    if not _take(lock):
        return 0  # another worker has it
    try:
        job = read_job(folder)
        if job is None:
            return 1
        _run(job)
    finally:
        lock.release()
    return 0


def _take(lock: FileLock) -> bool:
    """Take the lock. `StudioJob.has_worker` holds it for an instant, so it is tried again."""
    for _ in range(10):
        if lock.take():
            return True
        time.sleep(0.05)
    return False


def _run(job: StudioJob) -> None:
    progress = Progress(job)
    watch = threading.Thread(target=_watch, args=(job.folder, progress), daemon=True)
    watch.start()
    progress.say("starting")
    try:
        files = TASKS[job.kind](job, progress)
    except (Interrupted, KeyboardInterrupt):
        progress.end("stopped")
    except UserError as error:
        progress.end("failed", str(error))
    except Exception as error:
        # The log has the traceback; the page shows one line.
        traceback.print_exc()
        progress.end("failed", f"unexpected {type(error).__name__}: {error}"[:300])
    else:
        root = job.folder
        progress.end("done", files=tuple(str(path.relative_to(root)) for path in files))


def _watch(folder: Path, progress: Progress) -> None:
    """Stop the task as soon as the user wants anything else than that it runs, or the folder is gone."""
    while not progress.has_ended.wait(POLL_SECONDS):
        job = read_job(folder)
        if job is None or job.wish != "run":
            progress.stop()
            return


def wait_for_job(forks: bool) -> Path | None:
    """Import what jobs need, which takes seconds, then wait for a line on standard input that names a job.

    Args:
        forks: Return in a copy of this process, and wait for further jobs in this one.

    Returns:
        The job's folder; None where the scheduler has ended.
    """
    # Optimizers import it; nothing of it uses a GPU, whose number is not known yet.
    import torch._dynamo

    import lonepair

    _ = torch._dynamo, lonepair.Job, lonepair.load, lonepair.Encoding, lonepair.Picture
    if forks:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets copies that have ended
    while line := sys.stdin.readline():
        if not forks or os.fork() == 0:
            return _prepare(json.loads(line), forks)
    return None


def _prepare(values: Mapping[str, Any], is_copy: bool) -> Path:
    """Make this process the worker of one job; returns the job's folder."""
    if is_copy:
        os.setsid()  # Ctrl-C in the server's terminal does not stop it
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(values["environment"])
    folder = Path(values["folder"])
    with (folder / "log.txt").open("ab") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
    return folder


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)  # pages and live frames come first
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    word = sys.argv[1]
    job_folder = wait_for_job(word == FORK) if word in (WAIT, FORK) else Path(word)
    sys.exit(0 if job_folder is None else main(job_folder))
