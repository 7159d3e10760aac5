"""Conversions between grey, RGB and RGBA."""

import pytest
import torch

from lonepair.errors import UserError
from lonepair.ops.color import common_channels, match_channels
from media_samples import random_image


def test_match_channels_converts_between_grey_rgb_and_rgba() -> None:
    grey, rgb, rgba = random_image(3, 4, 1), random_image(3, 4, 3), random_image(3, 4, 4)
    assert common_channels(1, 1) == 1
    assert common_channels(1, 3) == 3
    assert common_channels(4, 3) == 4
    assert torch.equal(match_channels(grey, 3), grey.repeat(1, 3, 1, 1))
    assert torch.allclose(match_channels(match_channels(grey, 3), 1), grey, atol=1e-6)
    assert (match_channels(rgb, 4)[:, 3] == 1).all()
    assert torch.equal(match_channels(match_channels(rgb, 4), 3), rgb)
    assert match_channels(rgba, 4) is rgba
    clear = torch.cat([rgb, -torch.ones(1, 1, 3, 4)], dim=1)
    assert torch.equal(match_channels(clear, 3), torch.ones(1, 3, 3, 4))  # nothing, over white
    with pytest.raises(UserError, match="2 channels"):
        match_channels(rgb, 2)
