"""Steps that a GPU repeats: which ways a step may go, and that it does what it does when it is not repeated."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair
import lonepair.methods as methods
from conftest import picture
from lonepair.api.job import Job
from lonepair.api.model import Model
from lonepair.compute.graphs import Recorder, Ways
from lonepair.ops.device import cached, retain_cached
from lonepair.ops.noise import Choice, RandomStream, seed_global
from lonepair.train.loop import Steps, add_stage


def trained(
    name: str,
    records: bool | Callable[[torch.device], Recorder] | None,
    steps: int = 8,
    clip: bool = False,
    large: bool = False,
    device: str = "cuda",
    **settings: Any,
) -> dict[str, Tensor]:
    """Weights after some steps of each of two stages; of `large` pictures, which are seen in crops, of the last one.

    Args:
        records: Whether steps are recorded, or by what on a CPU.
    """
    method_class = methods.get_method(name)
    scale = 4 if large else 1
    pictures = {"a": picture(48 * scale, 40 * scale, seed=1), "b": picture(44 * scale, 52 * scale, seed=2)}
    if clip:
        pictures["a"] = torch.cat([picture(48, 40, seed=seed) for seed in range(3)])
    pictures = {domain: pictures[domain] for domain in method_class.domains}
    job = Job.plan(pictures, name, "standard", {"device": device, "max_side": 48 * scale, **settings})
    engine = replace(job.engine, captures_graphs=records is True)
    with seed_global(0):
        method = method_class(job.config, job.layout)
    levels = job._levels()
    with engine.training():
        for stage in range(job.layout.stages if large else 2):
            add_stage(method, levels, engine, 0, {})
            if large and stage < job.layout.stages - 1:
                continue
            taken = Steps(method, levels, engine, 0)
            if callable(records):
                taken._recorders = [records(engine.device) for _ in taken.groups]
            for number in range(steps):
                taken(number, 1.0 if number < steps - 2 else 0.1)
    return {key: tensor.cpu() for key, tensor in method.nets.state_dict().items()}


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference of two weights."""
    return max(float((one[key].float() - other[key].float()).abs().max()) for key in one if one[key].numel())


# -- which ways a step may go -----------------------------------------------------------------------------------------


def asks(rng: RandomStream) -> list[Choice]:
    """What a step asks for whose second question hangs on its first."""
    asked: list[Choice] = []
    rng.told = asked.append
    if rng.host_bernoulli(0.5):
        rng.host_integer(3)
    rng.host_integer(1)  # no question
    return asked


def test_a_way_that_was_gone_is_found_again_and_no_other() -> None:
    ways, known = Ways(), set()
    for step in range(200):
        found, asked = ways.walk(RandomStream(0, step)), asks(RandomStream(0, step))
        gone = tuple(choice.fell for choice in asked)
        assert (found in known) == (gone in known)
        assert found == gone or found not in known
        assert ways.learn(asked) == gone
        known.add(gone)
    assert known == {(False,), (True, 0), (True, 1), (True, 2)}


@pytest.mark.parametrize("ask", [lambda d: d.host_uniform(2), lambda d: d.host_distinct(2, 9)])
def test_numbers_that_cannot_be_met_again_are_no_way(ask: Any) -> None:
    rng, asked = RandomStream(0), []
    rng.told = asked.append
    ask(rng)
    assert Ways().learn(asked) is None


def test_tensors_are_no_choice_of_the_hosts() -> None:
    rng, asked = RandomStream(0), []
    rng.told = asked.append
    rng.normal(2, 3), rng.feature_noise(3, 4, 5), rng.host_integer(1)
    assert asked == []


# -- what graphs read ------------------------------------------------------------------------------------------------


@cached(2)
def ones(count: int) -> Tensor:
    return torch.ones(count)


def test_what_is_asked_for_while_holding_outlives_the_cache() -> None:
    first, again = ones(1), ones(1)
    assert first is again
    with retain_cached() as held:
        second = ones(2)
    gone, kept = weakref.ref(first), weakref.ref(second)
    del first, again, second
    for count in range(3, 9):
        ones(count)
    gc.collect()
    assert gone() is None
    assert kept() is held[0]
    assert len(held) == 1


# -- without a GPU ----------------------------------------------------------------------------------------------------


class StandIn(Recorder):
    """Repeats a step by taking it: all of a recorder but the recording."""

    def __call__(self, make: Any, run: Any) -> dict[str, Tensor]:
        self._now = make, run
        return super().__call__(make, run)

    def _record(self, path: Any, make: Any, run: Any) -> Any:
        losses: dict[str, Tensor] = {}

        def replay() -> None:
            make, run = self._now
            losses.update(run(make(self._generator)))

        self._graphs[path] = SimpleNamespace(replay=replay), losses  # type: ignore[assignment]
        return self._graphs[path]


