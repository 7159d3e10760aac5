"""Metrics: identities, symmetry, order under blur, shuffle and blend, and agreement with independent libraries."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance
from skimage import metrics as reference
from torch import Tensor

from conftest import picture
from lonepair.errors import UserError
from lonepair.metrics import copy_map, copying, diversity, look, look_distance, psnr, sifid, ssim, stability, structure
from lonepair.metrics.sifid import LAYERS, frechet
from lonepair.ops.flow import estimate_flow, reliable_mask, warp
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from lonepair.patches.distance import random_filters, sliced_wasserstein


def noisy(image: Tensor, amount: float) -> Tensor:
    return image + amount * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))


def as_array(image: Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).numpy()


def blurred(image: Tensor, factor: float) -> Tensor:
    h, w = image.shape[-2:]
    return resize(resize(image, (round(h / factor), round(w / factor))), (h, w))


def random(h: int, w: int, seed: int = 0, channels: int = 3) -> Tensor:
    """Blobs: a layout of its own for each seed."""
    rng = torch.rand(1, channels, h // 6, w // 6, generator=torch.Generator().manual_seed(seed))
    return resize(2 * rng - 1, (h, w)).clamp(-1, 1)


def shuffled(image: Tensor, block: int) -> Tensor:
    """The image's blocks in another order: the same material, another layout."""
    h, w = image.shape[-2:]
    parts = image.unfold(2, block, block).unfold(3, block, block).reshape(image.shape[1], -1, block, block)
    parts = parts[:, torch.randperm(parts.shape[1], generator=torch.Generator().manual_seed(1))]
    rows = parts.reshape(image.shape[1], h // block, w // block, block, block).permute(0, 1, 3, 2, 4)
    return rows.reshape(1, image.shape[1], h, w)


# -- PSNR and SSIM ------------------------------------------------------------------------------------------------


def test_psnr_in_closed_form() -> None:
    image = torch.zeros(1, 3, 8, 9)
    assert psnr(image, image) == math.inf
    assert psnr(image, image + 2) == pytest.approx(0)  # an error as large as the range
    assert psnr(image, image + 0.2) == pytest.approx(20)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("amount", [0.05, 0.5])
def test_both_agree_with_scikit_image(channels: int, amount: float) -> None:
    one = picture(40, 33, channels)
    other = noisy(one, amount)
    a, b = as_array(one), as_array(other)
    assert psnr(one, other) == pytest.approx(reference.peak_signal_noise_ratio(a, b, data_range=2), abs=1e-3)
    theirs = reference.structural_similarity(
        a, b, data_range=2, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(one, other) == pytest.approx(float(theirs), abs=1e-4)


def test_they_are_symmetric_and_fall_with_noise() -> None:
    image = picture(40, 33)
    little, much = noisy(image, 0.1), noisy(image, 0.4)
    assert ssim(image, image) == pytest.approx(1, abs=1e-6)
    for metric in (psnr, ssim):
        assert metric(image, little) == pytest.approx(metric(little, image))
        assert metric(image, little) > metric(image, much)


# -- sliced Wasserstein and look ----------------------------------------------------------------------------------


def test_sliced_wasserstein_agrees_with_scipy() -> None:
    one, other = random(30, 24), random(30, 24, 1)
    filters = random_filters(5, 3, 7, RandomStream(1))
    assert filters.flatten(1).norm(dim=1).tolist() == pytest.approx([1.0] * 5)
    per_filter = []
    for filter_ in filters:
        a, b = (torch.nn.functional.conv2d(image, filter_[None]).flatten().numpy() for image in (one, other))
        per_filter.append(wasserstein_distance(a, b))
    assert float(sliced_wasserstein(one, other, filters)) == pytest.approx(np.mean(per_filter), rel=1e-4)


def test_sliced_wasserstein_of_unequal_sizes() -> None:
    filters = random_filters(5, 3, 7, RandomStream(1))
    one, other = random(30, 24), random(36, 48, 1)
    ours = float(sliced_wasserstein(one, other, filters))
    assert ours == pytest.approx(float(sliced_wasserstein(other, one, filters)), rel=1e-6)
    per_filter = [
        wasserstein_distance(*(torch.nn.functional.conv2d(i, f[None]).flatten().numpy() for i in (one, other)))
        for f in filters
    ]
    assert ours == pytest.approx(np.mean(per_filter), rel=0.03)  # read at quantiles, not as steps


def test_a_shift_of_all_patches_is_its_distance() -> None:
    image = random(30, 24)
    filters = torch.full((1, 3, 7, 7), 1 / math.sqrt(147))
    assert float(sliced_wasserstein(image, image + 0.25, filters)) == pytest.approx(0.25 * math.sqrt(147), rel=1e-4)


def test_look_runs_from_the_target_to_the_source() -> None:
    source, target = random(64, 48), noisy(random(48, 60, 1) * 0.5 + 0.5, 0.1)
    assert look_distance(target, target) == 0
    assert look(target, target, source) == 0
    assert look(source, target, source) == 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_look_grows_with_blur_and_blend(channels: int) -> None:
    source, target = random(64, 64, 0, channels), noisy(random(64, 64, 1, channels), 0.2)
    looks = [look(blurred(target, factor), target, source) for factor in (1, 1.5, 3)]
    assert looks == sorted(looks)
    assert looks[1] > 0.1  # blur is seen, which plain patches would hide behind their means
    looks = [look(target + share * (source - target), target, source) for share in (0.0, 0.3, 0.6, 1.0)]
    assert looks == sorted(looks)


def test_look_does_not_mind_where_things_stand() -> None:
    source, target = random(64, 64), noisy(random(64, 64, 1), 0.2)
    assert look(target.flip(3), target, source) < 0.3  # a level of 16 pixels has few patches: its own flip differs
    assert look(shuffled(target, 32), target, source) < 0.45


# -- structure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (50, 71), (130, 90)])
def test_structure_is_colour_free(size: tuple[int, int]) -> None:
    image = random(*size)
    for changed in (image, -image, 0.3 * image + 0.1, image[:, [2, 0, 1]], image[:, [1, 0, 2]] * -1):
        assert structure(changed, image) == pytest.approx(1, abs=1e-4)
    assert structure(torch.zeros_like(image), image) == 0


def test_structure_falls_as_the_layout_goes() -> None:
    image, other = random(72, 72), random(72, 72, 1)
    assert structure(other, image) == pytest.approx(structure(image, other), abs=1e-5)
    assert abs(structure(other, image)) < 0.15
    found = [structure(image + share * (other - image), image) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found, reverse=True)
    assert structure(shuffled(image, 12), image) < 0.3


# -- copying ------------------------------------------------------------------------------------------------------


def test_copying_finds_pieces_of_the_target() -> None:
    target, other = noisy(random(60, 72, 1), 0.1), noisy(random(60, 72, 2), 0.1)
    assert copying(target, target) == 1
    assert copying(other, target) < 0.01
    moved = torch.roll(target, (9, 20), (2, 3))  # four pieces, each of one shift
    assert copying(moved, target) > 0.5
    half = torch.cat([target[..., :36], other[..., 36:]], 3)
    assert copying(half, target) == pytest.approx(0.45, abs=0.1)
    assert copying(shuffled(target, 12), target) < 0.1  # pieces, but small ones


def test_the_copy_map_says_where() -> None:
    target, other = noisy(random(60, 72, 1), 0.1), noisy(random(60, 72, 2), 0.1)
    half = torch.cat([target[..., :36], other[..., 36:]], 3)
    found = copy_map(half, target)
    assert found.shape == (54, 66)
    assert found[:, :30].all()
    assert not found[:, 36:].any()
    assert float(found.float().mean()) == copying(half, target)
    assert copy_map(resize(half, (120, 144)), resize(target, (120, 144))).shape == (74, 90)  # at 96 pixels


# -- diversity ----------------------------------------------------------------------------------------------------


def test_diversity() -> None:
    image = random(48, 48)
    assert diversity(image.expand(5, -1, -1, -1), image) == 0
    grey = torch.randn(200, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert diversity(grey, grey[:1]) == pytest.approx(1, abs=0.1)
    assert diversity(0.5 * grey, grey[:1]) == pytest.approx(0.5, abs=0.05)


# -- SIFID --------------------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Made-up weights of the right shapes."""
    state = {}
    generator = torch.Generator().manual_seed(0)
    for name, shape, _, _ in LAYERS:
        state[f"{name}.conv.weight"] = torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))
        for part, value in (("running_mean", 0.0), ("running_var", 1.0), ("weight", 1.0), ("bias", 0.1)):
            state[f"{name}.bn.{part}"] = torch.full(shape[:1], value)
    path = tmp_path / "inception.safetensors"
    save_file(state, path)
    torch.save(state, tmp_path / "inception.pth")
    return path


@pytest.mark.parametrize("features", [64, 192])
def test_sifid(weights: Path, features: int) -> None:
    image, other = random(60, 66), random(70, 60, 1)
    assert sifid(image, image, weights, features) == pytest.approx(0, abs=1e-6)
    apart = sifid(image, other, weights, features)
    assert apart == pytest.approx(sifid(other, image, weights, features), rel=1e-4)
    assert apart == pytest.approx(sifid(image, other, weights.with_suffix(".pth"), features))
    found = [sifid(blurred(image, factor), image, weights, features) for factor in (1, 2, 4)]
    assert found == sorted(found)


def test_sifid_reads_a_tensor_as_its_file(weights: Path) -> None:
    image = random(60, 66)
    saved = (image * 127.5 + 127.5).round() / 127.5 - 1
    assert sifid(saved, image, weights) == pytest.approx(0, abs=1e-9)


def test_frechet_agrees_with_scipy() -> None:
    generator = torch.Generator().manual_seed(0)
    points = [torch.randn(8, 40, generator=generator, dtype=torch.float64) * (1 + i) + i for i in range(2)]
    (m, c), (m2, c2) = ((p.mean(1), torch.cov(p)) for p in points)
    theirs = float((m - m2).square().sum()) + np.trace((c + c2).numpy() - 2 * sqrtm((c @ c2).numpy()).real)
    assert frechet(m, c, m2, c2) == pytest.approx(theirs, rel=1e-6)


def test_sifid_refuses_other_files(weights: Path, tmp_path: Path) -> None:
    image = random(60, 66)
    wrong = tmp_path / "wrong.safetensors"
    save_file({"a": torch.zeros(2)}, wrong)
    with pytest.raises(UserError, match=r"Conv2d_1a_3x3.conv.weight is missing"):
        sifid(image, image, wrong)
    wrong.write_bytes(b"no such thing")
    with pytest.raises(UserError, match="cannot be read"):
        sifid(image, image, wrong)
    with pytest.raises(UserError, match="no such file"):
        sifid(image, image, tmp_path / "none.pth")
    with pytest.raises(UserError, match="features is 65"):
        sifid(image, image, weights, 65)
    with pytest.raises(UserError, match="too small"):
        sifid(image[..., :20], image, weights)


# -- flow and stability -------------------------------------------------------------------------------------------


def moving(count: int, step: int = 2) -> list[Tensor]:
    wide = noisy(random(48, 96), 0.05)
    return [wide[..., step * i : step * i + 60] for i in range(count)]


def test_no_flow_is_the_identity() -> None:
    image = random(30, 41)
    assert torch.allclose(warp(image, torch.zeros(1, 2, 30, 41)), image, atol=1e-5)
    assert bool(reliable_mask(*[torch.zeros(1, 2, 30, 41)] * 2).all())


def test_flow_points_to_where_a_pixel_is() -> None:
    first, second = moving(2)
    flow = estimate_flow(first, second)
    assert float(flow[0, 0, 10:-10, 10:-10].median()) == pytest.approx(-2, abs=0.2)
    assert float(flow[0, 1, 10:-10, 10:-10].median()) == pytest.approx(0, abs=0.2)
    inside = (..., slice(10, -10), slice(10, -10))
    assert float((warp(second, flow) - first)[inside].abs().mean()) < 0.05


def test_what_leaves_the_frame_or_disagrees_is_not_followed() -> None:
    flow = torch.zeros(1, 2, 20, 30)
    flow[:, 0] = -4
    mask = reliable_mask(flow, -flow)
    assert not mask[..., :4].any()
    assert mask[..., 4:].all()
    assert not reliable_mask(flow, flow)[..., 4:-4].any()  # there and back ends elsewhere


def test_stability_tells_flicker_and_frozen_from_steady() -> None:
    source = moving(4)
    target = source[0]
    steady = stability([-frame for frame in source], source, target)
    assert steady.error == pytest.approx(steady.source_error, rel=0.1)
    assert steady.sharpness == pytest.approx(1, abs=0.1)
    assert steady.tracked_fraction > 0.5
    flicker = stability([noisy(f, 0.2) if i % 2 else f for i, f in enumerate(source)], source, target)
    frozen = stability([source[0]] * 4, source, target)
    assert flicker.error > 2 * steady.error
    assert frozen.error > 2 * steady.error
    still = [source[0]] * 4
    shaky = [noisy(frame, 0.1 * i) for i, frame in enumerate(still)]
    sharp, blurry = stability(shaky, still, target), stability([blurred(f, 4) for f in shaky], still, target)
    assert blurry.error < sharp.error / 2  # blur is steadier, which is why sharpness is beside it
    assert blurry.sharpness < 0.8 < sharp.sharpness
    assert stability(source[:1], source[:1], target).error == 0


def test_look_sees_hues_that_a_grey_target_lacks() -> None:
    """Speckles of colour on a grey target are further from it than the same amount of grey noise."""
    target = noisy(random(64, 64, 1, 1), 0.2).expand(1, 3, -1, -1)
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 0.1
    grey = noise.mean(1, keepdim=True) * math.sqrt(3)
    assert look_distance(target + noise, target) > 2 * look_distance(target + grey, target)
