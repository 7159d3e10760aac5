"""WGAN-GP: the penalty of known critics, interpolation, weights of the fakes, and the shared forward pass."""

import pytest
import torch
from torch import Tensor

from lonepair.losses import critic_losses, gradient_penalty, interpolate
from lonepair.ops.noise import RandomStream

POINTS = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))


def coordinates(height: int, width: int) -> Tensor:
    """(1, 2, h, w): each pixel holds its own row and column, so that a crop shows its position."""
    rows, columns = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([rows, columns])[None]


# -- the penalty ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [(1.0, 0.0, 0.0), (3.0, 4.0, 0.0), (0.0, 0.0, 0.5)])
def test_penalty_of_a_linear_critic_is_known(weight: tuple[float, float, float]) -> None:
    """D(x) = w·x at each pixel has the gradient w everywhere, so the penalty is (‖w‖ - 1)²."""
    w = torch.tensor(weight)
    expected = (w.norm() - 1) ** 2
    penalty = gradient_penalty(lambda x: torch.einsum("bchw,c->bhw", x, w)[:, None], POINTS)
    assert penalty.item() == pytest.approx(expected.item(), abs=1e-5)


def test_penalty_of_a_mean_divides_its_gradient_by_the_number_of_pixels() -> None:
    w, pixels = torch.tensor([3.0, 4.0, 0.0]), 5 * 7
    penalty = gradient_penalty(lambda x: torch.einsum("bchw,c->b", x, w) / pixels, POINTS)
    assert penalty.item() == pytest.approx((5 / pixels - 1) ** 2, abs=1e-5)


def test_penalty_of_a_constant_critic_is_one_and_has_a_gradient() -> None:
    scale = torch.zeros((), requires_grad=True)
    penalty = gradient_penalty(lambda x: scale * x, POINTS)
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert scale.grad is not None
    assert torch.isfinite(scale.grad)


def test_penalty_has_a_gradient_for_the_critic_and_none_for_the_points() -> None:
    w = torch.tensor([3.0, 4.0, 0.0], requires_grad=True)
    points = POINTS.clone().requires_grad_(True)
    gradient_penalty(lambda x: torch.einsum("bchw,c->bhw", x, w)[:, None], points).backward()
    assert points.grad is None
    # d/dw (‖w‖ - 1)² = 2 (‖w‖ - 1) w / ‖w‖
    assert w.grad is not None
    assert torch.allclose(w.grad, torch.tensor([4.8, 6.4, 0.0]), atol=1e-4)


# -- interpolation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "value"), [(0.0, -1.0), (0.25, -0.5), (1.0, 1.0)])
def test_interpolation_is_linear_between_fake_and_real(alpha: float, value: float) -> None:
    real, fake = torch.ones(1, 3, 4, 5), -torch.ones(1, 3, 4, 5)
    point = interpolate(real, fake, torch.tensor(alpha), torch.tensor([0.3, 0.3]))
    assert torch.allclose(point, torch.tensor(value))


@pytest.mark.parametrize("position", [(0.0, 0.0), (0.5, 0.5), (0.99999, 0.99999), (0.0, 0.99999)])
@pytest.mark.parametrize(("real_size", "fake_size"), [((9, 12), (6, 7)), ((6, 7), (9, 12)), ((6, 12), (9, 7))])
def test_images_of_unequal_sizes_are_cropped_and_not_resampled(
    position: tuple[float, float], real_size: tuple[int, int], fake_size: tuple[int, int]
) -> None:
    real, fake = coordinates(*real_size), coordinates(*fake_size)
    for alpha, image in ((1.0, real), (0.0, fake)):
        crop = interpolate(real, fake, torch.tensor(alpha), torch.tensor(position))
        assert crop.shape == (1, 2, 6, 7)
        top, left = (int(v) for v in crop[0, :, 0, 0])
        assert torch.equal(crop, image[..., top : top + 6, left : left + 7])


# -- both terms -------------------------------------------------------------------------------------------------------


def test_critic_losses_sum_over_the_fakes() -> None:
    def critic(x: Tensor) -> Tensor:
        return 2 * x

    real, fakes = torch.full((1, 1, 6, 6), 0.5), [torch.full((1, 1, 6, 6), v) for v in (-1.0, 0.25)]
    wasserstein, penalty = critic_losses(critic, real, fakes, RandomStream(0))
    assert wasserstein.item() == pytest.approx((-2 - 1) + (0.5 - 1))
    assert penalty.item() == pytest.approx(2 * (2 - 1) ** 2, abs=1e-5)


def test_critic_losses_multiply_each_fakes_terms_by_its_weight() -> None:
    real, fakes = torch.zeros(1, 1, 6, 6), [torch.full((1, 1, 6, 6), v) for v in (-1.0, 0.25)]
    wasserstein, penalty = critic_losses(lambda x: 3 * x, real, fakes, RandomStream(0), fake_weights=[1.0, 0.5])
    assert wasserstein.item() == pytest.approx(-3 + 0.5 * 0.75)
    assert penalty.item() == pytest.approx(1.5 * (3 - 1) ** 2, abs=1e-5)


@pytest.mark.parametrize(("side", "score_forwards"), [(9, 1), (8, 3)])
def test_shared_forward_changes_no_loss_or_gradient(side: int, score_forwards: int) -> None:
    """Images of one size need one forward pass for their scores; each penalty needs its own."""
    net, calls = torch.nn.Conv2d(3, 1, 3), 0

    def critic(image: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return net(image)

    real, fake, other_fake = torch.rand(3, 1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    fakes = [fake, other_fake[..., :side]]
    results = []
    for shared in (False, True):
        calls = 0
        values = critic_losses(critic, real, fakes, RandomStream(0), fake_weights=[1.0, 0.5], shared_forward=shared)
        results.append([*values, *torch.autograd.grad(sum(values), list(net.parameters()))])
    assert calls == score_forwards + 2
    for separate, shared_ in zip(*results, strict=True):
        assert torch.allclose(separate, shared_, atol=1e-6)
