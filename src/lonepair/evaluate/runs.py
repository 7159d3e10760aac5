"""A finished run as it is read for measuring: its model, what it learnt from, and its losses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from lonepair.api.model import Model, load
from lonepair.errors import UserError
from lonepair.media.files import error_reason
from lonepair.media.image import read_image
from lonepair.media.sizes import fit_inside
from lonepair.methods.base import SingleMethod
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image
from lonepair.train.run import RunFolder

MAX_MEASURED_SIDE = 256
"""Longest side, in pixels, at which what grows beyond the networks' size is measured."""


@dataclass(frozen=True)
class Run:
    """One run."""

    path: Path
    model: Model
    inputs: dict[str, Float[Tensor, "1 c h w"]]
    """Domain -> its first frame, [-1, 1], with the model's channels: at training size, or as far as the model knows it
    in more detail, up to `MAX_MEASURED_SIDE` pixels."""
    history: list[dict[str, float]]
    """The lines of metrics.jsonl: stage, step, seconds, and each loss under its name."""

    @property
    def is_single_image(self) -> bool:
        """Whether it learnt from one image, not from a pair."""
        return isinstance(self.model.method, SingleMethod)

    @property
    def seconds(self) -> float:
        """Training time over all sessions; 0 where nothing was logged."""
        return self.history[-1]["seconds"] if self.history else 0.0

    def settings(self) -> dict[str, Any]:
        """How it was trained, as plain values for a report."""
        method, kept = self.model.method, self.model.settings
        return {
            "run": str(self.path),
            **{name: kept.get(name) for name in ("method", "preset", "seed")},
            "inputs": {domain: source["name"] for domain, source in kept.get("inputs", {}).items()},
            "sizes": {domain: list(image.shape[-2:]) for domain, image in self.inputs.items()},
            "stages": f"{method.stage + 1} of {method.plan.stages}",
            "steps": self.steps(),
            "parameters": method.parameter_counts(),
            "training_seconds": self.seconds,
            "config": method.config.to_dict(),
        }

    def steps(self) -> list[int]:
        """Steps taken at each stage, as logged."""
        taken: dict[int, int] = {}
        for line in self.history:
            taken[int(line["stage"])] = int(line["step"])
        return [taken[stage] for stage in sorted(taken)]


def open_run(path: Path, load_model: Callable[[Path], Model] = load) -> Run:
    """The run whose folder is `path`; `load_model` brings a model file to the device.

    Raises:
        UserError: where there is no run, or a part of it is missing or damaged.
    """
    if path.is_file():
        raise UserError(f"{path}: is a file; give the run's folder, which also holds inputs/ and metrics.jsonl")
    if not path.is_dir():
        raise UserError(f"{path}: no run there; give the folder of one, such as runs/NAME")
    folder = RunFolder(path)
    history = read_history(folder.metrics)
    model = load_model(folder.model)
    inputs = {domain: _read_input(folder, domain, model) for domain in model.method.domains}
    return Run(path, model, inputs, history)


def _read_input(folder: RunFolder, domain: str, model: Model) -> Tensor:
    """What was learnt from `domain`: at training size, or up to `MAX_MEASURED_SIDE` pixels where pictures grow beyond it."""
    path = folder.inputs / f"{domain}.png"
    if not path.exists():
        raise UserError(
            f"{path}: is missing, as in runs of earlier versions; the command that trained it, with --resume, adds it"
        )
    image = match_channels(read_image(path), model.method.plan.channels)
    size, wanted = tuple(image.shape[-2:]), model.method.plan.full_sizes[domain]
    if size != wanted:
        raise UserError(
            f"{path}: has {size[1]}x{size[0]} pixels, the model was trained at {wanted[1]}x{wanted[0]}; "
            "delete it and resume the run to have it written anew"
        )
    detail = model.method.detail(domain)
    if detail is None:
        return image
    h, w = fit_inside((detail.shape[-2], detail.shape[-1]), MAX_MEASURED_SIDE)
    return image if max(h, w) <= max(size) else resize_image(detail.cpu(), (h, w))


def read_history(path: Path) -> list[dict[str, float]]:
    """The lines of a metrics.jsonl, in order; none where there is no file.

    Raises:
        UserError: naming the first line that is damaged.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error_reason(error)}); check its permissions") from error
    return [_parse(path, number, line) for number, line in enumerate(lines, 1)]


def _parse(path: Path, number: int, line: str) -> dict[str, float]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    needed = {"stage", "step", "seconds"}
    if not isinstance(found, dict) or not needed <= set(found) or not all(map(_is_number, found.values())):
        raise UserError(f"{path}: line {number} is damaged, not an object of numbers; delete that line")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
