"""What trained models are used for: sampling, animation, editing, harmonization, painting, refinement, enlargement.

Every use is asked of every method that has it; every other method refuses it and names those that can.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair.methods as methods
from conftest import picture
from lonepair.api.model import Model
from lonepair.apply import edit
from lonepair.apply.animate import closed_walk, random_walk, walk_spread
from lonepair.errors import UserError
from lonepair.media.container import Frame
from lonepair.media.source import open_source
from tiny_models import OTHER, SIZE, methods_that, model_of

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

    monkeypatch.setattr(model.method, "translate", watched)
    model.superresolve(4, picture(20, 20))
    assert len(sizes) == expected
    assert sizes == [(round(20 * 4 ** (k / expected)),) * 2 for k in range(1, expected + 1)]
