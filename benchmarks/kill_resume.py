"""Kills a training at random moments, resumes it each time, and compares the result with an uninterrupted run.

    python benchmarks/kill_resume.py > docs/results/kill-resume.md

Both runs are `lonepair train` in processes of their own, on random images or on those of --source and --target. Kills
are by SIGKILL, which a process cannot handle. The comparison is bitwise: the exit status is 1 if the model, the
networks or the optimizers differ.
"""

from __future__ import annotations

import argparse
import random
import shlex
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from run_folders import differences, random_image, read_reports, read_state, run_and_kill, run_to_end

from lonepair.media.stills.image import write_image

HEADER = """\
# Kill and resume: equal bit for bit

`python benchmarks/kill_resume.py{flags}`, {date}, on a {machine}. One training ran to its end. The same training was
killed by SIGKILL at random moments (kills: {kills}) and resumed with `--resume` after each. Each ran as

    lonepair train {command}
"""


@dataclass
class Kill:
    """The state of a run's folder after a kill."""

    seconds: float
    """Training time from the (re)start to the kill."""
    stage: int
    step: int
    """`stage` and `step` of the last report in metrics.jsonl; -1 and 0 where there is none."""
    saved_stage: int
    saved_step: int
    """The last checkpoint, from which the next training resumes."""


def kill_training(arguments: list[str], run: Path, log: Path, seconds: float) -> Kill | None:
    """Run `lonepair train` and kill it `seconds` after its first new report; None if it ends before."""
    earlier = read_reports(run)
    if run_and_kill("train", arguments, log, seconds, lambda: read_reports(run) != earlier):
        stage, step = (read_reports(run) or [(-1, 0)])[-1]
        state = read_state(run)
        return Kill(seconds, stage, step, state["stage"], state["step"])
    return None


