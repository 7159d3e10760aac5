import pytest
import torch

from lonepair.ops.noise import LazyNoise, RandomStream, noise_amplitude, seed_global


def test_equal_keys_give_equal_numbers() -> None:
    first, second = RandomStream(3, 1, 4), RandomStream(3, 1, 4)
    for _ in range(2):
        assert torch.equal(first.normal(2, 3, 4), second.normal(2, 3, 4))
        assert torch.equal(first.host_uniform(5), second.host_uniform(5))
        assert first.host_bernoulli(0.5) == second.host_bernoulli(0.5)
        assert first.host_integer(1000) == second.host_integer(1000)


def test_choices_have_their_probabilities() -> None:
    rng, probabilities = RandomStream(5), torch.tensor([0.5, 0.0, 0.2, 0.3])
    choices = torch.tensor([rng.host_choice(probabilities) for _ in range(4000)])
    shares = torch.bincount(choices, minlength=4) / len(choices)
    assert shares[1] == 0
    torch.testing.assert_close(shares, probabilities, atol=0.03, rtol=0)
    assert RandomStream(5).host_choice(probabilities) == choices[0]


def test_stream_reuses_tensors_of_earlier_stream() -> None:
    store: list[torch.Tensor] = []
    plain = RandomStream(3, 1)
    expected = [plain.normal(2, 3), plain.feature_noise(4, 5, 6)]
    for _ in range(2):
        rng = RandomStream(3, 1, reuse=store)
        tensors = [rng.normal(2, 3), rng.feature_noise(4, 5, 6)]
        assert all(map(torch.equal, tensors, expected))
        assert tensors[0] is store[0]
    assert len(store) == 2


def test_stream_does_not_depend_on_global_random_state() -> None:
    torch.manual_seed(1)
    first = RandomStream(0).normal(8)
    torch.manual_seed(2)
    torch.randn(5)
    assert torch.equal(first, RandomStream(0).normal(8))


def test_stream_does_not_change_global_random_state() -> None:
    before = torch.get_rng_state()
    RandomStream(0).normal(8)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("other", [(1, 2, 4), (2, 1, 3), (0, 2, 3), (1, 2, 3, 1), (1, 2)])
def test_different_keys_give_different_numbers(other: tuple[int, ...]) -> None:
    keys = (1, 2, 3)
    assert not torch.equal(RandomStream(*keys).normal(8), RandomStream(*other).normal(8))
    assert not torch.equal(RandomStream(*keys).host_uniform(8), RandomStream(*other).host_uniform(8))


def test_trailing_zero_key_is_a_different_key() -> None:
    assert not torch.equal(RandomStream(1, 2).normal(8), RandomStream(1, 2, 0).normal(8))


def test_host_draws_do_not_change_tensors() -> None:
    """Host numbers have their own generator, so that a GPU, whose tensors differ, takes the same decisions."""
    plain, other = RandomStream(7), RandomStream(7)
    other.host_uniform(3), other.host_bernoulli(0.5), other.host_integer(9)
    assert torch.equal(plain.normal(4), other.normal(4))


def test_image_does_not_depend_on_batch_size() -> None:
    """Each image of a batch has its own keys."""
    four = [RandomStream(5, index).normal(1, 3, 6, 7) for index in range(4)]
    two = [RandomStream(5, index).normal(1, 3, 6, 7) for index in range(2)]
    assert torch.equal(torch.cat(four)[:2], torch.cat(two))
    assert not torch.equal(four[0], four[1])


def test_numbers_have_the_stated_distributions() -> None:
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


def test_bernoulli_is_certain_at_0_and_1() -> None:
    rng = RandomStream(0)
    assert not any(rng.host_bernoulli(0.0) for _ in range(100))
    assert all(rng.host_bernoulli(1.0) for _ in range(100))


def test_seed_global_is_reproducible_and_restores_the_state() -> None:
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


def test_sample_shares_no_numbers_with_training() -> None:
    """A sample from the numbers of SinGAN's z*, the first ones of stage 0, would be the training image."""
    sample = RandomStream.for_sample(0, 0, "cpu").normal(8)
    with seed_global(0, 0):
        assert not torch.allclose(sample, torch.randn(8))
    assert not torch.allclose(sample, RandomStream(0, 0).normal(8))
    assert torch.equal(sample, RandomStream.for_sample(0, 0, "cpu").normal(8))


def test_lazy_noise_rows_equal_full_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lonepair.ops.noise.LARGE", 1000)
    full, lazy = (RandomStream(3, 1, lazy=is_lazy).feature_noise(5, 90, 20) for is_lazy in (False, True))
    assert isinstance(lazy, LazyNoise)
    assert full.shape == lazy.shape
    assert full.std().item() == pytest.approx(1, abs=0.05)
    for first, last in [(0, 90), (0, 7), (20, 45), (31, 33), (64, 90)]:
        assert torch.equal(lazy.rows(first, last), full[:, :, first:last])
    assert torch.equal((0.5 * lazy).rows(3, 9), 0.5 * full[:, :, 3:9])


def test_large_maps_are_independent_and_few_channels_are_not_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lonepair.ops.noise.LARGE", 1000)
    rng = RandomStream(3, 1)
    assert not torch.equal(rng.feature_noise(5, 90, 20), rng.feature_noise(5, 90, 20))
    assert isinstance(RandomStream(3, 1, lazy=True).feature_noise(3, 90, 20), torch.Tensor)
