"""Untrained methods as published, for tests of layers, sizes and settings."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.media.sizes import fit_inside
from lonepair.methods.base import Method
from lonepair.methods.types import StepInputs
from lonepair.ops.noise import RandomStream, seed_global
from tiny_settings import picture, tiny

Size = tuple[int, int]


def untrained(name: str, *sizes: Size, preset: str = "full", **settings: Any) -> Method:
    """The method, untrained, for images of (h, w) `sizes`."""
    method = methods.get_method(name)
    config = method.config_class.from_preset(preset, **settings)
    originals = dict(zip(method.domains, sizes, strict=True))
    reduced = {domain: fit_inside(size, config.max_side) for domain, size in originals.items()}
    return method(config, method.plan_for(config, 3, originals, reduced))


def with_stages(method: Method, stages: int) -> Method:
    """The method with `stages` more stages."""
    with seed_global(0), torch.no_grad():
        for _ in range(stages):
            method.add_stage()
    return method


def count(net: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in net.parameters())


def tiny_method(name: str, **settings: Any) -> Method:
    """A tiny method, at stage 1, whose inputs are 24x20 and 20x24."""
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 24, seed=2)}
    domain_inputs = {domain: inputs[domain] for domain in methods.get_method(name).domains}
    job = Job.prepare(domain_inputs, name, "standard", tiny(name, **{"max_side": 24, **settings}))
    method = job.method_class(job.config, job.plan)
    levels = job.levels()
    with seed_global(0), torch.no_grad():
        for stage in range(2):
            method.add_stage()
            method.calibrate_noise({d: images[: stage + 1] for d, images in levels.items()})
    return method


def inputs(method: Method, seed: int = 0) -> StepInputs:
    """A step at the method's stage, of random real images."""
    real = {
        domain: [picture(*size, seed=seed + i) for i, size in enumerate(sizes)]
        for domain, sizes in method.sizes.items()
    }
    return StepInputs(real, RandomStream(seed))
