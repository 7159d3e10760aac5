"""Checks of a training's state against its method, before a step uses it: a run's folder may come from a stranger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.methods.base import Method


def check_progress(state: Mapping[str, Any], method: Method) -> None:
    """Check the numbers of a state: where the training stands, and for how long it has run.

    Args:
        state: The content of a state's file.
        method: The method, of any stage.

    Raises:
        ValueError: There is no such stage or step, or a number is negative or NaN.
    """
    stage, step = state["stage"], state["step"]
    if not 0 <= stage < method.plan.stages:
        raise ValueError(f"stage {stage + 1} of {method.plan.stages}")
    if not 0 <= step <= method.schedule(stage).steps:
        raise ValueError(f"step {step} of {method.schedule(stage).steps}")
    if not (0 <= state["seconds"] < math.inf and state.get("max_seconds", math.inf) >= 0):
        raise ValueError("its time is negative or NaN")
    if state["metrics_bytes"] < 0:
        raise ValueError("its length of metrics.jsonl is negative")


def check_optimizers(states: Mapping[str, Any], method: Method, engine: Engine) -> None:
    """Check the states of the optimizers, which must fit the parameters of the newest stage.

    Args:
        states: Player -> state of its optimizer; a player may be left out.
        method: The method at the stage of the states.
        engine: Where it trains.

    Raises:
        Exception: One does not fit: errors of many kinds, as torch raises them, or a `ValueError`.
    """
    for name, player in method.players().items():
        if name not in states:
            continue
        optimizer = engine.adam(player.groups, player.betas, states[name])
        # torch checks the number of parameters, but not the shapes.
        for parameter, values in optimizer.state.items():
            for key, value in values.items():
                if not isinstance(value, Tensor) or not (value.shape == parameter.shape or value.numel() == 1):
                    raise ValueError(f"{key} of the optimizer {name} does not fit its parameter")
                if not bool(value.isfinite().all()):
                    raise ValueError(f"{key} of the optimizer {name} is NaN or infinite")
