"""A run's folder: settings, inputs, state to resume from, metrics, previews, log and model.

    config.json  environment.json  inputs/  log.txt  metrics.jsonl  previews/  model.safetensors
    state/state.pt  state/previous.pt  state/lock
  completion.json, once the training has ended

log.txt and metrics.jsonl grow by lines. Every other file is replaced in one atomic move, so that a kill at any moment
leaves the last state intact. The state decides: a resumed run cuts metrics.jsonl back to it, and writes the model again
where that is not the state's. One process at a time writes into a run's folder.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.ops.noise import seed_global
from lonepair.storage.files import atomic_write, create_numbered_folder, error_reason
from lonepair.storage.lock import FileLock
from lonepair.storage.temporary import PREFIX
from lonepair.train.checkpoint import PROGRESS, read_header, save_model
from lonepair.train.log import write_log
from lonepair.train.loop import Progress, is_complete, progress_of
from lonepair.train.model_outline import check_finite
from lonepair.train.options import Options
from lonepair.train.records import check_settings, environment, numbered_paths, same_settings
from lonepair.train.resume_checks import check_optimizers, check_progress
from lonepair.train.state import StateFiles
from lonepair.train.validation import parse_settings, read_completion, read_settings
from lonepair.train.verify import check_places, cut_metrics, repair_inputs, repair_model, tidy

logger = logging.getLogger("lonepair")


class RunFolder:
    """The folder of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / "model.safetensors"
        self.metrics = path / "metrics.jsonl"
        self.previews = path / "previews"
        self.inputs = path / "inputs"
        self.log = path / "log.txt"
        self._config = path / "config.json"
        self._completion = path / "completion.json"
        self.states = StateFiles(path / "state")

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """Create a folder at `path`, or at path-2, path-3, ... where it exists.

        Raises:
            UserError: where it cannot be created.
        """
        if not path.name:
            raise UserError(f"{path}: cannot be a run's folder; choose one with a name, such as runs/first")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            run = cls(create_numbered_folder(path))
            run.states.folder.mkdir()
            run.previews.mkdir()
        except OSError as error:
            raise UserError(
                f"{path}: cannot create the run's folder ({error_reason(error)}); choose another place as `out`"
            ) from error
        return run

    @classmethod
    def latest(cls, path: Path, settings: dict[str, Any]) -> RunFolder:
        """Find the run that `resume` means: the last of path, path-2, path-3, ... that was started with `settings`.

        If `path` itself ends in a number and has these settings, it is the run. If no run has them, the result is
        `path`, or the last run where `path` does not exist; `check_config` then says what differs.

        Raises:
            UserError: where there is no run.
        """
        # As they are read back from config.json, where tuples are lists.
        current = json.loads(json.dumps(settings))

        def has_settings(folder: Path) -> bool:
            saved = cls(folder).config()
            return saved is not None and same_settings(saved, current)

        if re.search(r"-\d+$", path.name) and has_settings(path):
            return cls(path)
        # `path` and its numbered siblings; the last one with these settings is the run.
        runs = [p for p in numbered_paths(path) if cls(p)._config.is_file()]
        for folder in reversed(runs):
            if has_settings(folder):
                return cls(folder)
        if path.is_dir():
            return cls(path)
        if not runs:
            raise UserError(f"{path}: no run to resume there; leave out `resume` to start one")
        return cls(runs[-1])

    def discard(self) -> None:
        """Delete the folder of a run that has not begun."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Context in which this process alone writes into the folder.

        Raises:
            UserError: where another process has it, or the lock cannot be created.
        """
        lock = FileLock(self.states.folder / "lock")
        check_places(self.path)
        try:
            self.states.folder.mkdir(exist_ok=True)
            if not lock.take():
                raise UserError(
                    f"{self.path}: is in use by {lock.holder()}; wait until it has ended, or leave out `resume` to "
                    "start another run"
                )
        except OSError as error:
            raise UserError(f"{lock.path}: cannot be written ({error_reason(error)}); check the folder") from error
        try:
            yield
        finally:
            lock.release()

    def prepare(self, settings: dict[str, Any], engine: Engine) -> None:
        """Make a folder ready to be continued: remove what killed processes have left, and write small files again."""
        try:
            tidy(self.path)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error_reason(error)}); check the folder") from error
        if read_settings(self._config) is None:
            logger.warning("%s: is missing or cannot be read; it is written again", self._config)
            self.write_config(settings)
        self.write_environment(engine)

    def logged(self) -> AbstractContextManager[None]:
        """Context in which log.txt receives this thread's messages, and finally how the training ended."""
        return write_log(self.log)

    def write_config(self, settings: dict[str, Any]) -> None:
        """Write config.json: the settings of the run, for readers and for `check_config`."""
        with atomic_write(self._config) as temporary:
            temporary.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")

    def config(self) -> dict[str, Any] | None:
        """The settings of the run, of config.json, else of the state; None where neither can be read."""
        if (saved := read_settings(self._config)) is not None or not self.states.exist:
            return saved
        with contextlib.suppress(UserError, ValueError), self.states.readable() as state:
            return parse_settings(str(state.get("settings")))
        return None

    def write_completion(self, progress: Progress, options: Options, inputs: Mapping[str, str]) -> None:
        """Write completion.json: the training has ended, when, and what decided its result beside config.json.

        Args:
            progress: Where the training stands.
            options: Its run options.
            inputs: Domain -> digest of the decoded training images.
        """
        record = {
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "seconds": round(progress.seconds, 1),
            "max_minutes": 0.0 if math.isinf(progress.max_seconds) else round(progress.max_seconds / 60, 6),
            "dtype": options.dtype,
            "engine": options.engine,
            "inputs": dict(inputs),
            "model": read_header(self.model)["sha256"],
        }
        with atomic_write(self._completion) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")

    def completion(self) -> dict[str, Any] | None:
        """What `write_completion` wrote; None where the training has not ended, or an older version ran it."""
        return read_completion(self._completion)

    def check_config(self, settings: dict[str, Any]) -> None:
        """Check that the run was started with `settings`.

        Raises:
            UserError: where they differ, or config.json cannot be read. It names the first four differences.
        """
        saved = self.config()
        if saved is None and self._has_not_begun():
            return
        if saved is None:
            raise UserError(f"{self.path}: has no readable config.json, so it cannot be resumed; start a new run")
        check_settings(self.path, saved, json.loads(json.dumps(settings)))

    def _has_not_begun(self) -> bool:
        """Whether the folder is that of a run whose process ended before it wrote anything else."""
        empty = {"state", "previews", "inputs", "log.txt"}
        names = [entry.name for entry in self.path.iterdir() if not entry.name.startswith(PREFIX)]
        return set(names) <= empty and not self.states.exist

    def write_inputs(self, images: Mapping[str, Float[Tensor, "1 c h w"]]) -> None:
        """Write inputs/DOMAIN.png for each domain, unless it shows the image already.

        Args:
            images: Domain -> image at training size, in [-1, 1]. Files have 8 bits.

        Raises:
            UserError: where one cannot be written.
        """
        try:
            self.inputs.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.inputs}: cannot be created ({error_reason(error)}); choose another place as `out`"
            ) from error
        repair_inputs(self.inputs, images)

    def write_environment(self, engine: Engine) -> None:
        """Write environment.json: machine and versions, needed to reproduce a result."""
        with atomic_write(self.path / "environment.json") as temporary:
            temporary.write_text(json.dumps(environment(engine), indent=2) + "\n")

    def save(self, method: Method, progress: Progress, settings: dict[str, Any]) -> None:
        """Write the state, and then the model of the same moment.

        Args:
            method: The method.
            progress: Where the training stands.
            settings: Those of the run, for config.json and the model's header.

        Raises:
            UserError: where one cannot be written; `resume` writes a model that is missing or older.
        """
        state = {
            "nets": method.nets.state_dict(),
            "stage": progress.stage,
            "step": progress.step,
            "seconds": progress.seconds,
            "optimizers": progress.optimizers,
            "max_seconds": progress.max_seconds,
            # A resumed run cuts metrics.jsonl to this length: later lines are of steps that are trained again.
            "metrics_bytes": self._flush_metrics(),
            "settings": json.dumps(settings),
        }
        self.states.write(state)
        save_model(self.model, method, _model_settings(method, progress, settings))

    def load(self, method: Method, engine: Engine, settings: dict[str, Any]) -> Progress:
        """Load the newest readable state into a new `method`, and make metrics.jsonl and the model agree with it.

        Args:
            method: The method, without a stage.
            engine: Where it trains.
            settings: As of `save`.

        Returns:
            The progress of that state. A run that was stopped before its first checkpoint starts from the beginning.

        Raises:
            UserError: where no state can be read, or the run has a model and no state.
        """
        if not self.states.exist:
            if self.model.exists():
                raise UserError(
                    f"{self.states.newest}: is missing, so the training cannot be continued; the model beside it can "
                    f"be used, or start a new run with {self.model} as `warm_start`"
                )
            cut_metrics(self.metrics, 0)
            return Progress()
        with self.states.restored() as state:
            check_progress(state, method)
            with seed_global(0):  # initial values are overwritten; torch's global state is restored
                for _ in range(state["stage"] + 1):
                    method.add_stage()
            # Critics included, unlike a model file.
            method.nets.load_state_dict(state["nets"])
            check_finite(method.nets.state_dict())
            check_optimizers(state["optimizers"], method, engine)
            limit = state.get("max_seconds", math.inf)  # older versions did not save it
            progress = Progress(state["stage"], state["step"], state["seconds"], state["optimizers"], limit)
            metrics_bytes = int(state["metrics_bytes"])
        cut_metrics(self.metrics, metrics_bytes)
        repair_model(self.model, method, _model_settings(method, progress, settings))
        if not is_complete(method, progress):
            self._completion.unlink(missing_ok=True)
        engine.move(method.nets)
        return progress

    def weights(self) -> dict[str, torch.Tensor]:
        """Name -> parameter or buffer of all networks in the last state, the critics included.

        Raises:
            UserError: where the state is missing or cannot be read.
        """
        with self.states.readable() as state:
            return dict(state["nets"])

    def model_problem(self) -> str:
        """Why the model is not that with which the training ended, as text; empty where it is, or nobody knows."""
        record = (self.completion() or {}).get("model")
        try:
            header = read_header(self.model)
        except UserError as error:
            return str(error)
        if record is None or header.get("sha256") == record:
            return ""
        return f"{self.model}: is not the model with which its training ended"

    def _flush_metrics(self) -> int:
        """Make the system write metrics.jsonl to the disk before a state that counts its bytes; returns these."""
        if not self.metrics.exists():
            return 0
        with contextlib.suppress(OSError), self.metrics.open("rb") as file:
            os.fsync(file.fileno())
        return self.metrics.stat().st_size


def _model_settings(method: Method, progress: Progress, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings in the header of a model: those of the run, and how far a training got that has not ended."""
    return settings if is_complete(method, progress) else {**settings, PROGRESS: progress_of(method, progress)}
