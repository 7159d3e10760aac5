"""Recorded steps: one capture for each branch, and the same results as steps that run directly."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair
import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model
from lonepair.compute.graphs import MAX_GRAPHS, Recorder, Replay, Step
from lonepair.ops.device import cached, retain_cached
from lonepair.ops.noise import RandomStream, seed_global
from lonepair.train.loop import add_stage
from lonepair.train.step import Steps
from tiny_settings import picture


def train(
    name: str,
    captures_graphs: bool = False,
    new_recorder: Callable[[torch.device], Recorder] | None = None,
    steps: int = 8,
    clip: bool = False,
    large: bool = False,
    device: str = "cuda",
    side: int = 48,
    **settings: Any,
) -> dict[str, Tensor]:
    """Return the weights after some steps of two stages, or of the last stage only.

    Args:
        name: Name of the method.
        captures_graphs: Whether a GPU captures the steps.
        new_recorder: Returns a recorder to use instead.
        steps: Number of steps at each stage.
        clip: Whether the source is a clip.
        large: Whether images are large, so that steps see crops; trains the last stage only.
        device: Where to train.
        side: Longest training side in pixels; four times as long with `large`.
        settings: Settings of the method.
    """
    method_class = methods.get_method(name)
    scale = 4 if large else 1
    pictures = {"a": picture(48 * scale, 40 * scale, seed=1), "b": picture(44 * scale, 52 * scale, seed=2)}
    if clip:
        pictures["a"] = torch.cat([picture(48, 40, seed=seed) for seed in range(3)])
    pictures = {domain: pictures[domain] for domain in method_class.domains}
    job = Job.prepare(pictures, name, "standard", {"device": device, "max_side": side * scale, **settings})
    engine = replace(job.engine, captures_graphs=captures_graphs)
    with seed_global(0):
        method = method_class(job.config, job.plan)
    levels = job.levels()
    with engine.training():
        for stage in range(job.plan.stages if large else 2):
            add_stage(method, levels, engine, 0, {})
            if large and stage < job.plan.stages - 1:
                continue
            step = Steps(method, levels, engine, 0, new_recorder=new_recorder)
            for number in range(steps):
                step(number, 1.0 if number < steps - 2 else 0.1)
    return {key: tensor.cpu() for key, tensor in method.nets.state_dict().items()}


TRAINED = [name for name in methods.names() if methods.get_method(name).trains]


def max_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest absolute difference between weights of the same name."""
    return max(float((one[key].float() - other[key].float()).abs().max()) for key in one if one[key].numel())


# -- the recorder -----------------------------------------------------------------------------------------------------


class FakeStep(Step):
    """A step that counts how often it runs."""

    branch: Any = None
    rng: Any = None

    def __init__(self, branch: Any, draws_on_host: bool = False) -> None:
        self.branch, self.rng, self.runs = branch, RandomStream(0), 0
        self._draws_on_host = draws_on_host

    def run(self) -> dict[str, Tensor]:
        self.runs += 1
        if self._draws_on_host:
            self.rng.host_bernoulli(0.5)
        return {}


def run_captured(step: Step, generator: torch.Generator) -> Replay:
    """Capture on the CPU: run the step once, and return a replay that runs its argument."""
    step.run()

    def replay(step: Step) -> dict[str, Tensor]:
        return step.run()

    return replay


def run_branches(recorder: Recorder, *branches: Any, **options: Any) -> list[FakeStep]:
    """Run one step for each of `branches` through `recorder`."""
    steps = [FakeStep(branch, **options) for branch in branches]
    for step in steps:
        recorder(lambda generator, step=step: step)  # type: ignore[misc]
    return steps


def test_recorder_captures_a_branch_at_its_second_step() -> None:
    recorder = Recorder(torch.device("cpu"), run_captured)
    run_branches(recorder, (0,), (1,), (0,))
    assert recorder.captured_branches == [(0,)]
    run_branches(recorder, (1,))
    assert recorder.captured_branches == [(0,), (1,)]


def test_recorder_captures_a_limited_number_of_branches() -> None:
    recorder = Recorder(torch.device("cpu"), run_captured)
    run_branches(recorder, *[(n,) for n in range(2 * MAX_GRAPHS)] * 2)
    assert len(recorder.captured_branches) == MAX_GRAPHS
    assert not recorder.is_disabled


def test_recorder_captures_nothing_after_a_branch_of_none() -> None:
    recorder = Recorder(torch.device("cpu"), run_captured)
    run_branches(recorder, (0,), (0,), None, (0,))
    assert recorder.is_disabled
    assert recorder.captured_branches == []


