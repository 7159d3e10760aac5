"""The method `closed-form`: sizes and steps as published, known answers, tiles, and its presets."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

import lonepair.methods as methods
from lonepair.api.fit import fit_pair
from lonepair.api.job import Job
from lonepair.api.model import load
from lonepair.errors import UserError
from lonepair.methods.closed_form import ClosedForm, ClosedFormConfig, alpha_at, ddim_step, with_low_frequencies
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from tiny_settings import picture, tiny


def stored(a: torch.Tensor, b: torch.Tensor, **settings: object) -> ClosedForm:
    """The method with the images `a` and `b`."""
    job = Job.prepare({"a": a, "b": b}, "closed-form", "standard", tiny("closed-form", **settings))
    method = job.run().method
    assert isinstance(method, ClosedForm)
    return method


def test_defaults_are_the_published_numbers() -> None:
    config = ClosedFormConfig()
    assert (config.patch_size, config.blend_rho) == (11, 0.2)
    assert (config.stages, config.pyramid_ratio) == (3, 0.5)
    assert (config.inversion_sigma, config.coarse_steps, config.fine_steps) == (0.5, 50, 10)
    full = ClosedFormConfig.from_preset("full")
    assert (full.patch_stride, full.coarse_patch_stride, full.neighbors, full.exemplar_max_side) == (1, 1, 0, 0)


def test_scales_halve_and_do_not_fall_below_min_side() -> None:
    for size, coarsest in (((220, 220), 55), ((60, 90), 25)):
        plan = ClosedForm.plan_for(ClosedFormConfig(), 3, {}, {"a": size, "b": size})
        assert plan.sizes(size)[0][0] == coarsest
        assert plan.sizes(size)[-1] == size


def test_ddim_step_follows_the_line_between_picture_and_noise() -> None:
    image, noise = picture(6, 6, seed=1), picture(6, 6, seed=2)
    x = alpha_at(0.5) * image + 0.5 * noise
    expected = alpha_at(0.2) * image + 0.2 * noise
    assert torch.allclose(ddim_step(x, image, 0.5, 0.2), expected, atol=1e-6)
    assert torch.allclose(ddim_step(x, image, 0.5, 0.0), image, atol=1e-6)


def test_low_frequencies_are_those_of_the_coarse_image() -> None:
    smooth, coarse = resize(picture(10, 12, seed=1), (20, 24)), picture(10, 12, seed=2)
    mixed = with_low_frequencies(smooth, coarse)
    assert torch.allclose(resize(mixed, (10, 12)), coarse, atol=0.1)
    assert torch.allclose(with_low_frequencies(smooth, resize(smooth, (10, 12))), smooth, atol=1e-6)


def test_an_image_translated_into_itself_stays_itself() -> None:
    image = picture(20, 20, seed=1)
    method = stored(image, image, neighbors=0, patch_stride=1, coarse_steps=20, fine_steps=10)
    sizes = method.sizes["a"]
    with torch.no_grad():
        translation = method.translate(image, sizes, "b", None, RandomStream(0))
    assert float((translation - image).abs().mean()) < 0.1 * float((image - image.mean()).abs().mean())


def test_translation_has_the_targets_colors_in_both_directions() -> None:
    dark, bright = picture(24, 20, seed=1) * 0.2 - 0.7, picture(20, 24, seed=2) * 0.2 + 0.7
    model = fit_pair(dark, bright, method="closed-form", **tiny("closed-form"))
    assert float(model.translate(dark).image.mean()) > 0.4
    assert float(model.translate(bright, reverse=True).image.mean()) < -0.4


def test_bands_change_a_translation_by_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step a scale: rounding could change the nearest patch of a later step."""
    a, b = picture(40, 30, seed=1), picture(30, 40, seed=2)
    method = stored(a, b, max_side=40, coarse_steps=1, fine_steps=1)
    images = []
    for band in (1 << 13, 8):
        monkeypatch.setattr("lonepair.patches.closed_form.BAND", band)
        with torch.no_grad():
            images.append(method.translate(a, method.sizes["a"], "b", None, RandomStream(0)))
    assert torch.allclose(*images, atol=1e-4)


def test_seed_decides_the_texture() -> None:
    a, b = picture(24, 20, seed=1), torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    model = fit_pair(a, b, method="closed-form", **tiny("closed-form"))
    images = [model.translate(a, seed=seed).image for seed in (0, 0, 1)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])
    samples = [model.sample(1, seed=seed)[0]["a"] for seed in (0, 1)]
    assert not torch.equal(*samples)


def test_a_run_trains_nothing_and_writes_a_model(tmp_path: Path) -> None:
    model = fit_pair(
        picture(24, 20, seed=1), picture(20, 24, seed=2), method="closed-form", out=tmp_path / "run",
        **tiny("closed-form"),
    )  # fmt: skip
    assert not list(model.method.nets.parameters())
    assert [model.method.schedule(stage).steps for stage in range(2)] == [0, 0]
    again = load(tmp_path / "run")
    source = picture(24, 20, seed=3)
    assert torch.equal(again.translate(source).image, model.translate(source).image)


def test_preview_preset_leaves_fine_scales_to_patch_synthesis(tmp_path: Path) -> None:
    a, b = picture(48, 40, seed=1), torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    settings = {**tiny("closed-form"), "max_side": 24, "stages": 1, "exemplar_max_side": 48}
    model = fit_pair(a, b, method="closed-form", preset="preview", **settings)
    exemplar = model.method.exemplar("b")
    assert exemplar is not None
    assert exemplar.detail is not None
    assert exemplar.detail.shape == b.shape
    synthesized, predicted = (model.translate(a, synthesize=choice).image for choice in (True, False))
    contrast = [float(image.diff(dim=3).abs().mean()) for image in (synthesized, predicted)]
    assert contrast[0] > 1.2 * contrast[1]
    assert torch.equal(load(model.save(tmp_path / "m.safetensors")).translate(a).image, synthesized)
    assert methods.get_method("closed-form").synthesis is None


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("patch_size", 10, "patch_size is 10: choose an odd number from 3 to min_side"),
        ("patch_size", 33, "patch_size is 33: choose an odd number from 3 to min_side"),
        ("patch_stride", 12, "patch_stride is 12: choose at most patch_size, 11"),
        ("inversion_sigma", 1.0, "inversion_sigma is 1.0: choose a number above 0 and below 1"),
        ("coarse_steps", 0, "coarse_steps is 0: choose 1 or more"),
        ("blend_rho", 0.0, "blend_rho is 0.0: choose a number above 0"),
        ("neighbors", -1, "neighbors is -1: choose 0 or more"),
        ("stages", 9, "stages is 9: choose 1 to 8"),
        ("pyramid_ratio", 0.1, r"pyramid_ratio is 0.1: choose a number from 0.3 to 0.9"),
    ],
)
def test_wrong_settings_are_refused(setting: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ClosedFormConfig.from_preset("standard", **{setting: value})


def test_more_noise_keeps_less_of_the_source() -> None:
    source, target = picture(20, 20, seed=1), picture(20, 20, seed=2)
    distances = []
    for sigma in (0.05, 0.9):
        method = stored(source, target, stages=1, inversion_sigma=sigma, coarse_steps=5)
        with torch.no_grad():
            out = method.translate(source, method.sizes["a"], "b", None, RandomStream(0))
        centered = [image - image.mean((2, 3), keepdim=True) for image in (out, source)]
        distances.append(float((centered[0] - centered[1]).abs().mean()))
    assert all(one < other for one, other in itertools.pairwise(distances))