def parse() -> tuple[argparse.Namespace, list[str]]:
    """The flags of this script, and further flags, which are passed on to `lonepair train`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the kills and of the training")
    parser.add_argument("--source", type=Path, help="image or clip to train on; default: a random image")
    parser.add_argument("--target", type=Path, help="image to train on; default: a random image")
    parser.add_argument("--side", type=int, default=64, help="longest side of the finest stage, in pixels")
    parser.add_argument("--steps", type=int, default=120, help="steps per stage")
    parser.add_argument("--width", type=int, default=16, help="channels")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--checkpoint-minutes", type=float, default=0.02, help="minutes between checkpoints")
    parser.add_argument("--date", default=date.today().isoformat(), help="date in the report")
    parser.add_argument("--machine", default="2-core x86-64 CPU", help="machine in the report")
    return parser.parse_known_args()


@dataclass
class Comparison:
    """The differences between the killed run, after its end, and the uninterrupted one."""

    equal_model: bool
    """Whether the model files have the same bytes."""
    different_nets: list[str]
    different_optimizers: list[str]
    has_each_step_once: bool
    """Whether metrics.jsonl of the killed run has every step once, in order."""

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return (
            self.equal_model and not self.different_nets and not self.different_optimizers and self.has_each_step_once
        )


def compare(uninterrupted: Path, killed: Path) -> Comparison:
    """Compare two runs, given by their folders."""
    models = [(run / "model.safetensors").read_bytes() for run in (uninterrupted, killed)]
    one, other = read_state(uninterrupted), read_state(killed)
    reports = read_reports(killed)
    return Comparison(
        models[0] == models[1],
        differences(one["nets"], other["nets"], "nets"),
        differences(one["optimizers"], other["optimizers"], "optimizers"),
        sorted(set(reports)) == reports,
    )


def run_with_kills(arguments: list[str], run: Path, log: Path, moments: list[float]) -> list[Kill]:
    """Train in the folder `run`, killed at each of `moments` and resumed, and then to the end.

    Args:
        arguments: Those of `lonepair train`, without the folder.
        run: The run's folder.
        log: File that receives the output.
        moments: Training time in seconds of each kill, increasing.

    Returns:
        The kills; fewer than `moments` if the training ends before.
    """
    kills: list[Kill] = []
    for previous, moment in zip([0.0, *moments], moments, strict=False):
        resume = ["--resume"] if run.exists() else []
        kill = kill_training([*arguments, "--run", str(run), *resume], run, log, moment - previous)
        if kill is None:
            break
        kills.append(kill)
    run_to_end("train", [*arguments, "--run", str(run), *(["--resume"] if kills else [])], log)
    return kills


def print_report(
    header: str, kills: list[Kill], kill_count: int, seconds: tuple[float, float], comparison: Comparison, run: Path
) -> None:
    """Print the report.

    Args:
        header: Its first lines.
        kills: The kills that happened.
        kill_count: Number of kills that were requested.
        seconds: Of the uninterrupted run: training time, and time of the whole command.
        comparison: The comparison of the runs.
        run: Folder of the uninterrupted run.
    """
    print(header)
    print("| kill | training seconds since (re)start | reported last: stage, step | on the disk: stage, step |")
    print("| --- | --- | --- | --- |")
    for number, kill in enumerate(kills, 1):
        print(f"| {number} | {kill.seconds:.1f} | {kill.stage}, {kill.step} | {kill.saved_stage}, {kill.saved_step} |")
    print(f"\nThe uninterrupted training took {seconds[0]:.0f} s ({seconds[1]:.0f} s with the start of Python).\n")
    print("| compared | result |\n| --- | --- |")
    size = (run / "model.safetensors").stat().st_size
    print(f"| model.safetensors, {size:,} bytes | {verdict(comparison.equal_model)} |")
    tensors = read_state(run)["nets"]
    numbers = sum(tensor.numel() for tensor in tensors.values())
    equal_nets = verdict(not comparison.different_nets)
    print(f"| networks in the state, {numbers:,} numbers in {len(tensors)} tensors | {equal_nets} |")
    print(f"| both optimizers' states | {verdict(not comparison.different_optimizers)} |")
    print(f"| every step once in metrics.jsonl, in order | {'yes' if comparison.has_each_step_once else 'NO'} |")
    if len(kills) < kill_count:
        print(f"\nOnly {len(kills)} kills: the training ended before the others.")
    for name in [*comparison.different_nets, *comparison.different_optimizers][:20]:
        print(f"differs: {name}", file=sys.stderr)


def main() -> int:
    """Print the report; returns 0 if the runs are equal."""
    args, train_flags = parse()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        # Inputs and command
        folder = Path(temporary)
        source, target = args.source or folder / "source.png", args.target or folder / "target.png"
        if args.source is None:
            write_image(source, random_image(60, 80, 1))
        if args.target is None:
            write_image(target, random_image(72, 64, 2))
        flags = [
            *("--max-side", str(args.side), "--steps", str(args.steps), "--finest-steps", str(args.steps)),
            *("--width", str(args.width), "--threads", str(args.threads), "--seed", str(args.seed)),
            *("--checkpoint-minutes", str(args.checkpoint_minutes), "--device", "cpu", *train_flags),
        ]
        arguments = [str(source), str(target), *flags]

        # The uninterrupted run, whose training time says when to kill the other one.
        uninterrupted, killed = folder / "uninterrupted", folder / "killed"
        command_seconds = run_to_end("train", [*arguments, "--run", str(uninterrupted)], folder / "uninterrupted.txt")
        training_seconds = read_state(uninterrupted)["seconds"]
        moments = sorted(rng.uniform(0.05, 0.95) * training_seconds for _ in range(args.kills))
        kills = run_with_kills(arguments, killed, folder / "killed.txt", moments)

        # Report
        comparison = compare(uninterrupted, killed)
        script_flags = "".join(f" {word}" for word in map(shlex.quote, sys.argv[1:]))
        command = f"{shlex.join([source.name, target.name, *flags])} --run RUN"
        header = HEADER.format(
            flags=script_flags, date=args.date, machine=args.machine, kills=args.kills, command=command
        )
        seconds = (training_seconds, command_seconds)
        print_report(header, kills, args.kills, seconds, comparison, uninterrupted)
        return 0 if comparison.is_equal and kills else 1


def verdict(is_equal: bool) -> str:
    """The result of a comparison, as text."""
    return "equal, bit for bit" if is_equal else "NOT EQUAL"


if __name__ == "__main__":
    sys.exit(main())
