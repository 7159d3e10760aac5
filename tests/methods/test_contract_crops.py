"""Contract of every method that trains on crops of large images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from method_jobs import (
    CROPPING,
    CopyAfter,
    assert_same,
    few_steps,
    has,
    job,
    killed_run,
    large_job,
    output,
    weights,
)
from torch.utils._python_dispatch import TorchDispatchMode

import lonepair.nets as nets
from lonepair.errors import UserError
from lonepair.ops.noise import seed_global
from lonepair.train.loop import add_stage
from lonepair.train.step import Steps
from tiny_settings import picture


@pytest.mark.parametrize("name", CROPPING)
def test_step_processes_crops_of_a_large_image(name: str) -> None:
    ready = large_job(name)
    with seed_global(0):
        method = ready.method_class(ready.config, ready.plan)
    levels = ready.levels()
    for _ in range(ready.plan.stages):
        add_stage(method, levels, ready.engine, 0, {})
    pixels: list[int] = []
    for part in method.nets.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.register_forward_pre_hook(lambda _, x: pixels.append(len(x[0]) * x[0].shape[-2] * x[0].shape[-1]))
    steps = Steps(method, levels, ready.engine, 0)
    for step in range(3):
        if step == 1:
            pixels.clear()  # the first step computes full images that the stage caches
        for index, players in enumerate(steps.groups):
            inputs = steps.inputs(index, step, steps.frames(step))
            for player in dict.fromkeys(players):
                inputs.branch = method.branch(player, inputs.rng)
                losses = method.losses(player, inputs)
                assert all(value.isfinite() for value in losses.values()), losses
    # Four crops of 28 x 28 pixels together, each with its receptive field; not 160 x 150.
    assert 28**2 <= max(pixels) < 0.6 * 140 * 160


CROPPED: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in CROPPING],
    *[(name, {"as_released": True}) for name in CROPPING if has(name, "as_released")],
    ("consingan", {"task": "animation"}),
    ("consingan", {"task": "retargeting", "normalization": "batch"}),
    ("representative", {"border_padding": "reflect", "window_fraction": 1.0, "start_stage": -1}),
]


class ForbidHostReads(TorchDispatchMode):
    """Fails where the host would read a tensor of a GPU, or copy its own numbers to it."""

    READING = frozenset(
        {
            "_local_scalar_dense",
            "nonzero",
            "masked_select",
            "equal",
            "is_nonzero",
            "unique_dim",
            "_unique2",
            "lift_fresh",
        }
    )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in self.READING, name
        masks = args[1] if name in ("index", "index_put", "index_put_", "_index_put_impl_") else ()
        assert all(mask is None or mask.dtype != torch.bool for mask in masks), name
        return func(*args, **(kwargs or {}))


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(("name", "settings"), CROPPED, ids=[f"{n}-{'-'.join(map(str, s))}" for n, s in CROPPED])
def test_step_on_crops_can_be_captured_as_a_graph(
    name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host neither reads a tensor, nor draws a number that `Method.branch` does not return."""

    def fail(*args: Any) -> None:
        raise AssertionError("the host reads a tensor")

    ready = large_job(name, **settings)
    with seed_global(0):
        method = ready.method_class(ready.config, ready.plan)
    levels = ready.levels()
    for _ in range(ready.plan.stages):
        add_stage(method, levels, ready.engine, 0, {})
    steps = Steps(method, levels, ready.engine, 0)
    players, cropped = method.players(), 0

    def run_step(number: int) -> None:
        nonlocal cropped
        for index, group in enumerate(steps.groups):
            inputs = steps.inputs(index, number, frames[number])
            branches = [method.branch(player, inputs.rng) for player in group]
            inputs.rng.forbid_host_draws("Method.losses draws a number on the host")
            for player, inputs.branch in zip(group, branches, strict=True):
                own = [parameter for part in players[player].groups for parameter in part["params"]]
                loss = torch.stack(list(method.losses(player, inputs).values())).sum()
                loss.backward(inputs=own)  # type: ignore[no-untyped-call]
            domain_sizes = inputs.visible.values() if inputs.visible else inputs.fakes.sizes.values()
            cropped += any(isinstance(sizes, nets.Crops) for sizes in domain_sizes)

    frames = {number: steps.frames(number) for number in range(2)}
    for number in frames:
        run_step(number)  # fill the caches that later steps of this branch read
        with monkeypatch.context() as patch, ForbidHostReads():
            patch.setattr(torch.Tensor, "tolist", fail)
            run_step(number)
    assert cropped >= 4


@pytest.mark.parametrize("name", CROPPING)
def test_resume_on_crops_is_bitwise_equal(name: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {**few_steps(name), "max_side": 80, "checkpoint_minutes": 0.0}
    complete, again = (large_job(name, **settings) for _ in range(2))
    folder = complete.folder(tmp_path / "run", False)
    uninterrupted = complete.run(folder, callbacks=[CopyAfter(folder, [5])])
    resumed = again.run(again.folder(killed_run(folder.path, 5), True), resume=True)
    assert_same(weights(uninterrupted), weights(resumed))
    image = output(uninterrupted, picture(80, 70, seed=1))
    assert image.isfinite().all()


@pytest.mark.parametrize("name", CROPPING)
def test_crops_are_at_least_as_large_as_the_coarsest_stage(name: str) -> None:
    assert [job(name, crop_size=crop).config.crop_side for crop in (0, 20, 40)] == [0, 28, 40]
    with pytest.raises(UserError, match="crop_size is -1: choose 0 or more"):
        job(name, crop_size=-1)


@pytest.mark.parametrize("name", CROPPING)
def test_work_counts_only_the_pixels_of_crops(name: str) -> None:
    small, large, whole = (large_job(name, **more) for more in ({"max_side": 40}, {}, {"crop_size": 0}))
    work = []
    for each in (small, large, whole):
        method = each.method_class(each.config, each.plan)
        work.append([method.schedule(stage).work for stage in range(each.plan.stages)])
    assert work[1][-1] < 0.5 * work[2][-1]
    assert work[1][0] == work[2][0]
    assert work[0] == sorted(work[0])


def test_window_below_the_crop_limit_is_not_cropped() -> None:
    """220 pixels a side exceed the limit for crops; a window of 0.6 of them does not, so crops change no work."""
    work = []
    for crop in (128, 0):
        ready = job(
            "representative",
            {"a": picture(220, 220), "b": picture(220, 220)},
            max_side=220,
            min_side=40,
            crop_size=crop,
        )
        method = ready.method_class(ready.config, ready.plan)
        work.append([method.schedule(stage).work for stage in range(ready.plan.stages)])
    assert work[0] == work[1]
