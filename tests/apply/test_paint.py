"""Paint: paintings of any size and number of colors."""

from __future__ import annotations

import pytest
import torch

from lonepair.errors import UserError
from tiny_models import OTHER, methods_that, model_of
from tiny_settings import picture


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
