"""The guide: the prediction's colors along the source's edges."""

import pytest
import torch
from torch import Tensor

from lonepair.ops.color import negative
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.guide import Guide, color_transfer, fit_affine_map, source_transfer, tone_sign
from tiny_settings import picture

RECOLOR = torch.tensor([[0.3, 0.2, 0.0], [0.0, -0.5, 0.1], [0.2, 0.0, 0.4]])


def recolored(image: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", RECOLOR, image) + 0.1


def _covariance(image: Tensor) -> Tensor:
    return torch.cov(image[0].flatten(1))


def test_a_global_affine_map_is_recovered_at_any_size() -> None:
    source = picture(96, 120)
    small = resize_image(source, (32, 40))
    affine = fit_affine_map(small, recolored(small), sigma=2.0, damping=1e-6)
    error = (affine.apply(source) - recolored(source)).abs()
    assert float(error.mean()) < 0.01


def test_where_the_prediction_is_flat_the_map_ignores_the_source() -> None:
    source = picture(24, 30)
    flat = torch.full_like(source, 0.25)
    mapped = fit_affine_map(source, flat, sigma=2.0, damping=1e-3).apply(source)
    assert torch.allclose(mapped, flat, atol=1e-4)


def test_color_transfer_gives_the_covariance_of_the_target() -> None:
    source, target = picture(30, 30, seed=1), recolored(picture(30, 30, seed=2))
    matrix = color_transfer(source, target, floor=1e-7)
    assert torch.allclose(matrix, matrix.T, atol=1e-4)
    moved = torch.einsum("ij,bjhw->bihw", matrix, source)
    assert torch.allclose(_covariance(moved), _covariance(target), atol=1e-4)
    assert torch.allclose(color_transfer(source, source), torch.eye(3), atol=1e-3)


def test_tone_sign_tells_a_negative() -> None:
    image = picture(20, 20)
    assert tone_sign(image, 0.5 * image) == 1.0
    assert tone_sign(image, -0.5 * image) == -1.0


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_negative_swaps_the_tone_and_keeps_alpha(channels: int) -> None:
    image = picture(20, 20, channels)
    if channels == 4:
        image[:, 3] = 1.0
    inverted = negative(image)
    assert tone_sign(image, inverted) == -1.0
    assert torch.equal(negative(inverted), image)
    assert torch.equal(inverted[:, 3:], image[:, 3:])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_structure_brings_in_the_edges_of_the_source(channels: int) -> None:
    source = torch.full((1, channels, 96, 96), -0.6)
    source[..., 48:] = 0.6
    small = resize_image(source, (24, 24))
    transfer = source_transfer(small, small, small)
    sharp = {}
    for structure in (0.25, 1.0):
        guide = Guide.fit(small, small, source, transfer, structure, SynthesisConfig())
        start = guide.start((96, 96), guide.guided((96, 96), source))
        assert start.shape == source.shape
        sharp[structure] = float((start[..., 48] - start[..., 47]).mean())
    enlarged = resize_image(small, (96, 96))
    assert float((enlarged[..., 48] - enlarged[..., 47]).mean()) < sharp[0.25] < sharp[1.0]
    assert sharp[1.0] > 0.9  # of a step of 1.2


def test_flat_target_keeps_clear_of_the_sources_grain_below_structure_1() -> None:
    generator = torch.Generator().manual_seed(0)
    source = 0.3 * torch.randn(1, 3, 96, 96, generator=generator).clamp(-2, 2)
    small = resize_image(source, (24, 24))
    textured = 0.3 * torch.randn(1, 3, 96, 96, generator=generator)
    transfer = torch.eye(3)
    energies = {}
    for name, target in (("flat", torch.zeros(1, 3, 96, 96)), ("textured", textured)):
        for structure in (0.5, 1.0):
            guide = Guide.fit(small, torch.zeros_like(small), source, transfer, structure, SynthesisConfig())
            energies[name, structure] = float(guide.guided((96, 96), target).square().mean())
    assert energies["flat", 0.5] < 0.01 * energies["textured", 0.5]
    assert energies["flat", 1.0] == energies["textured", 1.0]
