"""Windows of images: what one training step of `representative` compares and translates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lonepair.lazy import lazy
from lonepair.methods.types import Size

if TYPE_CHECKING:
    from torch import Tensor

    from lonepair import nets
    from lonepair.nets import GrowingGenerator, StageSizes
else:
    nets = lazy("lonepair.nets")


@dataclass(frozen=True)
class WindowImage:
    """An image of a window's size, in the two forms that a step needs."""

    crops: Tensor
    """(n, c, h, w), which losses compare: the full window, or crops of it where it is large."""
    full: Tensor
    """(1, c, h, w), which may enter a generator: the full window; of a large generated one at the last stage that
    computes full images."""


@dataclass(frozen=True)
class StepImages:
    """The images of one training step by domain: a window of the real image, and generated images of its size."""

    sizes: dict[str, StageSizes]
    """(h, w) of the window at every stage, and the crops of a large one."""
    real: dict[str, WindowImage]
    """The window of the real image."""
    random: dict[str, WindowImage]
    """An image generated from noise."""
    translates_real: bool
    """Whether `translations` has the translation of `real` rather than of `random`."""
    translations: dict[str, WindowImage]
    """Source domain -> the translation into the other domain."""

    def source(self, domain: str) -> WindowImage:
        """The image of `domain` whose translation is in `translations`."""
        return self.real[domain] if self.translates_real else self.random[domain]


def window_size(full: Size, coarsest: Size, fraction: float, receptive_field: int) -> Size:
    """(h, w) of a window at the finest stage; at stage 0 each side exceeds the critic's receptive field.

    Args:
        full: (h, w) of the image at the finest stage.
        coarsest: (h, w) of the image at stage 0.
        fraction: Smallest fraction of each side, 0 to 1.
        receptive_field: Side, in pixels, of the patch that one score of a critic depends on.
    """
    # At stage 0 the receptive field is a large part of the image: a critic needs at least two scores a side.
    fraction = min(1.0, max(fraction, (receptive_field + 1) / min(coarsest)))
    return max(1, round(full[0] * fraction)), max(1, round(full[1] * fraction))


def generate_window(
    generator: GrowingGenerator, image: Tensor, sizes: StageSizes, start_stage: int, noises: Sequence[Tensor] | None
) -> WindowImage:
    """The output of `generator` for `image` (1, c, h, w), which enters at `start_stage`."""
    # Of a large window the finest full image does not exist; that of an earlier stage enters the cycle instead.
    if isinstance(sizes, nets.Crops):
        return WindowImage(*generator.crops_and_coarse_image(image, sizes, start_stage, noises))
    output = generator(image, sizes, start_stage, noises)
    return WindowImage(output, output)
