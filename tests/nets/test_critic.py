"""The patch critic: receptive field, parameters and second derivative."""

import pytest
import torch
from torch import nn

from lonepair.losses import gradient_penalty
from lonepair.nets import PatchCritic
from lonepair.nets.blocks import Norm
from lonepair.ops.noise import seed_global


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_critic_has_the_published_number_of_parameters() -> None:
    assert parameters(PatchCritic(3, 64, 5, 0.05)) == 113_153


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_critic_receptive_field_is_as_stated(blocks: int) -> None:
    with seed_global(0):
        critic = PatchCritic(3, 8, blocks, 0.05).double()
    side = 2 * blocks + 1
    x = torch.rand(1, 3, side + 12, side + 12, dtype=torch.float64, requires_grad=True)
    scores = critic(x)
    assert scores.shape == (1, 1, 13, 13)
    scores[0, 0, 6, 6].backward()
    assert x.grad is not None
    support = x.grad.abs().sum(1)[0] > 0
    assert support[6 : 6 + side, 6 : 6 + side].all()
    assert support.sum() == side**2


def test_default_critic_has_a_receptive_field_of_11_pixels() -> None:
    with seed_global(0):
        critic = PatchCritic(3, 64, 5, 0.05).double()
    x = torch.rand(1, 3, 31, 31, dtype=torch.float64)
    with torch.no_grad():
        before = critic(x)
        x[..., 15, 15] += 1
        changed = (critic(x) != before)[0, 0].nonzero()
    assert changed.min(0).values.tolist() == [5, 5]
    assert changed.max(0).values.tolist() == [15, 15]
    assert len(changed) == 11**2


def test_critic_scores_are_independent_of_the_batch() -> None:
    critic = PatchCritic(3, 8, 5, 0.05)
    batch = torch.rand(3, 3, 14, 15)
    assert torch.allclose(critic(batch), torch.cat([critic(one[None]) for one in batch]), atol=1e-7)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("autocast", [False, True])
def test_fast_second_derivative_equals_torchs(norm: Norm, autocast: bool) -> None:
    torch.manual_seed(0)
    critic = PatchCritic(3, 8, 5, 0.2, norm=norm)
    points, results = torch.rand(1, 3, 24, 20) * 2 - 1, {}
    for fast in (False, True):
        critic.fast_double_backward = fast
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            penalty = gradient_penalty(critic, points)
        parameters = [p for name, p in critic.named_parameters() if not name.endswith("bias")]
        results[fast] = [penalty.detach(), *torch.autograd.grad(penalty, parameters)]
    for expected, actual in zip(results[False], results[True], strict=True):
        assert torch.allclose(expected, actual, rtol=0, atol=(0.05 if autocast else 1e-5) * float(expected.abs().max()))


def test_only_penalty_points_use_the_fast_second_derivative() -> None:
    critic = PatchCritic(3, 8, 5, 0.2)
    critic.fast_double_backward = True
    image = torch.rand(1, 3, 24, 20)
    critic(image).sum().backward()  # the critic's own loss: its weights have gradients
    assert all(parameter.grad is not None for parameter in critic.parameters())
    scale = torch.ones(1, requires_grad=True)
    critic(image * scale).sum().backward()  # the generator's loss: the generator has a gradient
    assert scale.grad is not None
