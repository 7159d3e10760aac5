"""The command `batch`: train and translate every row of a table, on this machine or on a Ray cluster."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from lonepair.errors import UserError, printable

if TYPE_CHECKING:
    from lonepair.api.batch.place import BatchPlace
    from lonepair.api.batch.rows import BatchRow
    from lonepair.api.batch.table import BatchReport

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class Batch:
    """Train on each source and its target, and translate the source: many pairs or clips in one command.

    JOBS is a .csv or .jsonl table with the columns source, target, name and any setting, or a pattern of sources. The
    same command again leaves out the rows that are done, and continues those that were stopped."""

    examples: ClassVar[Sequence[tuple[str, str]]] = (
        ("lonepair batch 'shots/*.mp4' --style look.png -o out", "every clip in the style of look.png"),
        ("lonepair batch jobs.csv -o out --workers 4", "the rows of a table, four at the same time"),
        ("lonepair batch jobs.csv -o out --dry-run", "estimate time and memory"),
        ("lonepair batch jobs.csv -o s3://studio/out --address auto", "on a Ray cluster"),
        ("lonepair batch jobs.csv -o out --shard 2/8", "every eighth row from the second on, in a job array"),
    )

    jobs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="JOBS")]
    """A .csv or .jsonl table, a pattern such as 'shots/*.mp4', or files. Paths in a table start at its folder; URLs
    such as s3://bucket/clip.mp4 are fetched."""
    out: Annotated[str, tyro.conf.arg(aliases=["-o"], metavar="FOLDER|URL")]
    """Folder or URL of the results: NAME.png or NAME.mp4, the runs in runs/, and the table of states jobs.jsonl."""
    style: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Target of the rows that name none: an image, or a trained model, which is used without a training."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """A setting of all rows, such as steps=500 or structure=0.8; repeat the flag for more. A row's own value comes
    first. Names are those of the flags of translate, with underscores."""
    method: str | None = None
    """Method to train; if omitted, the default of a pair."""
    preset: str | None = None
    """Size and duration of the trainings: draft, standard or full; if omitted, standard."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on; auto uses a GPU where one is available. In one process a GPU trains eight rows at the same
    time."""
    workers: int = 1
    """Processes on this machine, each with an equal share of the cores. 1 runs the rows in this process, one after
    another on all cores; 0 starts a process for each core."""
    address: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Run on a Ray cluster: auto (the one that this machine belongs to), HOST:PORT of its head, or ray://HOST:PORT.
    Needs the extra `cluster`."""
    cpus: float = 1.0
    """CPUs of a row on a cluster."""
    gpus: float | None = None
    """GPUs of a row on a cluster; 0.25 lets four rows share one. If omitted, 0.125 where the cluster has GPUs, else
    0."""
    shard: Annotated[str | None, tyro.conf.arg(metavar="I/N")] = None
    """Run only every Nth row from the Ith on, for job arrays without Ray. All shards may have the same FOLDER."""
    retries: int = 2
    """How often a row starts again, from its last checkpoint, after its worker was lost."""
    scratch: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder for unfinished work on each machine. If omitted, one in the system's folder for temporary files."""
    dry_run: bool = False
    """Measure some steps and frames on this machine, print the time and memory of each row and in all, and write
    nothing."""


def run_batch(values: Batch) -> int:
    """Run the batch; the status is 0 where every row is done, 2 where one failed, 130 where it was stopped."""
    from lonepair.api.batch.place import BatchPlace
    from lonepair.api.batch.runner import run_batch as run
    from lonepair.storage.protect import protected

    place = BatchPlace(
        values.workers, values.address, values.cpus, values.gpus, values.device, values.scratch, values.retries
    )
    rows = _rows(values)
    if values.dry_run:
        return _estimate(rows, values, place)
    with _Bar() as bar, protected(Path(jobs).expanduser() for jobs in values.jobs):
        report = run(rows, values.out, shard=values.shard, place=place, progress=bar.show)
    return _finish(report, values)


