"""Stand-ins for the rows of a batch, which processes and clusters import by name."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from lonepair.api.batch.records import RowResult, RowTask
from lonepair.api.batch.storage import Storage


def note_row(task: RowTask, stop: threading.Event | None = None) -> RowResult:
    """Write the row's name and the process's number instead of a result."""
    Storage.open(task.out).write(f"{task.row.name}.txt", str(os.getpid()).encode())
    return RowResult("done", output=f"{task.row.name}.txt", cpu_seconds=1.0)


def note_or_die_once(task: RowTask, stop: threading.Event | None = None) -> RowResult:
    """As `note_row`; the first attempt of a row with the setting `dies` kills its process."""
    marker = Path(task.out) / f"{task.row.name}.died"
    if task.row.settings.get("dies") and (task.row.settings["dies"] == "always" or not marker.exists()):
        marker.touch()
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return note_row(task, stop)
