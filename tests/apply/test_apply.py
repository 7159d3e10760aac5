"""What trained models are used for: sampling, animation, editing, harmonization, painting, refinement, enlargement.

Every use is asked of every method that has it; every other method refuses it and names those that can.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair.methods as methods
from conftest import picture, tiny
from lonepair.api.job import Job
from lonepair.api.model import Model, load
from lonepair.apply import edit
from lonepair.apply.animate import closed_walk, random_walk, walk_spread
from lonepair.apply.sampling import reconstruction
from lonepair.errors import UserError
from lonepair.media.container import Frame
from lonepair.media.image import read_image, read_metadata
from lonepair.media.source import open_source
from lonepair.methods.base import SingleMethod
from lonepair.metrics import copying, look_distance, structure
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from lonepair.patches.synthesis import Synthesizer

SIZE = (24, 20)
OTHER = (30, 37)

_TRAINED: dict[tuple[str, int], Model] = {}


def model_of(name: str, channels: int = 3) -> Model:
    """A tiny model of `name`, trained once."""
    if (name, channels) not in _TRAINED:
        inputs = {"a": picture(*SIZE, channels, seed=1), "b": picture(20, 24, channels, seed=2)}
        wanted = {domain: inputs[domain] for domain in methods.get_method(name).domains}
        settings = tiny(
            name, max_side=26, **({"stages": 3} if name in ("consingan", "lonepair", "representative") else {})
        )
        _TRAINED[name, channels] = Job.plan(wanted, name, "standard", settings).run()
    return _TRAINED[name, channels]


def methods_that(use: str) -> Any:
    return pytest.mark.parametrize("name", [n for n in methods.names() if use in methods.get_method(n).uses])


USES: dict[str, Callable[[Model], object]] = {
    "translate": lambda model: model.translate(picture(*SIZE)).image,
    "sample": lambda model: model.sample(1),
    "sample_stage_sheet": lambda model: model.sample_stage_sheet(1),
    "animate": lambda model: model.animate(frames=2),
    "edit": lambda model: model.edit(picture(*SIZE), torch.ones(1, 1, *SIZE)),
    "harmonize": lambda model: model.harmonize(picture(*SIZE), torch.ones(1, 1, *SIZE)),
    "paint": lambda model: model.paint(picture(*SIZE)),
    "refine": lambda model: model.refine(picture(*SIZE)),
    "superresolve": lambda model: model.superresolve(2),
}


def test_every_use_of_every_method_is_known() -> None:
    assert {use for name in methods.names() for use in methods.get_method(name).uses} == set(USES)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", methods.names())
def test_a_method_does_what_it_says_and_refuses_the_rest(name: str, use: str) -> None:
    model = model_of(name)
    if use in model.method.uses:
        assert USES[use](model) is not None
        return
    able = [n for n in methods.names() if use in methods.get_method(n).uses]
    with pytest.raises(UserError, match=f"{use}: method '{name}' cannot; train with one of {', '.join(able)}"):
        USES[use](model)


# Sampling


@pytest.mark.parametrize("name", methods.names())
@pytest.mark.parametrize("size", [None, OTHER, (14, 60)])
def test_samples_of_any_size_and_aspect(name: str, size: tuple[int, int] | None) -> None:
    model = model_of(name)
    drawn = model.sample(2, size=size)
    for domain, images in drawn.images.items():
        trained = model.method.sizes["a"][-1]
        assert images.shape == (2, 3, *(size or trained)), domain  # a pair's are aligned
        assert not torch.equal(images[0], images[1])


@pytest.mark.parametrize("name", methods.names())
def test_a_seed_is_its_picture_whatever_the_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(name)
    together = model.sample(5, seed=3).images["a"]
    monkeypatch.setattr("lonepair.apply.sampling._BATCH_PIXELS", 1)
    assert torch.allclose(model.sample(5, seed=3).images["a"], together, atol=1e-5)
    assert torch.allclose(model.sample(2, seed=3).images["a"], together[:2], atol=1e-5)
    assert not torch.equal(model.sample(1, seed=4).images["a"], model.sample(1, seed=3).images["a"])


@methods_that("sample_stage_sheet")
def test_below_the_start_stage_noise_is_the_reconstructions(name: str) -> None:
    model = model_of(name)
    single = model.method
    assert isinstance(single, SingleMethod)
    amplitudes = single.nets[single.used[0]].amplitudes
    assert isinstance(amplitudes, Tensor)
    kept = amplitudes.clone()
    for start in range(1, single.stage + 1):
        amplitudes[start:] = 0  # no noise from `start` on: what is left to differ lies below
        try:
            rebuilt = reconstruction(single, model.engine)
            drawn = model.sample(2, start=start, finish=False).images["a"]
        finally:
            amplitudes.copy_(kept)
        assert torch.allclose(drawn, rebuilt.expand_as(drawn), atol=1e-5)
    for start in (-1, single.stage + 1):
        with pytest.raises(UserError, match=f"{single.stage + 1} stages: choose 0 to {single.stage}"):
            model.sample(1, start=start)


@methods_that("sample_stage_sheet")
def test_a_sample_under_the_trainings_seed_is_no_reconstruction(name: str) -> None:
    model = model_of(name)
    single = model.method
    assert isinstance(single, SingleMethod)
    anchor = single.reconstruction_maps(single.sizes["a"])[0]
    first = single.noise_maps(single.sizes["a"], RandomStream.for_sample(0, 0, "cpu"))[0]
    assert abs(float(torch.corrcoef(torch.stack([anchor.flatten(), first.flatten()]))[0, 1])) < 0.3
    assert not torch.equal(model.sample(1, seed=0).images["a"], reconstruction(single, model.engine))


@methods_that("sample_stage_sheet")
def test_the_scale_sheet_has_a_row_for_every_stage(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    few, many = model.sample_stage_sheet(1).image, model.sample_stage_sheet(3).image
    assert few.shape[-2] == many.shape[-2]
    assert many.shape[-1] > 2 * few.shape[-1]
    one_row = few.shape[-2] / (model.method.stage + 1)
    assert one_row >= 20
    assert read_image(model.sample_stage_sheet(1).save(tmp_path / "s.png")).shape == few.shape


@pytest.mark.parametrize("name", methods.names())
def test_large_samples_are_drawn_in_bands_as_in_one_piece(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(name)
    # Large maps come of keys of their own, whoever draws them.
    monkeypatch.setattr("lonepair.ops.noise.LARGE", 700)
    monkeypatch.setattr("lonepair.apply.sampling._BATCH_PIXELS", 700)
    whole = model.sample(2, size=(60, 50), finish=False)
    monkeypatch.setattr("lonepair.nets.growing.LARGE", 700)
    monkeypatch.setattr("lonepair.nets.stagewise.LARGE", 700)
    monkeypatch.setattr("lonepair.nets.bands.BAND", 400)
    banded = model.sample(2, size=(60, 50), finish=False)
    for domain, images in whole.images.items():
        assert torch.allclose(images, banded.images[domain], atol=1e-4 if model.engine.dtype == torch.float32 else 0.05)


@pytest.mark.parametrize("name", methods.names())
def test_samples_are_a_sequence_and_save_as_numbered_files(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    samples = model.sample(3)
    assert len(samples) == 3
    assert len(samples[1:]) == 2
    assert torch.equal(samples[-1]["a"], samples.images["a"][2:])
    files = samples.save(tmp_path / "out")
    domains = len(model.method.domains)
    assert len(files) == 3 * domains
    assert files[0].name == ("000.png" if domains == 1 else "000-a.png")
    assert "sample_seed" in read_metadata(files[0])["lonepair"]
    with pytest.raises(UserError, match=r"000.*overwrite"):
        samples.save(tmp_path / "out")
    samples.save(tmp_path / "out", overwrite=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "count is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"size": (5, 40)}, r"size is 40x5 \("),
    ],
)
def test_samples_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of("consingan").sample(**{"count": 1, **settings})


# Animation


def _noise(index: int) -> list[Tensor]:
    return [torch.randn(200, 200, generator=torch.Generator().manual_seed(index), dtype=torch.float64)]


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.9), (0.1, 0.8), (0.3, 0.5), (0.05, 0.95)])
def test_the_walk_comes_to_its_spread(alpha: float, beta: float) -> None:
    """SinGAN's walk, simulated at 40,000 pixels, against the autoregression's closed form."""
    fixed = [torch.full((200, 200), 2.0, dtype=torch.float64)]
    *_, last = random_walk(fixed, 300, alpha, beta, _noise)
    assert float(last[0].mean()) == pytest.approx(2, abs=0.02)
    assert float(last[0].std()) == pytest.approx(walk_spread(alpha, beta), rel=0.03)


def test_the_walks_first_steps_are_the_papers() -> None:
    fixed, alpha, beta = [torch.randn(3, 3, dtype=torch.float64)], 0.1, 0.9
    draws = [[torch.randn(3, 3, dtype=torch.float64)] for _ in range(4)]
    walk = [maps[0] for maps in random_walk(fixed, 3, alpha, beta, lambda index: draws[index])]
    star, (r0,), (r1,), (r2,), _ = fixed[0], *draws
    first = 0.95 * star + 0.05 * r0
    second = alpha * star + (1 - alpha) * (first + beta * (first - star) + (1 - beta) * r1)
    third = alpha * star + (1 - alpha) * (second + beta * (second - first) + (1 - beta) * r2)
    assert all(torch.allclose(got, want) for got, want in zip(walk, (first, second, third), strict=True))


def test_the_closed_walk_has_the_open_walks_spread_and_no_seam() -> None:
    fixed, count = [torch.zeros(200, 200, dtype=torch.float64)], 24
    frames = [maps[0] for maps in closed_walk(fixed, count, 0.1, 0.9, _noise)]
    assert all(float(frame.std()) == pytest.approx(walk_spread(0.1, 0.9), rel=0.03) for frame in frames)
    steps = [float((frames[i] - frames[i - 1]).square().mean().sqrt()) for i in range(count)]  # the seam is i = 0
    assert max(steps) < 1.05 * min(steps)


@methods_that("animate")
def test_animation_frames(name: str) -> None:
    model = model_of(name)
    moving = model.animate(frames=5, rate=12.5, start=0)
    frames = list(moving.frames())
    assert [frame.time for frame in frames] == [Fraction(i) / Fraction(25, 2) for i in range(5)]
    assert {tuple(frame.image.shape) for frame in frames} == {(1, 3, *model.method.sizes["a"][-1])}
    assert not torch.equal(frames[0].image, frames[4].image)
    again = list(model.animate(frames=5, rate=12.5, start=0).frames())
    assert all(torch.equal(one.image, other.image) for one, other in zip(frames, again, strict=True))


@methods_that("animate")
def test_a_loop_closes(name: str) -> None:
    model = model_of(name)
    frames = [frame.image for frame in model.animate(frames=12, loop=True, start=0).frames()]
    steps = [float((frames[i] - frames[i - 1]).square().mean()) for i in range(12)]
    assert steps[0] <= 2 * max(steps[1:])


@methods_that("animate")
@pytest.mark.parametrize("suffix", ["gif", "png", "mp4"])
def test_animations_are_written(name: str, suffix: str, tmp_path: Path) -> None:
    model = model_of(name)
    moving = model.animate(frames=4, size=(32, 28))
    # A model of three steps hardly moves, and equal frames become one; what is written are pictures that differ.
    distinct = [Frame(frame.time, picture(32, 28, seed=i)) for i, frame in enumerate(moving.frames())]
    path = moving.save(tmp_path / f"out.{suffix}", progress=lambda _: distinct)
    source = open_source(path)
    assert (source.is_clip, source.size, len(list(source.frames()))) == (True, (32, 28), 4)
    with pytest.raises(UserError, match="overwrite"):
        model.animate(frames=4).save(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, "frames is 0"),
        ({"rate": 0}, "rate is 0"),
        ({"alpha": 1.0}, r"alpha is 1\.0"),
        ({"beta": 0.0}, r"beta is 0\.0"),
        ({"start": 9}, "start is 9"),
        ({"seed": 2**32}, "seed is"),
    ],
)
def test_animations_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of("consingan").animate(**settings)


# Editing and harmonization


def square(size: tuple[int, int] = OTHER) -> Tensor:
    """A mask with a square of 6 pixels at row 10, column 12."""
    mask = torch.zeros(1, 1, *size)
    mask[..., 10:16, 12:18] = 1
    return mask


@methods_that("edit")
@pytest.mark.parametrize("use", ["edit", "harmonize"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_outside_the_mask_the_original_stays_exactly(name: str, use: str, channels: int) -> None:
    model = model_of(name, channels)
    original, edited = picture(*OTHER, channels, seed=5), picture(*OTHER, channels, seed=6)
    mask = 2 * square() - 1  # as an image: black and white
    drawn = getattr(model, use)(edited, mask, original=original, dilate=2, feather=0).image
    assert drawn.shape == edited.shape
    far = torch.ones(OTHER, dtype=torch.bool)
    far[8:18, 10:20] = False
    assert torch.equal(drawn[..., far], original[..., far])
    assert not torch.equal(drawn[..., 10:16, 12:18], original[..., 10:16, 12:18])
    assert not torch.equal(drawn[..., 10:16, 12:18], edited[..., 10:16, 12:18])


@methods_that("edit")
def test_without_a_mask_the_difference_is_one(name: str) -> None:
    model = model_of(name)
    original = picture(*OTHER, seed=5)
    edited = original.clone()
    edited[..., 10:16, 12:18] = -edited[..., 10:16, 12:18].sign()
    drawn = model.edit(edited, original=original, dilate=0, feather=0).image
    same = (drawn == original).all(1)[0]
    assert same[:10].all()
    assert not same[10:16, 12:18].all()
    with pytest.raises(UserError, match="does not differ"):
        model.edit(original, original=original)
    with pytest.raises(UserError, match="give a mask, or the original"):
        model.edit(edited)


def test_masks_of_another_size_colour_or_alpha_are_fitted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lonepair")
    expected = edit.read_mask(2 * square() - 1, OTHER)
    assert torch.equal(expected, square())
    assert not caplog.messages
    large = torch.nn.functional.interpolate(2 * square() - 1, scale_factor=2)
    assert (edit.read_mask(large, OTHER) != square()).float().mean() < 0.02
    assert caplog.messages == [f"the mask has {2 * OTHER[1]}x{2 * OTHER[0]} pixels and is fitted to 37x30"]
    colour = (2 * square() - 1).expand(1, 3, -1, -1)
    assert torch.equal(edit.read_mask(colour, OTHER), square())
    caplog.clear()
    with_alpha = torch.cat([-colour, 2 * square() - 1], 1)
    assert torch.equal(edit.read_mask(with_alpha, OTHER), square())
    assert "opaque" in caplog.text
    opaque = torch.cat([colour, torch.ones(1, 1, *OTHER)], 1)
    assert torch.equal(edit.read_mask(opaque, OTHER), square())
    with pytest.raises(UserError, match="marks nothing"):
        edit.read_mask(-torch.ones(1, 1, *OTHER), OTHER)


@pytest.mark.parametrize("dilate", [0, 1, 3, 7])
def test_a_mask_grows_by_a_disk(dilate: int) -> None:
    dot = torch.zeros(1, 1, 21, 21)
    dot[..., 10, 10] = 1
    grown = edit.soften(dot, dilate, 0)
    rows, columns = torch.meshgrid(torch.arange(21) - 10, torch.arange(21) - 10, indexing="ij")
    assert torch.equal(grown[0, 0] == 1, rows**2 + columns**2 <= dilate**2)


def test_a_feathered_mask_falls_off_smoothly() -> None:
    half = torch.zeros(1, 1, 40, 60)
    half[..., 30:] = 1
    soft = edit.soften(half, 0, 3)[0, 0]
    assert soft.min() >= 0
    assert soft.max() <= 1
    middle = soft[20]
    assert bool((middle[1:] >= middle[:-1]).all())
    assert float(middle[29:31].mean()) == pytest.approx(0.5, abs=0.02)
    # A Gaussian's integral: one standard deviation from the edge, 0.16 and 0.84.
    expected = 0.5 * (1 + math.erf(2.5 / 3 / math.sqrt(2)))
    assert float(middle[32]) == pytest.approx(expected, abs=0.04)


@methods_that("edit")
@pytest.mark.parametrize("settings", [{"dilate": -1}, {"feather": 300.0}, {"start": 9}, {"seed": -3}])
def test_edits_that_cannot_be(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=str(abs(int(next(iter(settings.values())))))):
        model_of(name).edit(picture(*SIZE), torch.ones(1, 1, *SIZE), **settings)


def test_a_clip_is_no_image_to_edit() -> None:
    with pytest.raises(UserError, match="is a clip"):
        model_of("singan").edit(torch.cat([picture(*SIZE)] * 2), torch.ones(1, 1, *SIZE))


# Painting


def test_a_painting_takes_the_palettes_colours() -> None:
    palette = torch.zeros(1, 3, 10, 10)
    palette[:, 0, :5], palette[:, 2, 5:] = 1, -1
    painted = edit.quantized(picture(*OTHER), palette, 2)
    used = {tuple(round(float(v), 2) for v in colour) for colour in painted[0].flatten(1).T}
    given = {tuple(round(float(v), 2) for v in colour) for colour in palette[0].flatten(1).T}
    assert len(used) == 2
    assert all(min(math.dist(colour, other) for other in given) < 0.02 for colour in used)


@pytest.mark.parametrize("colours", [2, 5, 16])
def test_no_more_colours_than_asked(colours: int) -> None:
    painted = edit.quantized(picture(*OTHER), picture(40, 40, seed=7), colours)
    assert len({tuple(colour.tolist()) for colour in painted[0].flatten(1).T}) <= colours


def test_a_paintings_alpha_stays() -> None:
    image = picture(*OTHER, 4)
    assert torch.equal(edit.quantized(image, picture(20, 20), 4)[:, 3], image[:, 3])


@methods_that("paint")
@pytest.mark.parametrize("colours", [0, 4])
def test_paintings_of_any_size_are_drawn(name: str, colours: int) -> None:
    model = model_of(name)
    drawn = model.paint(picture(*OTHER, seed=9), colours=colours)
    assert drawn.image.shape == (1, 3, *OTHER)
    assert drawn.settings["start"] == 1
    assert not torch.equal(drawn.image, model.paint(picture(*OTHER, seed=8), colours=colours).image)
    with pytest.raises(UserError, match="colours is 1"):
        model.paint(picture(*OTHER), colours=1)


# Refinement and super-resolution


@methods_that("refine")
def test_refinement_from_every_stage(name: str) -> None:
    model = model_of(name)
    image = picture(*OTHER, seed=9)
    drawn = [model.refine(image, start=start).image for start in range(model.method.stage + 1)]
    assert {tuple(one.shape) for one in drawn} == {(1, 3, *OTHER)}
    assert not torch.equal(drawn[0], drawn[-1])
    assert torch.equal(drawn[0], model.refine(image, start=0).image)
    assert not torch.equal(drawn[0], model.refine(image, start=0, seed=1).image)
    with pytest.raises(UserError, match="both sides need at least"):
        model.refine(picture(6, 40))


@methods_that("superresolve")
@pytest.mark.parametrize("factor", [2, 4, 1.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_superresolution_at_any_factor(name: str, factor: float, channels: int) -> None:
    model = model_of(name, channels)
    h, w = 20, 17
    large = model.superresolve(factor, picture(h, w, channels))
    assert large.image.shape == (1, channels, round(h * factor), round(w * factor))
    assert large.image.abs().max() <= 1
    assert large.image.isfinite().all()


@methods_that("superresolve")
def test_superresolution_without_an_image_takes_the_models_own(name: str) -> None:
    model = model_of(name)
    h, w = model.method.sizes["a"][-1]
    assert model.superresolve(2).image.shape == (1, 3, 2 * h, 2 * w)


@methods_that("superresolve")
@pytest.mark.parametrize(("factor", "message"), [(1.0, "factor is 1"), (0.5, "factor is 0.5"), (9999, "megapixels")])
def test_superresolution_that_cannot_be(name: str, factor: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of(name).superresolve(factor, picture(20, 17))


def test_superresolution_applies_the_last_stage_k_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Factor 4 at the model's own ratio r between its last stages: k = round(ln 4 / ln r), steps of 4^(1/k)."""
    model = model_of("singan")
    factors = model.method.plan.factors
    expected = round(math.log(4) / math.log(factors[-1] / factors[-2]))
    sizes = []
    plain = model.method.translate

    def watched(image: Tensor, given: Any, domain: str, start_stage: int | None, rng: Any) -> Tensor:
        sizes.append(given[-1])
        assert start_stage == model.method.stage
        return plain(image, given, domain, start_stage, rng)

    monkeypatch.setattr(model.method, "redraw", watched)
    model.superresolve(4, picture(20, 20))
    assert len(sizes) == expected
    assert sizes == [(round(20 * 4 ** (k / expected)),) * 2 for k in range(1, expected + 1)]


