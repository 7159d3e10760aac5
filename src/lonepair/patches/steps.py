"""Several syntheses in step: each round of one is followed by the same round of the others, and images are exchanged.

Regions of several styles meet without a cut because the patches of one style near a seam fit the pixels of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

if TYPE_CHECKING:
    from lonepair.patches.synthesis import Synthesis

Steps: TypeAlias = "Generator[Tensor, Tensor, Synthesis]"
"""A synthesis that yields its image after every round, and goes on from the image that it is sent."""


def run_in_step(
    syntheses: Sequence[Steps], mix: Callable[[list[Tensor]], list[Tensor]] = lambda images: images
) -> list[Synthesis]:
    """Run syntheses of the same scales and rounds, and let them exchange their images after every round.

    Args:
        syntheses: What to run.
        mix: The images of a round -> those from which the next round starts.
    """
    images = [next(steps) for steps in syntheses]
    states: list[Synthesis] = []
    while not states:
        mixed, images = mix(images), []
        for steps, image in zip(syntheses, mixed, strict=True):
            try:
                images.append(steps.send(image))
            except StopIteration as stop:
                states.append(stop.value)
    assert not images, "the syntheses have different numbers of rounds"
    return states


@dataclass(frozen=True)
class SharedScales:
    """What several syntheses agree on, so that they run in step."""

    first: float
    """Size of the image at the coarsest scale over that of the output."""
    coarse_side: int
    """Longest side in pixels up to which a scale takes `rounds`, not `upscaling_rounds`."""
