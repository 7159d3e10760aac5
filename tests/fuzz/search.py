"""Fuzzing: looks for files that end in a traceback, a crash, more than 10 seconds or more than 1 GB.

    python tests/fuzz/search.py --minutes 1

Hypothesis draws mutations of small valid files (`bases`, `mutations`), the same in every run, and shortens those that
fail. A child process handles them (`worker`). Files that fail are kept in a folder; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import bases
import hypothesis
from hypothesis import strategies
from mutations import VALUES, Mutation, apply, suitable
from targets import copy_run

MAX_SECONDS = 10.0
"""Largest number of the processor's seconds for a case."""
MAX_WAIT = 300.0
"""Seconds after which a case hangs that does not use the processor; other processes may take that away."""
MAX_MEGABYTES = 1000
EXAMPLES = 12
"""Cases of one kind before the next kind follows."""


class Worker:
    """A child process that handles cases, replaced where it ends or hangs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, kind: str, path: Path) -> dict[str, Any]:
        """What happened in the case: an answer of `worker`, or a crash or hang."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"kind": kind, "path": str(path)}) + "\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            begin, before = time.monotonic(), processor_seconds(process.pid)
            while not selector.select(1.0):
                busy = processor_seconds(process.pid) - before
                if busy > MAX_SECONDS or time.monotonic() - begin > MAX_WAIT:
                    self.close()
                    return {"outcome": "hang", "text": path.name, "seconds": busy}
        line = process.stdout.readline()
        if not line:
            return {"outcome": "crash", "text": f"the process ended with status {process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _started(self) -> subprocess.Popen[str]:
        """The process, after its imports."""
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == "ready\n"
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def processor_seconds(process: int) -> float:
    """Seconds for which a process has used the processor; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Search:
    """Cases so far, and the failures among them."""

    folder: Path
    """Where files that fail are kept."""
    deadline: float
    worker: Worker = field(default_factory=Worker)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, outcome) -> number of cases."""
    failures: dict[str, Path] = field(default_factory=dict)
    """What failed -> the smallest file that did."""

    def check(self, kind: str, base: Path, mutations: list[Mutation], run: Path | None) -> None:
        """Run one case: `base` after `mutations`, within a copy of the folder `run` where that is not None."""
        if time.monotonic() > self.deadline:
            return
        data = apply(base.read_bytes(), mutations)
        if run is None:
            path = self.folder / f"case{base.suffix}"
            path.write_bytes(data)
        else:
            path = copy_run(run, str(base.relative_to(run)), data, self.folder / "run")
        answer = self.worker.run(kind, path)
        outcome = answer["outcome"]
        if answer.get("megabytes", 0) > MAX_MEGABYTES:
            outcome, answer["text"] = "memory", base.name
        elif answer.get("seconds", 0) > MAX_SECONDS:
            outcome, answer["text"] = "slow", base.name
        self.outcomes[kind, outcome] += 1
        if outcome in ("ok", "refused"):
            return
        # Failures of one cause have one text, save for numbers and paths.
        signature = f"{kind}: {outcome}: {re.sub(r'[0-9]{3,}|0x[0-9a-f]+|/[^ ]+/', '#', answer['text'])}"
        if signature not in self.failures:
            kept = self.folder / f"failure-{len(self.failures) + 1}-{base.name}"
            kept.write_bytes(data)
            self.failures[signature] = kept
            size = f"{answer.get('seconds', MAX_WAIT):.1f} s, {answer.get('megabytes', 0)} MB"
            print(f"{signature}\n    {size}, {kept}\n    {base.name} {mutations}", flush=True)


def mutation_lists(suffix: str) -> strategies.SearchStrategy[list[Mutation]]:
    """Lists of one to three mutations for a file."""
    numbers = strategies.integers(-3, 300) | strategies.floats(0, 4, allow_nan=False)
    mutation = strategies.tuples(
        strategies.sampled_from(suitable(suffix)),
        strategies.floats(0, 1, exclude_max=True),
        strategies.sampled_from(VALUES) | numbers,
    )
    return strategies.lists(mutation, min_size=1, max_size=3)


def main() -> int:
    """Search until the time is over; 1 where a case failed."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of files from strangers.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to search")
    parser.add_argument("--kinds", nargs="*", default=["models", "runs", "images", "clips"], help="kinds of files")
    parser.add_argument(
        "--first-round", type=int, default=0, help="number of the first round: other rounds, other files"
    )
    parser.add_argument(
        "--keep", type=Path, default=None, help="folder for files that fail; a temporary one if omitted"
    )
    options = parser.parse_args()
    keep = options.keep or Path(tempfile.mkdtemp(prefix="lonepair-fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        run, files = make_bases(Path(temporary), options.kinds)
        search, number = Search(keep, time.monotonic() + 60 * options.minutes), options.first_round
        while time.monotonic() < search.deadline:
            for kind in options.kinds:
                base = files[kind][number % len(files[kind])]
                search_round(search, kind, base, number, run if kind == "runs" else None)
            number += 1
        search.worker.close()
    for kind in options.kinds:
        counts = {outcome: count for (of, outcome), count in sorted(search.outcomes.items()) if of == kind}
        parts = ", ".join(f"{count} {name}" for name, count in counts.items())
        print(f"{kind:8} {sum(counts.values()):6} cases: {parts}")
    print(f"{number - options.first_round} rounds, {len(search.failures)} failures; files that fail are in {keep}")
    return 1 if search.failures else 0


def make_bases(folder: Path, kinds: list[str]) -> tuple[Path, dict[str, list[Path]]]:
    """The folder of a run, and the files of each kind from which cases start."""
    run = folder / "run"
    files: dict[str, list[Path]] = {}
    if "runs" in kinds:
        bases.make_run(folder)
        suffixes = (".json", ".jsonl", ".pt", ".safetensors", ".png")
        files["runs"] = sorted(path for path in run.rglob("*") if path.suffix in suffixes)
    for kind, make in (("models", bases.make_models), ("images", bases.make_images), ("clips", bases.make_clips)):
        if kind in kinds:
            files[kind] = make(folder)
    return run, files


def search_round(search: Search, kind: str, base: Path, number: int, run: Path | None) -> None:
    """`EXAMPLES` cases of one file."""

    @hypothesis.seed(number)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(mutation_lists(base.suffix))
    def check(mutations: list[Mutation]) -> None:
        search.check(kind, base, mutations, run)

    check()


if __name__ == "__main__":
    sys.exit(main())
