"""ConSinGAN as published: sizes, parameter counts, borders, learning rates and fine-tuning.

The numbers are those of the paper and its authors' code.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from method_jobs import job, weights
from torch import nn

from lonepair.api.job import Job
from lonepair.errors import UserError
from published_methods import Size, count, inputs, tiny_method, untrained, with_stages
from tiny_settings import picture, tiny


@pytest.mark.parametrize("task", ["harmonization", "editing"])
def test_fine_tuning_trains_at_the_last_resolution_only(task: str, tmp_path: Path) -> None:
    settings = tiny("consingan", task=task, stages=3)
    first = Job.prepare({"a": picture(24, 20, seed=1)}, "consingan", "standard", settings)
    before = weights(first.run(first.folder(tmp_path / "run", False)))
    images = {"a": picture(24, 20, seed=1), "composite": picture(24, 20, seed=5)}
    job = Job.prepare(images, "consingan", "standard", settings | {"fine_tuning_steps": 4}, warm_start=tmp_path / "run")
    tuned = job.run()
    assert [tuned.method.schedule(stage).steps for stage in range(3)] == [0, 0, 4]
    after = weights(tuned)
    assert torch.equal(before["g.amplitudes"], after["g.amplitudes"])
    moved = {key: float((before[key] - after[key]).abs().max()) for key in after if key.endswith("0.weight")}
    assert moved["g.bodies.2.0.0.weight"] > 5 * moved["g.bodies.1.0.0.weight"] > 25 * moved["g.bodies.0.0.0.weight"]
    assert tuned.harmonize(picture(24, 20, seed=5), original=picture(24, 20, seed=1)).image.shape == (1, 3, 24, 20)


def test_fine_tuning_requires_a_model_a_task_and_the_same_aspect(tmp_path: Path) -> None:
    images = {"a": picture(24, 20), "composite": picture(24, 20)}
    with pytest.raises(UserError, match="warm_start"):
        Job.prepare(images, "consingan", "standard", tiny("consingan", task="editing"))
    model = job("consingan").run().save(tmp_path / "m.safetensors")
    with pytest.raises(UserError, match="harmonization and editing"):
        Job.prepare(images, "consingan", "standard", tiny("consingan"), warm_start=model)
    wide = {"a": picture(24, 20), "composite": picture(20, 24)}
    with pytest.raises(UserError, match="24x20 pixels, the image 20x24"):
        Job.prepare(wide, "consingan", "standard", tiny("consingan", task="editing"), warm_start=model)
    with pytest.raises(UserError, match="consingan"):
        Job.prepare(images, "singan", "standard", tiny("singan"), warm_start=model)


CONSINGAN_188 = [(25, 34), (32, 42), (42, 56), (63, 84), (126, 167), (188, 250)]


def test_stage_sizes_at_188x250_pixels() -> None:
    assert untrained("consingan", (188, 250)).plan.sizes((188, 250)) == CONSINGAN_188


@pytest.mark.parametrize("size", [(188, 250), (250, 120)])
def test_parameter_count(size: Size) -> None:
    method = untrained("consingan", size)
    assert sum(method.parameter_counts().values()) == 668_227
    for stage in range(6):
        method.add_stage()
        assert count(method.nets["g"]) == 114_307 + stage * 110_784
        assert count(method.nets["d"]) == 113_153
    assert {m.negative_slope for m in method.nets.modules() if isinstance(m, nn.LeakyReLU)} == {0.05}


@pytest.mark.parametrize(
    ("preset", "first", "slope"), [("harmonization", [120, 151, 188], 0.3), ("editing", [25, 32, 42], 0.05)]
)
def test_presets_for_composites(preset: str, first: list[int], slope: float) -> None:
    method = untrained("consingan", (188, 250), preset=preset)
    sizes = method.plan.sizes((188, 250))
    assert [h for h, _ in sizes[:3]] == first
    assert len(sizes) == (3 if preset == "harmonization" else 6)
    with_stages(method, 1)
    generator = method.nets["g"]
    assert {m.negative_slope for m in generator.modules() if isinstance(m, nn.LeakyReLU)} == {slope}
    assert sum("Norm" in type(part).__name__ for part in generator.modules()) == 4  # the head's and the three below


@pytest.mark.parametrize(
    ("task", "stage", "feature_sizes"),
    [
        # Head: padded by 1; then enlarged by 2 and padded by 2: three unpadded convolutions use up 6 pixels.
        ("generation", 0, [(10, 12), (14, 16), (12, 14), (10, 12)]),
        ("generation", 1, [(10, 12), (14, 16), (12, 14), (10, 12), (15, 17), (13, 15), (11, 13)]),
        ("retargeting", 0, [(8, 10), (14, 16), (12, 14), (10, 12)]),
        ("retargeting", 1, [(8, 10), (14, 16), (12, 14), (10, 12), (15, 17), (13, 15), (11, 13)]),
    ],
)
def test_sizes_of_features_inside_the_borders(task: str, stage: int, feature_sizes: list[Size]) -> None:
    """StageSizes at which the convolutions see the features of an 8x10 image, whose next stage is 9x11."""
    net = untrained("consingan", (188, 250), task=task)
    generator = with_stages(net, stage + 1).nets["g"]
    input_sizes: list[Size] = []
    for part in generator.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_pre_hook(lambda _, x: input_sizes.append(tuple(x[0].shape[-2:])))  # type: ignore[arg-type]
    sizes = [(8, 10), (9, 11)][: stage + 1]
    noises = [torch.zeros(generator.noise_shape(sizes, n)) for n in range(len(sizes))]  # type: ignore[operator]
    image = generator(noises[0], sizes, 0, noises[1:])
    assert image.shape[-2:] == sizes[-1]
    head, *bodies, tail = input_sizes
    assert (head, tail) == ((8, 10), sizes[-1])  # both convolutions are padded by one themselves
    assert bodies == feature_sizes[1:]


def test_three_stages_train_each_at_a_tenth_of_the_rate_of_the_next() -> None:
    method = untrained("consingan", (188, 250))
    for stage in range(6):
        method.add_stage()
        groups = method.players()["generator"].groups
        rates = [group["lr"] for group in groups]
        expected = [5e-4, 5e-5, 5e-6][: stage + 1]
        with_head = [*expected, expected[-1]] if stage < 3 else expected
        assert rates == pytest.approx(with_head), stage
        trained = {id(p) for group in groups for p in group["params"]}
        generator = method.nets["g"]
        assert all(id(p) in trained for p in generator.tail.parameters())  # type: ignore[union-attr, operator]
        heads = [id(p) in trained for p in generator.head.parameters()]  # type: ignore[union-attr, operator]
        assert all(heads) == any(heads) == (stage < 3)


def test_reconstruction_starts_from_the_coarsest_image() -> None:
    method = tiny_method("consingan", stages=3)
    first, second = method.reconstruction_maps(method.sizes["a"])  # type: ignore[attr-defined]
    assert torch.equal(first, method.reconstruction_input)  # type: ignore[attr-defined]
    again = method.reconstruction_maps(method.sizes["a"])[1]  # type: ignore[attr-defined]
    assert torch.equal(second, again)
    assert float(second.std()) == pytest.approx(1, abs=0.05)


def test_generator_takes_three_adam_steps_on_one_gradient_of_both_losses() -> None:
    method = tiny_method("consingan", stages=2)
    step = inputs(method)
    method.losses("critic", step)
    parameters = [p for group in method.players()["generator"].groups for p in group["params"]]
    # As the authors' code: -D(G(z)) + 10 · |G(z*) - x|², of the weights before the first of the three updates.
    sizes = method.sizes["a"]
    feature_maps = method.reconstruction_maps(sizes)[1:]  # type: ignore[attr-defined]
    reconstruction = method.nets["g"](step.real["a"][0], sizes, 0, feature_maps)
    loss = -method.nets["d"](step.fakes).mean() + 10 * (reconstruction - step.real["a"][-1]).square().mean()
    expected = torch.autograd.grad(loss, parameters, retain_graph=True)
    for _ in range(3):
        terms = method.losses("generator", step)
        gradients = torch.autograd.grad(torch.stack(list(terms.values())).sum(), parameters)
        for ours, theirs in zip(gradients, expected, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-6)
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(0.01)


@pytest.mark.parametrize(("size", "coarsest"), [((188, 250), (25, 34)), ((164, 250), (26, 39)), ((166, 250), (26, 38))])
def test_coarsest_size_has_the_rounding_error_of_the_released_code(size: Size, coarsest: Size) -> None:
    """25/164 as a power of its fifth root, times 164, is 25.000000000000004, which the authors' code rounds up."""
    root = math.pow(25 / min(size), 1 / 5)
    factor = math.pow(root, (4 / math.log(5)) * math.log(5) + 1)
    assert (math.ceil(size[0] * factor), math.ceil(size[1] * factor)) == coarsest
    assert untrained("consingan", size).plan.sizes(size)[0] == coarsest


def test_fine_tuning_has_2000_steps_in_every_preset() -> None:
    for preset in ("harmonization", "editing"):
        config = untrained("consingan", (188, 250), preset=preset).config
        assert (config.steps, config.fine_tuning_steps) == (1000, 2000)
