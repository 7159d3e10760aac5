"""How strong a target's fine texture is in areas of each color."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.blur import reduce_by

_COLOR_WIDTH = 0.3
"""Standard deviation of the Gaussian that compares colors, as a multiple of that of the target's colors."""


def cell_means(image: Float[Tensor, "1 c h w"], reduction: float) -> Float[Tensor, "1 c h2 w2"]:
    """The means over cells of 1 / `reduction` pixels a side."""
    rows, columns = (max(1, math.ceil(n * reduction)) for n in image.shape[-2:])
    return F.adaptive_avg_pool2d(image, (rows, columns))


@dataclass(frozen=True)
class ColorEnergy:
    """The energy of an image's fine band in its cells, by the mean color of the cell."""

    colors: Float[Tensor, "n c"]
    energies: Float[Tensor, n]

    @staticmethod
    def of(image: Float[Tensor, "1 c h w"], reduction: float) -> ColorEnergy:
        """The energy of shapes that are finer than cells of 1 / `reduction` pixels a side.

        The energy is the mean of the squared values, added over the channels.
        """
        coarse = reduce_by(image, reduction)
        energies = cell_means((image - coarse).square().sum(1, keepdim=True), reduction)
        colors = cell_means(image, reduction)
        return ColorEnergy(colors.flatten(2)[0].T, energies.flatten())

    def at(self, colors: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 1 h w"]:
        """The mean energy of the cells with colors like each of `colors` (Nadaraya-Watson regression)."""
        width = _COLOR_WIDTH * self.colors.std(0, correction=0).mean().clamp(min=1e-3)
        squares = torch.cdist(colors.flatten(2)[0].T, self.colors).square() / width.square()
        # Less the smallest distance: a color that the target has nowhere takes that of the nearest cells.
        weights = torch.softmax(-squares / 2, 1)
        return (weights @ self.energies).view(1, 1, *colors.shape[-2:])
