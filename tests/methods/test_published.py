"""What the papers say in numbers: sizes, layers, counts, starting values, optimizers, schedules, noise.

The numbers stand here as the papers and their authors' code give them; nothing is computed from our own settings.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lonepair.methods as methods
from conftest import picture, tiny
from lonepair.api.job import Job
from lonepair.errors import UserError
from lonepair.media.sizes import fit_inside
from lonepair.methods.base import Method
from lonepair.methods.types import StepInputs
from lonepair.nets import StageGenerator, StagewiseGenerator, widths_by_stage
from lonepair.ops.noise import RandomStream, seed_global

Size = tuple[int, int]


def planned(name: str, *sizes: Size, preset: str = "full", **settings: Any) -> Method:
    """The method, untrained, for images of (h, w) `sizes`."""
    method = methods.get_method(name)
    config = method.config_class.from_preset(preset, **settings)
    originals = dict(zip(method.domains, sizes, strict=True))
    reduced = {domain: fit_inside(size, config.max_side) for domain, size in originals.items()}
    return method(config, method.plan_for(config, 3, originals, reduced))


def grown(method: Method, stages: int) -> Method:
    with seed_global(0), torch.no_grad():
        for _ in range(stages):
            method.add_stage()
    return method


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def small(name: str, **settings: Any) -> Method:
    """A tiny method, grown to stage 1, whose inputs are 24x20 and 20x24."""
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 24, seed=2)}
    wanted = {domain: inputs[domain] for domain in methods.get_method(name).domains}
    job = Job.prepare(wanted, name, "standard", tiny(name, **{"max_side": 24, **settings}))
    method = job.method_class(job.config, job.plan)
    levels = job.levels()
    with seed_global(0), torch.no_grad():
        for stage in range(2):
            method.add_stage()
            method.calibrate_noise({d: images[: stage + 1] for d, images in levels.items()})
    return method


def inputs(method: Method, seed: int = 0) -> StepInputs:
    """A step at the method's stage, of random real images."""
    real = {
        domain: [picture(*size, seed=seed + i) for i, size in enumerate(sizes)]
        for domain, sizes in method.sizes.items()
    }
    return StepInputs(real, RandomStream(seed))


# SinGAN

SINGAN_250 = [25, 32, 40, 50, 63, 80, 100, 126, 158, 199, 250]


def test_singan_sizes_at_250() -> None:
    assert planned("singan", (250, 250)).plan.sizes((250, 250)) == [(side, side) for side in SINGAN_250]


def test_singan_sizes_at_188x250() -> None:
    sizes = planned("singan", (188, 250)).plan.sizes((188, 250))
    assert len(sizes) == 10
    assert sizes[-1] == (188, 250)
    assert sizes[0][0] in (25, 26)  # the exact ratio's rounding error adds a pixel in the released code


def test_singan_reduces_a_large_image_first() -> None:
    """The number of stages counts from the original's size; the ratio, from the reduced one.

    500 px: ceil(log 25/500) + 1 = 12 to the base 3/4, less ceil(log 250/500) = 3: 9 above stage 0.
    """
    plan = planned("singan", (500, 500)).plan
    assert plan.full_sizes["a"] == (250, 250)
    assert plan.stages == 10
    assert [size[0] for size in plan.sizes((250, 250))[1:]] == [33, 42, 54, 70, 90, 117, 150, 194, 250]


@pytest.mark.parametrize(("size", "total"), [((250, 250), 1_930_785), ((188, 250), 1_479_966)])
def test_singan_parameters(size: Size, total: int) -> None:
    method = planned("singan", size)
    assert sum(method.parameter_counts().values()) == total
    assert count(grown(method, method.plan.stages).nets["g"]) == total


def test_singan_parameters_at_9_stages() -> None:
    method = planned("singan", (160, 200))
    assert method.plan.stages == 9
    assert sum(method.parameter_counts().values()) == 1_029_147


@pytest.mark.parametrize(
    ("stage", "width", "generator", "critic"),
    [(0, 32, 29_763, 29_185), (3, 32, 29_763, 29_185), (4, 64, 114_819, 113_665), (8, 128, 450_819, 448_513)],
)
def test_singan_stages(stage: int, width: int, generator: int, critic: int) -> None:
    method = grown(planned("singan", (250, 250)), stage + 1)
    net = method.nets["g"].stages[stage]  # type: ignore[index, union-attr]
    assert (count(net), count(method.nets["d"])) == (generator, critic)
    convolutions = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [width] * 4 + [3]
    assert {c.padding for c in convolutions} == {(0, 0)}
    assert {part.negative_slope for part in net.modules() if isinstance(part, nn.LeakyReLU)} == {0.2}