def _rows(values: Batch) -> list[BatchRow]:
    from lonepair.api.batch.jobs import read_rows
    from lonepair.api.batch.rows import named_rows, parse_settings

    if not values.jobs:
        raise UserError("missing: JOBS; `lonepair batch --help` shows examples")
    settings = parse_settings(values.set)
    settings |= {name: value for name in ("method", "preset") if (value := getattr(values, name)) is not None}
    return named_rows(row for jobs in values.jobs for row in read_rows(jobs, values.style, settings))


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


class _Bar:
    """A progress bar over rows."""

    def __enter__(self) -> _Bar:
        from tqdm.auto import tqdm

        # Once a second in a terminal, twice a minute in the log of a job.
        seconds = 1.0 if sys.stderr.isatty() else 30.0
        self._bar: Any = tqdm(desc="batch", unit="row", file=sys.stderr, mininterval=seconds, maxinterval=2 * seconds)
        # What each training says is in the log.txt of its run.
        for handler in logger.handlers:
            handler.addFilter(_is_warning)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        for handler in logger.handlers:
            handler.removeFilter(_is_warning)

    def show(self, report: BatchReport) -> None:
        """Show where the batch stands."""
        from lonepair.train.watchers import format_seconds

        failed = len(report.failed)
        self._bar.total = report.total
        text = f"{report.count('running')} running, {failed} failed, {format_seconds(report.cpu_seconds)} of CPU"
        left = report.seconds_left
        self._bar.set_postfix_str(text + (f", {format_seconds(left)} left" if left is not None else ""), refresh=False)
        self._bar.update(report.count("done") + failed - self._bar.n)


def _finish(report: BatchReport, values: Batch) -> int:
    """Print how the batch ended, with the failed rows last."""
    from lonepair.train.watchers import format_seconds

    earlier = sum(row.is_earlier for row in report.rows)
    copies = sum(row.is_copy and row.state == "done" for row in report.rows)
    done, stopped = report.count("done"), report.count("stopped") + report.count("waiting")
    cost = f"{format_seconds(report.seconds)}, {format_seconds(report.cpu_seconds)} of CPU"
    not_run = f", {earlier} of them earlier" if earlier else ""
    not_run += f", {copies} of them equal to another row" if copies else ""
    logger.info("%d of %d rows are done in %s%s (%s)", done, report.total, values.out, not_run, cost)
    for row in report.failed:
        logger.error("row %d, %s: %s", row.row, row.name, printable(row.error))
    if stopped:
        raise KeyboardInterrupt(f"stopped; {stopped} rows are left, the same command continues")
    return 2 if report.failed else 0


def _estimate(rows: list[BatchRow], values: Batch, place: BatchPlace) -> int:
    """Print what each row will take."""
    from tqdm.auto import tqdm

    from lonepair.api.batch.estimate import estimate_rows
    from lonepair.api.batch.rows import choose_shard
    from lonepair.compute.memory import gigabytes
    from lonepair.train.watchers import format_seconds

    chosen = [rows[index] for index in choose_shard(rows, values.shard)] if values.shard else rows
    with tqdm(total=len(chosen), desc="measuring", unit="row", file=sys.stderr) as bar:
        estimates = estimate_rows(chosen, values.device, lambda: bar.update() and None)
    width = max(len(row.name) for row in chosen)
    for each in estimates:
        cost = f"{format_seconds(each.seconds):>9}  {gigabytes(each.memory):>7}  {each.frames:>6} frames"
        print(f"{each.row.name:{width}}  {each.error or cost}")
    total = sum(each.seconds for each in estimates)
    memory = max((each.memory for each in estimates), default=0)
    print(f"{'in all':{width}}  {format_seconds(total):>9}  {gigabytes(memory):>7} for each row that runs")
    if place.address is None and values.workers != 1:
        print("rows that run at the same time share the cores: the time in all is about that of one after another")
    return 2 if any(each.error for each in estimates) else 0
