"""Those who watch every training: progress bar, metrics file, previews, TensorBoard."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.media.files import error_reason
from lonepair.media.image import write_image
from lonepair.media.sheet import contact_sheet
from lonepair.methods.base import Method
from lonepair.ops.noise import RandomStream
from lonepair.train.events import Report, Watcher


class ProgressBar(Watcher):
    """One line: stage, step, losses, time left."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._losses = ""

    def stage_started(self, method: Method) -> None:
        self._close()
        sizes = " and ".join(f"{stages[-1][1]}x{stages[-1][0]}" for stages in method.sizes.values())
        self._bar = tqdm(
            desc=f"stage {method.stage + 1}/{method.plan.stages} ({sizes})",
            file=sys.stderr,
            dynamic_ncols=True,
            leave=True,
            mininterval=0.1 if sys.stderr.isatty() else 10.0,  # a log need not hold every step
            bar_format="{desc} {bar:20} {n_fmt}/{total_fmt}{postfix}",
        )

    def stepped(self, method: Method, report: Report) -> None:
        if report.losses is not None:
            groups: dict[str, float] = {}
            for name, value in report.losses.items():
                kind = name.split("_")[0]
                groups[kind] = groups.get(kind, 0.0) + value
            self._losses = " ".join(f"{kind} {value:.2f}" for kind, value in groups.items())
        self._bar.total = report.steps
        self._bar.set_postfix_str(f"{self._losses} | {_clock(report.eta_seconds)} left", refresh=False)
        self._bar.update(report.step - self._bar.n)

    def finished(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class MetricsFile(Watcher):
    """metrics.jsonl: one JSON object for each report that carries losses."""

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
                self._file = self._path.open("a")
            self._file.write(json.dumps({**line, **losses}) + "\n")
            # There before any state that counts on it: a resumed run cuts the file back to that state's length.
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{self._path}: cannot be written ({error_reason(error)}); free some space, then continue with `resume`"
            ) from error

    def finished(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a line that could not be written, and was told of
                self._file.close()
            self._file = None


class Previews(Watcher):
    """previews/stage-N.png, drawn again every so often and at each stage's end: what the method shows of itself."""

    def __init__(self, folder: Path, real: dict[str, list[Tensor]], engine: Engine, seconds: float) -> None:
        """`real`: one frame of each domain at every stage."""
        self._folder, self._real, self._engine, self._seconds = folder, real, engine, seconds
        self._last = time.monotonic()

    def stepped(self, method: Method, report: Report) -> None:
        if time.monotonic() - self._last >= self._seconds:
            self._draw(method)

    def stage_finished(self, method: Method) -> None:
        self._draw(method)

    def _draw(self, method: Method) -> None:
        real = {domain: stages[: method.stage + 1] for domain, stages in self._real.items()}
        # As in use, and without a trace: in training mode BatchNorm would take the preview into its running averages.
        training = {part: part.training for part in method.nets.modules()}
        method.nets.eval()
        with torch.no_grad(), self._engine.autocast():
            pictures = method.preview(real, RandomStream(0, device=self._engine.device))
        for part, was_training in training.items():
            part.training = was_training
        sheet = contact_sheet([[(label, image.float().cpu()) for label, image in pictures]], cell=220)
        write_image(self._folder / f"stage-{method.stage}.png", sheet, overwrite=True)
        self._last = time.monotonic()


class TensorBoard(Watcher):
    """TensorBoard events: each loss over all steps of the run."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError("`tensorboard` needs a package: pip install tensorboard") from None
        self._writer: Any = SummaryWriter(str(folder))

    def stepped(self, method: Method, report: Report) -> None:
        before = sum(method.schedule(stage).steps for stage in range(report.stage))
        for name, value in (report.losses or {}).items():
            self._writer.add_scalar(name, value, before + report.step)

    def finished(self) -> None:
        self._writer.close()