# Pairs


@methods_that("translate")
def test_both_directions_and_every_entry_stage(name: str) -> None:
    model = model_of(name)
    image = picture(*OTHER, seed=3)
    drawn = [model.translate(image, start_stage=start_stage).image for entry in range(model.method.stage + 1)]
    assert {tuple(one.shape) for one in drawn} == {(1, 3, *OTHER)}
    assert not torch.equal(drawn[0], drawn[-1])
    assert not torch.equal(model.translate(image).image, model.translate(image, reverse=True).image)


@methods_that("translate")
def test_random_pairs_are_aligned(name: str) -> None:
    """B's random image is A's, translated: it changes with A's noise."""
    model = model_of(name)
    first, second = model.sample(1, seed=0), model.sample(1, seed=1)
    assert set(first.images) == {"a", "b"}
    assert not torch.equal(first.images["b"], second.images["b"])


# Finishing


def _grained(seed: int) -> Tensor:
    """The same blobs of colour, each time with other grain."""
    grain = torch.randn(1, 3, 48, 56, generator=torch.Generator().manual_seed(seed))
    return (picture(48, 56) + 0.3 * grain).clamp(-1, 1)


def test_finishing_brings_the_targets_grain_and_keeps_the_layout() -> None:
    target, drawn = _grained(0), picture(48, 56).flip(3)
    finished = Synthesizer(target, [0.6, 0.8, 1.0], 0.4).finish(drawn).image
    assert look_distance(finished, target) < 0.8 * look_distance(drawn, target)
    assert structure(finished, drawn) > 0.9 * structure(_grained(0).flip(3), drawn)
    assert float(finished.min()) >= -1
    assert float(finished.max()) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_finishing_takes_other_patches_where_pieces_of_the_target_would_be_cut_out(seed: int) -> None:
    grain = torch.randn(1, 3, 48, 112, generator=torch.Generator().manual_seed(seed))
    target = (torch.cat([picture(48, 56)] * 2, 3) + 0.3 * grain).clamp(-1, 1)
    drawn = target[..., :56]
    assert copying(drawn, target) == 1
    assert copying(Synthesizer(target, [0.6, 0.8, 1.0], 0.4).finish(drawn).image, target) < 0.5


