"""Refine and superresolve."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lonepair.apply.superresolve import enlarge, step_count
from lonepair.compute.engine import choose_engine
from lonepair.errors import UserError
from lonepair.render.sampling import reconstruction
from published_methods import tiny_method
from tiny_models import OTHER, methods_that, model_of
from tiny_settings import picture


@methods_that("refine")
def test_refine_works_from_every_stage(name: str) -> None:
    model = model_of(name)
    image = picture(*OTHER, seed=9)
    results = [model.refine(image, start_stage=start).image for start in range(model.method.stage + 1)]
    assert {tuple(one.shape) for one in results} == {(1, 3, *OTHER)}
    assert not torch.equal(results[0], results[-1])
    assert torch.equal(results[0], model.refine(image, start_stage=0).image)
    assert not torch.equal(results[0], model.refine(image, start_stage=0, seed=1).image)
    with pytest.raises(UserError, match="both sides need at least"):
        model.refine(picture(6, 40))


@methods_that("superresolve")
@pytest.mark.parametrize("factor", [2, 4, 1.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_superresolve_enlarges_by_any_factor(name: str, factor: float, channels: int) -> None:
    model = model_of(name, channels)
    h, w = 20, 17
    large = model.superresolve(factor, picture(h, w, channels))
    assert large.image.shape == (1, channels, round(h * factor), round(w * factor))
    assert large.image.abs().max() <= 1
    assert large.image.isfinite().all()


@methods_that("superresolve")
def test_superresolve_enlarges_the_training_image_by_default(name: str) -> None:
    model = model_of(name)
    h, w = model.method.sizes["a"][-1]
    assert model.superresolve(2).image.shape == (1, 3, 2 * h, 2 * w)


@methods_that("superresolve")
@pytest.mark.parametrize(("factor", "message"), [(1.0, "factor is 1"), (0.5, "factor is 0.5"), (9999, "megapixels")])
def test_invalid_factor_is_refused(name: str, factor: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of(name).superresolve(factor, picture(20, 17))


def test_superresolve_applies_the_last_stage_k_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Factor 4 at the model's own ratio r between its last stages: k = round(ln 4 / ln r), steps of 4^(1/k)."""
    model = model_of("singan")
    factors = model.method.plan.factors
    expected = round(math.log(4) / math.log(factors[-1] / factors[-2]))
    sizes = []
    plain = model.method.translate

    def recorded(image: Tensor, stage_sizes: Any, domain: str, start_stage: int | None, rng: Any) -> Tensor:
        sizes.append(stage_sizes[-1])
        assert start_stage == model.method.stage
        return plain(image, stage_sizes, domain, start_stage, rng)

    monkeypatch.setattr(model.method, "translate", recorded)
    model.superresolve(4, picture(20, 20))
    assert len(sizes) == expected
    assert sizes == [(round(20 * 4 ** (k / expected)),) * 2 for k in range(1, expected + 1)]


def test_superresolve_has_the_released_steps_and_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """As SinGAN's code: round(ln(1/4) / ln(2^(-1/3))) = 6 steps for factor 4; the first noise has one channel."""
    expected = round(math.log(1 / 4, math.pow(1 / 2, 1 / 3)))
    method = tiny_method("singan", task="superresolution")
    noises: list[Tensor] = []
    monkeypatch.setattr(method.generator, "stage", lambda _, image, noise: noises.append(noise) or image)  # type: ignore[attr-defined, func-returns-value]
    model = SimpleNamespace(method=method, engine=choose_engine("cpu", "float32"), settings={})
    assert enlarge(model, picture(20, 20), 4, 0).shape == (1, 3, 80, 80)
    assert [noise.shape[-1] for noise in noises] == [round(20 * 4 ** (k / expected)) for k in range(1, expected + 1)]
    has_one_channel = [torch.equal(noise[:, 0], noise[:, 1]) for noise in noises]
    assert has_one_channel == [True, False, False, False, False, False]
    assert [step_count(method, factor) for factor in (1.2, 2, 3)] == [1, 3, 5]


@methods_that("superresolve")
def test_an_image_unlike_the_training_image_gives_a_warning(name: str, caplog: pytest.LogCaptureFixture) -> None:
    model = model_of(name)
    model.superresolve(1.2, reconstruction(model.method, model.engine))
    assert "unlike" not in caplog.text  # too small to tell
    model.superresolve(1.2, torch.sin(torch.arange(80) / 2).expand(1, 3, 40, 80))
    assert "its patches are" in caplog.text
    assert "times as far from that image's as from one another (at most 2 is usual)" in caplog.text
