"""Reads a finished run for evaluation: its model, its training inputs and its losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from lonepair.api.model import Model, load
from lonepair.errors import UserError
from lonepair.media.sizes import fit_inside
from lonepair.media.stills.image import read_image
from lonepair.methods.single import SingleMethod
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image
from lonepair.storage.files import error_reason, special_kind
from lonepair.train.run import RunFolder
from lonepair.train.validation import MAX_LINE, MAX_STAGES, parse_json

MAX_MEASURED_SIDE = 256
"""Longest side, in pixels, at which outputs are measured that exceed the networks' size."""


MAX_METRICS = 64_000_000
"""Largest number of bytes of a metrics.jsonl; that of a long training has a few million."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    path: Path
    model: Model
    inputs: dict[str, Float[Tensor, "1 c h w"]]
    """Domain -> its first frame in [-1, 1], with the model's channels, at training size; larger, up to
    `MAX_MEASURED_SIDE` pixels, where the model stores an exemplar of more detail."""
    history: list[dict[str, float]]
    """The lines of metrics.jsonl: stage, step, seconds, and each loss by name."""

    @property
    def is_single_image(self) -> bool:
        """Whether the run trained on a single image rather than a pair."""
        return isinstance(self.model.method, SingleMethod)

    @property
    def seconds(self) -> float:
        """Training time over all sessions, in seconds; 0 where nothing was logged."""
        return self.history[-1]["seconds"] if self.history else 0.0

    def settings(self) -> dict[str, Any]:
        """Return how the run was trained, as plain values for a report."""
        method, settings = self.model.method, self.model.settings
        return {
            "run": str(self.path),
            **{name: settings.get(name) for name in ("method", "preset", "seed")},
            "inputs": {domain: source["name"] for domain, source in settings.get("inputs", {}).items()},
            "sizes": {domain: list(image.shape[-2:]) for domain, image in self.inputs.items()},
            "stages": f"{method.stage + 1} of {method.plan.stages}",
            "steps": self.steps(),
            "parameters": method.parameter_counts(),
            "training_seconds": self.seconds,
            "config": method.config.to_dict(),
        }

    def steps(self) -> list[int]:
        """Return the number of steps at each stage, as logged."""
        # Later lines of a stage replace earlier ones.
        last_steps: dict[int, int] = {}
        for line in self.history:
            last_steps[int(line["stage"])] = int(line["step"])
        return [last_steps[stage] for stage in sorted(last_steps)]


def open_run(path: Path, load_model: Callable[[Path], Model] = load) -> Run:
    """Open the run in a folder.

    Args:
        path: The run's folder.
        load_model: Loads a model file onto a device.

    Raises:
        UserError: There is no run, or a part of it is missing or cannot be read.
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
    """Read the training input of `domain`, in the size that `Run.inputs` states."""
    path = folder.inputs / f"{domain}.png"
    if not path.exists():
        raise UserError(
            f"{path}: is missing, as in runs of earlier versions; the command that trained it, with --resume, adds it"
        )
    image = match_channels(read_image(path), model.method.plan.channels)
    # They differ if the picture was replaced, or if the run was trained again with other settings.
    (h, w), (trained_h, trained_w) = image.shape[-2:], model.method.plan.full_sizes[domain]
    if (h, w) != (trained_h, trained_w):
        raise UserError(
            f"{path}: has {w}x{h} pixels, the model was trained at {trained_w}x{trained_h}; "
            "delete it and resume the run, which writes it again"
        )
    # Patch synthesis outputs more detail than the training size shows: measure with the exemplar's.
    exemplar = model.method.exemplar(domain)
    detail = None if exemplar is None else exemplar.detail
    if detail is None:
        return image
    measured_size = fit_inside((detail.shape[-2], detail.shape[-1]), MAX_MEASURED_SIDE)
    return image if max(measured_size) <= max(h, w) else resize_image(detail.cpu(), measured_size)


def read_history(path: Path) -> list[dict[str, float]]:
    """Read the lines of a metrics.jsonl, in order; none where there is no file.

    Raises:
        UserError: The file or one of its lines cannot be read; names the first such line.
    """
    if not path.exists():
        return []
    if kind := special_kind(path):
        raise UserError(f"{path}: is {kind}; resume the run, or give another one")
    try:
        if path.stat().st_size > MAX_METRICS:
            raise UserError(f"{path}: has more than {MAX_METRICS // 10**6} MB; delete lines from its start")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error_reason(error)}); check its permissions") from error
    return [_parse(path, number, line) for number, line in enumerate(lines, 1)]


def _parse(path: Path, number: int, line: str) -> dict[str, float]:
    """Parse the line with the given number, counted from 1."""
    try:
        values: dict[str, Any] = parse_json(line, MAX_LINE)
    except ValueError:
        values = {}
    is_report = {"stage", "step", "seconds"} <= set(values) and all(map(_is_number, values.values()))
    if not is_report or not 0 <= values["stage"] < MAX_STAGES:
        raise UserError(
            f"{path}: line {number} is not an object of numbers with stage, step and seconds; delete that line"
        )
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
