"""Tiny trainings of every method, for the contract tests."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model
from lonepair.methods.base import Method
from lonepair.methods.types import StepInputs
from lonepair.ops.noise import RandomStream, seed_global
from lonepair.train.events import Report, Watcher
from lonepair.train.run import RunFolder
from tiny_settings import picture, tiny

every_method = pytest.mark.parametrize("name", methods.names())
every_trained_method = pytest.mark.parametrize("name", [n for n in methods.names() if methods.get_method(n).trains])


def methods_that(use: str) -> Any:
    """Run the test for every method that supports `use`."""
    return pytest.mark.parametrize("name", [n for n in methods.names() if use in methods.get_method(n).uses])


def has(name: str, setting: str) -> bool:
    """Whether the method has the setting."""
    return setting in methods.get_method(name).config_class.setting_names()


def few_steps(name: str) -> dict[str, int]:
    """Settings for two steps a stage, or as few as the method takes."""
    counts = {"steps": 2, "finest_steps": 2, "coarse_steps": 2, "fine_steps": 2}
    return {setting: count for setting, count in counts.items() if has(name, setting)}


def output(model: Model, image: torch.Tensor) -> torch.Tensor:
    """The translation of `image` by a method for pairs, a sample by a method for single images."""
    return model.translate(image).image if "translate" in model.method.uses else model.sample(1)[0]["a"]


def job(name: str, inputs: dict[str, Any] | None = None, **settings: Any) -> Job:
    """A tiny training of the method on `inputs`: by default a pair, or the first of it, of smooth images."""
    inputs = inputs or {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    domains = methods.get_method(name).domains
    return Job.prepare({d: inputs[d] for d in domains}, name, "standard", tiny(name, **settings))


@functools.cache
def trained(name: str) -> Model:
    """The model of `job(name)`, trained once a session. Do not change it."""
    return job(name).run()


class CopyAfter(Watcher):
    """Copies a run's folder after some steps: the copy is what a kill after that step leaves."""

    def __init__(self, run: RunFolder, steps: Collection[int]) -> None:
        self._run, self._steps, self._count = run, steps, 0

    def stepped(self, method: Method, report: Report) -> None:
        self._count += 1
        if self._count in self._steps:
            shutil.copytree(self._run.path, killed_run(self._run.path, self._count))


def killed_run(run: Path, steps: int) -> Path:
    """The copy of `run` that `CopyAfter` made after that many steps."""
    return run.with_name(f"{run.name}-killed-{steps}")


@functools.cache
def complete_run(name: str, base: Path) -> Path:
    """The folder of a complete run of `name` in `base`, with copies after its first five steps. Do not change it."""
    complete = job(name, checkpoint_minutes=0.0)
    folder = complete.folder(base / name, False)
    complete.run(folder, callbacks=[CopyAfter(folder, range(1, 6))])
    return folder.path


def weights(pair: Model) -> dict[str, torch.Tensor]:
    """Copies of all tensors of the model's networks, by name."""
    return {key: value.clone() for key, value in pair.method.nets.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Assert that both have the same tensors, bit for bit."""
    assert one.keys() == other.keys()
    different = [key for key in one if not torch.equal(one[key], other[key])]
    assert not different, different


CROPPING = [name for name in methods.names() if has(name, "crop_size")]
"""Methods that train on crops of large images."""


def method_at_stage(name: str, stage: int, **settings: Any) -> tuple[Method, StepInputs]:
    """The method at `stage`, ready to train, and the inputs of one step."""
    settings = {key: value for key, value in {"stages": 4, "pyramid_ratio": 0.75, **settings}.items() if has(name, key)}
    ready = job(name, **{**settings, "max_side": 26})
    with seed_global(0):
        method = ready.method_class(ready.config, ready.plan)
        levels = ready.levels()
        for _ in range(stage + 1):
            method.add_stage()
            with torch.no_grad():
                method.calibrate_noise({d: stages[: method.stage + 1] for d, stages in levels.items()})
    real = {d: [level[:1] for level in stages[: stage + 1]] for d, stages in levels.items()}
    return method, StepInputs(real, RandomStream(0))


LARGE: dict[str, Any] = {"stages": 3, "max_side": 160, "crop_size": 28}


def large_job(name: str, **settings: Any) -> Job:
    """A training on images large enough for crops."""
    return job(
        name,
        {"a": picture(90, 80, seed=1), "b": picture(70, 90, seed=2)},
        **{**{key: value for key, value in LARGE.items() if has(name, key)}, **settings},
    )
