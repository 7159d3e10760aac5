"""Stagewise generators: inherited weights, frozen stages, residual and replacing stages, and noise."""

import pytest
import torch
from torch import Tensor, nn

from lonepair.nets import StageGenerator, StagewiseGenerator, widths_by_stage
from lonepair.ops.noise import seed_global


def image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def stage(width: int = 8, padding: int = 1, seed: int = 0) -> StageGenerator:
    with seed_global(seed):
        generator = StageGenerator(3, width, 3, 0.2, padding, "batch")
    # The initial weights shrink the signal to nearly 0; with larger ones a change of the input changes the output.
    with torch.no_grad():
        for part in generator.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.mul_(5)
    return generator


def test_new_stage_of_the_same_width_inherits_the_weights_below() -> None:
    net = StagewiseGenerator(3, pad=0)
    for seed, width in enumerate((8, 8, 16)):
        net.add_stage(stage(width, seed=seed), residual=True)
    below, same, wider = (dict(one.named_parameters()) for one in net.stages)
    assert all(torch.equal(below[name], same[name]) for name in below)
    assert all(wider[name] is not same[name] for name in wider)
    assert torch.equal(next(net.stages[2].parameters()), next(stage(16, seed=2).parameters()))


def test_stages_below_the_newest_are_frozen() -> None:
    net = StagewiseGenerator(2, pad=0)
    net.add_stage(stage(), residual=False)
    net.add_stage(stage(), residual=True)
    assert not any(parameter.requires_grad for parameter in net.stages[0].parameters())
    assert not any(part.training for part in net.stages[0].modules())
    assert all(parameter.requires_grad for parameter in net.stages[1].parameters())


@pytest.mark.parametrize("residual", [False, True])
def test_residual_stage_adds_its_output_to_the_image_below(residual: bool) -> None:
    net, previous = StagewiseGenerator(1, pad=0), image(12, 15)
    net.add_stage(stage(), residual)
    expected = net.stages[0](previous) + (previous if residual else 0)
    assert torch.equal(net.stage(0, previous, None), expected)


@pytest.mark.parametrize("margin", [0, 3])
def test_noise_is_scaled_by_the_amplitude_and_centered(margin: int) -> None:
    """The image is padded by 3 pixels; noise of its size is padded alike, larger noise reaches into the border."""
    net, previous = StagewiseGenerator(1, pad=3), image(12, 15)
    net.add_stage(stage(padding=0), residual=False)
    net.amplitudes[0] = 0.5
    noise = torch.randn(1, 3, 12 + 2 * margin, 15 + 2 * margin, generator=torch.Generator().manual_seed(2))
    inputs = torch.zeros(1, 3, 18, 21)
    inputs[..., 3:15, 3:18] = previous
    inputs[..., 3 - margin : 15 + margin, 3 - margin : 18 + margin] += 0.5 * noise
    output = net.stage(0, previous, noise)
    assert output.shape == previous.shape
    assert torch.allclose(output, net.stages[0](inputs), atol=1e-6)


def test_widths_double_every_four_stages_up_to_the_largest() -> None:
    assert list(widths_by_stage(13)) == [32] * 4 + [64] * 4 + [128] * 5
