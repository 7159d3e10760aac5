"""A run's folder: settings, inputs, state to resume from, metrics, previews, log and model.

    config.json  environment.json  inputs/  log.txt  metrics.jsonl  previews/  state/state.pt  model.safetensors
  completion.json, once the training has ended

log.txt and metrics.jsonl grow by lines. Every other file is replaced in one atomic move, so that a kill at any moment
leaves the last state intact. A resumed run cuts metrics.jsonl back to the steps of that state.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import pickle
import platform
import re
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.media.files import atomic_write, create_numbered_folder, error_reason
from lonepair.media.image import write_image
from lonepair.methods.base import Method
from lonepair.ops.noise import seed_global
from lonepair.train.log import write_log
from lonepair.train.loop import Progress
from lonepair.train.options import Options
from lonepair.train.records import difference_text, differences, numbered_paths, read_json, same_settings


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
        self._state = path / "state" / "state.pt"

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
            run._state.parent.mkdir()
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

    def logged(self) -> AbstractContextManager[None]:
        """Context in which log.txt receives this thread's messages, and finally how the training ended."""
        return write_log(self.log)

    def write_config(self, settings: dict[str, Any]) -> None:
        """Write config.json: the settings of the run, for readers and for `check_config`."""
        with atomic_write(self._config) as temporary:
            temporary.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")

    def config(self) -> dict[str, Any] | None:
        """The settings of the run; None where config.json is missing or cannot be read."""
        return read_json(self._config)

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
        }
        with atomic_write(self._completion) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")

    def completion(self) -> dict[str, Any] | None:
        """What `write_completion` wrote; None where the training has not ended, or an older version ran it."""
        return read_json(self._completion)

    def check_config(self, settings: dict[str, Any]) -> None:
        """Check that the run was started with `settings`.

        Raises:
            UserError: where they differ, or config.json cannot be read. It names the first four differences.
        """
        saved = self.config()
        if saved is None:
            raise UserError(f"{self.path}: has no readable config.json, so it cannot be resumed; start a new run")
        current = json.loads(json.dumps(settings))
        # Other names of settings: the run is of another version, and a list of differences would not help.
        same_method = saved.get("method") == current.get("method")
        if same_method and set(saved.get("config") or {}) != set(current.get("config") or {}):
            raise UserError(
                f"{self.path}: another version of lonepair started this run, whose settings have other names, so it "
                "cannot be resumed; start a new run (its model.safetensors can still be used)"
            )
        texts = [
            difference_text(name, old, new)
            for name, old, new in differences("", saved, current)
            if not name.endswith(".name")
        ]
        if texts:
            raise UserError(
                f"{self.path}: cannot be resumed with other settings ({'; '.join(texts[:4])}); "
                "give the same ones, or leave out `resume` to start a new run"
            )

    def write_inputs(self, images: Mapping[str, Float[Tensor, "1 c h w"]]) -> None:
        """Write inputs/DOMAIN.png for each domain, unless it exists.

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
        for domain, image in images.items():
            path = self.inputs / f"{domain}.png"
            if not path.exists():
                write_image(path, image)

    def write_environment(self, engine: Engine) -> None:
        """Write environment.json: machine and versions, needed to reproduce a result."""
        packages = ["lonepair", "torch", "numpy", "pillow", "av", "safetensors"]
        facts = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "engine": str(engine),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if engine.device.type == "cuda" else None,
            **{name: version(name) for name in packages},
        }
        with atomic_write(self.path / "environment.json") as temporary:
            temporary.write_text(json.dumps(facts, indent=2) + "\n")

    def save_state(self, method: Method, progress: Progress) -> None:
        """Write state.pt, all that a resumed training needs."""
        state = {
            "nets": method.nets.state_dict(),
            "stage": progress.stage,
            "step": progress.step,
            "seconds": progress.seconds,
            "optimizers": progress.optimizers,
            "max_seconds": progress.max_seconds,
            # A resumed run cuts metrics.jsonl to this length: later lines are of steps that are trained again.
            "metrics_bytes": self.metrics.stat().st_size if self.metrics.exists() else 0,
        }
        data = io.BytesIO()  # torch's own writer does not report a full disk
        torch.save(state, data)
        with atomic_write(self._state) as temporary:
            temporary.write_bytes(data.getbuffer())

    def load_state(self, method: Method, engine: Engine) -> Progress:
        """Load the last state into a new `method`, and cut metrics.jsonl back to it.

        Returns:
            The progress of that state. A run that was stopped before its first checkpoint starts from the beginning.

        Raises:
            UserError: where the state cannot be read.
        """
        if not self._state.exists():
            self._truncate_metrics(0)
            return Progress()
        with self._readable_state() as state:
            with seed_global(0):  # initial values are overwritten; torch's global state is restored
                for _ in range(state["stage"] + 1):
                    method.add_stage()
            # Critics included, unlike a model file.
            method.nets.load_state_dict(state["nets"])
            limit = state.get("max_seconds", math.inf)  # older versions did not save it
            progress = Progress(state["stage"], state["step"], state["seconds"], state["optimizers"], limit)
            metrics_bytes = int(state["metrics_bytes"])
        engine.move(method.nets)
        self._truncate_metrics(metrics_bytes)
        return progress

    def weights(self) -> dict[str, torch.Tensor]:
        """Name -> parameter or buffer of all networks in the last state, the critics included.

        Raises:
            UserError: where the state is missing or cannot be read.
        """
        with self._readable_state() as state:
            return dict(state["nets"])

    @contextlib.contextmanager
    def _readable_state(self) -> Iterator[dict[str, Any]]:
        """Context with the last state; any error of reading it, here or in the block, becomes a `UserError`."""
        try:
            with zipfile.ZipFile(self._state) as archive:  # torch does not check the checksums
                if archive.testzip() is not None:
                    raise ValueError("its checksum does not match")
            yield torch.load(self._state, map_location="cpu", weights_only=True)
        except Exception as error:
            # Any error: an incomplete archive raises errors of many kinds.
            first = (str(error).splitlines() or [type(error).__name__])[0][:100]
            if isinstance(error, pickle.UnpicklingError):  # torch's message advises to load it unsafely
                first = "it is incomplete, or holds more than numbers"
            raise UserError(
                f"{self._state}: cannot read the state ({first}); leave out `resume` to start a new run"
            ) from error

    def _truncate_metrics(self, size: int) -> None:
        """Cut metrics.jsonl to at most `size` bytes: a resumed training reports all later steps again."""
        if self.metrics.exists():
            with self.metrics.open("r+b") as file:
                file.truncate(min(size, self.metrics.stat().st_size))  # a larger size would add zero bytes
