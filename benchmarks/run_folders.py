"""Shared by the scripts that kill: start `lonepair` in a process of its own, and compare the folders of two runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

TINY = [
    *("--stages", "2", "--min-side", "14", "--max-side", "20", "--width", "8", "--steps", "2", "--finest-steps", "2"),
    *("--coarse-steps", "2", "--fine-steps", "2"),
]
"""Flags of a training that takes about a second; each has one value, and not every method has each."""
TIMES = {"seconds", "date"}
"""Entries of records that differ from run to run."""


def tiny_flags(method: str) -> list[str]:
    """Those of `TINY` that `method` has, on one thread, with a checkpoint after each step."""
    import lonepair.methods as methods

    known = methods.get_method(method).config_class.setting_names()
    pairs = zip(TINY[::2], TINY[1::2], strict=True)
    flags = [word for flag, value in pairs if flag[2:].replace("-", "_") in known for word in (flag, value)]
    return ["--method", method, *flags, "--device", "cpu", "--threads", "1", "--checkpoint-minutes", "0"]


def inputs_of(method: str, source: Path, target: Path) -> list[str]:
    """The positional inputs of `lonepair train` for `method`: one image, or a pair."""
    import lonepair.methods as methods

    return [str(source), str(target)][: len(methods.get_method(method).domains)]


def random_image(height: int, width: int, seed: int) -> torch.Tensor:
    """Smooth random colors, (1, 3, h, w) in [-1, 1]."""
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(-1, 1)


def start(command: str, arguments: list[str], log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start `lonepair COMMAND` with these arguments; its output is appended to the file `log`."""
    words = [sys.executable, "-m", "lonepair", command, *arguments]
    with log.open("ab") as file:
        return subprocess.Popen(words, stdout=file, stderr=file, **options)


def run_to_end(command: str, arguments: list[str], log: Path) -> float:
    """Run `lonepair COMMAND` and return its seconds; exit if it fails."""
    begin = time.monotonic()
    if start(command, arguments, log).wait() != 0:
        sys.exit(f"{command} failed: {log.read_text()[-500:]}")
    return time.monotonic() - begin


def run_and_kill(
    command: str, arguments: list[str], log: Path, seconds: float, has_begun: Callable[[], bool] = lambda: True
) -> bool:
    """Run `lonepair COMMAND` and kill it by SIGKILL; returns False if it ends before.

    Args:
        command: The command.
        arguments: Its arguments.
        log: File that receives the output.
        seconds: Time from the moment when `has_begun` becomes true to the kill.
        has_begun: Tells when the work has begun: the start of Python and torch takes seconds.
    """
    process = start(command, arguments, log)
    while process.poll() is None and not has_begun():
        time.sleep(0.01)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL


def read_state(run: Path) -> dict[str, Any]:
    """The run's last checkpoint; stage -1, step 0 where there is none."""
    file = run / "state" / "state.pt"
    if not file.exists():
        return {"stage": -1, "step": 0}
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def read_reports(run: Path) -> list[tuple[int, int]]:
    """(stage, step) of every complete line of metrics.jsonl."""
    file = run / "metrics.jsonl"
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return [(row["stage"], row["step"]) for row in map(json.loads, lines)]


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Names of the entries that are not bitwise equal in two nested states."""
    if isinstance(one, torch.Tensor):
        is_alike = isinstance(other, torch.Tensor) and one.dtype == other.dtype and one.shape == other.shape
        return [] if is_alike and one.numpy().tobytes() == other.numpy().tobytes() else [name]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return [d for key in sorted(keys, key=str) for d in differences(one.get(key), other.get(key), f"{name}.{key}")]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [name]
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{name}[{i}]")]
    return [] if one == other else [name]


def different_files(one: Path, other: Path) -> list[str]:
    """Names of all files in the folders of two complete runs that differ in more than times, or that only one has.

    log.txt is not compared: it says of stops and repairs.
    """
    names = {path.relative_to(run).as_posix() for run in (one, other) for path in run.rglob("*") if path.is_file()}
    return [name for name in sorted(names - {"log.txt", "state/lock"}) if not _same_file(one / name, other / name)]


def _same_file(one: Path, other: Path) -> bool:
    if not (one.is_file() and other.is_file()):
        return False
    if one.suffix == ".pt":
        states = [torch.load(path, map_location="cpu", weights_only=True) for path in (one, other)]
        for state in states:
            # The length of metrics.jsonl contains times.
            del state["seconds"], state["metrics_bytes"]
        return not differences(*states)
    if one.suffix in (".json", ".jsonl"):
        return _records(one) == _records(other)
    return one.read_bytes() == other.read_bytes()


def _records(path: Path) -> list[dict[str, Any]]:
    """The objects in a JSON file, or in the lines of one, without times."""
    text = path.read_text()
    values = map(json.loads, text.splitlines()) if path.suffix == ".jsonl" else [json.loads(text)]
    return [{name: value for name, value in record.items() if name not in TIMES} for record in values]