def test_layers_of_a_stage_stand_in_the_published_order() -> None:
    kinds = [
        type(part).__name__ for part in StageGenerator(3, 32, 5, 0.2, 0, "batch").modules() if not list(part.children())
    ]
    assert kinds == [*["Conv2d", "BatchNorm2d", "LeakyReLU"] * 4, "Conv2d", "Tanh"]


def test_widths_double_every_four_stages_up_to_128() -> None:
    assert widths_by_stage(14) == [32] * 4 + [64] * 4 + [128] * 6


@pytest.mark.parametrize("name", ["singan", "consingan", "structural-analogy"])
def test_starting_values(name: str) -> None:
    """Convolutions N(0, 0.02), norms N(1, 0.02); biases as torch makes them, which the authors' code leaves alone."""
    method = grown(planned(name, *[(250, 250)] * len(methods.get_method(name).domains)), 1)
    parts = [part for part in method.nets.modules() if isinstance(part, nn.Conv2d)]
    weights = torch.cat([part.weight.detach().flatten() for part in parts])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.02)
    assert abs(float(weights.mean())) < 5e-4
    for part in parts:
        assert part.bias is not None
        limit = (part.in_channels * 9) ** -0.5
        assert 0 < float(part.bias.detach().abs().max()) <= limit
    norms = [part.weight.detach() for part in method.nets.modules() if isinstance(part, nn.BatchNorm2d)]
    assert bool(norms) == (name != "consingan")
    if norms:
        assert float(torch.cat(norms).mean()) == pytest.approx(1, abs=0.01)
        assert float(torch.cat(norms).std()) == pytest.approx(0.02, rel=0.2)


def test_a_stage_starts_from_the_one_below_where_it_is_as_wide() -> None:
    method = grown(planned("singan", (250, 250)), 5)
    stages = method.nets["g"].stages  # type: ignore[union-attr]
    trained = [list(stage.parameters()) for stage in stages]  # type: ignore[operator, union-attr]
    for below, above in pairwise(range(5)):
        same = [a.shape == b.shape and torch.equal(a, b) for a, b in zip(trained[below], trained[above], strict=True)]
        assert all(same) == (above != 4)


def test_finished_stages_are_frozen_and_evaluate() -> None:
    method = grown(planned("singan", (250, 250)), 3)
    stages = list(method.nets["g"].stages)  # type: ignore[arg-type, union-attr]
    assert [stage.training for stage in stages] == [False, False, True]
    assert [all(p.requires_grad for p in stage.parameters()) for stage in stages] == [False, False, True]


def test_singan_pads_image_and_noise_by_five_zeros() -> None:
    """What a corner's pixel sees of the image and of the noise ends at the border."""
    seen: list[Tensor] = []

    class Look(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            seen.append(image)
            return image[..., 5:-5, 5:-5]

    net = StagewiseGenerator(2, pad=5)
    net.stages.append(Look())
    net.residual.append(True)
    net.amplitudes[0] = 2.0
    image, noise = picture(9, 8), torch.randn(1, 3, 9, 8)
    assert torch.allclose(net.stage(0, image, noise), 2 * image + 2 * noise)
    assert seen[0].shape == (1, 3, 19, 18)
    assert seen[0][..., :5, :].abs().max() == 0
    around = torch.randn(1, 3, 19, 18)  # animation: random beyond the border, too
    net.stage(0, image, around)
    assert torch.equal(seen[1][..., :5, :], 2 * around[..., :5, :])


def test_singan_noise_of_stage_0_is_one_channel_repeated() -> None:
    method = planned("singan", (250, 250))
    first, second = method.noise_maps([(25, 25), (32, 32)], RandomStream(0))  # type: ignore[attr-defined]
    assert torch.equal(first[:, 0], first[:, 1])
    assert torch.equal(first[:, 0], first[:, 2])
    assert not torch.equal(second[:, 0], second[:, 1])


def test_singan_reconstructs_from_z_star_and_nothing_else() -> None:
    method = small("singan")
    star, above = method.reconstruction_maps(method.sizes["a"])  # type: ignore[attr-defined]
    assert torch.equal(star[:, :1], method.reconstruction_noise)  # type: ignore[attr-defined]
    assert above.abs().max() == 0


@pytest.mark.parametrize(
    ("name", "update_order", "steps", "lr_drop_at", "rates"),
    [
        ("singan", ["critic"] * 3 + ["generator"] * 3, 2000, 0.8, {"critic": 5e-4, "generator": 5e-4}),
        ("consingan", ["critic"] * 3 + ["generator"], 2000, 0.8, {"critic": 5e-4, "generator": 5e-4}),
        ("structural-analogy", ["critic", "generator"], 20000, 1.0, {"critic": 1e-4, "generator": 5e-4}),
    ],
)
def test_schedules_and_adam(
    name: str, update_order: list[str], steps: int, lr_drop_at: float, rates: dict[str, float]
) -> None:
    method = grown(planned(name, *[(220, 220)] * len(methods.get_method(name).domains)), 1)
    schedule = method.schedule(0)
    assert (list(schedule.update_order), schedule.steps, schedule.lr_drop_at) == (update_order, steps, lr_drop_at)
    players = method.players()
    assert {player: made.groups[0]["lr"] for player, made in players.items()} == rates
    assert {made.betas for made in players.values()} == {(0.5, 0.999)}
    if lr_drop_at < 1:
        last_fast = (1600 - 1) / 2000
        assert (schedule.rate(last_fast), schedule.rate(1600 / 2000)) == (1.0, 0.1)


@pytest.mark.parametrize(("name", "reconstruction"), [("singan", 10), ("consingan", 10), ("structural-analogy", 1)])
def test_weights_of_losses(name: str, reconstruction: float) -> None:
    config = methods.get_method(name).config_class.from_preset("full")
    assert (config.lambda_gp, config.lambda_rec) == (0.1, reconstruction)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["singan", "structural-analogy"])
