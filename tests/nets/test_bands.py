"""Evaluation in bands of rows equals that of the full image."""

import pytest
import torch
from torch import Tensor, nn

from lonepair.nets import BorderMode, GrowingGenerator, StageGenerator
from lonepair.nets.blocks import Norm, PaddingMode
from lonepair.ops.noise import RandomStream, seed_global


def image(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("norm", ["none", "instance", "batch"])
@pytest.mark.parametrize("border_mode", ["padded_layers", "zero_margin", "upsampled_margin"])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_growing_generator_in_bands_equals_full_image(
    norm: Norm, border_mode: BorderMode, padding_mode: PaddingMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with seed_global(0):
        net = GrowingGenerator(3, 8, 2, norm, 0.05, 3, padding_mode, border_mode, head_norm=norm)
        for _ in range(3):
            net.add_stage(2)
        for part in net.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, 0, 0.2)
    net.eval().amplitudes.fill_(0.3)
    sizes = [(9, 11), (17, 19), (60, 47)]
    for start_stage in range(2):
        rng = RandomStream(0)
        first = rng.feature_noise(3, *sizes[start_stage])
        noises = [rng.feature_noise(*net.noise_shape(sizes, stage)[1:]) for stage in range(start_stage + 1, 3)]
        with torch.no_grad():
            full = net(first, sizes, start_stage, noises)
            with monkeypatch.context() as patched:
                patched.setattr("lonepair.nets.growing.LARGE", 0)
                patched.setattr("lonepair.nets.bands.BAND_PIXELS", 250)
                banded = net(first, sizes, start_stage, noises)
        assert full.std() > 0.1
        assert torch.allclose(full, banded, atol=2e-5)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("norm", ["none", "instance", "batch"])
def test_stage_generator_in_bands_equals_full_image(norm: Norm, padding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with seed_global(0):
        stage = StageGenerator(3, 8, 4, 0.2, padding, norm).eval()
    images = torch.cat([image(41, 30), image(41, 30).flip(2)])
    with torch.no_grad():
        full = stage(images)
        monkeypatch.setattr("lonepair.nets.stagewise.LARGE", 0)
        monkeypatch.setattr("lonepair.nets.bands.BAND_PIXELS", 250)
        assert torch.allclose(full, stage(images), atol=1e-5)
