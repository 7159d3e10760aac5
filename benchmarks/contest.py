"""Shared code of the benchmarks that compare methods: every method trains on every input for the same time.

An existing run is used again, or resumed where it stopped, so that the same command continues an interrupted
benchmark. Several limits of time give a curve of quality over time; methods are trained separately for each.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

import lonepair as lp
import lonepair.methods as methods
from lonepair.commands.doctor import cpu_name
from lonepair.evaluate import Run, open_run
from lonepair.media.sizes import fit_inside
from lonepair.media.stills.image import read_image
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image
from lonepair.storage.files import check_writable
from lonepair.train.loop import Diverged, Interrupted

T = TypeVar("T")


@dataclass(frozen=True)
class Entrant:
    """A method and its limit of training time."""

    method: str
    minutes: float
    name: str
    """Name of the method, with the limit where there are several."""


def entrants(args: argparse.Namespace) -> list[Entrant]:
    """Return every method with every limit."""
    has_one_limit = len(args.minutes) == 1
    return [
        Entrant(method, minutes, method if has_one_limit else f"{method}, {minutes:g} min")
        for method in args.methods
        for minutes in args.minutes
    ]


def argument_parser(description: str, domains: int, minutes: float, out: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all comparisons share.

    Args:
        description: First text of `--help`.
        domains: Number of domains of the methods that take part: 1 for one image, 2 for a pair.
        minutes: Default limit of training time.
        out: Default folder of runs and results.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    suitable = [name for name in methods.names() if len(methods.get_method(name).domains) == domains]
    parser.add_argument("data", type=Path, help="folder of the input images")
    parser.add_argument("--methods", nargs="+", default=suitable, choices=suitable, help="methods to compare")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="random seeds; each is one run")
    parser.add_argument("--minutes", nargs="+", type=float, default=[minutes], help="limits of training time")
    parser.add_argument("--preset", default="draft", help="preset of every method")
    parser.add_argument("--side", type=int, default=128, help="longest side in pixels at which images are measured")
    parser.add_argument("--max-side", type=int, default=0, help="longest side of the finest stage; 0: the preset's")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's number")
    parser.add_argument("--out", type=Path, default=Path(out), help="folder of runs and results")
    return parser


def run_of(fit: Callable[..., Any], name: str, entrant: Entrant, seed: int, args: argparse.Namespace) -> Run:
    """Train with `fit` on the input `name`, or resume or reuse its run."""
    # The name holds what determines a run and is not among its settings.
    name = f"{name}-{entrant.method}-{args.preset}-{entrant.minutes:g}min-{seed}"
    folder: Path = args.out / "runs" / name
    fit(
        method=entrant.method,
        preset=args.preset,
        out=folder,
        resume=folder.is_dir(),
        seed=seed,
        max_minutes=entrant.minutes,
        device=args.device,
        threads=args.threads,
        **({"max_side": args.max_side} if args.max_side else {}),
    )
    return open_run(folder, lambda path: lp.load(path, args.device, threads=args.threads))


def compare(
    args: argparse.Namespace,
    inputs: Sequence[T],
    measure: Callable[[T, Entrant, int], None],
    on_input_end: Callable[[T, Sequence[str]], None],
) -> int:
    """Measure every input with every entrant and seed.

    Args:
        args: The command's options.
        inputs: Names of the inputs, or the inputs themselves.
        measure: Trains and measures one run, for an input, an entrant and a seed.
        on_input_end: Writes results; called after each input with the names of the runs that diverged so far.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    check_writable(args.out)
    diverged: list[str] = []
    for item in inputs:
        for entrant in entrants(args):
            for seed in args.seeds:
                title = f"{item}, {entrant.name}, seed {seed}"
                print(title, file=sys.stderr, flush=True)
                try:
                    measure(item, entrant, seed)
                except Diverged as error:
                    print(f"{_script_name()}: {title}: {error}", file=sys.stderr, flush=True)
                    diverged.append(title)
        on_input_end(item, diverged)
    return 0


def find_image(folder: Path, stem: str) -> Path:
    """Return the file of the image `stem` in `folder`.

    Raises:
        UserError: `folder` has neither `stem`.jpg nor `stem`.png.
    """
    files = [file for suffix in (".jpg", ".png") if (file := folder / f"{stem}{suffix}").is_file()]
    if not files:
        raise lp.UserError(f"{folder / stem}.jpg (or .png): no such file; leave it out, or give another folder")
    return files[0]


def read_at(file: Path, side: int, channels: int) -> Tensor:
    """Read an image at the size at which it is measured: at most `side` pixels on its longest side."""
    image = match_channels(read_image(file), channels)
    return resize_image(image, fit_inside((image.shape[-2], image.shape[-1]), side))


def heading(title: str, args: argparse.Namespace, inputs: str) -> list[str]:
    """Return the first lines of a report: date, machine and command. `inputs` is the option that names the inputs."""
    words = [f"python benchmarks/{Path(sys.argv[0]).name} DATA", "--methods", *args.methods]
    words += [f"--{inputs}", *getattr(args, inputs), "--seeds", *map(str, args.seeds)]
    words += ["--minutes", *(f"{minutes:g}" for minutes in args.minutes), "--preset", args.preset]
    words += ["--side", str(args.side), *(["--max-side", str(args.max_side)] if args.max_side else [])]
    words += ["--device", args.device, "--threads", str(args.threads)]
    return [
        f"# {title}",
        "",
        f"{date.today().isoformat()}, {cpu_name()}, device {args.device}, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        f"`{' '.join(words)}`",
        "",
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> list[str]:
    """Return the lines of a Markdown table; the first `text_columns` columns are text, the others numbers."""
    rule = ["---"] * text_columns + ["---:"] * (len(head) - text_columns)
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def run_benchmark(work: Callable[[], int]) -> int:
    """Run `work` and return its exit status; print an error as one line."""
    try:
        return work()
    except lp.UserError as error:
        print(f"{_script_name()}: {error}", file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt):
        print(f"{_script_name()}: stopped; the same command continues", file=sys.stderr)
        return 130


def _script_name() -> str:
    return Path(sys.argv[0]).stem
