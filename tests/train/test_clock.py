"""The clock: costs of stages, shares of a time limit, estimated end."""

from __future__ import annotations

import math

import pytest

from lonepair.methods.base import Method
from lonepair.methods.types import Schedule
from lonepair.train import clock as clock_module
from lonepair.train.clock import WARM_UP, Clock, stage_cost, step_cost
from lonepair.train.events import Report
from lonepair.train.watchers import TimeEstimate
from tiny_runs import new_job


class FakeTime:
    """Stands in for the module `time`; `now` is set by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(clock_module, "time", fake)
    return fake


def method_at(stage: int = 0) -> Method:
    """An untrained method of three stages that has reached `stage`."""
    job = new_job(stages=3, steps=40, finest_steps=10)
    method = job.new_method()
    for _ in range(stage + 1):
        method.add_stage()
    return method


def test_step_cost_is_pixels_of_its_stages_and_launch_time() -> None:
    method = method_at()
    pixels = [sum(h * w for h, w in method.plan.sizes(full)[:2]) for full in method.plan.full_sizes.values()]
    # One pass of each generator costs a quarter of a step of a pair with critics.
    assert step_cost(method, 1) == 2000 + sum(pixels) / 4
    assert stage_cost(method, 1) == 20 * step_cost(method, 1)  # steps 40, 20, 10: a geometric sequence


def test_time_limit_is_divided_by_cost(time: FakeTime) -> None:
    method = method_at()
    costs = [stage_cost(method, stage) for stage in range(3)]
    clock = Clock(method, 0.0, 100.0)
    clock.start_stage(0)
    share = 100 * costs[0] / sum(costs)
    time.now += share / 2
    assert clock.share_used() == pytest.approx(0.5)
    time.now += share / 2
    assert clock.share_used() == pytest.approx(1.0)
    method.add_stage()
    time.now += 10  # a stage that takes too long leaves less for later ones
    left = 100 - share - 10
    clock.start_stage(0)
    time.now += left * costs[1] / (costs[1] + costs[2])
    assert clock.share_used() == pytest.approx(1.0)
    method.add_stage()
    clock.start_stage(0)
    time.now += 100 - clock.seconds()
    assert clock.share_used() == pytest.approx(1.0)


def test_resumed_stage_gets_the_share_of_its_remaining_steps(time: FakeTime) -> None:
    method = method_at()
    clock = Clock(method, 30.0, 100.0)
    assert clock.seconds() == 30
    clock.start_stage(30)  # of 40
    this, later = stage_cost(method, 0) / 4, stage_cost(method, 1) + stage_cost(method, 2)
    time.now += 70 * this / (this + later)
    assert clock.share_used() == pytest.approx(1.0)


def test_share_is_zero_without_a_limit(time: FakeTime) -> None:
    clock = Clock(method_at(), 0.0, math.inf)
    clock.start_stage(0)
    time.now += 1e9
    assert clock.share_used() == 0


def test_stage_without_time_ends_at_its_first_step(time: FakeTime) -> None:
    clock = Clock(method_at(), 200.0, 100.0)
    clock.start_stage(0)
    time.now += 0.1
    assert clock.share_used() >= 1
    assert clock.eta(1) == 0


def test_eta_scales_measured_steps_by_cost(time: FakeTime) -> None:
    method = method_at()
    clock = Clock(method, 0.0, math.inf)
    clock.start_stage(10)
    time.now += 6  # 3 steps of 2 s
    later = 2 * (stage_cost(method, 1) + stage_cost(method, 2)) / step_cost(method, 0)
    assert clock.eta(13) == pytest.approx(2 * 27 + later)
    limited = Clock(method, 0.0, 50.0)
    limited.start_stage(0)
    time.now += 6
    assert limited.eta(1) == pytest.approx(44)


def test_eta_leaves_out_the_first_steps_of_a_stage(time: FakeTime) -> None:
    method = method_at()
    clock = Clock(method, 0.0, math.inf)
    clock.start_stage(0)
    later = (stage_cost(method, 1) + stage_cost(method, 2)) / step_cost(method, 0)
    time.now += 50  # 10 steps of 5 s
    assert clock.eta(WARM_UP) == pytest.approx(5 * (30 + later))
    time.now += 4  # 2 steps of 2 s
    assert clock.eta(12) == pytest.approx(2 * (28 + later))


def test_saving_restarts_the_interval(time: FakeTime) -> None:
    clock = Clock(method_at(), 0.0, math.inf)
    time.now += 5
    assert clock.seconds_since_save() == 5
    clock.saved()
    assert clock.seconds_since_save() == 0


@pytest.mark.parametrize(("share", "rate"), [(0.0, 1.0), (0.79, 1.0), (0.8, 0.1), (1.0, 0.1), (3.0, 0.1)])
def test_learning_rate_drops_once(share: float, rate: float) -> None:
    assert Schedule(10, ["g"], 1.0, 0.8, 0.1).rate(share) == rate
    assert Schedule(10, ["g"], 1.0).rate(share) == 1


def report(step: int, eta: float) -> Report:
    return Report(0, 2, step, 100, None, 0.0, eta)


def test_the_estimate_is_logged_once_when_steps_are_measured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lonepair")
    estimate = TimeEstimate(steps=3, seconds=0.0)
    for step in range(1, 6):
        estimate.stepped(method_at(), report(step, 125 - step))
    texts = [record.message for record in caplog.records]
    assert len(texts) == 1
    assert texts[0].startswith("training takes about 2:02 more, until ")


def test_a_training_of_seconds_has_no_estimate(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lonepair")
    estimate = TimeEstimate(steps=1, seconds=0.0)
    estimate.stepped(method_at(), report(1, 9.0))
    assert not caplog.records
