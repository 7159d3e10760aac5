"""Conversions between grey, RGB and RGBA."""

import pytest
import torch

from lonepair.errors import UserError
from lonepair.ops.color import common_channels, match_channels, quantize_luminance
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


def test_quantize_luminance_rounds_the_mean_of_the_colors_and_keeps_hue_and_alpha() -> None:
    image = torch.tensor([0.0, 0.3, 0.6, 0.25]).view(1, 4, 1, 1)
    quantized = quantize_luminance(image, 3)  # means are -1, 0 or 1
    assert torch.allclose(quantized.flatten(), torch.tensor([-0.3, 0.0, 0.3, 0.25]))
