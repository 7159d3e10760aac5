"""A process that handles cases, one line of JSON each, until its input ends; the caller stops it where one hangs."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from targets import TARGETS

from lonepair.errors import UserError

ADDRESS_SPACE = 4 * 2**30
"""Bytes that a case may map beyond those of the process; the peak of resident memory is measured."""


def handle(kind: str, path: Path) -> dict[str, str]:
    """What happened: "ok", "refused" with the message, or "traceback" with its end."""
    try:
        TARGETS[kind](path)
    except UserError as error:
        if "\n" in str(error):
            return {"outcome": "traceback", "text": f"a message of several lines: {error}"}
        return {"outcome": "refused", "text": str(error)}
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "lonepair" in frame.filename]
        where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))
        return {"outcome": "traceback", "text": f"{type(error).__name__}: {str(error)[:200]} at {where}"}
    return {"outcome": "ok", "text": ""}


def _memory(name: str) -> int:
    """A value of /proc/self/status in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) // 1024
    return 0


def main() -> None:
    """Answer each case on the standard output, to which nothing else is written."""
    answers = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    warnings.simplefilter("ignore")
    limit = _memory("VmSize") * 2**20 + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        case = json.loads(line)
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before, started = _memory("VmRSS"), time.process_time()
        answer = handle(case["kind"], Path(case["path"]))
        # Seconds of the processor: other processes may take it away.
        cost = {"megabytes": _memory("VmHWM") - before, "seconds": time.process_time() - started}
        answers.write(json.dumps({**answer, **cost}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