def test_step_that_draws_on_the_host_runs_directly(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lonepair")
    recorder = Recorder(torch.device("cpu"), run_captured)
    prepared: list[FakeStep] = []

    def prepare(generator: torch.Generator) -> FakeStep:
        prepared.append(FakeStep((0,), draws_on_host=True))
        return prepared[-1]

    for _ in range(3):
        recorder(prepare)
    assert recorder.is_disabled
    assert "draw it in Method.branch" in caplog.text
    # The second step fails while it is captured, so it is prepared again.
    assert [step.runs for step in prepared] == [1, 1, 1, 1]


@cached(2)
def ones(count: int) -> Tensor:
    return torch.ones(count)


def test_retained_entries_outlive_their_cache() -> None:
    first, second = ones(1), ones(1)
    assert first is second
    with retain_cached() as retained:
        third = ones(2)
    evicted, referenced = weakref.ref(first), weakref.ref(third)
    del first, second, third
    for count in range(3, 9):
        ones(count)
    gc.collect()
    assert evicted() is None
    assert referenced() is retained[0]
    assert len(retained) == 1


# -- recorded steps of every method, without a GPU --------------------------------------------------------------------

RECORDED: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in TRAINED],
    ("structural-analogy", {"clip": True}),
    ("lonepair", {"clip": True, "steps": 6}),  # a branch for the term of moved frames, too
    ("consingan", {"large": True, "crop_size": 30, "min_side": 15, "stages": 3}),
]


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(("name", "settings"), RECORDED)
def test_recorded_steps_equal_direct_steps(name: str, settings: dict[str, Any]) -> None:
    """Most steps are replays, each with its own frame and random numbers."""
    recorders: list[Recorder] = []

    def direct(step: Step, generator: torch.Generator) -> Replay:
        return lambda step: step.run()

    def new_recorder(device: torch.device) -> Recorder:
        recorders.append(Recorder(device, direct))
        return recorders[-1]

    settings = {"device": "cpu", "steps": 4, "width": 4, "side": 30, "min_side": 20, **settings}
    plain = train(name, **settings)
    recorded = train(name, new_recorder=new_recorder, **settings)
    assert max_difference(plain, recorded) == 0
    assert not any(recorder.is_disabled for recorder in recorders)
    assert all(recorder.captured_branches for recorder in recorders)


@pytest.mark.parametrize("task", ["editing", "harmonization"])
def test_augmented_steps_are_not_recorded(task: str) -> None:
    recorders: list[Recorder] = []

    def new_recorder(device: torch.device) -> Recorder:
        recorders.append(Recorder(device, run_captured))
        return recorders[-1]

    train("consingan", new_recorder=new_recorder, device="cpu", steps=2, width=4, task=task, min_side=25)
    assert all(recorder.is_disabled for recorder in recorders)


# -- on a GPU ---------------------------------------------------------------------------------------------------------

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@on_gpu
@pytest.mark.parametrize("name", TRAINED)
def test_graphs_learn_what_direct_steps_learn(name: str) -> None:
    plain, recorded = train(name), train(name, True)
    # Eight steps at 5e-4 differ in the order of sums only.
    assert max_difference(plain, recorded) < 2e-3
    # One step less changes the weights far more, so that the comparison means something.
    assert max_difference(plain, train(name, steps=7)) > 4 * max_difference(plain, recorded)


@on_gpu
@pytest.mark.parametrize("name", TRAINED)
def test_graphs_are_deterministic(name: str) -> None:
    assert max_difference(train(name, True), train(name, True)) == 0


CROPPED: list[tuple[str, dict[str, Any]]] = [
    *[
        (name, {"crop_size": 50, "min_side": 25})
        for name in TRAINED
        if "crop_size" in methods.get_method(name).config_class.setting_names()
    ],
    ("consingan", {"crop_size": 50, "min_side": 25, "task": "retargeting"}),
]


@on_gpu
@pytest.mark.parametrize(("name", "settings"), CROPPED)
def test_steps_on_crops_are_captured(name: str, settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lonepair")
    plain, recorded, again = (train(name, captures, large=True, **settings) for captures in (False, True, True))
    assert "CUDA graphs are off" not in caplog.text
    assert max_difference(plain, recorded) < 2e-3
    assert max_difference(recorded, again) == 0


@on_gpu
def test_graphs_read_the_frames_of_a_clip() -> None:
    plain, recorded = (train("structural-analogy", captures, clip=True) for captures in (False, True))
    assert max_difference(plain, recorded) < 2e-3


@on_gpu
@pytest.mark.parametrize("task", ["editing", "harmonization"])
def test_steps_that_cannot_be_captured_are_trained(task: str) -> None:
    weights = [train("consingan", captures, task=task, min_side=25) for captures in (False, True)]
    assert max_difference(*weights) < 2e-3


@on_gpu
@pytest.mark.parametrize("synthesize", [True, False])
def test_accelerated_frames_equal_direct_frames(synthesize: bool) -> None:
    settings: dict[str, Any] = {"preset": "draft", "stages": 2, "max_side": 30, "steps": 3, "finest_steps": 3}
    model = lonepair.fit_pair(picture(48, 40, seed=1), picture(44, 52, seed=2), device="cuda", **settings)
    still = torch.nn.functional.interpolate(picture(9, 9, seed=3), (66, 72))
    clip = torch.cat([still.roll(2 * shift, 3) for shift in range(7)] + [still.flip(2)] * 3)  # with a cut
    results = []
    for captures in (False, True):
        variant = Model(model.method, replace(model.engine, captures_graphs=captures), {})
        results.append([frame.image for frame in variant.translate(clip, synthesize=synthesize).frames()])
    for one, other in zip(*results, strict=True):
        assert float((one - other).abs().mean()) < 1e-3


@on_gpu
def test_branch_is_captured_once() -> None:
    recorders: list[Recorder] = []

    def new_recorder(device: torch.device) -> Recorder:
        recorders.append(Recorder(device))
        return recorders[-1]

    train("consingan", True, new_recorder)
    assert [len(recorder.captured_branches) for recorder in recorders] == [1, 1]
