"""`singan` and `consingan` train as benchmarks/plain_loops.py does, from equal weights and random numbers.

Rounding leads two equal trainings apart, since Adam turns a rounding error of a gradient near 0 into a full step. So
both compute in float64 here, with a large epsilon, which makes steps proportional to small gradients.
"""

from __future__ import annotations

import functools
import importlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lonepair import methods
from lonepair.api.job import Job
from lonepair.compute import engine
from lonepair.media.stills.image import write_image
from lonepair.methods.single import SingleMethod
from lonepair.ops.noise import RandomStream
from synthetic_images import blobs

SIZE = 25, 29
STEPS = 2
CRITIC_UPDATES = 3
WIDTH = 8
EPSILON = 1e-3
TOLERANCE = 1e-8


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("plain_loops")


@pytest.fixture(autouse=True)
def suppress_rounding(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    adam = functools.partial(torch.optim.Adam, eps=EPSILON)
    monkeypatch.setattr(torch.optim, "Adam", adam)
    monkeypatch.setattr(engine, "Adam", adam)
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def networks(method: Any, stages: Iterable[int]) -> list[nn.Module]:
    """The critic of `method`, and its generator with `stages`."""
    generator, critic = method.nets["g"], method.nets["d"]
    if method.name == "singan":
        return [*(generator.stages[n] for n in stages), critic]
    return [generator.head, *(generator.bodies[n] for n in stages), generator.tail, critic]


def plain_networks(loop: Any) -> list[nn.Module]:
    """The networks of a plain loop in the order of `networks`."""
    parts = loop.stages if hasattr(loop, "stages") else [loop.head, *loop.bodies, loop.tail]
    return [*parts, loop.critic]


class Recorder:
    """Records the initial weights of a training and the random numbers of its steps."""

    def __init__(self, method_class: type[SingleMethod], patch: pytest.MonkeyPatch) -> None:
        self.weights: deque[list[Tensor]] = deque()
        self.numbers: deque[Tensor] = deque()
        self._patch = patch
        self._record(method_class, "players", self._keep_weights)
        self._record(RandomStream, "normal", self._keep_normal)
        self._record(RandomStream, "uniform", lambda _, numbers: self.numbers.append(numbers[0, 0].double()))

    def _record(self, owner: type, name: str, keep: Callable[[Any, Any], None]) -> None:
        function = getattr(owner, name)

        def recorded(self: Any, *args: Any) -> Any:
            result = function(self, *args)
            keep(self, result)
            return result

        self._patch.setattr(owner, name, recorded)

    def _keep_weights(self, method: SingleMethod, _: object) -> None:
        if method.stage == 0:
            self.weights += [[p.detach().clone() for p in network.parameters()] for network in networks(method, [0])]

    def _keep_normal(self, _: object, numbers: Tensor) -> None:
        # Feature noise is drawn with the channels last; SinGAN's z* is not.
        self.numbers.append(numbers if numbers.shape[1] == 1 else numbers.permute(0, 3, 1, 2))


def plain_numbers(method: SingleMethod, recorded: deque[Tensor]) -> Iterator[Tensor]:
    """The random numbers of a training of `method` in the order in which its plain loop draws them."""
    if method.name == "consingan":
        # The plain loop draws the fixed feature maps at its beginning.
        fixed = method.reconstruction_maps(method.sizes["a"])[1:]
        yield from fixed
        yield from (numbers for numbers in recorded if not any(numbers.equal(each) for each in fixed))
        return
    for stage in range(method.stage + 1):
        for _ in range(STEPS):
            if stage == 0:
                yield recorded.popleft()  # z*
            # The critic's updates: a map for each stage, and α. All use the newest stage's map of the first update.
            updates = [[recorded.popleft() for _ in range(stage + 2)] for _ in range(CRITIC_UPDATES)]
            yield updates[0][stage]
            for *maps, _, alpha in updates:
                yield from (*maps, alpha)


@pytest.mark.parametrize("name", ["singan", "consingan"])
def test_training_equals_the_plain_loop(
    name: str, plain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "a.png", blobs(*SIZE))
    settings = {"max_side": max(SIZE), "steps": STEPS, "seed": 0, "width": WIDTH, "lr_drop_at": 0.5, "device": "cpu"}
    job = Job.prepare({"a": tmp_path / "a.png"}, name, "full", settings)
    levels = {"a": [level.double() for level in job.levels()["a"]]}
    monkeypatch.setattr(Job, "levels", lambda job: levels)

    # The package's training.
    with monkeypatch.context() as patch:
        recorder = Recorder(methods.get_method(name), patch)
        method: Any = job.run().method

    # The plain loop, with its weights and random numbers.
    numbers = plain_numbers(method, recorder.numbers)

    def load_weights(network: nn.Module) -> None:
        # A new stage of SinGAN copies the stage below afterwards.
        if recorder.weights:
            for parameter, value in zip(network.parameters(), recorder.weights.popleft(), strict=True):
                parameter.data.copy_(value)

    def next_numbers(*shape: Any, device: object) -> Tensor:
        result = next(numbers)
        assert result.shape == torch.zeros(*shape).shape
        return result

    with monkeypatch.context() as patch:
        patch.setattr(plain, "DROP_AT", 0.5)
        patch.setattr(plain, "WIDTH", WIDTH)
        patch.setattr(plain, "SINGAN_WIDTH", WIDTH)
        patch.setattr(plain, "initialize", load_weights)
        patch.setattr(torch, "randn", next_numbers)
        patch.setattr(torch, "rand", next_numbers)
        loop = plain.LOOPS[name](SIZE, levels["a"][-1])
        loop.train(STEPS)

    assert next(numbers, None) is None
    assert loop.amplitudes == pytest.approx(method.generator.amplitudes.tolist(), rel=1e-8)
    pairs = zip(plain_networks(loop), networks(method, range(method.stage + 1)), strict=True)
    for network, expected in pairs:
        for parameter, value in zip(network.parameters(), expected.parameters(), strict=True):
            assert torch.allclose(parameter, value, rtol=0, atol=TOLERANCE)
