"""Runs what a worker of a batch receives: a row, or a part of its clip. An error is a result, too."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from lonepair.api.batch.records import RowResult, RowTask, write_record
from lonepair.api.batch.storage import Storage
from lonepair.api.batch.work import RowWork
from lonepair.api.stop import BATCH_STOP
from lonepair.errors import UserError, printable
from lonepair.train.loop import Interrupted


def run_row(task: RowTask, stop: threading.Event | None = None) -> RowResult:
    """Train and translate a row, or render a part of its clip.

    Args:
        task: The row.
        stop: Where it is set, the row saves and stops.

    Returns:
        How it ended. An error is a result, too, so that it stops no other row.
    """
    start, cpu = time.monotonic(), _cpu_time()
    token = BATCH_STOP.set(stop)
    try:
        result = replace(RowWork(task, stop).run(), **_cost(start, cpu))
        if result.state == "done" and task.part is None:
            write_record(Storage.open(task.out), task.row, task.fingerprint, result)
    except (Interrupted, KeyboardInterrupt):
        result = RowResult("stopped", **_cost(start, cpu))
    except UserError as error:
        result = RowResult("failed", _line(str(error)), **_cost(start, cpu))
    except Exception as error:
        with contextlib.suppress(UserError):
            Storage.open(task.out).write(f"errors/{task.row.name}.txt", traceback.format_exc().encode())
        result = RowResult("failed", _line(f"unexpected {type(error).__name__}: {error}"), **_cost(start, cpu))
    finally:
        BATCH_STOP.reset(token)
    return result


def _cost(start: float, cpu: float) -> dict[str, Any]:
    """What a row took since `start` of `time.monotonic` and `cpu` of `_cpu_time`, and where."""
    return {
        "seconds": round(time.monotonic() - start, 3),
        "cpu_seconds": round(_cpu_time() - cpu, 3),
        "peak_bytes": peak_memory(),
        "node": socket.gethostname(),
    }


def _cpu_time() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def peak_memory() -> int:
    """Largest memory of this process so far, in bytes; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    # On Linux `getrusage` counts what the process that started this one had at that time, too.
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _line(text: str) -> str:
    return printable(" ".join(text.split()), 400)
