"""One row of a batch: fetch the inputs, train from the last checkpoint, translate, and store the results.

The training runs in a local scratch folder. Each of its checkpoints is copied to the batch's storage as one file, from
which any machine continues.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lonepair.api.batch.records import RowResult, write_record
from lonepair.api.batch.rows import BatchRow, RowSettings, split_settings
from lonepair.api.batch.storage import Storage, default_scratch, fetch, is_remote, remote_identity
from lonepair.api.job import Job
from lonepair.api.model import Model, load
from lonepair.api.reuse import find_complete_run
from lonepair.api.stop import BATCH_STOP
from lonepair.apply.translate import Translate
from lonepair.errors import UserError, printable
from lonepair.media.fingerprint import hash_files
from lonepair.media.sizes import parse_size
from lonepair.media.source import Source, open_source
from lonepair.storage.lock import FileLock
from lonepair.storage.protect import protected
from lonepair.train.events import Watcher
from lonepair.train.loop import Interrupted
from lonepair.train.run import RunFolder

logger = logging.getLogger("lonepair")


_WITHOUT_EFFECT = frozenset({"device", "threads", "workers"})
"""Settings that change results by rounding at most."""


@dataclass(frozen=True)
class RowTask:
    """A row, and what a worker needs beside it."""

    row: BatchRow
    fingerprint: str
    """`row_fingerprint`."""
    out: str
    """Path or URL of the batch's storage."""
    scratch: str | None = None
    """Folder for work on the worker's machine; None: one in the system's folder for temporary files."""
    threads: int = 0
    """CPU threads of the row; 0: those of the process."""
    device: str = "auto"


