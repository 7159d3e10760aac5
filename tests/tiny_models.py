"""Tiny models, trained once a session, that tests of several folders share."""

from __future__ import annotations

from typing import Any

import pytest

import lonepair.methods as methods
from conftest import picture, tiny
from lonepair.api.job import Job
from lonepair.api.model import Model

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
