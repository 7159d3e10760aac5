"""Inpaint: the hole is filled from its surroundings, the rest stays."""

from __future__ import annotations

import pytest
import torch

from conftest import picture
from lonepair.errors import UserError
from tiny_models import OTHER, methods_that, model_of


def hole() -> torch.Tensor:
    """A mask (black and white) with a square hole of 6 pixels."""
    mask = -torch.ones(1, 1, *OTHER)
    mask[..., 10:16, 12:18] = 1
    return mask


@methods_that("edit")
def test_pixels_far_from_the_hole_stay_exactly(name: str) -> None:
    image = picture(*OTHER, seed=5)
    result = model_of(name).inpaint(image, hole(), dilate=1, feather=0).image
    far = torch.ones(OTHER, dtype=torch.bool)
    far[9:17, 11:19] = False
    assert torch.equal(result[..., far], image[..., far])
    assert not torch.equal(result[..., 10:16, 12:18], image[..., 10:16, 12:18])


@methods_that("edit")
def test_pixels_of_the_hole_do_not_change_the_result(name: str) -> None:
    image, other = picture(*OTHER, seed=5), picture(*OTHER, seed=5)
    other[..., 10:16, 12:18] = 1
    results = [model_of(name).inpaint(each, hole()).image for each in (image, other)]
    assert torch.equal(*results)


@methods_that("edit")
def test_hole_in_a_texture_gets_its_colors(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    texture = 0.3 + 0.1 * torch.randn(1, 3, *OTHER, generator=generator)
    damaged = texture.clone()
    damaged[..., 10:16, 12:18] = -1
    filled = model_of(name).inpaint(damaged, hole()).image[..., 10:16, 12:18]
    assert (filled.mean() - texture.mean()).abs() < 0.5 * (damaged[..., 10:16, 12:18].mean() - texture.mean()).abs()


def test_mask_of_the_whole_image_is_refused() -> None:
    with pytest.raises(UserError, match="marks the whole image"):
        model_of("singan").inpaint(picture(*OTHER), torch.ones(1, 1, *OTHER))
