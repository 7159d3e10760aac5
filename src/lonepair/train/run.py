"""A run's folder: settings, state to resume from, metrics, previews, log.

    config.json  environment.json  log.txt  metrics.jsonl  previews/  state/state.pt  model.safetensors

Every file but the two that grow line by line is replaced in one atomic move, so that a kill at any moment leaves the
last state whole. On resuming, metrics.jsonl is cut back to what that state had seen.
"""

from __future__ import annotations

import json
import logging
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lonepair.errors import UserError
from lonepair.files import atomic_write, natural_order, next_free, reason
from lonepair.methods.base import Method
from lonepair.train.engine import Engine
from lonepair.train.loop import Progress

logger = logging.getLogger("lonepair")


class RunFolder:
    """The folder of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / "model.safetensors"
        self.metrics = path / "metrics.jsonl"
        self.previews = path / "previews"
        self._config = path / "config.json"
        self._state = path / "state" / "state.pt"

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """A new folder at `path`, or at path-2, path-3, ... where it exists.

        Raises:
            UserError: where it cannot be made.
        """
        run = cls(next_free(path))
        try:
            run._state.parent.mkdir(parents=True)
            run.previews.mkdir()
        except OSError as error:
            raise UserError(
                f"{run.path}: cannot make the run's folder ({reason(error)}); choose another place"
            ) from error
        return run

    @classmethod
    def latest(cls, path: Path) -> RunFolder:
        """The run at `path`, or the last of path, path-2, path-3, ...: what `--resume` means without a number.

        Raises:
            UserError: where there is none, or it has nothing to resume from.
        """
        if re.search(r"-\d+$", path.name) and path.is_dir():
            return cls(path)
        found = [p for p in path.parent.glob(f"{path.name}*") if re.fullmatch(r"(-\d+)?", p.name[len(path.name) :])]
        if not found:
            raise UserError(f"{path}: no run to resume there; leave out --resume to start one")
        return cls(natural_order(found)[-1] if len(found) > 1 else found[0])

    def write_config(self, settings: dict[str, Any]) -> None:
        """Settings of the run, for readers and for `check_config`."""
        with atomic_write(self._config) as temporary:
            temporary.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")

    def check_config(self, settings: dict[str, Any]) -> None:
        """Refuse to resume under other settings than the run was started with, naming each that differs."""
        try:
            before: dict[str, Any] = json.loads(self._config.read_text())
        except (OSError, ValueError):
            raise UserError(f"{self.path}: has no readable config.json, so it cannot be resumed; start anew") from None
        now = json.loads(json.dumps(settings))
        different = [
            f"{name} was {old}, is now {new}" for name, old, new in _differences("", before, now) if name != "name"
        ]
        if different:
            raise UserError(
                f"{self.path}: cannot be resumed with other settings ({'; '.join(different[:4])}); "
                "give the same ones, or leave out --resume to start a new run"
            )

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
        try:
            with atomic_write(self._state) as temporary:
                torch.save(state, temporary)
        except RuntimeError as error:  # torch's own writer says so when the disk is full
            raise UserError(
                f"{self._state}: cannot be written ({str(error).splitlines()[0]}); free some space"
            ) from error

    def load_state(self, method: Method, engine: Engine) -> Progress:
        """Bring a freshly made `method` to the state that was saved last, and say where that is.

        Raises:
            UserError: where the state is damaged. A run that was stopped before its first checkpoint starts over.
        """
        if not self._state.exists():
            return Progress()
        try:
            state = torch.load(self._state, map_location="cpu", weights_only=True)
            for _ in range(state["stage"] + 1):
                method.grow()
            method.nets.load_state_dict(state["nets"])
        except Exception as error:
            first = (str(error).splitlines() or [type(error).__name__])[0][:100]
            raise UserError(
                f"{self._state}: damaged state file ({first}); start the run anew without --resume"
            ) from error
        engine.place(method.nets)
        if self.metrics.exists():
            with self.metrics.open("r+b") as file:
                file.truncate(state["metrics_bytes"])
        return Progress(state["stage"], state["step"], state["seconds"], state["optimizers"])


def _differences(prefix: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [d for name in names for d in _differences(f"{prefix}{name}.", old.get(name), new.get(name))]
    return [] if old == new else [(prefix.rstrip("."), old, new)]