def test_finishing_keeps_the_size_of_what_is_drawn() -> None:
    assert Synthesizer(picture(52, 33), [0.5, 1.0], 0.4).finish(picture(30, 41)).image.shape == (1, 3, 30, 41)


def test_of_the_layout_as_much_is_put_back_as_is_asked_for() -> None:
    target, drawn = picture(48, 40, seed=2), picture(48, 40, seed=5)
    apart = []
    for put_back in (0.0, 0.3, 1.0):
        image = Synthesizer(target, [0.5, 0.7, 1.0], 0.4, put_back).finish(drawn).image
        apart.append(float((resize(image, (12, 10)) - resize(drawn, (12, 10))).square().mean()))
    assert apart[0] > apart[1] > apart[2]


def test_a_random_picture_is_finished_from_the_coarsest_stage_on_and_a_redrawn_one_is_not() -> None:
    def begins(name: str, start: int = 0) -> float:
        inputs = {"a": picture(40, 40, seed=1), "b": picture(40, 40, seed=2)}
        settings = tiny(name, max_side=40, min_side=12, stages=4)
        of = {domain: inputs[domain] for domain in methods.get_method(name).domains}
        return Synthesizer.of(Job.plan(of, name, "standard", settings).run().method, "a", start)._factors[0]

    assert begins("lonepair-single") == pytest.approx(12 / 40)
    assert begins("lonepair-single", 2) == pytest.approx((12 / 40) ** (1 / 3), abs=0.02)
    assert begins("lonepair") == 1.0  # 3.2 x 12 pixels is nearly all


@methods_that("translate")
def test_an_entry_sheet_shows_the_source_and_every_stage(name: str) -> None:
    model = model_of(name)
    sheet, one = model.translate_stage_sheet(picture(*SIZE)), model.translate(picture(*SIZE)).sheet()
    pictures = model.method.stage + 2
    assert sheet.image.shape[-1] / one.shape[-1] == pytest.approx(pictures / 2, rel=0.2)
    assert sheet.settings["use"] == "translate_stage_sheet"


@methods_that("translate")
def test_images_are_finished_where_the_method_can_unless_told(name: str) -> None:
    model = model_of(name)
    told = {wish: model.translate(picture(*SIZE), finish=wish).image for wish in (True, False)}
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
    return Job.plan(inputs, name, "standard", tiny(name, max_side=side, **settings)).run()


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
    small = model.sample(1, detail=False).images[domain]
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
