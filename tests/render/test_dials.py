"""The dials of a translation: each does what it says, on one model."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lonepair.apply.translate import Translate
from lonepair.errors import UserError
from lonepair.ops.resize import resize_image
from lonepair.patches.dials import Dials
from tiny_models import SIZE, methods_that, model_of
from tiny_settings import picture


def translated(**dials: Any) -> Tensor:
    image: Tensor = model_of("lonepair").translate(picture(*SIZE, seed=3), **dials).image
    return image


def sharpness(image: Tensor) -> float:
    return float((image[..., 1:] - image[..., :-1]).square().mean())


@methods_that("translate")
def test_strength_0_is_the_source(name: str) -> None:
    source = picture(*SIZE, seed=3)
    output = model_of(name).translate(source, strength=0.0).image
    assert torch.allclose(output, source, atol=1e-5)


def test_strength_brings_the_output_to_the_source_step_by_step() -> None:
    source = picture(*SIZE, seed=3)
    distances = [float((translated(strength=s) - source).abs().mean()) for s in (1.0, 0.5, 0.25, 0.0)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 2 * distances[2]


def test_colour_0_has_the_colors_of_the_source() -> None:
    source = picture(*SIZE, seed=3)

    def difference(image: Tensor) -> float:
        return float((resize_image(image, (8, 9)) - resize_image(source, (8, 9))).abs().mean())

    assert difference(translated(colour=0.0)) < 0.3 * difference(translated(colour=1.0))


def test_a_larger_texture_is_smoother_per_pixel() -> None:
    small, large = (translated(texture_size=size, size=(96, 108)) for size in (1.0, 4.0))
    assert sharpness(small) > 2 * sharpness(large)


def test_an_output_larger_than_the_target_is_as_sharp_as_the_target() -> None:
    model = model_of("lonepair")
    source = picture(120, 140, seed=3)
    target = model.method.exemplar("b")
    assert target is not None
    output = model.translate(source).image
    enlarged = resize_image(target() if target.detail is None else target.detail, (120, 140))
    assert sharpness(output) > 2 * sharpness(enlarged)


def test_keep_and_swap_of_tone_give_opposite_lightness() -> None:
    source = picture(*SIZE, seed=3)
    light = source.mean(1) - source.mean()

    def correlation(image: Tensor) -> float:
        return float((light * (image.mean(1) - image.mean())).mean())

    assert correlation(translated(tone="keep")) > correlation(translated(tone="swap"))
    assert torch.equal(translated(tone="auto"), translated(tone="keep")) or torch.equal(
        translated(tone="auto"), translated(tone="swap")
    )


@pytest.mark.parametrize(("texture_size", "texture_size_of_preview"), [("auto", 0.5), (2.0, 1.0)])
def test_texture_of_a_preview_is_as_large_beside_it(texture_size: Any, texture_size_of_preview: float) -> None:
    model, source = model_of("lonepair"), picture(48, 40, seed=3)
    translation = model.translate(source, size=(48, 40), texture_size=texture_size)
    preview = translation.preview(24)
    expected = model.translate(source, size=(24, 20), texture_size=texture_size_of_preview)
    assert preview.size == (24, 20)
    assert torch.allclose(preview.image, expected.image, atol=1e-5)
    assert translation.preview(1000).size == (48, 40)


def test_preview_is_smaller_where_texture_makes_the_target_larger() -> None:
    model, source = model_of("lonepair"), picture(48, 40, seed=3)
    translation = model.translate(source, size=(48, 40), texture_size=2.0)
    full = translation.preview(48)
    assert full.size == (48, 40)
    target = full.pipeline.target_side
    assert translation.preview(48, round(target)).size == (48, 40)
    half = translation.preview(48, round(target / 2))
    assert half.size == (24, 20)
    assert torch.equal(half.image, translation.preview(24).image)


def test_texture_scale_is_never_above_1_by_itself() -> None:
    assert Dials().texture_scale(1920, 256) == 1.0
    assert Dials().texture_scale(128, 256) == 0.5
    assert Dials(texture_size=3.0).texture_scale(128, 256) == 3.0


@pytest.mark.parametrize(
    ("dial", "value", "message"),
    [
        ("structure", 1.5, "structure is 1.5: choose 0 to 1"),
        ("structure", math.nan, "structure is nan: choose 0 to 1"),
        ("colour", -0.1, "colour is -0.1: choose 0 to 1"),
        ("strength", 2.0, "strength is 2.0: choose 0 to 1"),
        ("texture_size", 0.0, "texture_size is 0.0: choose 0.05 to 20 or auto"),
    ],
)
def test_bad_dials_are_refused_in_one_line(dial: str, value: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        Translate(picture(*SIZE), **{dial: value})
    assert str(error.value) == message


def test_dials_are_saved_with_the_output() -> None:
    use = model_of("lonepair").translate(picture(*SIZE), structure=0.75, tone="swap").settings["use"]
    assert (use["structure"], use["tone"], use["texture_size"], use["colour"]) == (0.75, "swap", "auto", 1.0)


def test_dials_of_patch_synthesis_are_refused_without_it() -> None:
    with pytest.raises(UserError, match=r"^structure is 1.0: it acts in patch synthesis, and it is turned off; leave"):
        _ = model_of("lonepair").translate(picture(*SIZE), structure=1.0, synthesize=False)
    with pytest.raises(UserError, match=r"^texture_size is 2.0: .* method 'representative' has none; leave it at auto"):
        _ = model_of("representative").translate(picture(*SIZE), texture_size=2.0)
