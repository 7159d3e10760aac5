"""The growing generator: parameters, stages, sizes and noise."""

import pytest
import torch
from torch import Tensor, nn

from lonepair.nets import GrowingGenerator
from lonepair.nets.blocks import Norm
from lonepair.ops.noise import seed_global

SIZES = [(7, 9), (9, 12), (13, 17)]
"""Odd and even, and no constant ratio."""


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def generator(stages: int, norm: Norm = "none", channels: int = 3, width: int = 8) -> GrowingGenerator:
    with seed_global(0):
        net = GrowingGenerator(channels, width, 3, norm, 0.05, max_stages=6)
        for _ in range(stages):
            net.add_stage(6)
    # The initial weights shrink the signal to nearly 0; with larger ones a change of the input changes the output.
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.mul_(5)
    return net


def image(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_generator_has_the_published_number_of_parameters() -> None:
    net = GrowingGenerator(3, 64, 3, "none", 0.05, max_stages=6)
    for stage in range(6):
        net.add_stage(6)
        assert parameters(net) == 114_307 + stage * 110_784
    assert parameters(net) == 668_227


def test_batch_norm_adds_two_numbers_a_channel_to_each_body_convolution() -> None:
    net = GrowingGenerator(3, 64, 3, "batch", 0.05, max_stages=6)
    for _ in range(6):
        net.add_stage(6)
    assert parameters(net) == 668_227 + 6 * 3 * 2 * 64


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_new_stage_is_an_independent_copy(norm: Norm) -> None:
    net = generator(2, norm)
    net.add_stage(6)
    old, new = net.bodies[1].state_dict(), net.bodies[2].state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)
    with torch.no_grad():
        next(net.bodies[2].parameters()).add_(1)
    assert not torch.equal(next(net.bodies[1].parameters()), next(net.bodies[2].parameters()))


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("sizes", [SIZES, [(1, 1), (2, 3), (5, 4)], [(12, 12)] * 3, [(11, 30), (12, 31), (40, 31)]])
def test_any_sizes_and_channels(norm: Norm, channels: int, sizes: list[tuple[int, int]]) -> None:
    net = generator(3, norm, channels).eval()
    for stages in (1, 2, 3):
        output = net(image(*sizes[0], channels), sizes[:stages])
        assert output.shape == (1, channels, *sizes[stages - 1])
        assert output.abs().max() <= 1


def test_generator_accepts_any_size() -> None:
    """All layers are convolutions: only `sizes` decides the size of an image."""
    net = generator(2)
    assert net(image(20, 31), [(20, 31), (27, 45)]).shape == (1, 3, 27, 45)


@pytest.mark.parametrize("start_stage", [1, 2])
def test_stages_below_start_stage_have_no_effect(start_stage: int) -> None:
    net = generator(3)
    before = net(image(*SIZES[start_stage]), SIZES, start_stage)
    assert before.shape[-2:] == SIZES[-1]
    with torch.no_grad():
        for body in list(net.bodies)[:start_stage]:
            next(body.parameters()).add_(1)
        below_changed = net(image(*SIZES[start_stage]), SIZES, start_stage)
        next(net.bodies[start_stage].parameters()).add_(1)
        changed = net(image(*SIZES[start_stage]), SIZES, start_stage)
    assert torch.equal(before, below_changed)
    assert not torch.equal(before, changed)


def test_noise_of_amplitude_zero_has_no_effect() -> None:
    net = generator(3)
    noises = [torch.randn(1, net.width, *size, generator=torch.Generator().manual_seed(2)) for size in SIZES[1:]]
    assert torch.equal(net(image(*SIZES[0]), SIZES), net(image(*SIZES[0]), SIZES, 0, noises))


@pytest.mark.parametrize("stage", [1, 2])
def test_each_stage_scales_its_own_noise(stage: int) -> None:
    net = generator(3)
    net.amplitudes[stage] = 0.5
    noises = [torch.zeros(1, net.width, *size) for size in SIZES[1:]]
    assert torch.equal(net(image(*SIZES[0]), SIZES), net(image(*SIZES[0]), SIZES, 0, noises))
    noises[stage - 1] += 1
    assert not torch.equal(net(image(*SIZES[0]), SIZES), net(image(*SIZES[0]), SIZES, 0, noises))


def test_noises_begin_after_start_stage() -> None:
    net = generator(3)
    net.amplitudes[1], net.amplitudes[2] = 100.0, 0.5
    start_image = image(*SIZES[1])
    quiet, loud = (net(start_image, SIZES, 1, [torch.full((1, net.width, *SIZES[2]), v)]) for v in (0.0, 1.0))
    assert torch.equal(quiet, net(start_image, SIZES, 1))
    assert not torch.equal(quiet, loud)


def test_gradient_reaches_every_parameter() -> None:
    net = generator(3, "batch")
    net(image(*SIZES[0]), SIZES).square().sum().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # BatchNorm subtracts the bias of a convolution before it with the mean.
    assert [name for name in idle if not name.endswith("0.bias")] == []


def test_amplitudes_are_saved_with_the_weights() -> None:
    net = generator(2)
    net.amplitudes[1] = 0.25
    assert net.state_dict()["amplitudes"].tolist() == [0, 0.25, 0, 0, 0, 0]


def test_state_can_be_loaded_into_a_new_generator() -> None:
    assert generator(3).state_dict().keys() == generator(3).state_dict().keys()
    generator(3).load_state_dict(generator(3).state_dict())
