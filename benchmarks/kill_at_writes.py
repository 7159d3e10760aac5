"""Kills a training before and after every write that others can see, resumes it, and compares all files of the run.

    python benchmarks/kill_at_writes.py > docs/results/kill-at-writes.md

A write is a new name in the file system: a file that is moved, linked or created to append to, or a folder. Each
training runs in a forked process, which kills itself by SIGKILL at one of its writes; the next process resumes it with
the command line's own function. The exit status is 1 if any file of a run differs from that of an uninterrupted run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from run_folders import different_files, inputs_of, random_image, tiny_flags

import lonepair.methods as methods
from lonepair.commands.main import main as lonepair
from lonepair.media.stills.image import write_image

HEADER = """\
# Kill at every write: all files equal

`python benchmarks/kill_at_writes.py{flags}`, {date}, on a {machine}. For each method a tiny training of 2 stages ran to
its end, with a checkpoint after each step. The same training was then killed by SIGKILL before, and after, each of its
writes: each move, link or creation of a file or folder. Each was resumed once with `--resume`, to its end, and all
files of its folder but log.txt were compared with those of the uninterrupted run: the model, both states, inputs and
previews byte for byte, the records without their times. Temporary files that are left count as a difference.

| method | writes | kills | runs equal in all files | seconds |
| --- | --- | --- | --- | --- |"""


def count_writes(action: Callable[[int, bool], None]) -> None:
    """Make every write of this process call `action` with its number, before (False) and after it (True)."""
    number = 0

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal number
            index, number = number, number + 1
            action(index, False)
            result = write(*arguments, **options)
            action(index, True)
            return result

        return wrapper

    for owner, name in ((Path, "replace"), (Path, "mkdir"), (os, "link"), (os, "ftruncate")):
        setattr(owner, name, counted(getattr(owner, name)))


def in_process(arguments: list[str], log: Path, action: Callable[[int, bool], None] | None = None) -> int:
    """Run `lonepair` in a forked process; returns its exit status, or minus the signal that killed it."""
    sys.stdout.flush()
    if (process := os.fork()) == 0:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        if action is not None:
            count_writes(action)
        status = 70
        try:
            status = lonepair(arguments)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def writes_of(arguments: list[str], log: Path) -> int:
    """Number of writes of a training, which it makes."""
    counter = log.with_suffix(".count")

    def count(number: int, after: bool) -> None:
        counter.write_text(str(number + 1))

    if in_process(arguments, log, count):
        sys.exit(f"the training failed: {log.read_text()[-500:]}")
    return int(counter.read_text())


def kill_and_resume(arguments: list[str], run: Path, log: Path, moment: tuple[int, bool]) -> list[str]:
    """Kill a training at the write `moment` (number, after it), resume it once; returns what went wrong."""

    def kill(number: int, after: bool) -> None:
        if (number, after) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    status = in_process([*arguments, "--run", str(run)], log, kill)
    if status != -signal.SIGKILL:
        return [f"was not killed, but ended with status {status}"]
    words = ["--resume"] if run.exists() else []
    status = in_process([*arguments, "--run", str(run), *words], log)
    return [] if status == 0 else [f"ended with status {status}: {log.read_text().splitlines()[-1]}"]


def check(method: str, folder: Path, every: int) -> tuple[int, int, list[str]]:
    """Kill a training of `method` at every `every`-th write.

    Returns:
        Number of writes, number of kills, and a line for each run that is not equal.
    """
    source, target = folder / "source.png", folder / "target.png"
    arguments = ["train", *inputs_of(method, source, target), *tiny_flags(method)]
    whole, log = folder / f"{method}-whole", folder / f"{method}.txt"
    count = writes_of([*arguments, "--run", str(whole)], log)
    moments = [(number, after) for number in range(count) for after in (False, True)][::every]
    problems = []
    for number, after in moments:
        run = folder / f"{method}-killed"
        wrong = kill_and_resume(arguments, run, log, (number, after))
        wrong = wrong or different_files(whole, run)
        if wrong:
            problems.append(f"{method}, {'after' if after else 'before'} write {number}: {', '.join(wrong)}")
            print(problems[-1], file=sys.stderr, flush=True)
        shutil.rmtree(run, ignore_errors=True)
    return count, len(moments), problems


def main() -> int:
    """Print the report; returns 0 if all runs are equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=methods.names(), help="methods to train; default: all")
    parser.add_argument("--every", type=int, default=1, help="kill at every N-th moment only")
    parser.add_argument("--date", default=date.today().isoformat(), help="date in the report")
    parser.add_argument("--machine", default="2-core x86-64 CPU", help="machine in the report")
    args = parser.parse_args()
    torch.set_num_threads(1)
    flags = "".join(f" {word}" for word in sys.argv[1:])
    print(HEADER.format(flags=flags, date=args.date, machine=args.machine))
    problems = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_image(folder / "source.png", random_image(24, 20, 1))
        write_image(folder / "target.png", random_image(20, 26, 2))
        for method in args.methods:
            begin = time.monotonic()
            count, kills, wrong = check(method, folder, args.every)
            problems += wrong
            seconds = time.monotonic() - begin
            print(f"| {method} | {count} | {kills} | {kills - len(wrong)} | {seconds:.0f} |", flush=True)
    for problem in problems:
        print(f"\n- {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
