"""What several papers state: initial weights, optimizers, schedules, loss weights and noise.

The numbers stand here as the papers and their authors' code give them; nothing is computed from our own settings.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.methods.types import StepInputs
from lonepair.ops.noise import RandomStream, seed_global
from published_methods import inputs, tiny_method, untrained, with_stages
from tiny_settings import picture, tiny


@pytest.mark.parametrize("name", ["singan", "consingan", "structural-analogy"])
def test_initial_weights(name: str) -> None:
    """Convolutions N(0, 0.02), norms N(1, 0.02); biases are torch's, which the authors' code does not change."""
    method = with_stages(untrained(name, *[(250, 250)] * len(methods.get_method(name).domains)), 1)
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


@pytest.mark.parametrize(
    ("name", "update_order", "steps", "lr_drop_at", "rates"),
    [
        ("singan", ["critic"] * 3 + ["generator"] * 3, 2000, 0.8, {"critic": 5e-4, "generator": 5e-4}),
        ("consingan", ["critic"] * 3 + ["generator"] * 3, 2000, 0.8, {"critic": 5e-4, "generator": 5e-4}),
        ("structural-analogy", ["critic", "generator"], 20000, 1.0, {"critic": 1e-4, "generator": 5e-4}),
    ],
)
def test_schedule_and_adam(
    name: str, update_order: list[str], steps: int, lr_drop_at: float, rates: dict[str, float]
) -> None:
    method = with_stages(untrained(name, *[(220, 220)] * len(methods.get_method(name).domains)), 1)
    schedule = method.schedule(0)
    assert (list(schedule.update_order), schedule.steps, schedule.lr_drop_at) == (update_order, steps, lr_drop_at)
    players = method.players()
    assert {name: player.groups[0]["lr"] for name, player in players.items()} == rates
    assert {player.betas for player in players.values()} == {(0.5, 0.999)}
    if lr_drop_at < 1:
        last_fast = (1600 - 1) / 2000
        assert (schedule.rate(last_fast), schedule.rate(1600 / 2000)) == (1.0, 0.1)


@pytest.mark.parametrize(("name", "reconstruction"), [("singan", 10), ("consingan", 10), ("structural-analogy", 1)])
def test_loss_weights(name: str, reconstruction: float) -> None:
    config = methods.get_method(name).config_class.from_preset("full")
    assert (config.lambda_gp, config.lambda_rec) == (0.1, reconstruction)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["singan", "structural-analogy"])
def test_noise_amplitude_is_a_tenth_of_the_error_below(name: str) -> None:
    method = tiny_method(name)
    for domain in method.domains:
        net = method.nets["g" if name == "singan" else f"g_{domain}"]
        first, second = net.amplitudes[:2].tolist()  # type: ignore[union-attr, operator]
        assert first == 1
        assert 0 < second < 0.2  # a tenth of a root mean square of images in [-1, 1]


@pytest.mark.parametrize("name", ["structural-analogy"])
def test_released_training_draws_z_star_at_every_step(name: str) -> None:
    domains = methods.get_method(name).domains
    images = {"a": picture(24, 20, seed=1), "b": picture(20, 24, seed=2)}
    is_constant = {}
    for released in (False, True):
        job = Job.prepare({d: images[d] for d in domains}, name, "standard", tiny(name, as_released=released))
        method = job.method_class(job.config, job.plan)
        levels = job.levels()
        with seed_global(0), torch.no_grad():
            method.add_stage()
            method.calibrate_noise({d: pyramid[:1] for d, pyramid in levels.items()})
        losses = []
        for seed in (1, 2):
            step = StepInputs({d: [pyramid[0]] for d, pyramid in levels.items()}, RandomStream(seed))
            # A critic's update first, as in training; its statistics do not reach a reconstruction.
            method.losses("critic", step)
            terms = method.losses("generator", step)
            losses.append(float(terms["rec_a"].detach()))
        is_constant[released] = losses[0] == losses[1]
    assert is_constant == {False: True, True: False}


@pytest.mark.parametrize("name", methods.names())
def test_receptive_field_of_a_critic_is_11_pixels(name: str) -> None:
    sizes = [(220, 220)] * len(methods.get_method(name).domains)
    method = with_stages(untrained(name, *sizes), 1)
    critics = [net for key, net in method.nets.items() if key == "d" or key.startswith("d_")]
    if not critics:
        pytest.skip(f"{name} has no critic")
    critic = critics[0].double().eval()
    with torch.no_grad():
        plain, changed = torch.rand(2, 1, 3, 31, 31, dtype=torch.float64)
        changed = plain.clone()
        changed[..., 15, 15] += 1
        changed_scores = (critic(changed) - critic(plain))[0, 0].abs() > 0
    assert changed_scores.any(0).sum() == 11
    assert changed_scores.any(1).sum() == 11


class ThreeTimesRed(nn.Module):
    """A critic with known scores: three times the red channel."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return 3 * image[:, :1]


