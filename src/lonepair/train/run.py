"""A run's folder: settings, what it learns from, state to resume from, metrics, previews, log.

    config.json  environment.json  inputs/  log.txt  metrics.jsonl  previews/  state/state.pt  model.safetensors

Every file but the two that grow line by line is replaced in one atomic move, so that a kill at any moment leaves the
last state whole. On resuming, metrics.jsonl is cut back to what that state had seen.
"""

from __future__ import annotations

import contextlib
import glob
import io
import json
import pickle
import platform
import re
import shutil
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
from lonepair.media.files import atomic_write, error_reason, natural_order, next_free
from lonepair.media.image import write_image
from lonepair.methods.base import Method
from lonepair.ops.noise import seed_global
from lonepair.train.log import write_log
from lonepair.train.loop import Progress


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
        self._state = path / "state" / "state.pt"

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """A new folder at `path`, or at path-2, path-3, ... where it exists.

        Raises:
            UserError: where it cannot be made.
        """
        if not path.name:
            raise UserError(f"{path}: is not a name for a run's folder; choose another, such as runs/first")
        try:
            run = cls(next_free(path))
            run._state.parent.mkdir(parents=True)
            run.previews.mkdir()
        except OSError as error:
            raise UserError(
                f"{path}: cannot make the run's folder ({error_reason(error)}); choose another place as `out`"
            ) from error
        return run

    @classmethod
    def latest(cls, path: Path, settings: dict[str, Any]) -> RunFolder:
        """The run that `resume` means: the last of path, path-2, path-3, ... that was started with `settings`.

        A `path` that names its number goes first. Where none has these settings, it is `path`, else the last one:
        `check_config` then says what differs.

        Raises:
            UserError: where there is none.
        """
        now = json.loads(json.dumps(settings))

        def fits(folder: Path) -> bool:
            try:
                before = json.loads(cls(folder)._config.read_text())
            except (OSError, ValueError):
                return False
            return all(name.endswith(".name") for name, _, _ in _differences("", before, now))

        if re.search(r"-\d+$", path.name) and fits(path):
            return cls(path)
        near = path.parent.glob(f"{glob.escape(path.name)}-*")
        numbered = [p for p in near if re.fullmatch(r"-([2-9]|[1-9]\d+)", p.name[len(path.name) :])]
        found = [p for p in (path, *natural_order(numbered)) if cls(p)._config.is_file()]
        for folder in reversed(found):
            if fits(folder):
                return cls(folder)
        if path.is_dir():
            return cls(path)
        if not found:
            raise UserError(f"{path}: no run to resume there; leave out `resume` to start one")
        return cls(found[-1])

    def discard(self) -> None:
        """Take away the folder of a run that never began."""
        shutil.rmtree(self.path, ignore_errors=True)

    def logged(self) -> AbstractContextManager[None]:
        """Context in which log.txt receives this thread's messages, and finally how the training ended."""
        return write_log(self.log)

    def write_config(self, settings: dict[str, Any]) -> None:
        """Settings of the run, for readers and for `check_config`."""
        with atomic_write(self._config) as temporary:
            temporary.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")

    def check_config(self, settings: dict[str, Any]) -> None:
        """Refuse to resume under other settings than the run was started with, naming each that differs."""
        try:
            before: dict[str, Any] = json.loads(self._config.read_text())
        except (OSError, ValueError):
            raise UserError(
                f"{self.path}: has no readable config.json, so it cannot be resumed; leave out `resume` to start a "
                "new run"
            ) from None
        now = json.loads(json.dumps(settings))
        same_method = before.get("method") == now.get("method")
        if same_method and set(before.get("config") or {}) != set(now.get("config") or {}):
            raise UserError(
                f"{self.path}: another version of lonepair began this run, with settings of other names, so it cannot "
                "be resumed; start a new run (its model.safetensors can still be used)"
            )
        different = [
            _difference(name, old, new)
            for name, old, new in _differences("", before, now)
            if not name.endswith(".name")
        ]
        if different:
            raise UserError(
                f"{self.path}: cannot be resumed with other settings ({'; '.join(different[:4])}); "
                "give the same ones, or leave out `resume` to start a new run"
            )

    def keep_inputs(self, first: Mapping[str, Float[Tensor, "1 c h w"]]) -> None:
        """inputs/DOMAIN.png: a frame of each domain, [-1, 1], at training size, rounded to 8 bits; what is there stays.

        Raises:
            UserError: where one cannot be written.
        """
        try:
            self.inputs.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.inputs}: cannot be made ({error_reason(error)}); choose another place") from error
        for domain, image in first.items():
            path = self.inputs / f"{domain}.png"
            if not path.exists():
                write_image(path, image)

    def write_environment(self, engine: Engine) -> None:
        """What ran it: needed to repeat a result, and to understand a report."""
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
        """Everything that a resumed training needs, in one file."""
        state = {
            "nets": method.nets.state_dict(),
            "stage": progress.stage,
            "step": progress.step,
            "seconds": progress.seconds,
            "optimizers": progress.optimizers,
            "metrics_bytes": self.metrics.stat().st_size if self.metrics.exists() else 0,
        }
        data = io.BytesIO()  # torch's own writer does not say that a disk is full
        torch.save(state, data)
        with atomic_write(self._state) as temporary:
            temporary.write_bytes(data.getbuffer())

    def load_state(self, method: Method, engine: Engine) -> Progress:
        """Bring a freshly made `method` to the state that was saved last, and say where that is.

        Raises:
            UserError: where the state is damaged. A run that was stopped before its first checkpoint starts over.
        """
        if not self._state.exists():
            self._cut_metrics(0)
            return Progress()
        with self._readable_state() as state:
            with seed_global(0):  # the weights come from the state; the caller's random stream is left alone
                for _ in range(state["stage"] + 1):
                    method.add_stage()
            method.nets.load_state_dict(state["nets"])
            progress = Progress(state["stage"], state["step"], state["seconds"], state["optimizers"])
            metrics_bytes = int(state["metrics_bytes"])
        engine.move(method.nets)
        self._cut_metrics(metrics_bytes)
        return progress

    def weights(self) -> dict[str, torch.Tensor]:
        """All networks' parameters and buffers by name, the critics' too, as they were saved last.

        Raises:
            UserError: where the state is damaged or missing.
        """
        with self._readable_state() as state:
            return dict(state["nets"])

    @contextlib.contextmanager
    def _readable_state(self) -> Iterator[dict[str, Any]]:
        """The state that was saved last; whatever is wrong with it, found here or within, is told in one line."""
        try:
            with zipfile.ZipFile(self._state) as archive:  # torch does not look at the checksums
                if archive.testzip() is not None:
                    raise ValueError("its checksum does not match")
            yield torch.load(self._state, map_location="cpu", weights_only=True)
        except Exception as error:
            first = (str(error).splitlines() or [type(error).__name__])[0][:100]
            if isinstance(error, pickle.UnpicklingError):  # torch's own text tells how to load it all the same
                first = "it is cut short, or holds more than numbers"
            raise UserError(
                f"{self._state}: damaged state file ({first}); leave out `resume` to start a new run"
            ) from error

    def _cut_metrics(self, size: int) -> None:
        """Forget the steps that a resumed training will take again."""
        if self.metrics.exists():
            with self.metrics.open("r+b") as file:
                file.truncate(min(size, self.metrics.stat().st_size))  # a larger size would add zero bytes


def _difference(name: str, old: Any, new: Any) -> str:
    if name.endswith(".sha256"):
        return f"the content of input {name.split('.')[1]} has changed"
    return f"{name.removeprefix('config.')} was {old}, is now {new}"


def _differences(prefix: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [d for name in names for d in _differences(f"{prefix}{name}.", old.get(name), new.get(name))]
    return [] if old == new else [(prefix.rstrip("."), old, new)]
