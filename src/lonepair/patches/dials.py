"""Dials: settings of one translation that say how much of the source and of the target is seen in it.

They need no training. It imports no torch, so that the command line can show every dial at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

DEFAULT_STRUCTURE = 0.25
"""The value of `structure` that was best over the pairs of docs/results/dials.md."""
MIN_TEXTURE_SIZE, MAX_TEXTURE_SIZE = 0.05, 20.0


@dataclass(frozen=True)
class Dials:
    """How a translation is steered; ranges are checked by the use `Translate`."""

    structure: float = DEFAULT_STRUCTURE
    """How fine the source's edges are kept, 0 to 1. 0: large masses only."""
    texture_size: float | Literal["auto"] = "auto"
    """Size of the target's texture in the output; 1: pixel for pixel."""
    colour: float = 1.0
    """From the source's colors, 0, to the target's, 1."""
    tone: Literal["auto", "keep", "swap"] = "auto"
    """Whether light areas of the source stay light."""
    strength: float = 1.0
    """From the source itself, 0, to the translation, 1."""

    @property
    def path(self) -> Dials:
        """These dials at this strength: from 1 to 0.5 `structure` rises to 1, from 0.5 to 0.25 `colour` falls to 0."""
        structure = 1 + max(0.0, 2 * self.strength - 1) * (self.structure - 1)
        colour = min(1.0, max(0.0, 4 * self.strength - 1)) * self.colour
        return replace(self, structure=structure, colour=colour)

    @property
    def opacity(self) -> float:
        """Weight of the translation over the source: from strength 0.25 to 0 the translation fades."""
        return min(1.0, 4 * self.strength)

    def texture_scale(self, output_side: int, target_side: int) -> float:
        """Pixels of the output for each pixel of the target.

        Args:
            output_side: Longest side of the output in pixels.
            target_side: Longest side of the target, as the model stores it, in pixels.
        """
        if self.texture_size == "auto":
            return min(1.0, output_side / target_side)
        return float(self.texture_size)
