"""Translations of images and clips, with and without patch synthesis."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

import lonepair.methods as methods
from conftest import picture, tiny
from lonepair.api.job import Job
from lonepair.api.model import Model, load
from lonepair.metrics import look_distance
from lonepair.patches.synthesis import Synthesizer
from tiny_models import OTHER, SIZE, methods_that, model_of

# Pairs


@methods_that("translate")
def test_both_directions_and_every_entry_stage(name: str) -> None:
    model = model_of(name)
    image = picture(*OTHER, seed=3)
    drawn = [model.translate(image, start_stage=start_stage).image for start_stage in range(model.method.stage + 1)]
    assert {tuple(one.shape) for one in drawn} == {(1, 3, *OTHER)}
    assert not torch.equal(drawn[0], drawn[-1])
    assert not torch.equal(model.translate(image).image, model.translate(image, reverse=True).image)


# Finishing


def test_a_random_picture_is_finished_from_the_coarsest_stage_on_and_a_redrawn_one_is_not() -> None:
    def begins(name: str, start: int = 0) -> float:
        inputs = {"a": picture(40, 40, seed=1), "b": picture(40, 40, seed=2)}
        settings = tiny(name, max_side=40, min_side=12, stages=4)
        of = {domain: inputs[domain] for domain in methods.get_method(name).domains}
        return Synthesizer.of(Job.prepare(of, name, "standard", settings).run().method, "a", start)._factors[0]

    assert begins("lonepair-single") == pytest.approx(12 / 40)
    assert begins("lonepair-single", 2) == pytest.approx((12 / 40) ** (1 / 3), abs=0.02)
    assert begins("lonepair") == 1.0  # 3.2 x 12 pixels is nearly all


@methods_that("translate")
def test_an_entry_sheet_shows_the_source_and_every_stage(name: str) -> None:
    model = model_of(name)
    sheet, one = model.translate_stage_sheet(picture(*SIZE)), model.translate(picture(*SIZE)).sheet()
    pictures = model.method.stage + 2
    assert sheet.image.shape[-1] / one.shape[-1] == pytest.approx(pictures / 2, rel=0.2)
    assert sheet.settings["use"]["name"] == "translate_stage_sheet"


@methods_that("translate")
def test_images_are_finished_where_the_method_can_unless_told(name: str) -> None:
    model = model_of(name)
    told = {wish: model.translate(picture(*SIZE), synthesize=wish).image for wish in (True, False)}
    assert torch.equal(told[True], model.translate(picture(*SIZE)).image)
    assert torch.equal(told[True], told[False]) != model.method.remembers


@pytest.mark.parametrize("name", [n for n in methods.names() if methods.get_method(n).remembers])
def test_what_is_remembered_is_what_was_learnt(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    again = load(model.save(tmp_path / "model.safetensors"))
    for domain, learnt in zip(model.method.domains, (picture(*SIZE, seed=1), picture(20, 24, seed=2)), strict=False):
        assert torch.allclose(model.method.remembered(domain), learnt, atol=1e-6)
        assert torch.equal(again.method.remembered(domain), model.method.remembered(domain))


@methods_that("translate")
def test_a_finished_clip_is_steady_and_its_sheet_shows_its_frames(name: str) -> None:
    """Frames that do not move are finished once, and continued: from the third on hardly anything changes."""
    if not methods.get_method(name).remembers:
        pytest.skip("does not finish")
    still = picture(*SIZE).expand(5, -1, -1, -1)
    clip = model_of(name).translate(still)
    frames = [frame.image for frame in clip.frames()]
    apart = [float((one - other).abs().mean()) for one, other in itertools.pairwise(frames)]
    assert apart[-1] < 0.2 * float((frames[0] - picture(*SIZE)).abs().mean())
    moving = torch.cat([torch.roll(picture(*SIZE), shift, 3) for shift in range(5)])
    clip, fresh = (model_of(name).translate(moving) for _ in range(2))
    assert len(list(clip.frames())) == 5
    assert not torch.equal(clip.sheet(), fresh.sheet())  # which redraws each by itself


@methods_that("translate")
def test_frames_drawn_ahead_are_those_drawn_in_turn(name: str) -> None:
    """On two threads the next frame is drawn while one is finished: the same frames, in order, to the bit."""
    moving = torch.cat([torch.roll(picture(*SIZE), shift, 3) for shift in (0, 1, 2, 9)])
    found = []
    try:
        for threads in (1, 2):
            model = model_of(name)
            torch.set_num_threads(threads)
            found.append([(frame.time, frame.image) for frame in model.translate(moving).frames()])
    finally:
        torch.set_num_threads(1)
    assert len(found[0]) == 4
    assert [time for time, _ in found[0]] == [time for time, _ in found[1]]
    if not methods.get_method(name).remembers:
        return  # with nothing to finish all threads draw a frame: the same but for rounding
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(*found, strict=True))


@methods_that("translate")
def test_after_a_cut_a_clip_is_finished_as_if_it_began_there(name: str) -> None:
    if not methods.get_method(name).remembers:
        pytest.skip("does not finish")
    dark, bright = picture(*SIZE) * 0.2 - 0.7, picture(*SIZE, seed=3) * 0.2 + 0.7
    frames = [frame.image for frame in model_of(name).translate(torch.cat([dark, dark, bright, bright])).frames()]
    anew = [frame.image for frame in model_of(name).translate(torch.cat([bright, bright])).frames()]
    assert torch.equal(frames[2], anew[0])
    assert torch.equal(frames[3], anew[1])


# Detail


def _detailed(name: str, side: int = 22, **settings: Any) -> Model:
    """A tiny model of what is larger than its networks rng: noise, so that no enlarged picture has its detail."""
    noise = torch.rand(1, 3, 60, 44, generator=torch.Generator().manual_seed(0)) * 2 - 1
    inputs = {"a": picture(48, 60), "b": noise} if "b" in methods.get_method(name).domains else {"a": noise}
    return Job.prepare(inputs, name, "standard", tiny(name, max_side=side, **settings)).run()


finishing = pytest.mark.parametrize("name", [n for n in methods.names() if methods.get_method(n).remembers])


@finishing
def test_pictures_grow_to_the_detail_of_what_was_given(name: str) -> None:
    model, flat = _detailed(name), _detailed(name, exemplar_max_side=0)
    domain = model.method.domains[-1]
    kept = model.method.detail(domain)
    assert kept is not None
    assert kept.shape[-2:] == (60, 44)
    assert flat.method.detail(domain) is None
    if "translate" in model.method.uses:
        fine, rough = (each.translate(picture(48, 60)).image for each in (model, flat))
        assert fine.shape == rough.shape == (1, 3, 48, 60)
        assert look_distance(fine, kept) < 0.7 * look_distance(rough, kept)
    small = model.sample(1, full_size=False).images[domain]
    assert small.shape == flat.sample(1).images[domain].shape
    large = model.sample(1).images[domain]
    larger = min(max(model.method.detail(d).shape) / max(model.method.sizes[d][-1]) for d in model.method.domains)  # type: ignore[union-attr]
    assert max(large.shape) == pytest.approx(max(small.shape) * larger, abs=1)
    assert model.sample(1, size=(80, 52)).images[domain].shape == (1, 3, 80, 52)


@finishing
def test_detail_is_kept_with_the_model_and_may_be_missing(name: str, tmp_path: Path) -> None:
    model = _detailed(name, exemplar_max_side=40)
    again = load(model.save(tmp_path / "model.safetensors"))
    for domain in model.method.domains:
        kept = model.method.detail(domain)
        assert kept is not None
        assert max(kept.shape) == 40
        assert torch.equal(again.method.detail(domain), kept)  # type: ignore[arg-type]
    older = {key: value for key, value in model.method.model_state().items() if not key.startswith("detail")}
    again.method.load_model_state(older)
    assert again.method.detail("a") is not None  # what a model has it keeps
    bare = load(_detailed(name, exemplar_max_side=0).save(tmp_path / "bare.safetensors"))
    bare.method.load_model_state(older)
    assert bare.method.detail("a") is None


@methods_that("translate")
def test_a_clips_frames_grow_together(name: str) -> None:
    if not methods.get_method(name).remembers:
        pytest.skip("does not finish")
    still = picture(48, 60).expand(3, -1, -1, -1)
    frames = [frame.image for frame in _detailed(name).translate(still).frames()]
    assert all(frame.shape == (1, 3, 48, 60) for frame in frames)
    assert float((frames[2] - frames[1]).abs().mean()) < 0.3
