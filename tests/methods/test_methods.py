"""The contract that every method in the table keeps. A new method is tested by being listed."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lonepair.methods as methods
import lonepair.nets as nets
from conftest import StopAfter, picture, tiny
from lonepair.api.job import Job
from lonepair.api.model import Model, load
from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.methods.types import StepInputs
from lonepair.ops.noise import RandomStream, seed_global
from lonepair.train.checkpoint import load_model, save_model
from lonepair.train.events import Report, Watcher
from lonepair.train.loop import Interrupted, Progress, add_stage
from lonepair.train.run import RunFolder
from lonepair.train.step import Steps

every_method = pytest.mark.parametrize("name", methods.names())


def methods_that(use: str) -> Any:
    """The test, once for every method that can be asked for `use`."""
    return pytest.mark.parametrize("name", [n for n in methods.names() if use in methods.get_method(n).uses])


def has(name: str, setting: str) -> bool:
    return setting in methods.get_method(name).config_class.setting_names()


def output(model: Model, image: torch.Tensor) -> torch.Tensor:
    """What the method is for: `image` redrawn by a pair, a random image by a method of one."""
    return model.translate(image).image if "translate" in model.method.uses else model.sample(1)[0]["a"]


def job(name: str, inputs: dict[str, Any] | None = None, **settings: Any) -> Job:
    inputs = inputs or {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    domains = methods.get_method(name).domains
    return Job.prepare({d: inputs[d] for d in domains}, name, "standard", tiny(name, **settings))


def weights(pair: Model) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in pair.method.nets.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [key for key in one if not torch.equal(one[key], other[key])]
    assert not different, different


MEASURED = ("amplitudes", "reconstruction_", "memory", "detail")
"""In the names of what a stage takes from its data, whatever it starts from."""

CROPPING = [name for name in methods.names() if has(name, "crop_size")]
"""Methods that train on crops of large images."""

SIDES = [(24, 20), (19, 26), (20, 20)]
"""Non-square, odd and square, larger and smaller than the largest side that is trained."""


@methods_that("translate")
@pytest.mark.parametrize("size", SIDES)
def test_trains_and_redraws_at_the_source_size(name: str, size: tuple[int, int]) -> None:
    pair = job(name, {"a": picture(*size, seed=1), "b": picture(20, 26, seed=2)}).run()
    out = pair.translate(picture(*size, seed=1)).image
    assert out.shape == (1, 3, *size)
    assert out.isfinite().all()
    assert out.abs().max() <= 1


@every_method
@pytest.mark.parametrize("size", SIDES)
def test_trains_and_samples_at_the_training_size(name: str, size: tuple[int, int]) -> None:
    ready = job(name, {"a": picture(*size, seed=1), "b": picture(20, 26, seed=2)})
    drawn = ready.run().sample(2, full_size=False).images
    assert {d: tuple(images.shape) for d, images in drawn.items()} == dict.fromkeys(
        ready.plan.full_sizes, (2, 3, *ready.plan.full_sizes["a"])
    )
    assert all(images.isfinite().all() and images.abs().max() <= 1 for images in drawn.values())


@every_method
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(name: str, channels: int) -> None:
    pair = job(name, {"a": picture(21, 17, channels), "b": picture(16, 23, channels)}).run()
    assert pair.sample(1, full_size=False)[0]["a"].shape == (1, channels, 20, 17)
    if "translate" in pair.method.uses:
        assert pair.translate(picture(33, 19, channels)).image.shape == (1, channels, 33, 19)
    elif "refine" in pair.method.uses:
        assert pair.refine(picture(33, 19, channels)).image.shape == (1, channels, 33, 19)


@methods_that("translate")
def test_unlike_channels_meet_at_the_richer(name: str) -> None:
    pair = job(name, {"a": picture(20, 20, 1), "b": picture(20, 20, 4)}).run()
    assert pair.method.plan.channels == 4


@methods_that("translate")
def test_clip_gives_a_clip_of_its_own_length(name: str) -> None:
    clip = torch.cat([picture(20, 18, seed=i) for i in range(3)])
    pair = job(name, {"a": clip, "b": picture(20, 20)}).run()
    frames = list(pair.translate(clip).frames())
    assert [frame.image.shape for frame in frames] == [(1, 3, 20, 18)] * 3
    assert [float(frame.time) for frame in frames] == [0, 0.04, 0.08]


@every_method
def test_same_seed_same_weights_other_seed_others(name: str) -> None:
    torch.manual_seed(1)
    first = job(name, seed=5).run()
    torch.manual_seed(2)  # nothing may depend on torch's global stream
    assert_same(weights(first), weights(job(name, seed=5).run()))
    other = weights(job(name, seed=6).run())
    assert any(not torch.equal(value, other[key]) for key, value in weights(first).items())


@every_method
def test_the_engine_computes_what_the_plain_one_does(name: str) -> None:
    """Compared in the losses of the first steps: from there on rounding goes its own ways."""
    settings = {key: 1 for key in ("steps", "finest_steps", "critic_steps", "generator_steps") if has(name, key)}
    seen: list[list[Mapping[str, float]]] = []
    for engine in ({"engine": "plain"}, {"dtype": "float32"}):
        losses = Losses()
        job(name, **settings, **engine).run(callbacks=[losses])
        seen.append(losses.seen)
    (plain, *_), (fast, *_) = seen
    assert plain.keys() == fast.keys()
    for key, value in plain.items():
        assert fast[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key


class Losses(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, float]] = []

    def stepped(self, method: Method, report: Report) -> None:
        assert report.losses is not None
        self.seen.append(report.losses)


@every_method
@pytest.mark.parametrize("killed_after", [1, 2, 4, 5])
def test_resumed_run_is_the_uninterrupted_one(name: str, killed_after: int, tmp_path: Path) -> None:
    """Bit for bit, killed mid-stage, at a stage's last step and in the next stage; rebuilt in between."""
    whole = job(name).run()
    settings = {"checkpoint_minutes": 0.0}
    killed = job(name, **settings)
    folder = killed.folder(tmp_path / "run", False)
    with pytest.raises(Interrupted):
        killed.run(folder, callbacks=[StopAfter(killed_after)])
    torch.manual_seed(99)
    again = job(name, **settings)
    resumed = again.run(again.folder(tmp_path / "run", True), resume=True)
    assert_same(weights(whole), weights(resumed))


