"""Crops, their gradients and their noise equal those of the full image."""

import pytest
import torch
from torch import Tensor, nn

from lonepair.nets import BorderMode, Crops, GrowingGenerator, choose_crops, crop_image
from lonepair.nets.blocks import InstanceNorm, PaddingMode
from lonepair.nets.stage import upsampling_support
from lonepair.ops.noise import RandomStream, seed_global
from lonepair.ops.regions import Regions
from lonepair.ops.resize import resize_matrix


def image(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("border_mode", "padding_mode"),
    [("padded_layers", "zeros"), ("padded_layers", "reflect"), ("zero_margin", "zeros"), ("upsampled_margin", "zeros")],
)
def test_crops_equal_the_full_image(border_mode: BorderMode, padding_mode: PaddingMode) -> None:
    sizes = [(16, 21), (24, 32), (40, 52), (66, 86), (110, 143)]
    with seed_global(0):
        net = GrowingGenerator(3, 8, 2, "none", 0.2, 5, padding_mode=padding_mode, border_mode=border_mode)
        for _ in sizes:
            net.add_stage(2)
        for part in net.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, 0, 0.15)
    net.amplitudes.fill_(0.3)
    for seed in range(4):
        rng = RandomStream(seed)
        first, noises = rng.feature_noise(3, *sizes[0]), net.noise_maps(sizes, rng, 1)
        full = net(first, sizes, 0, noises)
        assert full.std() > 0.1
        crops = choose_crops(sizes, 48, 7, rng)
        assert isinstance(crops, Crops)
        assert 0 < net.full_image_stages(crops) < 5
        crop_noises = [net.crop_noise(crops, stage, noise) for stage, noise in enumerate(noises, 1)]
        assert [noise.shape for noise in crop_noises] == [noise.shape for noise in net.noise_maps(crops, rng, 1)]
        assert torch.allclose(net(first, crops, 0, crop_noises), crop_image(crops, full), atol=2e-5)


@pytest.mark.usefixtures("either_way")
def test_gradient_through_crops_equals_that_of_the_full_image() -> None:
    sizes = [(12, 12), (20, 20), (40, 40)]
    with seed_global(0):
        net = GrowingGenerator(3, 4, 1, "none", 0.2, 3)
        for _ in sizes:
            net.add_stage(3)
    net.double()
    rng = RandomStream(0)
    first, crops = rng.feature_noise(3, 12, 12).double(), choose_crops(sizes, 16, 5, rng)
    assert isinstance(crops, Crops)
    gradients = []
    for output in (crop_image(crops, net(first, sizes)), net(first, crops)):
        net.zero_grad()
        output.square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    assert gradients[0].norm() > 0
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-9)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("position", [(0, 0), (0, 40), (44, 40), (1, 39), (20, 20)])
def test_crops_at_any_position_equal_the_full_image(position: tuple[int, int]) -> None:
    """Values and gradients are equal, and the noise has the same size at every position."""
    sizes, top_left = [(12, 11), (23, 25), (39, 40), (64, 60)], torch.tensor([position, (44, 0), (22, 21)])
    border_modes: tuple[BorderMode, ...] = ("padded_layers", "zero_margin", "upsampled_margin")
    for border_mode in border_modes:
        with seed_global(0):
            net = GrowingGenerator(3, 6, 2, "none", 0.2, 4, border_mode=border_mode)
            for _ in sizes:
                net.add_stage(4)
            for part in net.modules():
                if isinstance(part, nn.Conv2d):
                    nn.init.normal_(part.weight, 0, 0.2)
        net.double()
        crops = Crops(tuple(sizes), Regions(sizes[-1], (20, 20), top_left))
        corner = Crops(tuple(sizes), Regions(sizes[-1], (20, 20), 0 * top_left))
        assert net.noise_shape(crops, 2)[0] == 3
        assert all(net.noise_shape(crops, stage) == net.noise_shape(corner, stage) for stage in range(4))
        image = torch.rand(1, 3, *sizes[0], generator=torch.Generator().manual_seed(0)).double().requires_grad_(True)
        outputs = [crop_image(crops, net(image, sizes)), net(image, crops)]
        assert outputs[0].std() > 0.1
        assert torch.allclose(*outputs, atol=2e-5)
        gradients = [torch.autograd.grad(output.square().sum(), image)[0] for output in outputs]
        assert torch.allclose(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("old", "new"), [(12, 17), (17, 18), (18, 18), (25, 63), (40, 52), (1, 4)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_upsampling_support_covers_the_kernel_and_little_more(old: int, new: int, align_corners: bool) -> None:
    weights = resize_matrix(old, new, align_corners, torch.device("cpu"), torch.float32)
    for length in (1, 2, 5, new):
        firsts = torch.arange(new - length + 1)
        lows, count = upsampling_support(firsts, length, old, new, align_corners)
        assert count <= (length - 1) * old / new + 5
        for first, low in zip(firsts.tolist(), lows.tolist(), strict=True):
            outside = weights[first : first + length].clone()
            outside[:, max(0, low) : low + count] = 0
            assert outside.abs().max() < 1e-5


def test_small_images_are_not_cropped() -> None:
    sizes = [(10, 10), (32, 32)]
    assert choose_crops(sizes, 23, 7, RandomStream(0)) is sizes
    assert choose_crops(sizes, 0, 7, RandomStream(0)) is sizes
    assert choose_crops(sizes, 22, 7, RandomStream(0)) is not sizes


def test_crops_share_normalization_statistics() -> None:
    with seed_global(0):
        net = GrowingGenerator(3, 8, 2, "instance", 0.2, 2)
        net.add_stage(2)
        net.add_stage(2)
    sizes = [(16, 16), (64, 64)]
    inputs: list[Tensor] = []
    norm = net.bodies[1][0][1]
    assert isinstance(norm, InstanceNorm)
    net.bodies[1][0][2].register_forward_pre_hook(lambda _, x: inputs.append(x[0]))
    net(image(16, 16), choose_crops(sizes, 16, 7, RandomStream(0)))
    assert len(inputs[0]) == 4
    assert torch.allclose(inputs[0].mean((0, 2, 3)), norm.bias, atol=1e-5)
    assert (inputs[0].mean((2, 3)).std(0) > 1e-4).any()  # not the statistics of each crop
