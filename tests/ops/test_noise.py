import pytest
import torch

from lonepair.ops.noise import LazyNoise, RandomStream, noise_amplitude, seed_global


def test_the_same_keys_draw_the_same() -> None:
    first, second = RandomStream(3, 1, 4), RandomStream(3, 1, 4)
    for _ in range(2):
        assert torch.equal(first.normal(2, 3, 4), second.normal(2, 3, 4))
        assert torch.equal(first.host_uniform(5), second.host_uniform(5))
        assert first.host_bernoulli(0.5) == second.host_bernoulli(0.5)
        assert first.host_integer(1000) == second.host_integer(1000)


def test_what_one_stream_kept_another_gives() -> None:
    kept: list[torch.Tensor] = []
    found = []
    for _ in range(2):
        rng = RandomStream(3, 1, reuse=kept)
        found.append([rng.normal(2, 3), rng.feature_noise(4, 5, 6)])
    plain = RandomStream(3, 1)
    assert all(one is other for one, other in zip(kept, (found[1][0],), strict=False))
    for one, other, expected in zip(*found, [plain.normal(2, 3), plain.feature_noise(4, 5, 6)], strict=True):
        assert torch.equal(one, expected)
        assert torch.equal(other, expected)
    assert len(kept) == 2


def test_what_a_draw_gives_does_not_hang_on_the_global_state() -> None:
    torch.manual_seed(1)
    first = RandomStream(0).normal(8)
    torch.manual_seed(2)
    torch.randn(5)
    assert torch.equal(first, RandomStream(0).normal(8))


def test_a_draw_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    RandomStream(0).normal(8)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("other", [(1, 2, 4), (2, 1, 3), (0, 2, 3), (1, 2, 3, 1), (1, 2)])
def test_other_keys_draw_something_else(other: tuple[int, ...]) -> None:
    keys = (1, 2, 3)
    assert not torch.equal(RandomStream(*keys).normal(8), RandomStream(*other).normal(8))
    assert not torch.equal(RandomStream(*keys).host_uniform(8), RandomStream(*other).host_uniform(8))


def test_keys_that_end_in_zeros_are_other_keys() -> None:
    assert not torch.equal(RandomStream(1, 2).normal(8), RandomStream(1, 2, 0).normal(8))


def test_scalars_do_not_move_the_tensors() -> None:
    """What the host chooses comes from a stream of its own, so that a GPU's draws can differ and choices cannot."""
    plain, asked = RandomStream(7), RandomStream(7)
    asked.host_uniform(3), asked.host_bernoulli(0.5), asked.host_integer(9)
    assert torch.equal(plain.normal(4), asked.normal(4))


def test_each_image_of_a_batch_has_its_own_draw() -> None:
    """Images are drawn one by one from their own keys: how many are made at once changes none of them."""
    alone = [RandomStream(5, index).normal(1, 3, 6, 7) for index in range(4)]
    half = [RandomStream(5, index).normal(1, 3, 6, 7) for index in range(2)]
    assert torch.equal(torch.cat(alone)[:2], torch.cat(half))
    assert not torch.equal(alone[0], alone[1])


def test_draws_are_distributed_as_they_say() -> None:
    rng = RandomStream(0)
    normal, uniform = rng.normal(100_000), rng.host_uniform(100_000)
    assert normal.dtype == uniform.dtype == torch.float32
    assert normal.mean().item() == pytest.approx(0, abs=0.02)
    assert normal.std().item() == pytest.approx(1, abs=0.02)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)
    assert {rng.host_integer(3) for _ in range(100)} == {0, 1, 2}
    assert sum(rng.host_bernoulli(0.25) for _ in range(2000)) == pytest.approx(500, abs=80)


def test_a_coin_of_certainty() -> None:
    rng = RandomStream(0)
    assert not any(rng.host_bernoulli(0.0) for _ in range(100))
    assert all(rng.host_bernoulli(1.0) for _ in range(100))


def test_seeded_initialises_alike_and_restores() -> None:
    before = torch.get_rng_state()
    with seed_global(1, 2):
        first = torch.randn(4)
    with seed_global(1, 2):
        second = torch.randn(4)
    with seed_global(1, 3):
        third = torch.randn(4)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(before, torch.get_rng_state())


def test_amplitude_is_base_times_rmse() -> None:
    real = torch.zeros(1, 3, 4, 5)
    assert noise_amplitude(real, real + 0.5, 0.1).item() == pytest.approx(0.05)
    assert noise_amplitude(real, real, 0.1).item() == 0
    half = real.clone()
    half[..., :2, :] = 1.0  # half the pixels are off by 1: RMSE sqrt(1/2)
    assert noise_amplitude(real, half, 1.0).item() == pytest.approx(0.5**0.5)


def test_a_picture_meets_no_numbers_of_the_training_under_its_seed() -> None:
    """SinGAN's z* is the first that is drawn at stage 0; a sample that met it would be the training image."""
    picture = RandomStream.for_sample(0, 0, "cpu").normal(8)
    with seed_global(0, 0):
        assert not torch.allclose(picture, torch.randn(8))
    assert not torch.allclose(picture, RandomStream(0, 0).normal(8))
    assert torch.equal(picture, RandomStream.for_sample(0, 0, "cpu").normal(8))


def test_a_large_map_is_the_same_whole_and_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lonepair.ops.noise.LARGE", 1000)
    whole, lazy = (RandomStream(3, 1, lazy=lazily).feature_noise(5, 90, 20) for lazily in (False, True))
    assert isinstance(lazy, LazyNoise)
    assert whole.shape == lazy.shape
    assert whole.std().item() == pytest.approx(1, abs=0.05)
    for first, last in [(0, 90), (0, 7), (20, 45), (31, 33), (64, 90)]:
        assert torch.equal(lazy.rows(first, last), whole[:, :, first:last])
    assert torch.equal((0.5 * lazy).rows(3, 9), 0.5 * whole[:, :, 3:9])
    rng = RandomStream(3, 1)
    assert not torch.equal(rng.feature_noise(5, 90, 20), rng.feature_noise(5, 90, 20))
    assert isinstance(RandomStream(3, 1, lazy=True).feature_noise(3, 90, 20), torch.Tensor)
