"""Edit and harmonize: what stays and what changes; reading and softening masks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lonepair.errors import UserError
from lonepair.render.masks import read_mask, soften, soften_for_edit
from lonepair.render.still import advise_preset
from tiny_models import OTHER, SIZE, methods_that, model_of
from tiny_settings import picture


def square(size: tuple[int, int] = OTHER) -> Tensor:
    """A mask with a square of 6 pixels at row 10, column 12."""
    mask = torch.zeros(1, 1, *size)
    mask[..., 10:16, 12:18] = 1
    return mask


@methods_that("edit")
@pytest.mark.parametrize("use", ["edit", "harmonize"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_original_stays_exactly_outside_the_mask(name: str, use: str, channels: int) -> None:
    model = model_of(name, channels)
    original, edited = picture(*OTHER, channels, seed=5), picture(*OTHER, channels, seed=6)
    mask = 2 * square() - 1  # as an image: black and white
    result = getattr(model, use)(edited, mask, original=original, dilate=2, feather=0).image
    assert result.shape == edited.shape
    far = torch.ones(OTHER, dtype=torch.bool)
    far[8:18, 10:20] = False
    assert torch.equal(result[..., far], original[..., far])
    assert not torch.equal(result[..., 10:16, 12:18], original[..., 10:16, 12:18])
    assert not torch.equal(result[..., 10:16, 12:18], edited[..., 10:16, 12:18])


@methods_that("edit")
def test_difference_to_the_original_is_the_mask_by_default(name: str) -> None:
    model = model_of(name)
    original = picture(*OTHER, seed=5)
    edited = original.clone()
    edited[..., 10:16, 12:18] = -edited[..., 10:16, 12:18].sign()
    result = model.edit(edited, original=original, dilate=0, feather=0).image
    same = (result == original).all(1)[0]
    assert same[:10].all()
    assert not same[10:16, 12:18].all()
    with pytest.raises(UserError, match="does not differ"):
        model.edit(original, original=original)
    with pytest.raises(UserError, match="mask and original are both missing: give one of them"):
        model.edit(edited)


def test_masks_of_other_sizes_and_channels_are_adapted_with_a_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lonepair")
    expected = read_mask(2 * square() - 1, OTHER)
    assert torch.equal(expected, square())
    assert not caplog.messages
    large = torch.nn.functional.interpolate(2 * square() - 1, scale_factor=2)
    assert (read_mask(large, OTHER) != square()).float().mean() < 0.02
    assert caplog.messages == [f"the mask has {2 * OTHER[1]}x{2 * OTHER[0]} pixels and is resized to 37x30"]
    color = (2 * square() - 1).expand(1, 3, -1, -1)
    assert torch.equal(read_mask(color, OTHER), square())
    caplog.clear()
    with_alpha = torch.cat([-color, 2 * square() - 1], 1)
    assert torch.equal(read_mask(with_alpha, OTHER), square())
    assert "opaque" in caplog.text
    opaque = torch.cat([color, torch.ones(1, 1, *OTHER)], 1)
    assert torch.equal(read_mask(opaque, OTHER), square())
    with pytest.raises(UserError, match="marks no pixel"):
        read_mask(-torch.ones(1, 1, *OTHER), OTHER)


@pytest.mark.parametrize("dilate", [0, 1, 3, 7])
def test_dilation_uses_a_disk(dilate: int) -> None:
    dot = torch.zeros(1, 1, 21, 21)
    dot[..., 10, 10] = 1
    dilated = soften(dot, dilate, 0)
    rows, columns = torch.meshgrid(torch.arange(21) - 10, torch.arange(21) - 10, indexing="ij")
    assert torch.equal(dilated[0, 0] == 1, rows**2 + columns**2 <= dilate**2)


@pytest.mark.parametrize(("longest", "radius"), [(100, 20), (500, 40)])
def test_dilation_of_an_edit_is_relative_to_250_pixels(longest: int, radius: int) -> None:
    """The released code dilates by 20 pixels at 250; an image of 500 has the same region, within a pixel of 250."""
    mask = torch.zeros(1, 1, longest * 4 // 5, longest)
    mask[..., longest // 2, longest // 2] = 1
    dilated = soften_for_edit(mask, 20, 0)[0, 0]
    assert set(dilated.unique().tolist()) == {0, 1}
    assert dilated[longest // 2, longest // 2] == 1
    assert float(dilated.sum() / (math.pi * radius**2)) == pytest.approx(1, abs=0.06)
    # The blur's standard deviation is a quarter of the radius. An edge is two of them wide from 0.16 to 0.84.
    row = soften_for_edit(mask, 20, 5)[0, 0, longest // 2]
    assert int(((row > 0.16) & (row < 0.84)).sum()) == pytest.approx(2 * 2 * radius / 4, rel=0.15)


def test_feathered_edge_is_a_gaussian_integral() -> None:
    half = torch.zeros(1, 1, 40, 60)
    half[..., 30:] = 1
    soft = soften(half, 0, 3)[0, 0]
    assert soft.min() >= 0
    assert soft.max() <= 1
    middle = soft[20]
    assert bool((middle[1:] >= middle[:-1]).all())
    assert float(middle[29:31].mean()) == pytest.approx(0.5, abs=0.02)
    # A Gaussian's integral: one standard deviation from the edge, 0.16 and 0.84.
    expected = 0.5 * (1 + math.erf(2.5 / 3 / math.sqrt(2)))
    assert float(middle[32]) == pytest.approx(expected, abs=0.04)


@methods_that("edit")
@pytest.mark.parametrize("settings", [{"dilate": -1}, {"feather": 300.0}, {"start_stage": 9}, {"seed": -3}])
def test_invalid_settings_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=str(abs(int(next(iter(settings.values())))))):
        model_of(name).edit(picture(*SIZE), torch.ones(1, 1, *SIZE), **settings)


def test_a_clip_is_refused() -> None:
    with pytest.raises(UserError, match="is a clip"):
        model_of("singan").edit(torch.cat([picture(*SIZE)] * 2), torch.ones(1, 1, *SIZE))


@pytest.mark.parametrize(
    ("use", "preset"), [("edit", "editing"), ("harmonize", "harmonization"), ("superresolve", "superresolution")]
)
def test_advice_names_the_preset_that_is_made_for_the_use(
    use: str, preset: str, caplog: pytest.LogCaptureFixture
) -> None:
    singan, consingan = model_of("singan"), model_of("consingan")
    has_preset, has_none = (singan, consingan) if use == "superresolve" else (consingan, singan)
    advise_preset(use, has_none)
    assert not caplog.messages
    advise_preset(use, has_preset)
    (message,) = caplog.messages
    command = f"lonepair train IMAGE --method {has_preset.method.name} --preset {preset}"
    assert message == f"{use}: this model has the preset standard; preset {preset} is made for it: {command}"


def test_a_model_of_the_preset_gets_no_advice(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("consingan")
    config = type(model.method.config).from_preset("editing", steps=3)
    monkeypatch.setattr(model.method, "config", config)
    advise_preset("edit", model)
    assert not caplog.messages
    advise_preset("harmonize", model)
    assert len(caplog.messages) == 1