@every_method
def test_previews_leave_no_trace(name: str, tmp_path: Path) -> None:
    """However often they are drawn, BatchNorm's running averages included."""
    settings = {"normalization": "batch"} if has(name, "normalization") else {}
    often, never = job(name, **settings, preview_minutes=1e-9), job(name, **settings, preview_minutes=0.0)
    drawn = often.run(often.folder(tmp_path / "often", False))
    assert_same(weights(drawn), weights(never.run()))
    assert (tmp_path / "often" / "previews" / "stage-1.png").exists()


@every_method
def test_resuming_a_finished_run_changes_nothing(name: str, tmp_path: Path) -> None:
    first = job(name)
    done = weights(first.run(first.folder(tmp_path / "run", False)))
    again = job(name)
    assert_same(done, weights(again.run(again.folder(tmp_path / "run", True), resume=True)))


@every_method
def test_save_load_use(name: str, tmp_path: Path) -> None:
    pair = job(name).run()
    loaded = load(pair.save(tmp_path / "model.safetensors"), device="cpu", dtype="float32")
    pair.to(loaded.engine)
    image = picture(24, 20, seed=1)
    assert torch.equal(output(pair, image), output(loaded, image))
    assert torch.equal(pair.sample(1, seed=3)[0]["a"], loaded.sample(1, seed=3)[0]["a"])
    assert loaded.settings == pair.settings


