"""Cells of the field's tables: each is measured in a process of its own and kept as a line of JSON.

A process of its own gives each cell its true peak memory and its processor time. A cell that has its line is not
measured again, so that a table can be continued on another day, or on another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Cell = dict[str, Any]
"""What a cell measures: table, method, input, preset, seed and limits."""


def key_of(cell: Mapping[str, Any]) -> str:
    """The name of a cell: equal for equal measurements."""
    return json.dumps({name: cell[name] for name in sorted(cell)})


def budgets(args: argparse.Namespace, is_trained: bool) -> list[Cell]:
    """The limits and seeds of a method's cells; a method without a training has no limits."""
    limits = args.minutes if is_trained else [0.0]
    return [{"minutes": minutes, "seed": seed} for seed in args.seeds for minutes in limits]


def training(cell: Mapping[str, Any], folder: Path, device: str) -> dict[str, Any]:
    """The arguments of `lonepair.fit` and `fit_pair` for a cell, whose run is in `folder`."""
    size = {"max_side": cell["max_side"]} if "max_side" in cell else {}
    return {
        "method": cell["method"],
        "preset": cell["preset"],
        "seed": cell["seed"],
        "out": folder,
        "resume": folder.is_dir(),
        "max_minutes": cell["minutes"],
        "device": device,
        **size,
    }


def run_folder(cell: Mapping[str, Any], work: Path) -> Path:
    """The folder of a cell's training."""
    inputs = [str(cell[name]).replace("/", "-") for name in ("image", "pair", "clip", "target") if name in cell]
    size = [f"{cell['max_side']}px"] if "max_side" in cell else []
    words = [*inputs, cell["method"], cell["preset"], *size, f"{cell['minutes']:g}min", str(cell["seed"])]
    return work / "runs" / "-".join(words)


def read_results(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a file of results; an interrupted last line is left out."""
    results = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            results.append(json.loads(line))
        except ValueError:
            continue
    return results


def measure_cells(cells: Sequence[Cell], path: Path, arguments: Sequence[str]) -> None:
    """Measure the `cells` that `path` lacks, one after the other, and append a line for each.

    Args:
        cells: What to measure.
        path: File of results, JSON lines. A cell that fails gets a line with `error`, and is tried again next time.
        arguments: Arguments of `field.py` that a cell's own process needs, too.
    """
    done = {key_of(result["cell"]) for result in read_results(path) if "error" not in result}
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, cell in enumerate(cells):
        if key_of(cell) in done:
            continue
        name = ", ".join(str(value) for value in cell.values())
        print(f"{number + 1} of {len(cells)}: {name}", file=sys.stderr, flush=True)
        command = [sys.executable, sys.argv[0], *arguments, "--cell", json.dumps(cell)]
        process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if process.returncode == 130:
            raise KeyboardInterrupt
        lines = process.stdout.strip().splitlines()
        result = json.loads(lines[-1]) if process.returncode == 0 and lines else {"error": process.returncode}
        # An interrupted line has no end: the new one must not continue it.
        is_broken = path.is_file() and not path.read_text(encoding="utf-8").endswith("\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if is_broken else "") + json.dumps({"cell": cell, **result}) + "\n")


def print_result(values: Mapping[str, float]) -> None:
    """Print the line of this process's cell: its values, its machine and its peak memory."""
    import torch

    from lonepair.commands.doctor import cpu_name

    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    machine = torch.cuda.get_device_name() if peak else cpu_name()
    # Linux counts in kilobytes.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    where = {"machine": machine, "python": platform.python_version(), "torch": torch.__version__}
    rounded = {name: float(f"{value:.5g}") for name, value in values.items()}
    gpu = {"gpu_memory_mb": round(peak / 1e6)} if peak else {}
    line = {"values": rounded, "memory_mb": round(memory), **gpu, "date": date.today().isoformat(), **where}
    print(json.dumps(line), flush=True)


def count_processor_time() -> None:
    """Let trainings of this process count processor time rather than wall time.

    Limits of minutes then mean the same on a machine that also does other work. On a GPU wall time counts.
    """
    import lonepair.train.clock

    vars(lonepair.train.clock)["time"] = SimpleNamespace(monotonic=time.process_time)


class Stopwatch:
    """Seconds of processor time of this process since its creation, or wall time where `is_wall`."""

    def __init__(self, is_wall: bool) -> None:
        self._now = time.monotonic if is_wall else time.process_time
        self._start = self._now()

    def seconds(self) -> float:
        """Seconds so far."""
        return self._now() - self._start


def single_thread() -> None:
    """Set the number of threads of this process and of its libraries to one."""
    import torch

    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