def test_noise_amplitude_is_a_tenth_of_the_error_below(name: str) -> None:
    method = small(name)
    for domain in method.domains:
        net = method.nets["g" if name == "singan" else f"g_{domain}"]
        first, second = net.amplitudes[:2].tolist()  # type: ignore[union-attr, operator]
        assert first == 1
        assert 0 < second < 0.2  # a tenth of a root mean square of images in [-1, 1]


def test_noise_amplitude_of_a_perfect_reconstruction_is_zero() -> None:
    """The rule itself, on a method whose reconstruction is the image."""
    method = small("singan")
    below = method._reconstruction_below()  # type: ignore[attr-defined]
    for apart, expected in ((0.0, 0.0), (0.5, 0.05)):
        method.calibrate_noise({"a": [torch.empty(0), below + apart]})
        assert float(method.generator.amplitudes[1]) == pytest.approx(expected, abs=1e-6)  # type: ignore[attr-defined]


# ConSinGAN

CONSINGAN_188 = [(25, 34), (32, 42), (42, 56), (63, 84), (126, 167), (188, 250)]


def test_consingan_sizes_at_188x250() -> None:
    assert planned("consingan", (188, 250)).plan.sizes((188, 250)) == CONSINGAN_188


@pytest.mark.parametrize("size", [(188, 250), (250, 120)])
def test_consingan_parameters(size: Size) -> None:
    method = planned("consingan", size)
    assert sum(method.parameter_counts().values()) == 668_227
    for stage in range(6):
        method.add_stage()
        assert count(method.nets["g"]) == 114_307 + stage * 110_784
        assert count(method.nets["d"]) == 113_153
    assert {m.negative_slope for m in method.nets.modules() if isinstance(m, nn.LeakyReLU)} == {0.05}


@pytest.mark.parametrize(
    ("preset", "first", "slope"), [("harmonization", [120, 151, 188], 0.3), ("editing", [25, 32, 42], 0.05)]
)
def test_consingan_settings_for_composites(preset: str, first: list[int], slope: float) -> None:
    method = planned("consingan", (188, 250), preset=preset)
    sizes = method.plan.sizes((188, 250))
    assert [h for h, _ in sizes[:3]] == first
    assert len(sizes) == (3 if preset == "harmonization" else 6)
    grown(method, 1)
    generator = method.nets["g"]
    assert {m.negative_slope for m in generator.modules() if isinstance(m, nn.LeakyReLU)} == {slope}
    assert sum("Norm" in type(part).__name__ for part in generator.modules()) == 4  # the head's and the three below


