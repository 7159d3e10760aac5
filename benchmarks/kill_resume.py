"""Kill a training at random moments, resume it each time, and compare the end with an uninterrupted run, bit for bit.

    python benchmarks/kill_resume.py > docs/results/kill-resume.md

Both trainings are `lonepair train` in a process of their own, on a picture and a target that are drawn here, or, with
--source and --target, on any. The killed one gets SIGKILL, which no program can answer. Exit status 1 where a single
bit of the model, of the networks or of the optimizers differs.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from lonepair.media.image import write_image

HEADER = """\
# Killed, resumed, and the same to the last bit

`python benchmarks/kill_resume.py{flags}`, {date}, on a {machine}. One training ran to its end; the same one was killed
with SIGKILL at {kills} random moments and resumed with `--resume` after each. Each ran as

    lonepair train {command}
"""


@dataclass
class Kill:
    """What was there when the process was gone."""

    seconds: float
    stage: int
    step: int
    """The last report in metrics.jsonl; (-1, 0) where there is none."""
    saved_stage: int
    saved_step: int
    """What the state on the disk says, from which the next one goes on."""


def picture(height: int, width: int, seed: int) -> torch.Tensor:
    """Blobs of colour, (1, 3, h, w) in [-1, 1]."""
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(-1, 1)


def state_of(run: Path) -> dict[str, Any]:
    """The run's state, or an empty one."""
    file = run / "state" / "state.pt"
    if not file.exists():
        return {"stage": -1, "step": 0}
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def reports(run: Path) -> list[tuple[int, int]]:
    """(stage, step) of every whole line of metrics.jsonl."""
    file = run / "metrics.jsonl"
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return [(row["stage"], row["step"]) for row in map(json.loads, lines)]


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """`lonepair train` with these arguments; what it says goes into the file `log`."""
    with log.open("ab") as file:
        return subprocess.Popen([sys.executable, "-m", "lonepair", "train", *arguments], stdout=file, stderr=file)


def whole_run(arguments: list[str], log: Path) -> float:
    """Seconds that the command takes; it must end well."""
    began = time.monotonic()
    if start(arguments, log).wait() != 0:
        sys.exit(f"the training failed: {log.read_text()[-500:]}")
    return time.monotonic() - began


def killed(arguments: list[str], run: Path, log: Path, seconds: float) -> Kill | None:
    """Start, wait until the training itself has run for `seconds`, kill; None where it had ended before."""
    before = reports(run)
    process = start(arguments, log)
    while process.poll() is None and reports(run) == before:  # python and torch take seconds to start
        time.sleep(0.01)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        stage, step = (reports(run) or [(-1, 0)])[-1]
        state = state_of(run)
        return Kill(seconds, stage, step, state["stage"], state["step"])
    return None


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Names of what is not bitwise equal in two nested states."""
    if isinstance(one, torch.Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape
        return [] if same and one.numpy().tobytes() == other.numpy().tobytes() else [name]
    if isinstance(one, dict):
        keys = one.keys() | other.keys()
        return [d for key in sorted(keys, key=str) for d in differences(one.get(key), other.get(key), f"{name}.{key}")]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [name]
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{name}[{i}]")]
    return [] if one == other else [name]


def parse() -> tuple[argparse.Namespace, list[str]]:
    """The flags of this script, and the rest, which is handed on to `lonepair train`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3, help="how many times")
    parser.add_argument("--seed", type=int, default=0, help="of the moments, and of the training")
    parser.add_argument("--source", type=Path, help="image or clip to train on; default: drawn here")
    parser.add_argument("--target", type=Path, help="image to train on; default: drawn here")
    parser.add_argument("--side", type=int, default=64, help="longest side of the training, pixels")
    parser.add_argument("--steps", type=int, default=120, help="steps of every stage")
    parser.add_argument("--width", type=int, default=16, help="channels")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--checkpoint-minutes", type=float, default=0.02, help="how often the state is saved")
    parser.add_argument("--date", default=date.today().isoformat(), help="for the report")
    parser.add_argument("--machine", default="2-core x86-64 CPU", help="for the report")
    return parser.parse_known_args()


