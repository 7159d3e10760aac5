"""The command that measures finished runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from lonepair.commands.forms import Compute
from lonepair.errors import UserError

if TYPE_CHECKING:
    from lonepair.evaluate import EvaluationOptions, Run
    from lonepair.media.source import Source

logger = logging.getLogger("lonepair")

File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]


@dataclass(frozen=True)
class ReportOutput:
    """Where the report goes."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """Folder for report.html, results.json and pictures. Default: eval, the next free name."""
    overwrite: bool = False
    """Replace files that exist."""

    def folder(self) -> Path:
        """The folder's name; refuses now what would fail in the end."""
        from lonepair.media.files import check_frames_folder, check_writable, next_free

        out = self.out or (Path("eval") if self.overwrite else next_free(Path("eval")))
        check_frames_folder(out, self.overwrite)
        check_writable(out if out.is_dir() else out.parent)
        return out


@dataclass(frozen=True)
class Eval:
    """Measure what runs have learnt: a table, a page with pictures (report.html) and the numbers (results.json)."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folders of finished runs."""
    published: File = None
    """A published picture of a run's own source in its target's look, to measure beside; with one run alone."""
    weights: File = None
    """Weights of the FID Inception network (.pth or .safetensors), for SIFID of samples. Nothing is downloaded."""
    source: Annotated[Path | None, tyro.conf.arg(metavar="CLIP")] = None
    """A clip that runs of pairs redraw as a whole, to measure how steady it is."""
    samples: int = 8
    """How many samples of a model of one image are measured."""
    seed: int = 0
    """Of samples, and of the noise in a redrawing."""
    output: ReportOutput = field(default_factory=ReportOutput)
    compute: Compute = field(default_factory=Compute)


def run_eval(given: Eval) -> int:
    from lonepair.evaluate import measure_run, open_run, text_table, write_report

    _check(given)
    folder = given.output.folder()
    wanted = _wanted(given)
    runs = [open_run(path, given.compute.load) for path in given.runs]
    _check_use(given, runs)
    measured = []
    for run in runs:
        logger.info("measuring %s", run.path)
        measured.append(measure_run(run, wanted))
        print(text_table(run, measured[-1]))
    print(write_report(folder, runs, measured, wanted))
    return 0


def _check(given: Eval) -> None:
    """Refuse what can be told from the flags alone.

    Raises:
        UserError: for the first thing that is wrong.
    """
    if not given.runs:
        raise UserError("missing: RUN; give the folder of a run, such as runs/NAME")
    if given.published is not None and len(given.runs) > 1:
        raise UserError(f"--published is a picture of one pair, there are {len(given.runs)} runs: give one run")
    if given.samples < 2:
        raise UserError(f"samples is {given.samples}: choose 2 or more, for they are compared with each other")
    if not 0 <= given.seed < 2**32:
        raise UserError(f"seed is {given.seed}: choose 0 to {2**32 - 1}")


def _wanted(given: Eval) -> EvaluationOptions:
    """The files that the flags name, opened and checked."""
    from lonepair.evaluate import EvaluationOptions
    from lonepair.media.image import read_image
    from lonepair.metrics.sifid import check_weights

    weights = None if given.weights is None else given.weights.expanduser()
    if weights is not None:
        check_weights(weights)
    clip = None if given.source is None else _open_clip(given.source)
    published = None if given.published is None else read_image(given.published)
    return EvaluationOptions(published, clip, weights, given.samples, given.seed)


def _open_clip(path: Path) -> Source:
    from lonepair.media.source import open_source
    from lonepair.ops.flow import check_opencv

    source = open_source(path)
    if not source.is_clip:
        raise UserError(f"{source.name}: is an image, and nothing moves in it; give a clip with --source")
    check_opencv()
    return source


def _check_use(given: Eval, runs: list[Run]) -> None:
    """Refuse a flag that no run has a use for.

    Raises:
        UserError: naming the flag.
    """
    pairs, singles = [r for r in runs if not r.is_single_image], [r for r in runs if r.is_single_image]
    for flag, value, able, kind in (
        ("--published", given.published, pairs, "a pair"),
        ("--source", given.source, pairs, "a pair"),
        ("--weights", given.weights, singles, "one image"),
    ):
        if value is not None and not able:
            raise UserError(f"{flag} is for runs of {kind}, {runs[0].path} is none; leave it out")
