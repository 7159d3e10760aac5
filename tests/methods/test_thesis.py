"""The preset `thesis` of `representative`: networks, numbers and equations of the thesis slides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lonepair.methods as methods
from lonepair.methods.types import StepInputs
from lonepair.nets.critic import PatchCritic
from lonepair.ops.noise import RandomStream, seed_global
from lonepair.ops.resize import resize_image
from published_methods import count, tiny_method, untrained, with_stages
from tiny_settings import picture


def test_networks_are_those_of_the_slides() -> None:
    """Six stages; Conv + BatchNorm + LeakyReLU with a residual link; critics of five Conv + LeakyReLU."""
    method = untrained("representative", (220, 220), (220, 220), preset="thesis")
    assert method.plan.stages == 6
    method = with_stages(method, 6)
    for domain in "ab":
        generator, critic = method.nets[f"g_{domain}"], method.nets[f"d_{domain}"]
        layers = [type(part) for body in generator.bodies for part in body.modules()]  # type: ignore[union-attr]
        assert [layers.count(kind) for kind in (nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU)] == [18, 18, 18]
        layers = [type(part) for part in critic.modules()]
        assert [layers.count(kind) for kind in (nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU)] == [5, 0, 5]


def test_parameter_counts_against_the_table_of_the_slides() -> None:
    """About 1,320,000: the bodies alone have 1,329,408 in their convolutions, all layers 1.6 % more than the table.

    The 2,600,000 of Structural Analogy at 10 stages are not those of its code, which has 2,959,932.
    """
    method = with_stages(untrained("representative", (220, 220), (220, 220), preset="thesis"), 6)
    generators = [method.nets[f"g_{domain}"] for domain in "ab"]
    assert sum(map(count, generators)) == sum(method.parameter_counts().values()) == 1_341_062
    convolutions = [part for net in generators for part in net.bodies.modules() if isinstance(part, nn.Conv2d)]
    assert sum(map(count, convolutions)) == 1_329_408
    assert pytest.approx(1_320_000, rel=0.02) == 1_341_062
    other = untrained("structural-analogy", (220, 220), (220, 220), min_side=25)
    assert (other.plan.stages, sum(other.parameter_counts().values())) == (10, 2_959_932)


def test_scores_pass_leaky_relu_in_the_fifth_block() -> None:
    with seed_global(0):
        plain, leaky = PatchCritic(3, 4, 5, 0.05), PatchCritic(3, 4, 5, 0.05, activates_scores=True)
    leaky.load_state_dict(dict(zip(leaky.state_dict(), plain.state_dict().values(), strict=True)))
    images = picture(20, 20, seed=1)
    with torch.no_grad():
        # A bias with which the scores have both signs.
        plain.score.bias -= plain(images).mean()  # type: ignore[operator, union-attr]
        leaky.score[0].bias.copy_(plain.score.bias)  # type: ignore[index, union-attr, arg-type]
    scores = plain(images)
    assert scores.min() < 0 < scores.max()
    assert torch.allclose(leaky(images), torch.where(scores > 0, scores, 0.05 * scores))


class MeanRed(nn.Module):
    """A critic with known scores: the red channel."""

    def forward(self, image: Tensor) -> Tensor:
        return image[:, :1]


def test_losses_are_the_equations_of_the_slides() -> None:
    """All images are whole; translations are of generated images; the cycle compares every color."""
    preset = methods.get_method("representative").config_class.presets["thesis"]
    method = tiny_method("representative", **{**preset, "min_side": 12, "stages": 2})
    sizes = method.sizes
    for domain in "ab":
        method.nets[f"d_{domain}"] = MeanRed()
    real = {d: [picture(*size, seed=n) for size in sizes[d]] for n, d in enumerate("ab")}
    step = StepInputs(real, RandomStream(3))
    # No step translates the real images.
    branches = {method.branch("critic", RandomStream(seed)) for seed in range(20)}
    assert branches == {(0,)}
    step.branch = (0,)
    critic, generator = method.losses("critic", step), method.losses("generator", step)
    images = {d: step.fakes.random[d].crops for d in "ab"}  # Ī_A, Ī_B
    translations = {d: step.fakes.translations[d].crops for d in "ab"}  # Ī_AB, Ī_BA, by their source
    score = {d: image[:, 0].detach().mean().item() for d, image in images.items()}
    translated_score = {d: image[:, 0].detach().mean().item() for d, image in translations.items()}
    with torch.no_grad():
        for domain, other in ("ab", "ba"):
            assert images[domain].shape[-2:] == sizes[domain][-1] == translations[domain].shape[-2:]
            net, back = method.nets[f"g_{other}"], method.nets[f"g_{domain}"]
            # Ī_AB = G_B(Ī_A), which enters at the coarsest stage, without noise.
            translation = net(resize_image(images[domain], sizes[domain][0]), sizes[domain])
            assert torch.allclose(translation, translations[domain], atol=1e-5)
            # L_adv^1 + L_adv^2, of D_A on I_A, Ī_A and Ī_BA.
            real_score = real[domain][-1][:, 0].mean().item()
            expected = score[domain] + translated_score[other] - 2 * real_score
            assert critic[f"d_{domain}"].item() == pytest.approx(expected, abs=1e-5)
            assert generator[f"adv_{domain}"].item() == pytest.approx(-score[domain], abs=1e-5)
            assert generator[f"adv_{other}{domain}"].item() == pytest.approx(-translated_score[other], abs=1e-5)
            # L_cyc: Ī_A against Ī_ABA = G_A(Ī_AB), weight 10.
            cycle = back(resize_image(translations[domain], sizes[domain][0]), sizes[domain])
            expected = 10 * (cycle - images[domain]).square().mean().item()
            assert generator[f"cyc_{domain}"].item() == pytest.approx(expected, rel=1e-4)
            # L_rec: G_A(I_A^0) against I_A^n, weight 1.
            reconstruction = back(resize_image(real[domain][-1], sizes[domain][0]), sizes[domain])
            expected = (reconstruction - real[domain][-1]).square().mean().item()
            assert generator[f"rec_{domain}"].item() == pytest.approx(expected, rel=1e-4)
