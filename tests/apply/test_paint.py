"""Paint: reduction to the colors of a palette, and paintings of any size."""

from __future__ import annotations

import math

import pytest
import torch

from conftest import picture
from lonepair.apply.paint import quantize
from lonepair.errors import UserError
from tiny_models import OTHER, methods_that, model_of


def test_quantized_painting_has_the_colors_of_the_palette() -> None:
    palette = torch.zeros(1, 3, 10, 10)
    palette[:, 0, :5], palette[:, 2, 5:] = 1, -1
    painted = quantize(picture(*OTHER), palette, 2)
    used = {tuple(round(float(v), 2) for v in color) for color in painted[0].flatten(1).T}
    allowed = {tuple(round(float(v), 2) for v in color) for color in palette[0].flatten(1).T}
    assert len(used) == 2
    assert all(min(math.dist(color, other) for other in allowed) < 0.02 for color in used)


@pytest.mark.parametrize("colors", [2, 5, 16])
def test_number_of_colors_is_limited(colors: int) -> None:
    painted = quantize(picture(*OTHER), picture(40, 40, seed=7), colors)
    assert len({tuple(color.tolist()) for color in painted[0].flatten(1).T}) <= colors


def test_alpha_channel_stays() -> None:
    image = picture(*OTHER, 4)
    assert torch.equal(quantize(image, picture(20, 20), 4)[:, 3], image[:, 3])


@methods_that("paint")
@pytest.mark.parametrize("colors", [0, 4])
def test_result_has_the_size_of_the_painting(name: str, colors: int) -> None:
    model = model_of(name)
    result = model.paint(picture(*OTHER, seed=9), colors=colors)
    assert result.image.shape == (1, 3, *OTHER)
    assert result.settings["use"]["start_stage"] == 1
    assert not torch.equal(result.image, model.paint(picture(*OTHER, seed=8), colors=colors).image)
    with pytest.raises(UserError, match="colors is 1"):
        model.paint(picture(*OTHER), colors=1)