@pytest.mark.parametrize("name", ["singan", "consingan"])
def test_logged_adversarial_values_are_the_losses_of_the_authors_code(name: str) -> None:
    """As the authors log them: d is D(fake) - D(real), adv is -D(fake), also in updates that share one gradient."""
    method = tiny_method(name)
    method.nets["d"] = ThreeTimesRed()
    step = inputs(method)
    critic = method.losses("critic", step)
    # `singan` keeps its fake with other values of the step.
    fake = step.fakes if name == "consingan" else step.fakes.critic_fake
    score = 3 * float(fake[:, 0].detach().mean())
    assert critic["d"].item() == pytest.approx(score - 3 * float(step.real["a"][-1][:, 0].mean()), abs=1e-5)
    assert critic["gp"].item() == pytest.approx(0.1 * (3 - 1) ** 2, abs=1e-3)
    first = method.losses("generator", step)
    reconstruction = first["rec"].item()
    assert first["adv"].item() == pytest.approx(-score, abs=1e-5)
    with torch.no_grad():
        for parameter in method.players()["generator"].groups[0]["params"]:
            parameter.add_(0.05)
    second = method.losses("generator", step)
    assert second["adv"].item() == pytest.approx(-score, abs=1e-5)
    # One gradient of both terms in `consingan`; `singan` computes the reconstruction at every update.
    assert (second["rec"].item() == pytest.approx(reconstruction)) == (name == "consingan")


def test_generator_losses_of_pairs_are_those_of_the_authors_code() -> None:
    for name in ("structural-analogy", "representative"):
        method = tiny_method(name)
        for domain in "ab":
            method.nets[f"d_{domain}"] = ThreeTimesRed()
        step = inputs(method)
        step.branch = (0,)
        method.losses("critic", step)
        terms = method.losses("generator", step)
        for domain, other in ("ab", "ba"):
            if name == "representative":
                fakes = [step.fakes.random[domain].crops, step.fakes.translations[other].crops]
            else:
                fakes = [step.fakes.random[domain], step.fakes.translations[domain]]
            for term, fake in zip((f"adv_{domain}", f"adv_{other}{domain}"), fakes, strict=True):
                assert terms[term].item() == pytest.approx(-3 * float(fake[:, 0].detach().mean()), abs=1e-5)


@pytest.mark.parametrize("name", ["singan", "consingan", "structural-analogy", "representative", "lonepair"])
def test_published_methods_compute_in_float32_unless_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lonepair.compute.engine.computes_bfloat16", lambda device: True)
    domain_inputs = dict.fromkeys(methods.get_method(name).domains, picture(40, 40))
    expected = {"auto": "bfloat16" if name == "lonepair" else "float32", "bfloat16": "bfloat16"}
    for dtype, engine_dtype in expected.items():
        job = Job.prepare(domain_inputs, name, "standard", tiny(name, dtype=dtype))
        assert job.engine.dtype == getattr(torch, engine_dtype)
        # `completion.json` records the precision, so that a run in another one is not used again.
        assert job.options.dtype == ("auto" if name == "lonepair" and dtype == "auto" else engine_dtype)