STOOD_IN: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in methods.names()],
    ("structural-analogy", {"clip": True}),
    ("lonepair", {"clip": True}),
    ("consingan", {"large": True, "crop_size": 30, "min_side": 15, "stages": 3}),
]


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(("name", "settings"), STOOD_IN)
def test_a_recorder_takes_the_steps_that_are_asked_for(name: str, settings: dict[str, Any]) -> None:
    """In their order, each with its own frame and numbers, and most of them repeated."""
    stand_ins: list[StandIn] = []

    def stand_in(device: torch.device) -> StandIn:
        stand_ins.append(StandIn(device))
        return stand_ins[-1]

    plain = trained(name, None, device="cpu", steps=6, width=8, **settings)
    repeated = trained(name, stand_in, device="cpu", steps=6, width=8, **settings)
    assert apart(plain, repeated) == 0
    assert not any(recorder._gave_up for recorder in stand_ins)
    assert all(any(recorder._graphs.values()) for recorder in stand_ins)


# -- on a GPU ---------------------------------------------------------------------------------------------------------

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@on_gpu
@pytest.mark.parametrize("name", methods.names())
def test_repeated_steps_learn_what_steps_learn(name: str) -> None:
    plain, repeated = trained(name, False), trained(name, True)
    # Eight steps at 5e-4: what is left of their order of sums.
    assert apart(plain, repeated) < 2e-3
    assert apart(plain, trained(name, False, steps=7)) > 4 * apart(plain, repeated)


@on_gpu
@pytest.mark.parametrize("name", methods.names())
def test_the_same_seed_learns_the_same_twice(name: str) -> None:
    assert apart(trained(name, True), trained(name, True)) == 0


CROPPED: list[tuple[str, dict[str, Any]]] = [
    *[
        (name, {"crop_size": 50, "min_side": 25})
        for name in methods.names()
        if "crop_size" in methods.get_method(name).config_class.setting_names()
    ],
    ("consingan", {"crop_size": 50, "min_side": 25, "task": "retargeting"}),
]


@on_gpu
@pytest.mark.parametrize(("name", "settings"), CROPPED)
def test_steps_on_crops_are_repeated_too(name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(self: Recorder) -> None:
        raise AssertionError("steps on crops are not recorded")

    monkeypatch.setattr(Recorder, "_give_up", give_up)
    plain, repeated, again = (trained(name, records, large=True, **settings) for records in (False, True, True))
    assert apart(plain, repeated) < 2e-3
    assert apart(repeated, again) == 0


@on_gpu
def test_a_clips_frames_are_seen_where_steps_are_repeated() -> None:
    plain, repeated = (trained("structural-analogy", records, clip=True) for records in (False, True))
    assert apart(plain, repeated) < 2e-3


@on_gpu
@pytest.mark.parametrize("task", ["editing", "harmonization"])
def test_what_cannot_be_repeated_is_trained_all_the_same(task: str) -> None:
    assert apart(*(trained("consingan", records, task=task, min_side=25) for records in (False, True))) < 2e-3


def fitted(seed: int, **settings: Any) -> Model:
    a, b = picture(48, 40, seed=1), picture(44, 52, seed=2)
    return lonepair.fit_pair(
        a, b, preset="draft", stages=2, max_side=30, steps=3, finest_steps=3, seed=seed, **settings
    )


def test_trainings_together_give_what_each_gives_alone(tmp_path: Path) -> None:
    """On a GPU they run at the same time."""
    fits = [functools.partial(fitted, seed, out=tmp_path / str(seed)) for seed in range(2)]
    for seed, model in enumerate(lonepair.fit_many(fits)):
        alone = fitted(seed).method.nets.state_dict()
        for name, tensor in model.method.nets.state_dict().items():
            assert torch.equal(tensor, alone[name]), name
        log = (tmp_path / str(seed) / "log.txt").read_text()
        assert log.count("training is complete") == 1
        assert f"run: {tmp_path / str(seed)}" in log
        assert log.count("run: ") == 1


def test_an_error_of_one_training_is_not_lost() -> None:
    with pytest.raises(lonepair.UserError, match="lambda_rec: no such setting"):
        lonepair.fit_many([functools.partial(fitted, 0), functools.partial(fitted, 1, lambda_rec=1.0)])


@on_gpu
@pytest.mark.parametrize("finish", [True, False])
def test_a_clips_frames_are_those_that_are_not_repeated(finish: bool) -> None:
    model = fitted(0, device="cuda")
    still = torch.nn.functional.interpolate(picture(9, 9, seed=3), (66, 72))
    clip = torch.cat([still.roll(2 * shift, 3) for shift in range(7)] + [still.flip(2)] * 3)  # a cut, too
    found = []
    for records in (False, True):
        own = Model(model.method, replace(model.engine, captures_graphs=records), {})
        found.append([frame.image for frame in own.translate(clip, synthesize=finish).frames()])
    for one, other in zip(*found, strict=True):
        assert float((one - other).abs().mean()) < 1e-3


@on_gpu
def test_steps_of_one_way_are_recorded_once() -> None:
    recorded: list[int] = []
    record = Recorder._record
    try:
        Recorder._record = lambda self, *given: (recorded.append(1), record(self, *given))[1]  # type: ignore
        trained("consingan", True)
    finally:
        Recorder._record = record  # type: ignore[method-assign]
    assert len(recorded) == 2
