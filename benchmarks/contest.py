"""What the benchmarks that compare methods have in common: every method learns every input within the same time.

A run that is there already is used again, or goes on where it stopped, so that an interrupted benchmark is started
again as it was. Several limits of time give a curve of quality over time: methods are trained anew within each.
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
from lonepair.commands.diagnosis import _cpu_name
from lonepair.evaluate import Run, open_run
from lonepair.media.files import check_writable
from lonepair.media.image import read_image
from lonepair.media.sizes import fit_inside
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image
from lonepair.train.loop import Diverged, Interrupted

T = TypeVar("T")


@dataclass(frozen=True)
class Entrant:
    """A method and its limit of time."""

    method: str
    minutes: float
    name: str
    """The method's, with the limit where there are several."""


def entrants(given: argparse.Namespace) -> list[Entrant]:
    """Every method with every limit."""
    one = len(given.minutes) == 1
    return [
        Entrant(method, minutes, method if one else f"{method}, {minutes:g} min")
        for method in given.methods
        for minutes in given.minutes
    ]


def arguments(about: str, domains: int, minutes: float, out: str) -> argparse.ArgumentParser:
    """Options of a contest of the methods of so many `domains`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    able = [name for name in methods.names() if len(methods.get_method(name).domains) == domains]
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", nargs="+", default=able, choices=able)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--minutes", nargs="+", type=float, default=[minutes], help="limits of training time")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--side", type=int, default=128, help="longest side in pixels at which pictures are measured")
    parser.add_argument("--max-side", type=int, default=0, help="of the finest stage, in place of the preset's")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(out))
    return parser


def run_of(fit: Callable[..., Any], name: str, entrant: Entrant, seed: int, given: argparse.Namespace) -> Run:
    """The run of `fit` on what `name` names: new, gone on with, or as it is."""
    # In the name is what decides a run but is not in its settings.
    name = f"{name}-{entrant.method}-{given.preset}-{entrant.minutes:g}min-{seed}"
    folder: Path = given.out / "runs" / name
    fit(
        method=entrant.method,
        preset=given.preset,
        out=folder,
        resume=folder.is_dir(),
        seed=seed,
        max_minutes=entrant.minutes,
        device=given.device,
        threads=given.threads,
        **({"max_side": given.max_side} if given.max_side else {}),
    )
    return open_run(folder, lambda path: lp.load(path, given.device, threads=given.threads))


def contest(
    given: argparse.Namespace,
    inputs: Sequence[T],
    measured: Callable[[T, Entrant, int], None],
    ended: Callable[[T, Sequence[str]], None],
) -> int:
    """Have all of `inputs` measured with every entrant and seed.

    Args:
        measured: Trains and measures one.
        ended: Called after each input, with the names of the runs that diverged so far, to write what is known.
    """
    given.out.mkdir(parents=True, exist_ok=True)
    check_writable(given.out)
    lost: list[str] = []
    for each in inputs:
        for entrant in entrants(given):
            for seed in given.seeds:
                title = f"{each}, {entrant.name}, seed {seed}"
                print(title, file=sys.stderr, flush=True)
                try:
                    measured(each, entrant, seed)
                except Diverged as error:
                    print(f"{_own_name()}: {title}: {error}", file=sys.stderr, flush=True)
                    lost.append(title)
        ended(each, lost)
    return 0


def find_image(folder: Path, stem: str) -> Path:
    """The picture `stem` in `folder`.

    Raises:
        UserError: where there is none.
    """
    found = [file for suffix in (".jpg", ".png") if (file := folder / f"{stem}{suffix}").is_file()]
    if not found:
        raise lp.UserError(f"{folder / stem}.jpg (or .png): no such file; leave it out, or give another folder")
    return found[0]


def shown_at(file: Path, side: int, channels: int) -> Tensor:
    """The picture as it is measured: within `side` pixels, as a model with so many channels sees it."""
    image = match_channels(read_image(file), channels)
    return resize_image(image, fit_inside((image.shape[-2], image.shape[-1]), side))


def heading(title: str, given: argparse.Namespace, inputs: str) -> list[str]:
    """The first lines of a report: when, where and by which command; `inputs` names the option that says on what."""
    words = [f"python benchmarks/{Path(sys.argv[0]).name} DATA", "--methods", *given.methods]
    words += [f"--{inputs}", *getattr(given, inputs), "--seeds", *map(str, given.seeds)]
    words += ["--minutes", *(f"{minutes:g}" for minutes in given.minutes), "--preset", given.preset]
    words += ["--side", str(given.side), *(["--max-side", str(given.max_side)] if given.max_side else [])]
    words += ["--device", given.device, "--threads", str(given.threads)]
    return [
        f"# {title}",
        "",
        f"{date.today().isoformat()}, {_cpu_name()}, device {given.device}, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        f"`{' '.join(words)}`",
        "",
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> list[str]:
    """Lines of Markdown; the first `words` columns are text, the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def told(work: Callable[[], int]) -> int:
    """`work`'s status; what goes wrong is told in one line."""
    try:
        return work()
    except lp.UserError as error:
        print(f"{_own_name()}: {error}", file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt):
        print(f"{_own_name()}: stopped; the same command goes on", file=sys.stderr)
        return 130


def _own_name() -> str:
    return Path(sys.argv[0]).stem
