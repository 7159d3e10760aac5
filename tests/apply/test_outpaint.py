"""Outpaint: the image stays, and is continued on the chosen sides."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lonepair.errors import UserError
from tiny_models import OTHER, SIZE, methods_that, model_of
from tiny_settings import picture


@methods_that("outpaint")
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_image_stays_within_the_larger_one(name: str, channels: int) -> None:
    image = picture(*OTHER, channels, seed=5)
    result = model_of(name, channels).outpaint(image, left=5, top=3, bottom=8).image
    assert result.shape == (1, channels, OTHER[0] + 11, OTHER[1] + 5)
    assert torch.equal(result[..., 3:-8, 5:], image)


@methods_that("outpaint")
def test_size_puts_the_training_image_in_the_middle(name: str) -> None:
    model = model_of(name)
    exemplar = model.method.exemplar("a")
    assert exemplar is not None
    assert exemplar.detail is None  # the tiny model is trained at the image's own size
    result = model.outpaint(size=(SIZE[0] + 5, SIZE[1] + 10)).image
    assert torch.equal(result[..., 2 : 2 + SIZE[0], 5 : 5 + SIZE[1]], exemplar())
    assert not torch.equal(result, model.outpaint(size=(SIZE[0] + 5, SIZE[1] + 10), seed=1).image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "left, right, top, bottom and size are missing"),
        ({"left": 3, "size": (90, 90)}, "are both given"),
        ({"left": -1}, "left is -1: choose 0 to 4096 pixels"),
        ({"size": (10, 90)}, "size is 90x10, the image has 37x30 pixels: choose a larger size"),
        ({"left": 4096, "right": 4096, "bottom": 4000}, "megapixels"),
        ({"left": 9, "seed": -1}, "seed is -1"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of("lonepair-single").outpaint(picture(*OTHER), **settings)