@pytest.mark.parametrize(
    ("task", "stage", "seen"),
    [
        # Head: padded by 1; then enlarged by 2 and padded by 2: three unpadded convolutions use up 6 pixels.
        ("generation", 0, [(10, 12), (14, 16), (12, 14), (10, 12)]),
        ("generation", 1, [(10, 12), (14, 16), (12, 14), (10, 12), (15, 17), (13, 15), (11, 13)]),
        ("retargeting", 0, [(8, 10), (14, 16), (12, 14), (10, 12)]),
        ("retargeting", 1, [(8, 10), (14, 16), (12, 14), (10, 12), (15, 17), (13, 15), (11, 13)]),
    ],
)
def test_consingan_borders(task: str, stage: int, seen: list[Size]) -> None:
    """StageSizes at which the convolutions see the features of an 8x10 image, whose next stage is 9x11."""
    net = planned("consingan", (188, 250), task=task)
    generator = grown(net, stage + 1).nets["g"]
    given: list[Size] = []
    for part in generator.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_pre_hook(lambda _, x: given.append(tuple(x[0].shape[-2:])))  # type: ignore[arg-type]
    sizes = [(8, 10), (9, 11)][: stage + 1]
    noises = [torch.zeros(generator.noise_shape(sizes, n)) for n in range(len(sizes))]  # type: ignore[operator]
    drawn = generator(noises[0], sizes, 0, noises[1:])
    assert drawn.shape[-2:] == sizes[-1]
    head, *bodies, tail = given
    assert (head, tail) == ((8, 10), sizes[-1])  # both convolutions are padded by one themselves
    assert bodies == seen[1:]


def test_consingan_trains_three_stages_and_each_further_back_a_tenth_as_fast() -> None:
    method = planned("consingan", (188, 250))
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


def test_consingan_reconstructs_from_the_coarsest_image() -> None:
    method = small("consingan", stages=3)
    first, second = method.reconstruction_maps(method.sizes["a"])  # type: ignore[attr-defined]
    assert torch.equal(first, method.reconstruction_input)  # type: ignore[attr-defined]
    again = method.reconstruction_maps(method.sizes["a"])[1]  # type: ignore[attr-defined]
    assert torch.equal(second, again)
    assert float(second.std()) == pytest.approx(1, abs=0.05)


# Structural Analogy

ANALOGY_220 = [19, 24, 30, 39, 49, 63, 81, 104, 134, 172, 220]


def test_structural_analogy_sizes_at_220() -> None:
    plan = planned("structural-analogy", (220, 220), (220, 220)).plan
    assert plan.sizes((220, 220)) == [(side, side) for side in ANALOGY_220]


def test_structural_analogy_has_10_stages_from_25_pixels() -> None:
    for settings in ({"min_side": 25}, {"preset": "video"}, {"preset": "glyph"}):
        assert planned("structural-analogy", (220, 220), (220, 220), **settings).plan.stages == 10


def test_structural_analogy_square_stretches_both() -> None:
    plan = planned("structural-analogy", (150, 220), (220, 100), square=True).plan
    assert plan.full_sizes == {"a": (220, 220), "b": (220, 220)}
    assert plan.sizes((220, 220)) == [(side, side) for side in ANALOGY_220]
    assert planned("structural-analogy", (150, 220), (220, 100)).plan.full_sizes == {"a": (150, 220), "b": (220, 100)}


@pytest.mark.parametrize(
    ("min_side", "stages", "generators", "critics"), [(18, 11, 3_861_570, 3_833_878), (25, 10, 2_959_932, None)]
)
def test_structural_analogy_parameters(min_side: int, stages: int, generators: int, critics: int | None) -> None:
    method = planned("structural-analogy", (220, 220), (220, 220), min_side=min_side)
    assert method.plan.stages == stages
    assert sum(method.parameter_counts().values()) == generators
    seen = 0
    for _ in range(stages):
        method.add_stage()
        seen += sum(count(method.nets[f"d_{domain}"]) for domain in "ab")
    assert sum(count(method.nets[f"g_{domain}"]) for domain in "ab") == generators
    assert critics is None or seen == critics


def test_structural_analogy_pads_by_one_and_replaces_in_the_last_two_stages() -> None:
    method = grown(planned("structural-analogy", (220, 220), (220, 220)), 11)
    for domain in "ab":
        net = method.nets[f"g_{domain}"]
        assert net.residual == [True] * 9 + [False] * 2  # type: ignore[union-attr]
        assert {c.padding for c in net.modules() if isinstance(c, nn.Conv2d)} == {(1, 1)}