def main() -> int:
    """Print the report; 0 where nothing differs."""
    given, rest = parse()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source, target = given.source or folder / "source.png", given.target or folder / "target.png"
        if given.source is None:
            write_image(source, picture(60, 80, 1))
        if given.target is None:
            write_image(target, picture(72, 64, 2))
        flags = [
            *("--max-side", str(given.side), "--steps", str(given.steps), "--finest-steps", str(given.steps)),
            *("--width", str(given.width), "--threads", str(given.threads), "--seed", str(given.seed)),
            *("--checkpoint-minutes", str(given.checkpoint_minutes), "--device", "cpu", *rest),
        ]
        inputs = [str(source), str(target)]
        whole, broken = folder / "whole", folder / "killed"
        seconds = whole_run([*inputs, *flags, "--run", str(whole)], folder / "whole.txt")

        trained = state_of(whole)["seconds"]
        shares = sorted(chance.uniform(0.05, 0.95) for _ in range(given.kills))
        kills: list[Kill] = []
        for before, share in zip([0.0, *shares], shares, strict=False):
            resume = ["--resume"] if broken.exists() else []
            arguments = [*inputs, *flags, "--run", str(broken), *resume]
            kill = killed(arguments, broken, folder / "killed.txt", (share - before) * trained)
            if kill is None:
                break
            kills.append(kill)
        whole_run([*inputs, *flags, "--run", str(broken), *(["--resume"] if kills else [])], folder / "killed.txt")

        same_model = (whole / "model.safetensors").read_bytes() == (broken / "model.safetensors").read_bytes()
        one, other = state_of(whole), state_of(broken)
        odd_nets = differences(one["nets"], other["nets"], "nets")
        odd_optimizers = differences(one["optimizers"], other["optimizers"], "optimizers")
        once = sorted(set(reports(broken))) == reports(broken)

        typed = "".join(f" {word}" for word in map(shlex.quote, sys.argv[1:]))
        shown = shlex.join([source.name, target.name, *flags])
        print(
            HEADER.format(
                flags=typed, date=given.date, machine=given.machine, kills=given.kills, command=f"{shown} --run RUN"
            )
        )
        print("| kill | training seconds since (re)start | reported last: stage, step | on the disk: stage, step |")
        print("| --- | --- | --- | --- |")
        for number, kill in enumerate(kills, 1):
            print(
                f"| {number} | {kill.seconds:.1f} | {kill.stage}, {kill.step} | {kill.saved_stage}, {kill.saved_step} |"
            )
        print(f"\nThe uninterrupted training took {trained:.0f} s ({seconds:.0f} s with the start of Python).\n")
        print("| compared | result |\n| --- | --- |")
        print(f"| model.safetensors, {(whole / 'model.safetensors').stat().st_size:,} bytes | {verdict(same_model)} |")
        tensors = sum(tensor.numel() for tensor in one["nets"].values())
        print(f"| networks in the state, {tensors:,} numbers in {len(one['nets'])} tensors | {verdict(not odd_nets)} |")
        print(f"| both optimizers' states | {verdict(not odd_optimizers)} |")
        print(f"| every step once in metrics.jsonl, in order | {'yes' if once else 'NO'} |")
        if len(kills) < given.kills:
            print(f"\nOnly {len(kills)} kills: the training had ended before the others.")
        for name in [*odd_nets, *odd_optimizers][:20]:
            print(f"differs: {name}", file=sys.stderr)
        return 0 if same_model and not odd_nets and not odd_optimizers and once and kills else 1


def verdict(same: bool) -> str:
    """In words."""
    return "equal, bit for bit" if same else "NOT EQUAL"


if __name__ == "__main__":
    sys.exit(main())