def row_fingerprint(row: BatchRow) -> str:
    """SHA-256 of the content of the row's inputs and of its settings: equal rows have equal results.

    Raises:
        UserError: An input cannot be read.
    """
    target = _model_identity(row.target) if row.uses_model else _identity(row.target)
    settings = {name: value for name, value in sorted(row.settings.items()) if name not in _WITHOUT_EFFECT}
    text = json.dumps([_identity(row.source), target, settings], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(text: str) -> str:
    return remote_identity(text) if is_remote(text) else open_source(text).fingerprint()


def _model_identity(text: str) -> str:
    if is_remote(text):
        return remote_identity(text)
    path = Path(text)
    return hash_files([path / "model.safetensors" if path.is_dir() else path])


def run_row(task: RowTask, stop: threading.Event | None = None) -> RowResult:
    """Train and translate a row.

    Args:
        task: The row.
        stop: Where it is set, the row saves and stops.

    Returns:
        How it ended. An error is a result, too, so that it stops no other row.
    """
    start, cpu = time.monotonic(), _cpu_time()
    token = BATCH_STOP.set(stop)
    try:
        output, continued = _Work(task, stop).run()
        result = RowResult("done", output=output, continued=continued, **_cost(start, cpu))
        write_record(Storage.open(task.out), task.row, task.fingerprint, result)
    except (Interrupted, KeyboardInterrupt):
        result = RowResult("stopped", **_cost(start, cpu))
    except UserError as error:
        result = RowResult("failed", _line(str(error)), **_cost(start, cpu))
    except Exception as error:
        with contextlib.suppress(UserError):
            Storage.open(task.out).write(f"errors/{task.row.name}.txt", traceback.format_exc().encode())
        result = RowResult("failed", _line(f"unexpected {type(error).__name__}: {error}"), **_cost(start, cpu))
    finally:
        BATCH_STOP.reset(token)
    return result


def _cost(start: float, cpu: float) -> dict[str, Any]:
    """What a row took since `start` of `time.monotonic` and `cpu` of `_cpu_time`, and where."""
    return {
        "seconds": round(time.monotonic() - start, 3),
        "cpu_seconds": round(_cpu_time() - cpu, 3),
        "peak_bytes": peak_memory(),
        "node": socket.gethostname(),
    }


def _cpu_time() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def peak_memory() -> int:
    """Largest memory of this process so far, in bytes; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _line(text: str) -> str:
    return printable(" ".join(text.split()), 400)


def translation_of(settings: RowSettings, source: Source) -> Translate:
    """The translation of a row's opened source.

    Raises:
        UserError: A setting is wrong.
    """
    values = dict(settings.translation)
    if isinstance(values.get("size"), str | int):
        values["size"] = parse_size(str(values["size"]), source.display_size)
    elif isinstance(values.get("size"), list):
        values["size"] = tuple(values["size"])
    return Translate(source, **values)


_RENDERS = threading.Lock()
"""Held while a translation is rendered: rows that share a process, and its GPU, train at the same time and render in
turn."""


class _Checkpoints(Watcher):
    """Copies each checkpoint of a run to the storage."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name = storage, name

    def saved(self, folder: Path) -> None:
        self._storage.put_archive(folder, self._name)


class _Work:
    """The work on one row."""

    def __init__(self, task: RowTask, stop: threading.Event | None) -> None:
        self._task, self._stop = task, stop
        self._storage = Storage.open(task.out)
        root = Path(task.scratch or default_scratch())
        # The next attempt on this machine finds what this one has left.
        self._folder = root / hashlib.sha256(f"{task.out} {task.fingerprint}".encode()).hexdigest()[:24]
        self._lock = FileLock(self._folder.with_suffix(".lock"))
        self._checkpoint = f"checkpoints/{task.row.name}.tar"
        self._continued = False

    def run(self) -> tuple[str, bool]:
        """Do it; returns the name of the result, and whether the work went on from a checkpoint."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._lock.take():
                raise UserError(f"this row is in work by {self._lock.holder()}; wait until it has ended")
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be created ({error.strerror}); give another scratch") from error
        try:
            result = self._run()
        except UserError:
            self._clean_up()
            raise
        finally:
            self._lock.release()
        return result

    def _run(self) -> tuple[str, bool]:
        row, settings = self._task.row, split_settings(self._task.row)
        inputs = {
            "a": fetch(row.source, self._folder / "source"),
            "b": fetch(row.target, self._folder / "target"),
        }
        source = open_source(inputs["a"])
        if row.uses_model:
            options = {name: settings.training[name] for name in ("dtype", "threads") if name in settings.training}
            model = load(inputs["b"], self._task.device, **options)
        else:
            self._check_translation(settings, source)
            model = self._train(inputs, settings)
        if self._stop is not None and self._stop.is_set():
            raise Interrupted
        with protected(inputs.values()):
            output = self._translate(model, source, settings)
        if not row.uses_model:
            self._storage.put_folder(self._folder / "run", f"runs/{row.name}", ("state",))
            self._storage.delete(self._checkpoint)
        self._clean_up()
        return output, self._continued

    def _clean_up(self) -> None:
        """Delete what lies in the scratch folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.path.unlink(missing_ok=True)

    def _check_translation(self, settings: RowSettings, source: Source) -> None:
        """Check the settings of the translation before the training rather than after it."""
        use = translation_of(settings, source)
        use.open_masks(source)
        use.open_keys(use.part(source))

    # -- training -------------------------------------------------------------------------------------------------

    def _train(self, inputs: dict[str, Path], settings: RowSettings) -> Model:
        """The trained model: of a complete run, or of one that begins or continues."""
        task, run = self._task, self._folder / "run"
        options = {"device": task.device} | ({"threads": task.threads} if task.threads else {})
        job = Job.prepare(dict(inputs), settings.method, settings.preset, {**options, **settings.training})
        self._restore(run)
        complete = find_complete_run(job, [run]) if run.is_dir() else None
        if complete is not None:
            self._continued = True
            return load(complete.folder.model, task.device, job.options.dtype, job.options.threads)
        resume = run.is_dir() and self._can_resume(job, run)
        if not resume:
            shutil.rmtree(run, ignore_errors=True)
        self._continued = resume
        return job.run(job.folder(run, resume), resume, [_Checkpoints(self._storage, self._checkpoint)])

    def _restore(self, run: Path) -> None:
        """Get the last checkpoint of an earlier attempt on any machine."""
        if not self._storage.exists(self._checkpoint):
            return
        with tempfile.TemporaryDirectory(prefix="lonepair-") as scratch:
            copy = Path(scratch) / "run"
            try:
                self._storage.get_archive(self._checkpoint, copy)
            except UserError as error:
                logger.warning("%s; the row starts again", error)
                return
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(copy, run)

    @staticmethod
    def _can_resume(job: Job, run: Path) -> bool:
        """Whether there is a state of this training."""
        folder = RunFolder(run)
        try:
            folder.check_config(job.settings)
        except UserError:
            return False
        return folder.states.exist

    # -- translation ----------------------------------------------------------------------------------------------

    def _translate(self, model: Model, source: Source, settings: RowSettings) -> str:
        """Write the translation, and return its name in the storage."""
        translation = model.apply(translation_of(settings, source))
        name = f"{self._task.row.name}{'.mp4' if source.is_clip else '.png'}"
        file = self._folder / name
        with _RENDERS:
            translation.save(file, overwrite=True, stop=self._stop, workers=settings.workers)
        self._storage.put(file, name)
        return name