def test_structural_analogy_critic_terms() -> None:
    """For each domain D(random) + D(translated) - 2·D(real), and a penalty of weight 0.1 for each of the two."""
    method = small("structural-analogy")

    class Mean(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return 3 * image[:, :1]

    for domain in "ab":
        method.nets[f"d_{domain}"] = Mean()
    step = inputs(method)
    found = method.losses("critic", step)
    for domain in "ab":
        real = step.real[domain][-1]
        fakes = [step.fakes.translations[domain], step.fakes.random[domain]]
        expected = 3 * sum(fake[:, 0].mean().item() for fake in fakes) - 2 * 3 * real[:, 0].mean().item()
        assert found[f"d_{domain}"].item() == pytest.approx(expected, abs=1e-4)
        assert found[f"gp_{domain}"].item() == pytest.approx(0.1 * 2 * (3 - 1) ** 2, abs=1e-3)


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        ("style", {"lambda_cyc": 10.0}),
        ("texture", {"lambda_cyc": 10.0}),
        ("glyph", {"min_side": 25, "lambda_cyc": 10.0}),
        ("sketch", {"lr_d": 5e-4, "lr_g": 1e-4, "lambda_adv_b": 0.1, "lambda_cyc": 10.0}),
        ("video", {"min_side": 25, "steps": 24000, "lambda_self": 1.0}),
    ],
)
def test_structural_analogy_tasks(preset: str, settings: dict[str, float]) -> None:
    config = methods.get_method("structural-analogy").config_class.from_preset(preset).to_dict()
    assert {name: config[name] for name in settings} == settings


def test_structural_analogy_weight_of_b_is_on_b_alone() -> None:
    plain, half = (small("structural-analogy", lambda_adv_b=weight) for weight in (1.0, 0.5))
    found = []
    for method in (plain, half):
        step = inputs(method)
        method.losses("critic", step)
        found.append(method.losses("generator", step))
    for name, share in (("adv_a", 1.0), ("adv_ba", 1.0), ("adv_b", 0.5), ("adv_ab", 0.5), ("rec_b", 1.0)):
        assert found[1][name].item() == pytest.approx(share * found[0][name].item(), rel=1e-4), name


@pytest.mark.parametrize("name", ["singan", "structural-analogy"])
def test_released_ways_draw_z_star_anew(name: str) -> None:
    wanted = methods.get_method(name).domains
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 24, seed=2)}
    kept = {}
    for released in (False, True):
        job = Job.prepare({d: inputs[d] for d in wanted}, name, "standard", tiny(name, as_released=released))
        method = job.method_class(job.config, job.plan)
        levels = job.levels()
        with seed_global(0), torch.no_grad():
            method.add_stage()
            method.calibrate_noise({d: images[:1] for d, images in levels.items()})
        losses = []
        for seed in (1, 2):
            step = StepInputs({d: [images[0]] for d, images in levels.items()}, RandomStream(seed))
            # A critic's update first, as in training; its statistics do not reach a reconstruction.
            method.losses("critic", step)
            found = method.losses("generator", step)
            losses.append(float(found["rec" if name == "singan" else "rec_a"].detach()))
        kept[released] = losses[0] == losses[1]
    assert kept == {False: True, True: False}


def test_a_released_step_of_consingan_moves_thrice_along_one_gradient() -> None:
    update_order = grown(planned("consingan", (188, 250), as_released=True), 1).schedule(0).update_order
    assert list(update_order) == ["critic"] * 3 + ["generator"] * 3


# All


@pytest.mark.parametrize("name", methods.names())
def test_a_critics_score_sees_11_pixels(name: str) -> None:
    sizes = [(220, 220)] * len(methods.get_method(name).domains)
    method = grown(planned(name, *sizes), 1)
    critics = [net for key, net in method.nets.items() if key == "d" or key.startswith("d_")]
    if not critics:
        pytest.skip(f"{name} has no critic")
    critic = critics[0].double().eval()
    with torch.no_grad():
        plain, changed = torch.rand(2, 1, 3, 31, 31, dtype=torch.float64)
        changed = plain.clone()
        changed[..., 15, 15] += 1
        moved = (critic(changed) - critic(plain))[0, 0].abs() > 0
    assert moved.any(0).sum() == 11
    assert moved.any(1).sum() == 11


@pytest.mark.parametrize("name", methods.names())
def test_an_image_below_the_coarsest_stage_is_refused(name: str) -> None:
    inputs = {domain: picture(10, 40) for domain in methods.get_method(name).domains}
    with pytest.raises(UserError, match="min_side"):
        Job.prepare(inputs, name, "standard", tiny(name))