@every_method
def test_model_files_of_one_training_are_equal_byte_for_byte(name: str, tmp_path: Path) -> None:
    one, other = (job(name).run().save(tmp_path / f"{i}.safetensors") for i in range(2))
    assert one.read_bytes() == other.read_bytes()


@every_method
def test_a_seed_is_the_same_picture_whatever_the_count(name: str) -> None:
    pair = job(name).run()
    alone, many = pair.sample(1, seed=4), pair.sample(3, seed=4)
    # The same noise; a batch may be summed in another order.
    assert torch.allclose(alone[0]["a"], many[0]["a"], atol=1e-5)
    assert not torch.equal(many[0]["a"], many[1]["a"])


@every_method
def test_samples_of_any_size(name: str) -> None:
    pair = job(name).run()
    assert pair.sample(1, size=(37, 18))[0]["a"].shape == (1, 3, 37, 18)
    with pytest.raises(UserError, match="min_side"):
        pair.sample(1, size=(37, 5))


def grown(name: str, stage: int, **settings: Any) -> tuple[Method, StepInputs]:
    """The method at `stage`, ready to train, and a inputs for one step."""
    settings = {key: value for key, value in {"stages": 4, "pyramid_ratio": 0.75, **settings}.items() if has(name, key)}
    ready = job(name, **{**settings, "max_side": 26})
    with seed_global(0):
        method = ready.method_class(ready.config, ready.plan)
        levels = ready.levels()
        for _ in range(stage + 1):
            method.add_stage()
            with torch.no_grad():
                method.calibrate_noise({d: stages[: method.stage + 1] for d, stages in levels.items()})
    real = {d: [level[:1] for level in stages[: stage + 1]] for d, stages in levels.items()}
    return method, StepInputs(real, RandomStream(0))


@every_method
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_gradient_reaches_every_trained_parameter_and_no_other(name: str, stage: int) -> None:
    method, inputs = grown(name, stage, trained_stages=2)
    players = method.players()
    trained = {id(p) for player in players.values() for group in player.groups for p in group["params"]}
    for player in dict.fromkeys(method.schedule(stage).update_order):
        own = [p for group in players[player].groups for p in group["params"]]
        inputs.branch = method.branch(player, inputs.rng)
        loss = torch.stack(list(method.losses(player, inputs).values())).sum()
        for parameter, gradient in zip(own, torch.autograd.grad(loss, own, allow_unused=True), strict=True):
            assert gradient is not None, (player, parameter.shape)
            assert gradient.isfinite().all()
    for key, parameter in method.nets.named_parameters():
        assert id(parameter) in trained or not parameter.requires_grad, key


LARGE: dict[str, Any] = {"stages": 3, "max_side": 160, "crop_size": 28}


def large_job(name: str, **settings: Any) -> Job:
    return job(
        name,
        {"a": picture(90, 80, seed=1), "b": picture(70, 90, seed=2)},
        **{**{key: value for key, value in LARGE.items() if has(name, key)}, **settings},
    )


@pytest.mark.parametrize("name", CROPPING)
def test_a_step_sees_crops_of_a_large_picture(name: str) -> None:
    ready = large_job(name)
    with seed_global(0):
        method = ready.method_class(ready.config, ready.plan)
    levels = ready.levels()
    for _ in range(ready.plan.stages):
        add_stage(method, levels, ready.engine, 0, {})
    seen: list[int] = []
    for part in method.nets.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.register_forward_pre_hook(lambda _, x: seen.append(len(x[0]) * x[0].shape[-2] * x[0].shape[-1]))
    steps = Steps(method, levels, ready.engine, 0)
    for step in range(3):
        if step == 1:
            seen.clear()  # what is drawn once a stage and kept is whole
        for index, players in enumerate(steps.groups):
            inputs = steps.inputs(index, step, steps.frames(step))
            for player in dict.fromkeys(players):
                inputs.branch = method.branch(player, inputs.rng)
                losses = method.losses(player, inputs)
                assert all(value.isfinite() for value in losses.values()), losses
    # Four crops of 28 x 28 pixels together, each with what its borders hang on; not 160 x 150.
    assert 28**2 <= max(seen) < 0.6 * 140 * 160


