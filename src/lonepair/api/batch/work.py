"""The work on one row: fetch the inputs, train from the last checkpoint, translate, and store the results.

The training runs in a local scratch folder. Each of its checkpoints is copied to the batch's storage as one file, from
which any machine continues. A clip can be rendered in parts by other workers: the row stores its model, names the parts
and ends; each part is a task of its own; then the row is run again, finds all parts, and joins them.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from lonepair.api.batch.parts import StoredParts
from lonepair.api.batch.records import RowResult, RowTask
from lonepair.api.batch.rows import RowSettings, map_files, split_settings
from lonepair.api.batch.storage import Storage, default_scratch
from lonepair.api.batch.urls import fetch
from lonepair.api.job import Job
from lonepair.api.model import Model, load
from lonepair.api.reuse import find_complete_run
from lonepair.apply.translate import Translate
from lonepair.errors import UserError
from lonepair.media.sizes import parse_size
from lonepair.media.source import Source, open_source
from lonepair.render.folder import RenderFolder
from lonepair.render.translation import Translation
from lonepair.storage.lock import FileLock
from lonepair.storage.protect import protected
from lonepair.train.events import Watcher
from lonepair.train.loop import Interrupted
from lonepair.train.run import RunFolder

logger = logging.getLogger("lonepair")


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


class RowWork:
    """The work on one row, or on a part of its clip."""

    def __init__(self, task: RowTask, stop: threading.Event | None) -> None:
        self._task, self._stop = task, stop
        self._storage = Storage.open(task.out)
        root = Path(task.scratch or default_scratch())
        # The next attempt on this machine finds what this one has left.
        part = "" if task.part is None else f" {task.part.start}"
        self._folder = root / hashlib.sha256(f"{task.out} {task.fingerprint}{part}".encode()).hexdigest()[:24]
        self._lock = FileLock(self._folder.with_suffix(".lock"))
        self._checkpoint = f"checkpoints/{task.row.name}.tar"
        self._continued = False

    def run(self) -> RowResult:
        """Do it; returns how it ended, without its cost.

        Raises:
            UserError: An input or a setting is wrong, or something cannot be written.
            Interrupted: The row was stopped, and so `KeyboardInterrupt`.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._lock.take():
                raise UserError(f"this row is in work by {self._lock.holder()}; wait until it has ended")
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be created ({error.strerror}); give another scratch") from error
        try:
            result = self._run()
            self._clean_up()
        except UserError:
            self._clean_up()
            raise
        finally:
            self._lock.release()
        return result

    def _run(self) -> RowResult:
        task = self._task
        # Settings, inputs and model
        fetched = map_files(task.row.settings, lambda url: str(fetch(url, self._folder / "settings")))
        settings = split_settings(replace(task.row, settings=fetched))
        inputs = {
            "a": fetch(task.row.source, self._folder / "source"),
            "b": fetch(task.row.target, self._folder / "target"),
        }
        source = open_source(inputs["a"])
        self._check_translation(settings, source)
        model = self._load(inputs["b"], settings) if task.row.uses_model else self._train(inputs, settings)
        if self._should_stop():
            raise Interrupted
        # Translation, as one or in parts
        translation = model.apply(translation_of(settings, source))
        file = self._folder / f"{task.row.name}{'.mp4' if source.is_clip else '.png'}"
        workers, parts = settings.workers, None
        if task.splits and source.is_clip and workers.segment_frames and workers.count == 1:
            parts = StoredParts(self._storage, task.row.name, translation, workers, file, self._should_stop)
        with protected(inputs.values()):
            if parts is not None and task.part is not None:
                parts.render(task.part, self._folder / "part")
                return RowResult("done", continued=self._continued)
            if parts is not None and (missing := parts.missing()):
                self._store_model()
                return RowResult("split", continued=self._continued, parts=tuple(missing))
            self._translate(translation, file, settings, parts)
        self._storage.put(file, file.name)
        # The run, instead of its checkpoint
        if not task.row.uses_model:
            self._storage.put_folder(self._folder / "run", f"runs/{task.row.name}", ("state",))
            self._storage.delete(self._checkpoint)
        if parts is not None:
            parts.delete()
        return RowResult("done", output=file.name, continued=self._continued)

    def _should_stop(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _clean_up(self) -> None:
        """Delete what lies in the scratch folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.path.unlink(missing_ok=True)

    def _check_translation(self, settings: RowSettings, source: Source) -> None:
        """Check the settings of the translation before the training rather than after it."""
        use = translation_of(settings, source)
        use.open_masks(source)
        use.open_keys(use.part(source))
        settings.workers.check_passes(use.keys is not None or use.passes > 1)

    # -- model -------------------------------------------------------------------------------------------------

    def _load(self, target: Path, settings: RowSettings) -> Model:
        """The model that the row names as its target."""
        options = {name: settings.training[name] for name in ("dtype", "threads") if name in settings.training}
        return load(target, self._task.device, **{"threads": self._task.threads, **options})

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
        if task.part is not None:
            raise UserError(f"{self._storage.url}/{self._checkpoint}: has no complete run; start the batch again")
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

    def _store_model(self) -> None:
        """Store the complete run as the checkpoint, from which other workers take the model."""
        if not self._task.row.uses_model:
            self._storage.put_archive(self._folder / "run", self._checkpoint, ("state",))

    # -- translation ----------------------------------------------------------------------------------------------

    def _translate(
        self, translation: Translation, file: Path, settings: RowSettings, parts: StoredParts | None
    ) -> None:
        """Write the translation; `parts` are joined where they are given."""
        with _RENDERS:
            if parts is None:
                translation.save(file, overwrite=True, stop=self._stop, workers=settings.workers)
                return
            with RenderFolder.beside(file) as folder:
                parts.fetch(folder)
                translation.save(file, overwrite=True, stop=self._stop, workers=settings.workers, folder=folder)
