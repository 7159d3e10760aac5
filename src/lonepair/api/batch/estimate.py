"""Estimates the time and the memory of a batch: a few steps of training and some frames, measured on this machine.

Rows that train alike are measured once, in a process of their own, whose largest memory is that of the row.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from lonepair.api.batch.rows import BatchRow, split_settings
from lonepair.api.batch.storage import default_scratch
from lonepair.api.batch.task import peak_memory
from lonepair.api.batch.urls import fetch
from lonepair.api.batch.work import translation_of
from lonepair.api.job import Job
from lonepair.api.model import Model, load
from lonepair.errors import UserError, printable
from lonepair.media.source import Source, open_source
from lonepair.methods.base import Method
from lonepair.train.clock import WARM_UP
from lonepair.train.events import Report, Watcher
from lonepair.train.loop import Interrupted

_STEPS = 24
"""Steps that are measured at most: the first ten also prepare kernels and memory."""
_SECONDS = 8.0
"""Seconds of training after which a measurement ends, once steps are warm."""
_FRAMES = 4
"""Frames of a clip that are rendered: the first one takes longest."""


@dataclass(frozen=True)
class Estimate:
    """What a row will take on this machine, used alone."""

    row: BatchRow
    seconds: float = 0.0
    training_seconds: float = 0.0
    memory: int = 0
    """Bytes; of the training's first stage, if that is all that was measured."""
    frames: int = 1
    error: str = ""
    """One line; empty unless the row cannot be run."""


def estimate_rows(
    rows: Sequence[BatchRow], device: str = "auto", progress: Callable[[], None] = lambda: None
) -> list[Estimate]:
    """Estimate each row.

    Args:
        rows: The rows.
        device: Device of all rows.
        progress: Called after each row.
    """
    measured: dict[tuple[object, ...], Estimate] = {}
    estimates = []
    for row in rows:
        try:
            split_settings(row)
            key = _kind(row)
            if key not in measured:
                measured[key] = _in_process(row, device)
            estimates.append(_scaled(measured[key], row))
        except UserError as error:
            estimates.append(_failed(row, error))
        progress()
    return estimates


def _failed(row: BatchRow, error: UserError) -> Estimate:
    return Estimate(row, error=printable(str(error), 400))


def _kind(row: BatchRow) -> tuple[object, ...]:
    """What the time of a row depends on, but for its number of frames; numbers of pixels count in steps of 10 %."""
    sources = [open_source(path) for path in _local(row)]
    pixels = [round(math.log(source.size[0] * source.size[1]) / math.log(1.1)) for source in sources]
    settings = {name: value for name, value in row.settings.items() if name != "seed"}
    return (row.uses_model and row.target, sources[0].is_clip, *pixels, repr(sorted(settings.items(), key=str)))


def _local(row: BatchRow) -> list[Path]:
    """The row's inputs on this machine: its source and, unless that is a model, its target."""
    # A folder for each URL: two files can have the same name.
    urls = [row.source] if row.uses_model else [row.source, row.target]
    folders = [default_scratch() / "estimates" / hashlib.sha256(url.encode()).hexdigest()[:24] for url in urls]
    return [fetch(url, folder) for url, folder in zip(urls, folders, strict=True)]


def _in_process(row: BatchRow, device: str) -> Estimate:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure_row, row, device).result()
        except UserError as error:  # that of all rows of this kind
            return _failed(row, error)
        except BrokenProcessPool:
            text = "its measurement was killed, perhaps for lack of memory; lower max_side or size"
            return Estimate(row, error=text)


def measure_row(row: BatchRow, device: str = "auto") -> Estimate:
    """Measure some steps and some frames of a row in this process.

    Raises:
        UserError: The row cannot be run.
    """
    settings = split_settings(row)
    paths = _local(row)
    source = open_source(paths[0])
    training = 0.0
    if row.uses_model:
        model = load(row.target, device)
    else:
        inputs = dict(zip(("a", "b"), paths, strict=True))
        options = {"device": device, **settings.training}
        job = Job.prepare(inputs, settings.method, settings.preset, options)
        training, model = _measure_training(job)
    first, others = _measure_frames(model, source, row)
    frames = _frame_count(source)
    return Estimate(row, training + first + (frames - 1) * others, training, peak_memory(), frames)


class _Measure(Watcher):
    """Ends a training when its time can be told."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.method: Method | None = None
        self._start = time.monotonic()

    def stepped(self, method: Method, report: Report) -> None:
        self.seconds, self.method = report.seconds + report.eta_seconds, method
        seconds = time.monotonic() - self._start
        is_warm = report.step > WARM_UP + 1 or seconds > 10 * _SECONDS
        if report.step >= min(_STEPS, report.steps) or (is_warm and seconds > _SECONDS):
            raise Interrupted


def _measure_training(job: Job) -> tuple[float, Model]:
    """The seconds of the whole training, and a model of its first stage."""
    measure = _Measure()
    try:
        return measure.seconds, job.run(callbacks=[measure])
    except Interrupted:
        assert measure.method is not None
        return measure.seconds, Model(measure.method, job.engine, job.settings)


def _measure_frames(model: Model, source: Source, row: BatchRow) -> tuple[float, float]:
    """Seconds of the first frame, and of each later one."""
    translation = model.apply(translation_of(split_settings(row), source))
    times = [time.monotonic()]
    for _ in islice(translation.frames(), _FRAMES):
        times.append(time.monotonic())
    first = times[1] - times[0]
    later = times[2:]
    return first, (later[-1] - times[1]) / len(later) if later else first


def _frame_count(source: Source) -> int:
    return source.frame_count or len(source.times())


def _scaled(first: Estimate, row: BatchRow) -> Estimate:
    """The estimate of `row`, from that of a row of the same kind."""
    if first.error:
        return replace(first, row=row)
    if row == first.row:
        return first
    frames = _frame_count(open_source(_local(row)[0]))
    per_frame = (first.seconds - first.training_seconds) / max(1, first.frames)
    return Estimate(row, first.training_seconds + frames * per_frame, first.training_seconds, first.memory, frames)