CROPPED: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in CROPPING],
    *[(name, {"as_released": True}) for name in CROPPING if has(name, "as_released")],
    ("consingan", {"task": "animation"}),
    ("consingan", {"task": "retargeting", "normalization": "batch"}),
    ("representative", {"border_padding": "reflect", "window_fraction": 1.0, "start_stage": -1}),
]


class Unasked(TorchDispatchMode):
    """Forbids what a GPU's host would have to wait for: that it reads a tensor, or makes one of numbers of its own."""

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
def test_a_step_on_crops_can_be_recorded(name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The host neither reads a tensor, nor draws a number that `Method.branch` does not return."""

    def read(*given: Any) -> None:
        raise AssertionError("the host reads a tensor")

    ready = large_job(name, **settings)
    with seed_global(0):
        method = ready.method_class(ready.config, ready.plan)
    levels = ready.levels()
    for _ in range(ready.plan.stages):
        add_stage(method, levels, ready.engine, 0, {})
    steps = Steps(method, levels, ready.engine, 0)
    players, cropped = method.players(), 0

    def take(number: int) -> None:
        nonlocal cropped
        for index, group in enumerate(steps.groups):
            inputs = steps.inputs(index, number, frames[number])
            branches = [method.branch(player, inputs.rng) for player in group]
            inputs.rng.forbid_host_draws("drawn in losses")
            for player, inputs.branch in zip(group, branches, strict=True):
                own = [parameter for part in players[player].groups for parameter in part["params"]]
                loss = torch.stack(list(method.losses(player, inputs).values())).sum()
                loss.backward(inputs=own)  # type: ignore[no-untyped-call]
            found = inputs.visible.values() if inputs.visible else inputs.fakes.sizes.values()
            cropped += any(isinstance(sizes, nets.Crops) for sizes in found)

    frames = {number: steps.frames(number) for number in range(3)}
    for number in frames:
        take(number)  # what is kept for later steps of this way is made
        with monkeypatch.context() as patch, Unasked():
            patch.setattr(torch.Tensor, "tolist", read)
            take(number)
    assert cropped >= 6


@pytest.mark.parametrize("name", CROPPING)
def test_training_on_crops_resumes_bit_for_bit_and_can_be_used(name: str, tmp_path: Path) -> None:
    whole = large_job(name).run()
    killed, again = (large_job(name, checkpoint_minutes=0.0) for _ in range(2))
    folder = killed.folder(tmp_path / "run", False)
    with pytest.raises(Interrupted):
        killed.run(folder, callbacks=[StopAfter(7)])
    resumed = again.run(folder, resume=True)
    assert_same(weights(whole), weights(resumed))
    drawn = output(whole, picture(160, 150, seed=1))
    assert drawn is not None
    assert drawn.isfinite().all()


@pytest.mark.parametrize("name", CROPPING)
def test_crops_are_no_smaller_than_the_coarsest_stage(name: str) -> None:
    assert [job(name, crop_size=crop).config.crop_side for crop in (0, 20, 40)] == [0, 28, 40]
    with pytest.raises(UserError, match="crop_size is -1: choose 0 or more"):
        job(name, crop_size=-1)


@pytest.mark.parametrize("name", CROPPING)
def test_work_does_not_grow_with_what_crops_leave_out(name: str) -> None:
    small, large, whole = (large_job(name, **more) for more in ({"max_side": 40}, {}, {"crop_size": 0}))
    work = []
    for each in (small, large, whole):
        method = each.method_class(each.config, each.plan)
        work.append([method.schedule(stage).work for stage in range(each.plan.stages)])
    assert work[1][-1] < 0.5 * work[2][-1]
    assert work[1][0] == work[2][0]
    assert work[0] == sorted(work[0])


def test_what_windows_leave_out_is_not_cropped_again() -> None:
    """A window of 0.6 of 220 pixels is whole where all of 220 pixels would be cropped, and so is its work."""
    found = []
    for crop in (128, 0):
        ready = job(
            "representative",
            {"a": picture(220, 220), "b": picture(220, 220)},
            max_side=220,
            min_side=40,
            crop_size=crop,
        )
        method = ready.method_class(ready.config, ready.plan)
        found.append([method.schedule(stage).work for stage in range(ready.plan.stages)])
    assert found[0] == found[1]


@every_method
def test_finished_stages_do_not_move(name: str) -> None:
    """What no player of the last stage trains is the same before and after it."""
    before: dict[str, torch.Tensor] = {}
    moving: set[str] = set()

    class Remember(Watcher):
        def stage_started(self, method: Method) -> None:
            if method.stage == method.plan.stages - 1:
                trained = {id(p) for pl in method.players().values() for g in pl.groups for p in g["params"]}
                before.update({k: v.clone() for k, v in method.nets.state_dict().items()})
                moving.update(k for k, p in method.nets.named_parameters() if id(p) in trained)

    settings = {key: value for key, value in {"stages": 3, "trained_stages": 1}.items() if has(name, key)}
    pair = job(name, **settings).run(callbacks=[Remember()])
    after = weights(pair)
    layers = {key.rpartition(".")[0] for key in moving}  # a layer that is trained keeps count of what it sees
    still = [key for key in before if key.rpartition(".")[0] not in layers]
    assert still
    assert_same({key: before[key] for key in still}, {key: after[key] for key in still})
    assert all(not torch.equal(before[key], after[key]) for key in moving if key.endswith("weight"))


@every_method
def test_parts_count_what_is_built(name: str) -> None:
    method = job(name).run().method
    built = sum(p.numel() for key, p in method.nets.named_parameters() if key.split(".")[0] in method.inference_nets)
    assert sum(method.parameter_counts().values()) == built


@every_method
def test_schedule_of_every_stage_is_known_beforehand(name: str) -> None:
    method, _ = grown(name, 0)
    for stage in range(method.plan.stages):
        schedule = method.schedule(stage)
        assert schedule.steps >= 1
        assert set(schedule.update_order) == set(method.players())


@every_method
def test_each_preset_is_a_valid_config(name: str) -> None:
    config_class = methods.get_method(name).config_class
    assert {"draft", "standard", "full"} <= set(config_class.presets)
    for preset in config_class.presets:
        assert config_class.from_preset(preset).to_dict()


@every_method
def test_every_setting_has_a_sentence_of_help(name: str) -> None:
    import ast
    import inspect

    config = methods.get_method(name).config_class()
    for part in (config, *config.groups().values()):
        tree = ast.parse(inspect.getsource(type(part)).strip()).body[0]
        assert isinstance(tree, ast.ClassDef)
        own = {field.name for field in dataclasses.fields(part)} - set(config.groups())
        for field, following in itertools.pairwise([*tree.body, ast.Pass()]):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id in own:
                assert isinstance(following, ast.Expr), ast.unparse(field)
                assert isinstance(following.value, ast.Constant), ast.unparse(field)


@every_method
def test_preview_shows_every_domain(name: str) -> None:
    method, inputs = grown(name, 1)
    with torch.no_grad():
        pictures = method.preview(inputs.real, RandomStream(0))
    assert len(pictures) >= 2
    assert all(image.isfinite().all() for _, image in pictures)


@every_method
def test_a_model_that_was_cut_short_can_be_used(name: str, tmp_path: Path) -> None:
    """What a checkpoint of an early stage holds draws at every size."""
    stopped = job(name, checkpoint_minutes=0.0)
    with pytest.raises(Interrupted):
        stopped.run(stopped.folder(tmp_path / "run", False), callbacks=[StopAfter(2)])
    folder = RunFolder(tmp_path / "run")
    assert load_model(folder.model)[0].stage == 0
    early = load(folder.model, "cpu")
    assert early.sample(1, size=(24, 30))[0]["a"].shape == (1, 3, 24, 30)
    if "translate" in early.method.uses:
        assert early.translate(picture(24, 20)).image.shape == (1, 3, 24, 20)


@every_method
def test_untrained_method_saves_what_it_loads(name: str, tmp_path: Path) -> None:
    method, _ = grown(name, 1)
    path = save_model(tmp_path / "m.safetensors", method, {})
    again, _ = load_model(path)
    assert_same(dict(method.model_state()), dict(again.model_state()))
    assert Progress().stage == -1


# Inputs


@every_method
def test_a_wrong_number_of_inputs_names_the_methods_that_fit(name: str) -> None:
    wrong = {"a": picture(20, 20)} if len(methods.get_method(name).domains) == 2 else None
    inputs = wrong or {"a": picture(20, 20), "b": picture(20, 20)}
    fitting = [n for n in methods.names() if len(methods.get_method(n).domains) == len(inputs)]
    with pytest.raises(UserError, match=", ".join(fitting)):
        Job.prepare(inputs, name, "standard", tiny(name))


@every_method
def test_several_images_are_one_domain_or_are_refused(name: str) -> None:
    several = [picture(20, 18, seed=i) for i in range(3)]
    if not methods.get_method(name).accepts_several:
        with pytest.raises(UserError, match="consingan"):
            job(name, {"a": several, "b": picture(20, 20)})
        return
    ready = job(name, {"a": several, "b": picture(20, 20)})
    assert [len(level) for level in ready.levels()["a"]] == [3] * ready.plan.stages
    assert output(ready.run(), several[0]).isfinite().all()


@every_method
def test_a_warm_start_begins_where_the_model_ended(name: str, tmp_path: Path) -> None:
    first = job(name)
    ended = first.run(first.folder(tmp_path / "run", False))
    seen: dict[str, torch.Tensor] = {}

    class Look(Watcher):
        def stage_started(self, method: Method) -> None:
            if method.stage == 0:
                seen.update({k: v.clone() for k, v in method.nets.state_dict().items()})

    domains = methods.get_method(name).domains
    inputs = {d: picture(24, 20, seed=i) for i, d in enumerate(domains, 1)}
    for start in (tmp_path / "run", RunFolder(tmp_path / "run").model):
        seen.clear()
        again = Job.prepare(inputs, name, "standard", tiny(name), warm_start=start)
        again.run(callbacks=[Look()])
        known = weights(ended)
        if start.suffix:
            known = {key: value for key, value in known.items() if key.split(".")[0] in ended.method.inference_nets}
        same = [key for key in seen if key in known and not any(own in key for own in MEASURED)]
        assert len(same) > 4
        assert_same({key: known[key] for key in same}, {key: seen[key] for key in same})


def test_a_warm_start_is_of_the_same_method(tmp_path: Path) -> None:
    model = job("consingan").run().save(tmp_path / "m.safetensors")
    with pytest.raises(UserError, match=r"'consingan'.*'singan'"):
        Job.prepare({"a": picture(24, 20)}, "singan", "standard", tiny("singan"), warm_start=model)


# Options: every way of training keeps the contract

WAYS = [
    *[(n, {"as_released": True}) for n in methods.names() if has(n, "as_released")],
    *[(n, {"task": task}) for n in ("singan", "consingan") for task in ("generation", "animation")],
    *[("consingan", {"task": task}) for task in ("retargeting", "harmonization", "editing")],
    ("consingan", {"normalization": "instance"}),
    ("consingan", {"normalization": "batch", "pyramid_rule": "geometric"}),
    ("structural-analogy", {"square": True}),
    ("structural-analogy", {"lambda_self": 1.0}),
    ("structural-analogy", {"lambda_self": 1.0, "as_released": True}),
    ("structural-analogy", {"luminance_levels": 4}),
    ("structural-analogy", {"start_stage": 0}),
    ("representative", {"cycle_channels": "colour"}),
    ("representative", {"border_padding": "reflect", "window_fraction": 1.0}),
    ("representative", {"pyramid_rule": "geometric", "start_stage": -1, "critic_steps": 2}),
]


@pytest.mark.parametrize(("name", "settings"), WAYS, ids=[f"{n}-{'-'.join(map(str, s))}" for n, s in WAYS])
def test_every_way_of_training_resumes_bit_for_bit_and_can_be_used(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    whole = job(name, **settings).run()
    killed = job(name, **settings, checkpoint_minutes=0.0)
    folder = killed.folder(tmp_path / "run", False)
    with pytest.raises(Interrupted):
        killed.run(folder, callbacks=[StopAfter(5)])
    again = job(name, **settings, checkpoint_minutes=0.0)
    resumed = again.run(again.folder(tmp_path / "run", True), resume=True)
    assert_same(weights(whole), weights(resumed))
    loaded = load(whole.save(tmp_path / "m.safetensors"), "cpu")
    image = picture(24, 20, seed=1)
    drawn = output(loaded, image)
    assert drawn.isfinite().all()
    assert torch.equal(drawn, output(resumed, image))


@pytest.mark.parametrize("task", ["harmonization", "editing"])
def test_fine_tuning_trains_on_at_the_last_resolution_alone(task: str, tmp_path: Path) -> None:
    settings = tiny("consingan", task=task, stages=3)
    first = Job.prepare({"a": picture(24, 20, seed=1)}, "consingan", "standard", settings)
    before = weights(first.run(first.folder(tmp_path / "run", False)))
    inputs = {"a": picture(24, 20, seed=1), "composite": picture(24, 20, seed=5)}
    job = Job.prepare(inputs, "consingan", "standard", settings, warm_start=tmp_path / "run")
    tuned = job.run()
    assert [tuned.method.schedule(stage).steps for stage in range(3)] == [0, 0, settings["steps"]]
    after = weights(tuned)
    assert torch.equal(before["g.amplitudes"], after["g.amplitudes"])
    moved = {key: float((before[key] - after[key]).abs().max()) for key in after if key.endswith("0.weight")}
    assert moved["g.bodies.2.0.0.weight"] > 5 * moved["g.bodies.1.0.0.weight"] > 25 * moved["g.bodies.0.0.0.weight"]
    assert tuned.harmonize(picture(24, 20, seed=5), original=picture(24, 20, seed=1)).image.shape == (1, 3, 24, 20)


def test_fine_tuning_wants_a_model_a_task_and_the_same_aspect(tmp_path: Path) -> None:
    inputs = {"a": picture(24, 20), "composite": picture(24, 20)}
    with pytest.raises(UserError, match="warm_start"):
        Job.prepare(inputs, "consingan", "standard", tiny("consingan", task="editing"))
    model = job("consingan").run().save(tmp_path / "m.safetensors")
    with pytest.raises(UserError, match="harmonization and editing"):
        Job.prepare(inputs, "consingan", "standard", tiny("consingan"), warm_start=model)
    wide = {"a": picture(24, 20), "composite": picture(20, 24)}
    with pytest.raises(UserError, match="24x20 pixels, the image 20x24"):
        Job.prepare(wide, "consingan", "standard", tiny("consingan", task="editing"), warm_start=model)
    with pytest.raises(UserError, match="consingan"):
        Job.prepare(inputs, "singan", "standard", tiny("singan"), warm_start=model)
