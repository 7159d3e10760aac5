"""The contrast of a blended texture."""

import torch

from lonepair.ops.blur import gaussian_blur
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.contrast import restore_contrast
from lonepair.patches.lattice import Lattice

CONFIG = SynthesisConfig()
GRAIN = 0.3 * torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))


def _matches_in_place(lattice: Lattice, columns: int) -> torch.Tensor:
    """Each patch matches the target's at the same position."""
    rows, places = (lattice.step * torch.arange(n) for n in lattice.shape)
    return (rows[:, None] * columns + places).flatten()


def test_a_softened_texture_gets_its_contrast_back() -> None:
    lattice = Lattice((40, 40), 7, 1)
    matches = _matches_in_place(lattice, 34)
    soft = gaussian_blur(GRAIN, 0.6)
    restored = restore_contrast(soft, GRAIN, lattice, matches, CONFIG)
    assert float(soft.std()) < 0.75 * float(GRAIN.std()) < 0.9 * float(restored.std()) < 1.1 * float(GRAIN.std())


def test_contrast_is_no_more_in_all_than_the_target_has() -> None:
    """Patches of a target's only grainy half, repeated everywhere, do not make all of the image grainy."""
    target = GRAIN.clone()
    target[..., 20:] = 0
    lattice = Lattice((40, 40), 7, 1)
    matches = _matches_in_place(lattice, 34) % 34 % 12  # columns 0 to 11 only: the grainy half
    restored = restore_contrast(GRAIN, target, lattice, matches, CONFIG)
    assert float(restored.square().mean()) < 0.7 * float(GRAIN.square().mean())
