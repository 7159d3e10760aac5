"""Watchers that the package provides: progress bar, time estimate, metrics file, TensorBoard."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from pathlib import Path
from typing import IO, Any, cast

from tqdm.auto import tqdm

from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.storage.files import error_reason
from lonepair.streams import PatientStream
from lonepair.train.clock import WARM_UP
from lonepair.train.events import Report, Watcher

logger = logging.getLogger("lonepair")


class ProgressBar(Watcher):
    """Shows one line on stderr: stage, step, losses by kind, remaining time."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._losses = ""

    def stage_started(self, method: Method) -> None:
        self._close()
        stream = sys.stderr if isinstance(sys.stderr, PatientStream) else PatientStream(sys.stderr)
        sizes = " and ".join(f"{stages[-1][1]}x{stages[-1][0]}" for stages in method.sizes.values())
        self._bar = tqdm(
            desc=f"stage {method.stage + 1}/{method.plan.stages} ({sizes})",
            file=stream,
            dynamic_ncols=True,
            leave=True,
            mininterval=0.1 if stream.isatty() else 10.0,  # a log file needs fewer lines
            bar_format="{desc} {bar:20} {n_fmt}/{total_fmt}{postfix}",
        )

    def stepped(self, method: Method, report: Report) -> None:
        if report.losses is not None:
            # One number for each kind: "adv_a" and "adv_b" are added up, so that the line fits.
            groups: dict[str, float] = {}
            for name, value in report.losses.items():
                kind = name.split("_")[0]
                groups[kind] = groups.get(kind, 0.0) + value
            self._losses = " ".join(f"{kind} {value:.2f}" for kind, value in groups.items())
        self._bar.total = report.steps
        self._bar.set_postfix_str(f"{self._losses} | {format_seconds(report.eta_seconds)} left", refresh=False)
        self._bar.update(report.step - self._bar.n)

    def finished(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class TimeEstimate(Watcher):
    """Logs once how long the training takes, as soon as a few steps are measured."""

    SHORTEST = 10.0
    """A training that ends within this many seconds needs no estimate."""

    def __init__(self, steps: int = 2 * WARM_UP, seconds: float = 2.0) -> None:
        """
        Args:
            steps: Steps before the estimate; the clock leaves out the first `WARM_UP`.
            seconds: Measured time before the estimate.
        """
        self._least = steps, seconds
        self._started: float | None = None
        self._steps = 0
        self._is_done = False

    def stepped(self, method: Method, report: Report) -> None:
        if self._is_done:
            return
        self._steps += 1
        if self._started is None:
            self._started = time.monotonic()
        steps, seconds = self._least
        if self._steps >= steps and time.monotonic() - self._started >= seconds:
            self._is_done = True
            if report.eta_seconds >= self.SHORTEST:
                end = time.strftime("%H:%M", time.localtime(time.time() + report.eta_seconds))
                text = "training takes about %s more, until %s; Ctrl-C stops it and saves"
                logger.info(text, format_seconds(report.eta_seconds), end)


def format_seconds(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class MetricsFile(Watcher):
    """Writes metrics.jsonl: one line with a JSON object for each report that has losses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def stepped(self, method: Method, report: Report) -> None:
        if report.losses is None:
            return
        line = {"stage": report.stage, "step": report.step, "seconds": round(report.seconds, 3)}
        losses = {name: round(value, 6) for name, value in report.losses.items()}
        try:
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8")
            self._file.write(json.dumps({**line, **losses}) + "\n")
            # On disk before the state is saved: a resumed run cuts the file to the length that the state records.
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{self._path}: cannot be written ({error_reason(error)}); free disk space, then continue with `resume`"
            ) from error

    def finished(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # `stepped` has reported the line that could not be written
                self._file.close()
            self._file = None


class TensorBoard(Watcher):
    """Writes TensorBoard events: each loss over the steps of the run, counted through all stages."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError("`tensorboard` needs a package: pip install tensorboard") from None
        self._folder, self._writer = folder, cast(Any, SummaryWriter(str(folder)))

    def stepped(self, method: Method, report: Report) -> None:
        # Steps count through all stages, since TensorBoard has one axis.
        before = sum(method.schedule(stage).steps for stage in range(report.stage))
        if self._writer is None:
            return
        try:
            for name, value in (report.losses or {}).items():
                self._writer.add_scalar(name, value, before + report.step)
        except OSError as error:
            self._give_up(error)

    def finished(self) -> None:
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Go on without events: metrics.jsonl has the same numbers."""
        logger.warning("%s: cannot be written (%s); the training continues without it", self._folder, error)
        self._writer = None
