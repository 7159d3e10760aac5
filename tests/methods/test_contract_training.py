"""Contract of every method: training."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from method_jobs import (
    assert_same,
    every_method,
    every_trained_method,
    few_steps,
    has,
    job,
    method_at_stage,
    methods_that,
    output,
    trained,
    weights,
)

import lonepair.methods as methods
from lonepair.api.model import Model
from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.train.events import Report, Watcher
from tiny_settings import picture

SIDES = [(24, 20), (19, 26), (20, 20)]
"""(h, w): not square, odd and square; larger and smaller than the largest training side."""


@functools.cache
def retrained(name: str) -> Model:
    """The model of `trained(name)`, trained once more with another state of torch's global random stream."""
    torch.manual_seed(2)
    return job(name).run()


@every_method
@pytest.mark.parametrize("size", SIDES)
def test_samples_have_the_training_size_and_translations_that_of_their_source(name: str, size: tuple[int, int]) -> None:
    inputs = {"a": picture(*size, seed=1), "b": picture(20, 26, seed=2)}
    model = trained(name) if size == SIDES[0] else job(name, inputs, **few_steps(name)).run()
    full_sizes = model.method.plan.full_sizes
    samples = model.sample(2, full_size=False).images
    assert {d: tuple(images.shape) for d, images in samples.items()} == dict.fromkeys(
        full_sizes, (2, 3, *full_sizes["a"])
    )
    assert all(images.isfinite().all() and images.abs().max() <= 1 for images in samples.values())
    if "translate" in model.method.uses:
        out = model.translate(inputs["a"]).image
        assert out.shape == (1, 3, *size)
        assert out.isfinite().all()
        assert out.abs().max() <= 1


@every_method
@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_rgba_images_train(name: str, channels: int) -> None:
    inputs = {"a": picture(21, 17, channels), "b": picture(16, 23, channels)}
    pair = job(name, inputs, **few_steps(name)).run()
    assert pair.sample(1, full_size=False)[0]["a"].shape == (1, channels, 20, 17)
    if "translate" in pair.method.uses:
        assert pair.translate(picture(33, 19, channels)).image.shape == (1, channels, 33, 19)
    elif "refine" in pair.method.uses:
        assert pair.refine(picture(33, 19, channels)).image.shape == (1, channels, 33, 19)


@methods_that("translate")
def test_pair_trains_with_the_larger_channel_count(name: str) -> None:
    pair = job(name, {"a": picture(20, 20, 1), "b": picture(20, 20, 4)}, **few_steps(name)).run()
    assert pair.method.plan.channels == 4


@every_trained_method
def test_weights_depend_on_the_seed_alone(name: str) -> None:
    first = weights(trained(name))
    assert_same(first, weights(retrained(name)))
    other = weights(job(name, seed=6).run())
    assert any(not torch.equal(value, other[key]) for key, value in first.items())


@every_trained_method
def test_fast_engine_computes_the_losses_of_the_plain_engine(name: str) -> None:
    """Compare the losses of the first step only: later steps differ by rounding."""
    settings = {key: 1 for key in ("steps", "finest_steps", "critic_steps", "generator_steps") if has(name, key)}
    recorded: list[list[Mapping[str, float]]] = []
    for engine in ({"engine": "plain"}, {"dtype": "float32"}):
        losses = Losses()
        job(name, **settings, **engine).run(callbacks=[losses])
        recorded.append(losses.steps)
    (plain, *_), (fast, *_) = recorded
    assert plain.keys() == fast.keys()
    for key, value in plain.items():
        assert fast[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key


class Losses(Watcher):
    """Records the losses of every step."""

    def __init__(self) -> None:
        self.steps: list[Mapping[str, float]] = []

    def stepped(self, method: Method, report: Report) -> None:
        assert report.losses is not None
        self.steps.append(report.losses)


@every_method
def test_repeated_training_writes_the_same_bytes(name: str, tmp_path: Path) -> None:
    one, other = (model.save(tmp_path / f"{i}.safetensors") for i, model in enumerate((trained(name), retrained(name))))
    assert one.read_bytes() == other.read_bytes()


@every_trained_method
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_gradient_reaches_trained_parameters_only(name: str, stage: int) -> None:
    method, inputs = method_at_stage(name, stage, trained_stages=2)
    players = method.players()
    trainable = {id(p) for player in players.values() for group in player.groups for p in group["params"]}
    for player in dict.fromkeys(method.schedule(stage).update_order):
        own = [p for group in players[player].groups for p in group["params"]]
        inputs.branch = method.branch(player, inputs.rng)
        loss = torch.stack(list(method.losses(player, inputs).values())).sum()
        for parameter, gradient in zip(own, torch.autograd.grad(loss, own, allow_unused=True), strict=True):
            assert gradient is not None, (player, parameter.shape)
            assert gradient.isfinite().all()
    for key, parameter in method.nets.named_parameters():
        assert id(parameter) in trainable or not parameter.requires_grad, key


@every_method
def test_untrained_stages_keep_their_weights(name: str) -> None:
    """The last stage changes only the parameters that its players train."""
    before: dict[str, torch.Tensor] = {}
    moving: set[str] = set()

    class RecordWeights(Watcher):
        def stage_started(self, method: Method) -> None:
            if method.stage == method.plan.stages - 1:
                trainable = {id(p) for pl in method.players().values() for g in pl.groups for p in g["params"]}
                before.update({k: v.clone() for k, v in method.nets.state_dict().items()})
                moving.update(k for k, p in method.nets.named_parameters() if id(p) in trainable)

    settings = {key: value for key, value in {"stages": 3, "trained_stages": 1}.items() if has(name, key)}
    pair = job(name, **{**few_steps(name), **settings}).run(callbacks=[RecordWeights()])
    after = weights(pair)
    layers = {key.rpartition(".")[0] for key in moving}  # BatchNorm of a layer in training counts its batches
    constant = [key for key in before if key.rpartition(".")[0] not in layers]
    assert constant
    assert_same({key: before[key] for key in constant}, {key: after[key] for key in constant})
    assert all(not torch.equal(before[key], after[key]) for key in moving if key.endswith("weight"))


@every_method
def test_several_images_form_one_domain_or_are_refused(name: str) -> None:
    several = [picture(20, 18, seed=i) for i in range(3)]
    if not methods.get_method(name).accepts_several:
        with pytest.raises(UserError, match="consingan"):
            job(name, {"a": several, "b": picture(20, 20)})
        return
    ready = job(name, {"a": several, "b": picture(20, 20)}, **few_steps(name))
    assert [len(level) for level in ready.levels()["a"]] == [3] * ready.plan.stages
    assert output(ready.run(), several[0]).isfinite().all()
