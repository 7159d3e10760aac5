"""Structural Analogy as published: sizes, parameter counts, layers and losses.

The numbers are those of the paper and its authors' code.
"""

from __future__ import annotations

import pytest
from published_methods import count, inputs, tiny_method, untrained, with_stages
from torch import Tensor, nn

import lonepair.methods as methods

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
    assert untrained("structural-analogy", (150, 220), (220, 100)).plan.full_sizes == {"a": (150, 220), "b": (220, 100)}


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
def test_presets_of_tasks(preset: str, settings: dict[str, float]) -> None:
    config = methods.get_method("structural-analogy").config_class.from_preset(preset).to_dict()
    assert {name: config[name] for name in settings} == settings


def test_lambda_adv_b_weights_domain_b_only() -> None:
    plain, half = (tiny_method("structural-analogy", lambda_adv_b=weight) for weight in (1.0, 0.5))
    terms = []
    for method in (plain, half):
        step = inputs(method)
        method.losses("critic", step)
        terms.append(method.losses("generator", step))
    for name, share in (("adv_a", 1.0), ("adv_ba", 1.0), ("adv_b", 0.5), ("adv_ab", 0.5), ("rec_b", 1.0)):
        assert terms[1][name].item() == pytest.approx(share * terms[0][name].item(), rel=1e-4), name
