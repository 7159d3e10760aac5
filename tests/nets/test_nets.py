import pytest
import torch
from torch import Tensor, nn

from lonepair.losses import gradient_penalty
from lonepair.nets import BorderMode, Crops, GrowingGenerator, PatchCritic, StageGenerator, choose_crops, crop_image
from lonepair.nets.blocks import InstanceNorm, Norm, PaddingMode
from lonepair.nets.stage import upsampling_support
from lonepair.ops.noise import RandomStream, seed_global
from lonepair.ops.regions import Regions
from lonepair.ops.resize import resize_matrix

SIZES = [(7, 9), (9, 12), (13, 17)]
"""Odd and even, and no constant ratio."""


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def generator(stages: int, norm: Norm = "none", channels: int = 3, width: int = 8) -> GrowingGenerator:
    with seed_global(0):
        net = GrowingGenerator(channels, width, 3, norm, 0.05, max_stages=6)
        for _ in range(stages):
            net.add_stage(6)
    # The initial weights shrink what passes through to nothing; larger ones make a change at the input show.
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.mul_(5)
    return net


def image(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


# Drawing in bands


@pytest.mark.parametrize("norm", ["none", "instance", "batch"])
@pytest.mark.parametrize("border_mode", ["padded_layers", "zero_margin", "upsampled_margin"])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_a_generator_draws_in_bands_what_it_draws_in_one_piece(
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
            whole = net(first, sizes, start_stage, noises)
            with monkeypatch.context() as patched:
                patched.setattr("lonepair.nets.growing.LARGE", 0)
                patched.setattr("lonepair.nets.bands.BAND_PIXELS", 250)
                banded = net(first, sizes, start_stage, noises)
        assert whole.std() > 0.1
        assert torch.allclose(whole, banded, atol=2e-5)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("norm", ["none", "instance", "batch"])
def test_a_stage_draws_in_bands_what_it_draws_in_one_piece(
    norm: Norm, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with seed_global(0):
        stage = StageGenerator(3, 8, 4, 0.2, padding, norm).eval()
    images = torch.cat([image(41, 30), image(41, 30).flip(2)])
    with torch.no_grad():
        whole = stage(images)
        monkeypatch.setattr("lonepair.nets.stagewise.LARGE", 0)
        monkeypatch.setattr("lonepair.nets.bands.BAND_PIXELS", 250)
        assert torch.allclose(whole, stage(images), atol=1e-5)


# Crops


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("border_mode", "padding_mode"),
    [("padded_layers", "zeros"), ("padded_layers", "reflect"), ("zero_margin", "zeros"), ("upsampled_margin", "zeros")],
)
def test_crops_are_what_the_whole_picture_has_there(border_mode: BorderMode, padding_mode: PaddingMode) -> None:
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
        whole = net(first, sizes, 0, noises)
        assert whole.std() > 0.1
        wanted = choose_crops(sizes, 48, 7, rng)
        assert isinstance(wanted, Crops)
        assert 0 < net.full_image_stages(wanted) < 5
        own = [net.crop_noise(wanted, stage, noise) for stage, noise in enumerate(noises, 1)]
        assert [noise.shape for noise in own] == [noise.shape for noise in net.noise_maps(wanted, rng, 1)]
        assert torch.allclose(net(first, wanted, 0, own), crop_image(wanted, whole), atol=2e-5)


@pytest.mark.usefixtures("either_way")
def test_a_gradient_through_crops_is_that_through_the_whole_picture() -> None:
    sizes = [(12, 12), (20, 20), (40, 40)]
    with seed_global(0):
        net = GrowingGenerator(3, 4, 1, "none", 0.2, 3)
        for _ in sizes:
            net.add_stage(3)
    net.double()
    rng = RandomStream(0)
    first, wanted = rng.feature_noise(3, 12, 12).double(), choose_crops(sizes, 16, 5, rng)
    assert isinstance(wanted, Crops)
    found = []
    for pieces in (crop_image(wanted, net(first, sizes)), net(first, wanted)):
        net.zero_grad()
        pieces.square().mean().backward()
        found.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    assert found[0].norm() > 0
    assert torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("size", [(64, 64), (61, 90), (200, 40)])
def test_every_patch_is_as_likely_in_a_crop(size: tuple[int, int]) -> None:
    patch, draws = 7, 4000
    met = torch.zeros(size[0] - patch + 1, size[1] - patch + 1)
    rng = RandomStream(0)
    for _ in range(draws):
        wanted = choose_crops([size], 16, patch, rng)
        assert isinstance(wanted, Crops)
        h, w = wanted.regions.size
        for top, left in wanted.regions.top_left.tolist():
            assert 0 <= top <= size[0] - h
            assert 0 <= left <= size[1] - w
            met[top : top + h - patch + 1, left : left + w - patch + 1] += 1
    share = met / met.median()
    left = 10  # rows and columns at each end that are left over where fields do not divide the picture, at most
    assert share.max() < 1.3
    assert share[left:-left, left:-left].min() > 0.75
    assert share.min() > 0.15  # a quarter, in a corner
    assert len(share.unique()) > 1


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("corners", [(0, 0), (0, 40), (44, 40), (1, 39), (20, 20)])
def test_crops_at_the_border_and_within_are_what_the_whole_picture_has_there(corners: tuple[int, int]) -> None:
    """... and so are their gradients; what they hang on is as large wherever they lie."""
    sizes, places = [(12, 11), (23, 25), (39, 40), (64, 60)], torch.tensor([corners, (44, 0), (22, 21)])
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
        wanted = Crops(tuple(sizes), Regions(sizes[-1], (20, 20), places))
        other = Crops(tuple(sizes), Regions(sizes[-1], (20, 20), 0 * places))
        assert net.noise_shape(wanted, 2)[0] == 3
        assert all(net.noise_shape(wanted, stage) == net.noise_shape(other, stage) for stage in range(4))
        image = torch.rand(1, 3, *sizes[0], generator=torch.Generator().manual_seed(0)).double().requires_grad_(True)
        pieces = [crop_image(wanted, net(image, sizes)), net(image, wanted)]
        assert pieces[0].std() > 0.1
        assert torch.allclose(*pieces, atol=2e-5)
        gradients = [torch.autograd.grad(each.square().sum(), image)[0] for each in pieces]
        assert torch.allclose(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("old", "new"), [(12, 17), (17, 18), (18, 18), (25, 63), (40, 52), (1, 4)])
@pytest.mark.parametrize("corners", [False, True])
def test_what_an_enlargement_hangs_on_is_enough_and_hardly_more(old: int, new: int, corners: bool) -> None:
    weights = resize_matrix(old, new, corners, torch.device("cpu"), torch.float32)
    for length in (1, 2, 5, new):
        firsts = torch.arange(new - length + 1)
        lows, most = upsampling_support(firsts, length, old, new, corners)
        assert most <= (length - 1) * old / new + 5
        for first, low in zip(firsts.tolist(), lows.tolist(), strict=True):
            beyond = weights[first : first + length].clone()
            beyond[:, max(0, low) : low + most] = 0
            assert beyond.abs().max() < 1e-5


def test_small_pictures_are_seen_whole() -> None:
    sizes = [(10, 10), (32, 32)]
    assert choose_crops(sizes, 23, 7, RandomStream(0)) is sizes
    assert choose_crops(sizes, 0, 7, RandomStream(0)) is sizes
    assert choose_crops(sizes, 22, 7, RandomStream(0)) is not sizes


def test_crops_are_normalised_together() -> None:
    with seed_global(0):
        net = GrowingGenerator(3, 8, 2, "instance", 0.2, 2)
        net.add_stage(2)
        net.add_stage(2)
    sizes = [(16, 16), (64, 64)]
    seen: list[Tensor] = []
    norm = net.bodies[1][0][1]
    assert isinstance(norm, InstanceNorm)
    net.bodies[1][0][2].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    net(image(16, 16), choose_crops(sizes, 16, 7, RandomStream(0)))
    assert len(seen[0]) == 4
    assert torch.allclose(seen[0].mean((0, 2, 3)), norm.bias, atol=1e-5)
    assert (seen[0].mean((2, 3)).std(0) > 1e-4).any()  # not each by its own


# The critic


def test_critic_has_the_published_number_of_parameters() -> None:
    assert parameters(PatchCritic(3, 64, 5, 0.05)) == 113_153


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_a_score_sees_the_patch_it_says_and_no_more(blocks: int) -> None:
    with seed_global(0):
        critic = PatchCritic(3, 8, blocks, 0.05).double()
    side = 2 * blocks + 1
    x = torch.rand(1, 3, side + 12, side + 12, dtype=torch.float64, requires_grad=True)
    scores = critic(x)
    assert scores.shape == (1, 1, 13, 13)
    scores[0, 0, 6, 6].backward()
    assert x.grad is not None
    seen = x.grad.abs().sum(1)[0] > 0
    assert seen[6 : 6 + side, 6 : 6 + side].all()
    assert seen.sum() == side**2


def test_the_default_critic_sees_11_pixels_by_perturbation() -> None:
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


def test_critic_scores_a_batch_as_it_scores_each_image() -> None:
    critic = PatchCritic(3, 8, 5, 0.05)
    batch = torch.rand(3, 3, 14, 15)
    assert torch.allclose(critic(batch), torch.cat([critic(one[None]) for one in batch]), atol=1e-7)


# The growing generator


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
def test_a_new_stage_is_a_copy_that_does_not_share(norm: Norm) -> None:
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
        drawn = net(image(*sizes[0], channels), sizes[:stages])
        assert drawn.shape == (1, channels, *sizes[stages - 1])
        assert drawn.abs().max() <= 1


def test_it_draws_other_sizes_than_it_was_made_for() -> None:
    """All layers are convolutions: nothing but `sizes` says how large an image is."""
    net = generator(2)
    assert net(image(20, 31), [(20, 31), (27, 45)]).shape == (1, 3, 27, 45)


@pytest.mark.parametrize("start_stage", [1, 2])
def test_stages_below_the_entry_do_nothing(start_stage: int) -> None:
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


def test_noises_count_from_the_stage_after_the_entry() -> None:
    net = generator(3)
    net.amplitudes[1], net.amplitudes[2] = 100.0, 0.5
    entered = image(*SIZES[1])
    quiet, loud = (net(entered, SIZES, 1, [torch.full((1, net.width, *SIZES[2]), v)]) for v in (0.0, 1.0))
    assert torch.equal(quiet, net(entered, SIZES, 1))
    assert not torch.equal(quiet, loud)


def test_gradient_reaches_every_parameter() -> None:
    net = generator(3, "batch")
    net(image(*SIZES[0]), SIZES).square().sum().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # A convolution's bias before BatchNorm is taken out again with the mean.
    assert [name for name in idle if not name.endswith("0.bias")] == []


def test_amplitudes_are_kept_with_the_weights() -> None:
    net = generator(2)
    net.amplitudes[1] = 0.25
    assert net.state_dict()["amplitudes"].tolist() == [0, 0.25, 0, 0, 0, 0]


def test_all_stages_have_the_same_names_whoever_grew_them() -> None:
    assert generator(3).state_dict().keys() == generator(3).state_dict().keys()
    generator(3).load_state_dict(generator(3).state_dict())


# -- a critic's second derivative -------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("autocast", [False, True])
def test_the_direct_second_derivative_is_torchs_own(norm: Norm, autocast: bool) -> None:
    torch.manual_seed(0)
    critic = PatchCritic(3, 8, 5, 0.2, norm=norm)
    points, found = torch.rand(1, 3, 24, 20) * 2 - 1, {}
    for direct in (False, True):
        critic.direct = direct
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            penalty = gradient_penalty(critic, points)
        parameters = [p for name, p in critic.named_parameters() if not name.endswith("bias")]
        found[direct] = [penalty.detach(), *torch.autograd.grad(penalty, parameters)]
    for torchs, ours in zip(found[False], found[True], strict=True):
        assert torch.allclose(torchs, ours, rtol=0, atol=(0.05 if autocast else 1e-5) * float(torchs.abs().max()))


def test_only_what_a_penalty_is_taken_at_goes_the_direct_way() -> None:
    critic = PatchCritic(3, 8, 5, 0.2)
    critic.direct = True
    image = torch.rand(1, 3, 24, 20)
    critic(image).sum().backward()  # as a critic learns from pictures, its weights have gradients
    assert all(parameter.grad is not None for parameter in critic.parameters())
    scale = torch.ones(1, requires_grad=True)
    critic(image * scale).sum().backward()  # and so has whoever drew the picture
    assert scale.grad is not None
