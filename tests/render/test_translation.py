"""Translations of images and clips, with and without patch synthesis."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import pytest
import torch

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model, load
from lonepair.metrics import look_distance
from lonepair.nets import Exemplar
from lonepair.render.synthesizers import can_synthesize, synthesizer_for
from tiny_models import OTHER, SIZE, methods_that, model_of
from tiny_settings import picture, tiny

# Pairs


def exemplar_of(model: Model, domain: str) -> Exemplar:
    exemplar = model.method.exemplar(domain)
    assert exemplar is not None
    return exemplar


@methods_that("translate")
def test_both_directions_and_every_start_stage_give_different_images(name: str) -> None:
    model = model_of(name)
    image = picture(*OTHER, seed=3)
    predictions = [
        model.translate(image, start_stage=start_stage).image for start_stage in range(model.method.stage + 1)
    ]
    assert {tuple(one.shape) for one in predictions} == {(1, 3, *OTHER)}
    assert not torch.equal(predictions[0], predictions[-1])
    assert not torch.equal(model.translate(image).image, model.translate(image, reverse=True).image)


# Patch synthesis


def test_synthesis_of_samples_starts_at_the_start_stage_and_of_translations_at_the_layout_scale() -> None:
    def first_scale(name: str, start: int = 0) -> float:
        inputs = {"a": picture(40, 40, seed=1), "b": picture(40, 40, seed=2)}
        settings = tiny(name, max_side=40, min_side=12, stages=4, steps=1, finest_steps=1)
        of = {domain: inputs[domain] for domain in methods.get_method(name).domains}
        return synthesizer_for(
            Job.prepare(of, name, "standard", settings).run().method, "a", start_stage=start
        ).factors[0]

    assert first_scale("lonepair-single") == pytest.approx(12 / 40)
    assert first_scale("lonepair-single", 2) == pytest.approx((12 / 40) ** (1 / 3), abs=0.02)
    assert first_scale("lonepair") == 1.0  # 3.2 x 12 of 40 pixels: the next scale is the full one


@methods_that("translate")
def test_the_stage_sheet_shows_the_source_and_every_stage(name: str) -> None:
    model = model_of(name)
    sheet, one = model.translate_stage_sheet(picture(*SIZE)), model.translate(picture(*SIZE)).sheet()
    pictures = model.method.stage + 2
    assert sheet.image.shape[-1] / one.shape[-1] == pytest.approx(pictures / 2, rel=0.2)
    assert sheet.settings["use"]["name"] == "translate_stage_sheet"


@methods_that("translate")
def test_patch_synthesis_is_the_default_of_methods_with_exemplars(name: str) -> None:
    model = model_of(name)
    outputs = {choice: model.translate(picture(*SIZE), synthesize=choice).image for choice in (True, False)}
    assert torch.equal(outputs[True], model.translate(picture(*SIZE)).image)
    assert torch.equal(outputs[True], outputs[False]) != can_synthesize(model.method)


@pytest.mark.parametrize("name", [n for n in methods.names() if methods.get_method(n).synthesis])
def test_the_exemplar_is_the_training_image(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    loaded = load(model.save(tmp_path / "model.safetensors"))
    for domain, training_image in zip(
        model.method.domains, (picture(*SIZE, seed=1), picture(20, 24, seed=2)), strict=False
    ):
        assert torch.allclose(exemplar_of(model, domain)(), training_image, atol=1e-6)
        assert torch.equal(exemplar_of(loaded, domain)(), exemplar_of(model, domain)())


@methods_that("translate")
def test_a_still_clip_is_steady_and_the_sheet_shows_computed_frames(name: str) -> None:
    """Without motion later frames continue the first: from the third on hardly anything changes."""
    if methods.get_method(name).synthesis is None:
        pytest.skip("stores no exemplar")
    still = picture(*SIZE).expand(5, -1, -1, -1)
    clip = model_of(name).translate(still)
    frames = [frame.image for frame in clip.frames()]
    differences = [float((one - other).abs().mean()) for one, other in itertools.pairwise(frames)]
    assert differences[-1] < 0.2 * float((frames[0] - picture(*SIZE)).abs().mean())
    moving = torch.cat([torch.roll(picture(*SIZE), shift, 3) for shift in range(5)])
    clip, other = (model_of(name).translate(moving) for _ in range(2))
    assert len(list(clip.frames())) == 5
    assert torch.equal(clip.sheet(), other.sheet())


@methods_that("translate")
def test_frames_on_two_threads_are_bitwise_equal_to_those_on_one(name: str) -> None:
    """On two threads the next frame is predicted while one is synthesized."""
    moving = torch.cat([torch.roll(picture(*SIZE), shift, 3) for shift in (0, 1, 2, 9)])
    results = []
    try:
        for threads in (1, 2):
            model = model_of(name)
            torch.set_num_threads(threads)
            results.append([(frame.time, frame.image) for frame in model.translate(moving).frames()])
    finally:
        torch.set_num_threads(1)
    assert len(results[0]) == 4
    assert [time for time, _ in results[0]] == [time for time, _ in results[1]]
    if methods.get_method(name).synthesis is None:
        return  # without synthesis both threads predict one frame, which rounds otherwise
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(*results, strict=True))


@methods_that("translate")
def test_synthesis_starts_again_after_a_cut(name: str) -> None:
    if methods.get_method(name).synthesis is None:
        pytest.skip("stores no exemplar")
    dark, bright = picture(*SIZE) * 0.2 - 0.7, picture(*SIZE, seed=3) * 0.2 + 0.7
    frames = [frame.image for frame in model_of(name).translate(torch.cat([dark, dark, bright, bright])).frames()]
    second_scene = [frame.image for frame in model_of(name).translate(torch.cat([bright, bright])).frames()]
    assert torch.equal(frames[2], second_scene[0])
    assert torch.equal(frames[3], second_scene[1])


# Full size


@functools.cache
def _detailed(name: str, side: int = 22, **settings: Any) -> Model:
    """A tiny model of images larger than its training size. The target is noise, whose detail no enlargement has."""
    noise = torch.rand(1, 3, 60, 44, generator=torch.Generator().manual_seed(0)) * 2 - 1
    inputs = {"a": picture(48, 60), "b": noise} if "b" in methods.get_method(name).domains else {"a": noise}
    return Job.prepare(inputs, name, "standard", tiny(name, max_side=side, **settings)).run()


with_exemplars = pytest.mark.parametrize("name", [n for n in methods.names() if methods.get_method(n).synthesis])


@with_exemplars
def test_images_reach_the_full_size_of_the_training_image(name: str) -> None:
    model, flat = _detailed(name), _detailed(name, exemplar_max_side=0)
    domain = model.method.domains[-1]
    detail = exemplar_of(model, domain).detail
    assert detail is not None
    assert detail.shape[-2:] == (60, 44)
    assert exemplar_of(flat, domain).detail is None
    if "translate" in model.method.uses:
        fine, rough = (each.translate(picture(48, 60)).image for each in (model, flat))
        assert fine.shape == rough.shape == (1, 3, 48, 60)
        assert look_distance(fine, detail) < 0.7 * look_distance(rough, detail)
    small = model.sample(1, full_size=False).images[domain]
    assert small.shape == flat.sample(1).images[domain].shape
    large = model.sample(1).images[domain]
    larger = min(max(exemplar_of(model, d).detail.shape) / max(model.method.sizes[d][-1]) for d in model.method.domains)  # type: ignore[union-attr]
    assert max(large.shape) == pytest.approx(max(small.shape) * larger, abs=1)
    assert model.sample(1, size=(80, 52)).images[domain].shape == (1, 3, 80, 52)


@with_exemplars
def test_detail_is_saved_with_the_model_and_is_optional(name: str, tmp_path: Path) -> None:
    model = _detailed(name, exemplar_max_side=40)
    loaded = load(model.save(tmp_path / "model.safetensors"))
    for domain in model.method.domains:
        detail = exemplar_of(model, domain).detail
        assert detail is not None
        assert max(detail.shape) == 40
        assert torch.equal(exemplar_of(loaded, domain).detail, detail)  # type: ignore[arg-type]
    bare = load(_detailed(name, exemplar_max_side=0).save(tmp_path / "bare.safetensors"))
    assert exemplar_of(bare, "a").detail is None


@methods_that("translate")
def test_frames_of_a_clip_reach_the_full_size(name: str) -> None:
    if methods.get_method(name).synthesis is None:
        pytest.skip("stores no exemplar")
    still = picture(48, 60).expand(3, -1, -1, -1)
    frames = [frame.image for frame in _detailed(name).translate(still).frames()]
    assert all(frame.shape == (1, 3, 48, 60) for frame in frames)
    assert float((frames[2] - frames[1]).abs().mean()) < 0.3
