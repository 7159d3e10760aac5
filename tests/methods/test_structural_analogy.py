"""Structural Analogy as published: sizes, parameter counts, layers and losses.

The numbers are those of the paper and its authors' code.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lonepair.methods as methods
from lonepair.ops.noise import seed_global
from lonepair.ops.resize import resize_image
from published_methods import count, inputs, tiny_method, untrained, with_stages
from tiny_settings import picture

ANALOGY_220 = [19, 24, 30, 39, 49, 63, 81, 104, 134, 172, 220]


def test_stage_sizes_at_220_pixels() -> None:
    plan = untrained("structural-analogy", (220, 220), (220, 220)).plan
    assert plan.sizes((220, 220)) == [(side, side) for side in ANALOGY_220]


def test_25_pixels_give_10_stages() -> None:
    for settings in ({"min_side": 25}, {"preset": "video"}, {"preset": "glyph"}):
        assert untrained("structural-analogy", (220, 220), (220, 220), **settings).plan.stages == 10


def test_square_stretches_both_images() -> None:
    plan = untrained("structural-analogy", (150, 220), (220, 100), square=True).plan
    assert plan.full_sizes == {"a": (220, 220), "b": (220, 220)}
    assert plan.sizes((220, 220)) == [(side, side) for side in ANALOGY_220]
    plan = untrained("structural-analogy", (150, 220), (220, 100), square=False).plan
    assert plan.full_sizes == {"a": (150, 220), "b": (220, 100)}


@pytest.mark.parametrize(
    ("min_side", "stages", "generators", "critics"), [(18, 11, 3_861_570, 3_833_878), (25, 10, 2_959_932, None)]
)
def test_parameter_count(min_side: int, stages: int, generators: int, critics: int | None) -> None:
    method = untrained("structural-analogy", (220, 220), (220, 220), min_side=min_side)
    assert method.plan.stages == stages
    assert sum(method.parameter_counts().values()) == generators
    critic_parameters = 0
    for _ in range(stages):
        method.add_stage()
        critic_parameters += sum(count(method.nets[f"d_{domain}"]) for domain in "ab")
    assert sum(count(method.nets[f"g_{domain}"]) for domain in "ab") == generators
    assert critics is None or critic_parameters == critics


def test_convolutions_pad_by_one_and_the_last_two_stages_replace() -> None:
    method = with_stages(untrained("structural-analogy", (220, 220), (220, 220)), 11)
    for domain in "ab":
        net = method.nets[f"g_{domain}"]
        assert net.residual == [True] * 9 + [False] * 2  # type: ignore[union-attr]
        assert {c.padding for c in net.modules() if isinstance(c, nn.Conv2d)} == {(1, 1)}


def test_critic_loss_terms() -> None:
    """For each domain D(random) + D(translated) - 2·D(real), and a penalty of weight 0.1 for each of the two."""
    method = tiny_method("structural-analogy")

    class Mean(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return 3 * image[:, :1]

    for domain in "ab":
        method.nets[f"d_{domain}"] = Mean()
    step = inputs(method)
    terms = method.losses("critic", step)
    for domain in "ab":
        real = step.real[domain][-1]
        fakes = [step.fakes.translations[domain], step.fakes.random[domain]]
        expected = 3 * sum(fake[:, 0].mean().item() for fake in fakes) - 2 * 3 * real[:, 0].mean().item()
        assert terms[f"d_{domain}"].item() == pytest.approx(expected, abs=1e-4)
        assert terms[f"gp_{domain}"].item() == pytest.approx(0.1 * 2 * (3 - 1) ** 2, abs=1e-3)


def released_stage(stage: nn.Module, image: Tensor) -> Tensor:
    """Convolutions padded by 1, BatchNorm by the batch, LeakyReLU 0.2, and tanh: a generator of the released code."""
    parts = dict(stage.named_parameters())
    convolutions = [name[: -len("weight")] for name, value in parts.items() if value.dim() == 4]
    norms = [name[: -len("weight")] for name, value in parts.items() if value.dim() == 1 and name.endswith("weight")]
    for index, name in enumerate(convolutions):
        image = F.conv2d(image, parts[name + "weight"], parts[name + "bias"], padding=1)
        if index < len(norms):
            weight, bias = parts[norms[index] + "weight"], parts[norms[index] + "bias"]
            image = F.leaky_relu(F.batch_norm(image, None, None, weight, bias, training=True), 0.2)
    return image.tanh()


def test_released_noise_amplitude_is_that_of_the_reconstruction_from_new_noise() -> None:
    """0.1 · RMSE(real, upsampled x_1) with x_0 = G_0(z) + z and x_1 = G_1(x_0) + x_0, z of amplitude 1."""
    method = tiny_method("structural-analogy", as_released=True, max_side=40, replacing_stages=0)
    levels = {
        d: [picture(*size, seed=n) for n, size in enumerate(method.plan.sizes(full))]
        for d, full in method.plan.full_sizes.items()
    }
    with seed_global(5), torch.no_grad():
        method.add_stage()
        noises = {d: noise.clone() for d, noise in method.calibration_noise.items()}  # type: ignore[attr-defined]
        method.calibrate_noise({d: images[:3] for d, images in levels.items()})
        for domain, noise in noises.items():
            net, sizes = method.nets[f"g_{domain}"], method.plan.sizes(method.plan.full_sizes[domain])
            assert net.amplitudes[0].item() == pytest.approx(0.1)  # type: ignore[union-attr, index]
            image = noise
            for stage in range(2):
                image = released_stage(net.stages[stage], image) + image  # type: ignore[union-attr, index]
                image = resize_image(image, sizes[stage + 1])
            expected = 0.1 * float((levels[domain][2] - image).square().mean().sqrt())
            assert net.amplitudes[2].item() == pytest.approx(expected, rel=1e-4)  # type: ignore[union-attr, index]
        assert float(noises["a"].std()) == pytest.approx(1, abs=0.1)


RELEASED = {"as_released": True, "square": True, "lambda_rec": 1.0, "lambda_cyc": 10.0, "min_side": 18, "max_side": 220}
"""Settings of all released commands, save those below."""


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        ("full", {}),
        ("style", {}),
        ("texture", {}),
        ("glyph", {"min_side": 25}),
        ("sketch", {"lr_d": 5e-4, "lr_g": 1e-4, "lambda_adv_b": 0.1}),
        ("video", {"min_side": 25, "steps": 25000, "lambda_self": 1.0, "lambda_cyc": 1.0}),
    ],
)
def test_presets_are_the_released_commands(preset: str, settings: dict[str, float]) -> None:
    config = methods.get_method("structural-analogy").config_class.from_preset(preset).to_dict()
    expected = {"lr_d": 1e-4, "lr_g": 5e-4, "steps": 20000, "lambda_adv_b": 1.0, "lambda_self": 0.0}
    expected |= {"lambda_gp": 0.1, "noise_scale": 0.1, "replacing_stages": 2} | RELEASED | settings
    assert {name: config[name] for name in expected} == expected


def test_lambda_adv_b_weights_domain_b_only() -> None:
    plain, half = (tiny_method("structural-analogy", lambda_adv_b=weight) for weight in (1.0, 0.5))
    terms = []
    for method in (plain, half):
        step = inputs(method)
        method.losses("critic", step)
        terms.append(method.losses("generator", step))
    for name, share in (("adv_a", 1.0), ("adv_ba", 1.0), ("adv_b", 0.5), ("adv_ab", 0.5), ("rec_b", 1.0)):
        assert terms[1][name].item() == pytest.approx(share * terms[0][name].item(), rel=1e-4), name
