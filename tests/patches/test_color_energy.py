"""The energy of a target's fine texture by color."""

from __future__ import annotations

import torch

from lonepair.patches.color_energy import ColorEnergy, cell_means


def test_energy_is_that_of_the_areas_with_the_same_color() -> None:
    # White, a smooth ramp, and a dark area with noise of variance 0.01 a channel.
    image = torch.cat([torch.ones(40), torch.linspace(1, -0.5, 40), torch.full((40,), -0.5)]).repeat(1, 3, 40, 1)
    image[..., 80:] += 0.1 * torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    energy = ColorEnergy.of(image, 0.1)
    colors = torch.tensor([1.0, -0.5, -0.9])[None, None, None].expand(1, 3, 1, 3)
    flat, noisy, beyond = energy.at(colors).flatten().tolist()
    assert flat < 1e-3
    assert 0.02 < noisy < 0.03
    assert 0.02 < beyond < 0.03


def test_image_of_one_color_has_no_energy() -> None:
    energy = ColorEnergy.of(torch.full((1, 1, 20, 30), 0.25), 0.2)
    assert float(energy.at(torch.zeros(1, 1, 2, 2)).max()) < 1e-12


def test_cells_cover_the_image() -> None:
    assert cell_means(torch.zeros(1, 3, 41, 30), 0.1).shape == (1, 3, 5, 3)
