"""Training time: elapsed, remaining, and the share of a time limit that each stage gets."""

from __future__ import annotations

import math
import time

from lonepair.methods.base import Method


def step_cost(method: Method, stage: int) -> float:
    """Cost of a step at `stage`, in pixels: convolutions take nearly all the time."""
    # Launching the kernels of a small stage takes about as long as computing 2000 pixels.
    return 2000.0 + method.schedule(stage).work


def stage_cost(method: Method, stage: int) -> float:
    """The cost of all of `stage`'s steps, in the units of `step_cost`."""
    return method.schedule(stage).steps * step_cost(method, stage)


WARM_UP = 10
"""First steps of a stage, which also prepare kernels and memory and so take longer; `Clock.eta` leaves them out."""


class Clock:
    """Measures training time over all sessions, and divides a time limit among the stages by their cost."""

    def __init__(self, method: Method, seconds_before: float, max_seconds: float) -> None:
        self._method = method
        # They do not change, and `eta` needs them after every step.
        stages = range(method.plan.stages)
        self._step_costs = [step_cost(method, stage) for stage in stages]
        self._stage_costs = [stage_cost(method, stage) for stage in stages]
        self._started = time.monotonic() - seconds_before
        self._max_seconds = max_seconds
        self._saved = time.monotonic()
        self._stage_started = time.monotonic()
        self._steps_before = 0
        self._warm = self._stage_started, 0
        """When and at which step the measurement of steps begins."""
        self._allowed = math.inf

    def start_stage(self, steps_done: int) -> None:
        """Start a stage, or continue it after `steps_done` steps, and give it its share of the remaining time."""
        self._stage_started = time.monotonic()
        self._steps_before = steps_done
        self._warm = self._stage_started, steps_done
        # The remaining time is divided in proportion to the remaining cost of this stage and of the later ones.
        done = steps_done * self._step_costs[self._method.stage]
        this, later = self._costs()
        share = (this - done) / (this - done + later) if this - done + later else 1.0  # no steps at all
        self._allowed = max(0.0, self._max_seconds - self.seconds()) * share

    def seconds(self) -> float:
        """Training time so far, over all sessions."""
        return time.monotonic() - self._started

    def share_used(self) -> float:
        """Fraction of this stage's time that has passed: 0 without a limit, 1 or more when it is over."""
        if math.isinf(self._allowed):
            return 0.0
        return (time.monotonic() - self._stage_started) / max(self._allowed, 1e-9)

    def eta(self, step: int) -> float:
        """Estimated seconds until the training ends, after `step` steps of this stage and within the limit.

        Call it after each step: it restarts the measurement after the first `WARM_UP` steps of a stage.
        """
        stage = self._method.stage
        # The measured time of this stage's steps, scaled by the estimated cost of all later ones.
        started, first = self._warm
        per_step = (time.monotonic() - started) / max(1, step - first)
        if step - self._steps_before == WARM_UP:
            self._warm = time.monotonic(), step
        to_come = sum(self._stage_costs[stage:]) - step * self._step_costs[stage]
        return min(per_step * to_come / self._step_costs[stage], max(0.0, self._max_seconds - self.seconds()))

    def seconds_since_save(self) -> float:
        """Seconds since the last save."""
        return time.monotonic() - self._saved

    def saved(self) -> None:
        """Restart the interval between saves."""
        self._saved = time.monotonic()

    def _costs(self) -> tuple[float, float]:
        """Cost of this stage, and of all later ones together."""
        first, *later = self._stage_costs[self._method.stage :]
        return first, sum(later, 0.0)
