import pytest
import torch
from torch import Tensor

from conftest import picture
from lonepair.losses import (
    correlation,
    critic_losses,
    gradient_penalty,
    interpolate,
    linearize,
    mean_squared_error,
    rarity,
    self_similarity,
)
from lonepair.ops.noise import RandomStream

POINTS = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))


def coordinates(height: int, width: int) -> Tensor:
    """(1, 2, h, w): each pixel holds its own row and column, so that a resampled pixel shows itself."""
    rows, columns = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([rows, columns])[None]


@pytest.mark.parametrize("weight", [(1.0, 0.0, 0.0), (3.0, 4.0, 0.0), (0.0, 0.0, 0.5)])
def test_penalty_of_a_linear_critic_is_known(weight: tuple[float, float, float]) -> None:
    """D(x) = w·x at each pixel has the gradient w everywhere, so the penalty is (‖w‖ - 1)²."""
    w = torch.tensor(weight)
    expected = (w.norm() - 1) ** 2
    penalty = gradient_penalty(lambda x: torch.einsum("bchw,c->bhw", x, w)[:, None], POINTS)
    assert penalty.item() == pytest.approx(expected.item(), abs=1e-5)


def test_penalty_of_a_mean_shrinks_its_gradient_with_the_pixels() -> None:
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


def test_penalty_trains_the_critic_and_leaves_the_points_alone() -> None:
    w = torch.tensor([3.0, 4.0, 0.0], requires_grad=True)
    points = POINTS.clone().requires_grad_(True)
    gradient_penalty(lambda x: torch.einsum("bchw,c->bhw", x, w)[:, None], points).backward()
    assert points.grad is None
    # d/dw (‖w‖ - 1)² = 2 (‖w‖ - 1) w / ‖w‖
    assert w.grad is not None
    assert torch.allclose(w.grad, torch.tensor([4.8, 6.4, 0.0]), atol=1e-4)


def test_interpolation_reaches_from_fake_to_real() -> None:
    real, fake = torch.ones(1, 3, 4, 5), -torch.ones(1, 3, 4, 5)
    assert torch.equal(interpolate(real, fake, torch.tensor([0.0, 0.3, 0.3])), fake)
    assert torch.equal(interpolate(real, fake, torch.tensor([1.0, 0.3, 0.3])), real)
    assert torch.allclose(interpolate(real, fake, torch.tensor([0.25, 0.3, 0.3])), torch.tensor(-0.5))


@pytest.mark.parametrize("where", [(0.0, 0.0), (0.5, 0.5), (0.99999, 0.99999), (0.0, 0.99999)])
@pytest.mark.parametrize(("real_size", "fake_size"), [((9, 12), (6, 7)), ((6, 7), (9, 12)), ((6, 12), (9, 7))])
def test_unequal_sizes_are_cut_and_never_resampled(
    where: tuple[float, float], real_size: tuple[int, int], fake_size: tuple[int, int]
) -> None:
    real, fake = coordinates(*real_size), coordinates(*fake_size)
    for alpha, image in ((1.0, real), (0.0, fake)):
        window = interpolate(real, fake, torch.tensor([alpha, *where]))
        assert window.shape == (1, 2, 6, 7)
        top, left = (int(v) for v in window[0, :, 0, 0])
        assert torch.equal(window, image[..., top : top + 6, left : left + 7])


def test_windows_reach_every_place() -> None:
    real, fake = coordinates(8, 5), coordinates(5, 5)
    tops = {int(interpolate(real, fake, torch.tensor([1.0, u, 0.0]))[0, 0, 0, 0]) for u in torch.arange(0, 1, 0.01)}
    assert tops == {0, 1, 2, 3}


def test_critic_losses_sum_over_the_fakes() -> None:
    def critic(x: Tensor) -> Tensor:
        return 2 * x

    real, fakes = torch.full((1, 1, 6, 6), 0.5), [torch.full((1, 1, 6, 6), v) for v in (-1.0, 0.25)]
    wasserstein, penalty = critic_losses(critic, real, fakes, RandomStream(0))
    assert wasserstein.item() == pytest.approx((-2 - 1) + (0.5 - 1))
    assert penalty.item() == pytest.approx(2 * (2 - 1) ** 2, abs=1e-5)


