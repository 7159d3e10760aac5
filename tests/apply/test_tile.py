"""Tile: the result repeats, its middle stays, and the seam's error is reported."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lonepair.errors import UserError
from lonepair.metrics.seam import seam_error
from tiny_models import OTHER, methods_that, model_of
from tiny_settings import picture


@methods_that("tile")
@pytest.mark.parametrize("axes", ["x", "y", "xy"])
def test_middle_stays_and_the_error_of_the_seam_is_reported(
    name: str, axes: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lonepair")
    image = picture(60, 74, seed=5)
    result = model_of(name).tile(image, axes=axes, margin=0.2)
    top, left = (12 if "y" in axes else 0), (15 if "x" in axes else 0)
    assert torch.equal(
        result.image[..., top : 60 - top, left : 74 - left], image[..., top : 60 - top, left : 74 - left]
    )
    for axis in axes:
        error = seam_error(result.image, axis)
        assert error < seam_error(image, axis) / 4
        assert result.settings["use"][f"seam_error_{axis}"] == pytest.approx(error, abs=0.01)
        assert f"seam in {axis}: {error:+.2f} gray levels" in caplog.text


def test_margin_grows_until_no_seam_is_visible(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lonepair")
    model = model_of("lonepair-single")
    ramp = torch.linspace(-1, 1, 40)[:, None].expand(1, 3, 40, 36).contiguous()
    wide, narrow = model.tile(ramp, axes="y"), model.tile(ramp, axes="y", margin=0.15)
    errors = [tile.settings["use"]["seam_error_y"] for tile in (wide, narrow)]
    assert errors[0] < errors[1]
    assert wide.settings["use"]["margin"] > 0.15
    texture = torch.rand(1, 3, 40, 36, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert model.tile(texture, axes="y").settings["use"]["margin"] == 0.15


@methods_that("tile")
@pytest.mark.parametrize("size", [(20, 50), (80, 90), (31, 33)])
def test_tile_has_any_size(name: str, size: tuple[int, int]) -> None:
    model = model_of(name)
    tile = model.tile(picture(*OTHER), size=size, margin=0.15).image
    assert tile.shape == (1, 3, *size)
    assert torch.equal(tile, model.tile(picture(*OTHER), size=size, margin=0.15).image)


@methods_that("tile")
def test_whole_tile_is_new_at_the_largest_margin(name: str) -> None:
    model = model_of(name)
    tiles = [model.tile(picture(*OTHER), margin=0.5, seed=seed).image for seed in (0, 1)]
    assert (tiles[0] != tiles[1]).any(1).float().mean() > 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": 0.6}, "margin is 0.6: choose 0.02 to 0.5"),
        ({"size": (5, 90)}, "size is 90x5: both sides need at least 7 pixels"),
        ({"size": (9000, 9000)}, "megapixels"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of("lonepair-single").tile(picture(*OTHER), **settings)
