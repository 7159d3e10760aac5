"""Measures speed and peak memory, and compares them with targets: trainings, steps, large images, clips.

    python benchmarks/speed.py [NAME ...] [--steps 3] [--threads 2] [--device cpu] > docs/results/speed-table.md

NAME is a row of the table; without one, all rows are measured. Each row runs in its own process, so that its peak
memory is its own. Inputs are random images: time does not depend on their content. A ratio is that of two medians; the
two sides run in turn within one process. The time of a full training is estimated from a few steps at each stage.
`training-lonepair frames-lonepair flops-consingan` take less than 10 minutes on two CPU cores, all rows half an hour.
Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import torch
from contest import run_benchmark, table
from speed_measures import (
    frame_rate,
    large_sample,
    large_step,
    large_vs_small,
    parallel_trainings,
    training_time,
    training_vs_plain,
    utilization,
)

import lonepair as lp
from lonepair.commands.doctor import cpu_name

TIMES_SMALL = "1.3 times 256x256"


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    subject: str
    """Method, size and work that are measured."""
    cpu_target: str
    """Target on two CPU cores."""
    gpu_target: str
    measure: Callable[[argparse.Namespace], str]
    """Returns the measurement as text, without peak memory."""


ROWS = {
    "training-consingan": Row(
        "`consingan`, 188x250, full default training",
        "4 times",
        "6 times",
        training_vs_plain("consingan", (188, 250)),
    ),
    "training-structural-analogy": Row(
        "`structural-analogy`, 220x220, a step at all stages",
        "4 times",
        "10 times coarse, 4 fine",
        training_vs_plain("structural-analogy", (220, 220), steps=1),
    ),
    "training-lonepair": Row(
        "`lonepair`, 220x220, `standard`, full training",
        "3 min",
        "0.33 min",
        training_time("lonepair", (220, 220), preset="standard"),
    ),
    "frames-lonepair": Row(
        "a clip of 220x220, with patch synthesis",
        "25 a second",
        "400 a second",
        frame_rate("lonepair", (220, 220), synthesize=True),
    ),
    "frames-network": Row(
        "a clip of 220x220, networks alone",
        "25 a second",
        "400 a second",
        frame_rate("lonepair", (220, 220), synthesize=False),
    ),
    "training-representative": Row(
        "`representative`, 220x220, `draft` at that size",
        "5 min",
        "0.67 min",
        training_time("representative", (220, 220), preset="draft", max_side=220),
    ),
    "large-lonepair": Row(
        "`lonepair`, a step at 2048x2048", TIMES_SMALL, TIMES_SMALL, large_vs_small("lonepair", 2048)
    ),
    "large-consingan": Row(
        "`consingan`, a step at 2048x2048", TIMES_SMALL, TIMES_SMALL, large_vs_small("consingan", 2048)
    ),
    "large-representative": Row(
        "`representative`, a step at 2048x2048", TIMES_SMALL, TIMES_SMALL, large_vs_small("representative", 2048)
    ),
    "memory-lonepair": Row("`lonepair`, training on 4096x4096", "4 GB", "6 GB", large_step("lonepair", 4096)),
    "memory-consingan": Row("`consingan`, training on 4096x4096", "4 GB", "6 GB", large_step("consingan", 4096)),
    "sample-consingan": Row("`consingan`, a sample of 4096x4096", "60 s, 4 GB", "2 s", large_sample("consingan", 4096)),
    "sample-lonepair-single": Row(
        "`lonepair-single`, a sample of 4096x4096", "60 s, 4 GB", "2 s", large_sample("lonepair-single", 4096)
    ),
    "flops-consingan": Row(
        "`consingan`, a step at 188x250: convolutions' operations over one layer's",
        "0.7",
        "0.4",
        utilization("consingan", (188, 250)),
    ),
    "flops-lonepair": Row(
        "`lonepair`, the same at 80x80", "0.7", "0.4", utilization("lonepair", (80, 80), preset="standard")
    ),
    "parallel-lonepair": Row(
        "`lonepair`, 220x220, `draft`, four seeds in one process",
        "",
        "more than 1 time",
        parallel_trainings(4, (220, 220), preset="draft"),
    ),
}


def run(args: argparse.Namespace) -> int:
    """Print the table, each row measured in its own process; in such a process, print its row's measurement."""
    if args.here:
        measurement = ROWS[args.here].measure(args)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        if args.device.startswith("cuda"):
            peak = torch.cuda.max_memory_allocated() / 1e9
        print(f"{measurement}; {peak:.1f} GB")
        return 0
    if unknown := [name for name in args.names if name not in ROWS]:
        raise lp.UserError(f"{', '.join(unknown)}: no such measurement; choose from {', '.join(ROWS)}")
    print(
        f"{date.today().isoformat()}, {_device_name(args.device)}, device {args.device}, {args.threads} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}; {args.steps} steps each.\n"
    )
    gpu = args.device.startswith("cuda")
    where = "one GPU" if gpu else "two CPU cores"
    print("\n".join(table(["name", "measured", f"target, {where}", "result; peak memory"], [], 4)), flush=True)
    options = ["--steps", str(args.steps), "--threads", str(args.threads), "--device", args.device]
    for name in args.names or ROWS:
        child = subprocess.run([sys.executable, __file__, "--here", name, *options], capture_output=True, text=True)
        result = child.stdout.strip() if child.returncode == 0 else f"failed: {child.stderr.strip().splitlines()[-1]}"
        row = ROWS[name]
        print(f"| {name} | {row.subject} | {row.gpu_target if gpu else row.cpu_target} | {result} |", flush=True)
    return 0


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else cpu_name()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to measure; default: all")
    parser.add_argument("--steps", type=int, default=3, help="steps that each median is taken of")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--here", choices=list(ROWS), help=argparse.SUPPRESS)
    return run_benchmark(lambda: run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