def test_critic_losses_weigh_fakes_by_their_shares() -> None:
    real, fakes = torch.zeros(1, 1, 6, 6), [torch.full((1, 1, 6, 6), v) for v in (-1.0, 0.25)]
    wasserstein, penalty = critic_losses(lambda x: 3 * x, real, fakes, RandomStream(0), shares=[1.0, 0.5])
    assert wasserstein.item() == pytest.approx(-3 + 0.5 * 0.75)
    assert penalty.item() == pytest.approx(1.5 * (3 - 1) ** 2, abs=1e-5)


@pytest.mark.parametrize(("side", "forwards"), [(9, 1), (8, 3)])
def test_images_of_one_size_share_a_forward(side: int, forwards: int) -> None:
    """... and the penalties' two follow; what is found is the same."""
    net, calls = torch.nn.Conv2d(3, 1, 3), 0

    def critic(image: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return net(image)

    real, other, another = torch.rand(3, 1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    fakes = [other, another[..., :side]]
    found = []
    for shared in (False, True):
        calls = 0
        values = critic_losses(critic, real, fakes, RandomStream(0), shares=[1.0, 0.5], shared_forward=shared)
        found.append([*values, *torch.autograd.grad(sum(values), list(net.parameters()))])
    assert calls == forwards + 2
    for one, same in zip(*found, strict=True):
        assert torch.allclose(one, same, atol=1e-6)


def test_mean_square() -> None:
    a = torch.zeros(2, 3, 4, 5)
    assert mean_squared_error(a, a).item() == 0
    assert mean_squared_error(a, a - 2).item() == 4
    assert mean_squared_error(a, a + torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)).item() == pytest.approx(14 / 3)


def test_a_tangent_plane_keeps_its_gradient_while_the_weights_move() -> None:
    """f(p) = p² at 3: value 9, gradient 6, wherever p goes; the plane there is 9 + 6·(p - 3)."""
    p = torch.tensor(3.0, requires_grad=True)
    plane = linearize(p.square(), [p])
    for value in (3.0, 1.0, -2.0):
        with torch.no_grad():
            p.fill_(value)
        loss = plane()
        assert loss.item() == pytest.approx(9 + 6 * (value - 3))
        assert torch.autograd.grad(loss, p)[0].item() == pytest.approx(6)


# Layout


def test_a_figure_is_rare_in_an_image_and_in_its_negative() -> None:
    image = torch.full((1, 3, 8, 8), -0.5)
    image[..., 2:4, 3:6] = 0.5
    for shown in (image, -image):
        found = rarity(shown, shown).view(8, 8)
        # 6 figures among 64 places, 3^0.5 apart: 58/64 and 6/64 of that.
        assert found[2, 3].item() == pytest.approx(3**0.5 * 58 / 64, abs=1e-5)
        assert found[0, 0].item() == pytest.approx(3**0.5 * 6 / 64, abs=1e-5)
    # In the image's world the negative's ground is what is rare.
    assert torch.allclose(rarity(-image, image), 3**0.5 - rarity(image, image), atol=1e-5)


def test_layout_is_free_of_colour_and_has_a_gradient_where_colours_are_equal() -> None:
    image = picture(9, 12)
    table = self_similarity(image)
    assert table.shape == (108, 108)
    assert float(correlation(table, self_similarity(0.4 - image[:, [1, 2, 0]]))) == pytest.approx(1, abs=1e-4)
    assert float(correlation(table, self_similarity(torch.zeros(1, 3, 9, 12)))) == pytest.approx(0, abs=1e-3)
    flat = torch.zeros(1, 3, 9, 12, requires_grad=True)
    correlation(table, self_similarity(flat)).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()
