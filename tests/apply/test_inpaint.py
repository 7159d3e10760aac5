"""Inpaint: the hole is filled from its surroundings, the rest stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import lonepair as lp
from lonepair.errors import UserError
from lonepair.media.stills.image import decode_image
from lonepair.ops.arrays import from_integers
from tiny_models import OTHER, methods_that, model_of
from tiny_settings import picture


def hole() -> torch.Tensor:
    """A mask (black and white) with a square hole of 6 pixels."""
    mask = -torch.ones(1, 1, *OTHER)
    mask[..., 10:16, 12:18] = 1
    return mask


@methods_that("inpaint")
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_outside_the_hole_stay_exactly(name: str, channels: int) -> None:
    image = picture(*OTHER, channels, seed=5)
    result = model_of(name, channels).inpaint(image, hole(), dilate=1).image
    outside = torch.ones(OTHER, dtype=torch.bool)
    outside[9:17, 11:19] = False
    assert torch.equal(result[..., outside], image[..., outside])
    assert not torch.equal(result[..., 10:16, 12:18], image[..., 10:16, 12:18])


@methods_that("inpaint")
def test_pixels_of_the_hole_do_not_change_the_result(name: str) -> None:
    image, other = picture(*OTHER, seed=5), picture(*OTHER, seed=5)
    other[..., 10:16, 12:18] = 1
    results = [model_of(name).inpaint(each, hole()).image for each in (image, other)]
    assert torch.equal(*results)


@methods_that("inpaint")
def test_hole_in_a_texture_gets_its_colors(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    texture = 0.3 + 0.1 * torch.randn(1, 3, *OTHER, generator=generator)
    damaged = texture.clone()
    damaged[..., 10:16, 12:18] = -1
    filled = model_of(name).inpaint(damaged, hole()).image[..., 10:16, 12:18]
    assert (filled.mean() - texture.mean()).abs() < 0.1
    assert filled.std() > 0.05


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(1, 1, *OTHER), "marks the whole image"),
        (-torch.ones(1, 1, *OTHER), "marks no pixel"),
        (torch.where(torch.arange(37) % 6 == 0, 1.0, -1.0).expand(1, 1, *OTHER), "no known square of 7x7 pixels"),
    ],
)
def test_mask_without_hole_or_surroundings_is_refused(mask: torch.Tensor, message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of("lonepair-single").inpaint(picture(*OTHER), mask.contiguous())


@pytest.mark.parametrize(("name", "bits", "encoding"), [("deep.png", 16, None), ("deep.tif", 8, lp.Encoding(bits=8))])
def test_a_16_bit_image_stays_one(tmp_path: Path, name: str, bits: int, encoding: lp.Encoding | None) -> None:
    """Outside the hole bit by bit, unless fewer bits are asked for."""
    deep = np.random.default_rng(0).integers(0, 65536, (*OTHER, 3)).astype(np.uint16)
    result = model_of("lonepair-single").inpaint(deep, hole())
    content = decode_image(result.save(tmp_path / name, encoding=encoding))
    assert content.bits == bits
    if bits == 16:
        assert torch.equal(content.image[..., :8, :], from_integers(deep)[..., :8, :])
