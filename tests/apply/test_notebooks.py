"""Results in notebooks: a short repr, and the picture that Jupyter asks for."""

from __future__ import annotations

import io
from typing import Protocol, runtime_checkable

import pytest
import torch
from PIL import Image
from torch import Tensor

from lonepair.media.values import as_image
from tiny_models import SIZE, model_of
from tiny_settings import picture

CLIP = torch.cat([picture(*SIZE).roll(shift, 3) for shift in range(3)])


@runtime_checkable
class ShowsPng(Protocol):
    """The protocol of Jupyter's display for objects that have a PNG."""

    def _repr_png_(self) -> bytes: ...


def shown(result: object) -> Tensor:
    """The image that a notebook shows for `result`, in [-1, 1]."""
    assert isinstance(result, ShowsPng)
    with Image.open(io.BytesIO(result._repr_png_())) as image:
        assert image.format == "PNG"
        return as_image(image.convert("RGB"))


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether two images are equal in 8 bits per channel."""
    return one.shape == other.shape and bool((one - other).abs().max() <= 1 / 127.5)


def test_samples_show_their_contact_sheet() -> None:
    samples = model_of("singan").sample(2)
    h, w = samples.images["a"].shape[-2:]
    assert repr(samples) == f"Samples(2 of {w}x{h} pixels, domains a)"
    assert equal(shown(samples), samples.sheet())


def test_picture_shows_its_image() -> None:
    image = model_of("singan").sample(1).picture()
    h, w = image.image.shape[-2:]
    assert repr(image) == f"Picture({w}x{h} pixels, 3 channels)"
    assert equal(shown(image), image.image)


def test_animation_shows_its_first_frame() -> None:
    animation = model_of("consingan").animate(frames=3, size=(32, 28))
    assert repr(animation) == "Animation(3 frames of 28x32 pixels, 10 per second)"
    assert equal(shown(animation), next(animation.frames()).image)


def test_translated_image_shows_itself() -> None:
    translation = model_of("lonepair").translate(picture(*SIZE))
    assert repr(translation) == "Translation(the Tensor, image, 20x24, a_to_b)"
    assert equal(shown(translation), translation.image)


def test_translated_clip_shows_its_first_frame_until_all_are_computed() -> None:
    translation = model_of("lonepair").translate(CLIP)
    assert repr(translation) == "Translation(the Tensor, clip, 20x24, a_to_b)"
    assert equal(shown(translation), translation.image)
    list(translation.frames())
    assert equal(shown(translation), translation.sheet())


@pytest.mark.parametrize("use", ["samples", "picture", "animation", "translation"])
def test_repr_is_one_short_line(use: str) -> None:
    results = {
        "samples": lambda: model_of("singan").sample(2),
        "picture": lambda: model_of("singan").sample(1).picture(),
        "animation": lambda: model_of("consingan").animate(frames=3),
        "translation": lambda: model_of("lonepair").translate(CLIP),
    }
    text = repr(results[use]())
    assert len(text) < 100
    assert "\n" not in text
