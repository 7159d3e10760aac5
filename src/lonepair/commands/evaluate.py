"""The command `eval`: measure runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import tyro

from lonepair.commands.forms import Compute, File
from lonepair.commands.outputs import OutFolder, check_folder, new_folder
from lonepair.commands.roles import PathRole
from lonepair.errors import UserError

if TYPE_CHECKING:
    from lonepair.evaluate import EvaluationOptions, Run
    from lonepair.media.source import Source

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class ReportOutput:
    """The folder of a report."""

    title: ClassVar[str] = "Output"

    out: OutFolder = None
    """Folder for report.html, results.json and pictures. If omitted, eval, the next free name."""
    overwrite: bool = False
    """Replace existing files."""


@dataclass(frozen=True)
class Eval:
    """Measure runs: a table, a page with pictures (report.html) and the numbers (results.json)."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN"), PathRole.INPUT]
    """Folders of complete runs."""
    published: File = None
    """A published translation of the run's source, to compare with the run's translation. For one run of a pair."""
    weights: File = None
    """Weights of the FID Inception network (.pth or .safetensors), to measure the SIFID of samples. For runs of one
    image."""
    source: Annotated[Path | None, tyro.conf.arg(metavar="CLIP"), PathRole.INPUT] = None
    """A clip to translate, to measure the translation over time beside trivial baselines. For runs of pairs."""
    samples: int = 8
    """Number of samples to measure, 2 or more. For runs of one image."""
    seed: int = 0
    """Random seed of samples and of the noise in translations."""
    output: ReportOutput = field(default_factory=ReportOutput)
    compute: Compute = field(default_factory=Compute)


def run_eval(values: Eval) -> int:
    """Measure each run, print its table, and write the report."""
    from lonepair.evaluate import measure_run, open_run, text_table, write_report

    # Flags and files first, since loading a model takes seconds.
    _check(values)
    check_folder(values.output.out, values.output.overwrite)
    options = _options(values)
    runs = [open_run(path, values.compute.load) for path in values.runs]
    _check_use(values, runs)
    reports = []
    for run in runs:
        logger.info("measuring %s", run.path)
        reports.append(measure_run(run, options))
        print(text_table(run, reports[-1]))
    folder = new_folder(values.output.out, "eval", values.output.overwrite)
    print(write_report(folder, runs, reports, options))
    return 0


def _check(values: Eval) -> None:
    """Check what depends on the flags alone.

    Raises:
        UserError: for the first problem.
    """
    if not values.runs:
        raise UserError("missing: RUN; give the folder of a run, such as runs/NAME")
    if values.published is not None and len(values.runs) > 1:
        raise UserError(f"--published is a picture of one pair, there are {len(values.runs)} runs: give one run")
    if values.samples < 2:
        raise UserError(f"samples is {values.samples}: choose 2 or more, as samples are compared with each other")
    if not 0 <= values.seed < 2**32:
        raise UserError(f"seed is {values.seed}: choose 0 to {2**32 - 1}")


def _options(values: Eval) -> EvaluationOptions:
    """Open and check the files of the flags.

    Raises:
        UserError: a file cannot be used.
    """
    from lonepair.evaluate import EvaluationOptions
    from lonepair.media.stills.image import read_image
    from lonepair.metrics.sifid import check_weights

    weights = None if values.weights is None else values.weights.expanduser()
    if weights is not None:
        check_weights(weights)
    clip = None if values.source is None else _open_clip(values.source)
    published = None if values.published is None else read_image(values.published)
    return EvaluationOptions(published, clip, weights, values.samples, values.seed)


def _open_clip(path: Path) -> Source:
    from lonepair.media.source import open_source
    from lonepair.ops.flow import check_opencv

    source = open_source(path)
    if not source.is_clip:
        raise UserError(f"{source.name}: is an image; give a clip with --source")
    check_opencv()
    return source


def _check_use(values: Eval, runs: list[Run]) -> None:
    """Check that each flag applies to a run.

    Raises:
        UserError: naming the flag.
    """
    pairs, singles = [r for r in runs if not r.is_single_image], [r for r in runs if r.is_single_image]
    # Each of these flags measures one kind of run.
    for flag, value, suitable, kind in (
        ("--published", values.published, pairs, "a pair"),
        ("--source", values.source, pairs, "a pair"),
        ("--weights", values.weights, singles, "one image"),
    ):
        if value is not None and not suitable:
            raise UserError(f"{flag} is for runs of {kind}, and {runs[0].path} is not one: leave the flag out")
