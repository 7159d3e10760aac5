"""Tiny models, trained once a session, that tests of several folders share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model
from lonepair.train.checkpoint import save_model
from tiny_settings import picture, tiny

SIZE = (24, 20)
OTHER = (30, 37)

_TRAINED: dict[tuple[str, int], Model] = {}


def model_of(name: str, channels: int = 3) -> Model:
    """A tiny model of `name`, trained once."""
    if (name, channels) not in _TRAINED:
        inputs = {"a": picture(*SIZE, channels, seed=1), "b": picture(20, 24, channels, seed=2)}
        wanted = {domain: inputs[domain] for domain in methods.get_method(name).domains}
        settings = tiny(
            name, max_side=26, **({"stages": 3} if name in ("consingan", "lonepair", "representative") else {})
        )
        _TRAINED[name, channels] = Job.prepare(wanted, name, "standard", settings).run()
    return _TRAINED[name, channels]


def methods_that(use: str) -> Any:
    return pytest.mark.parametrize("name", [n for n in methods.names() if use in methods.get_method(n).uses])


def untrained(name: str, path: Path) -> Path:
    """A model file of the method `name` with all its stages, without a training."""
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    domains = methods.get_method(name).domains
    job = Job.prepare({d: inputs[d] for d in domains}, name, "standard", {**tiny(name), "seed": 3})
    with torch.random.fork_rng(devices=[]):
        method = job.method_class(job.config, job.plan)
        for _ in range(method.plan.stages):
            method.add_stage()
    return save_model(path, method, job.settings)
