"""Drawing in bands: what networks of 3x3 convolutions draw, a few rows at a time, exactly as in one piece.

A row of a feature map is computed from the few rows around it, so that memory holds a band of every map instead of all
maps whole. What needs all of a map, the statistics of normalisation by the image's own, is measured first, band by
band, in a pass of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.blocks import InstanceNorm
from lonepair.resize import resize_rows

BAND = 1 << 18
"""Pixels of a band, about."""
_EPSILON = 1e-5


@dataclass(frozen=True)
class Rows:
    """A map (1, c, h, w) of which any rows can be computed, and computed again."""

    size: tuple[int, int]
    """(h, w)."""
    part: Callable[[int, int], Float[Tensor, "1 c _ w"]]
    """The rows from the first number to before the second."""

    def bands(self) -> Iterator[tuple[int, int]]:
        """First and last row + 1 of one band after the other."""
        h, w = self.size
        step = max(1, BAND // w)
        return ((first, min(h, first + step)) for first in range(0, h, step))

    def whole(self) -> Float[Tensor, "1 c h w"]:
        """All of it, a band at a time."""
        made = None
        for first, last in self.bands():
            band = self.part(first, last)
            if made is None:
                shape = (1, band.shape[1], *self.size)
                made = torch.empty(shape, dtype=band.dtype, device=band.device, memory_format=torch.channels_last)
            made[:, :, first:last] = band
        assert made is not None
        return made

    def through(self, layers: nn.Module) -> Rows:
        """What `layers`, in sequence, make of it: convolutions, normalisations and what acts on single pixels."""
        rows = self
        for layer in layers.children() if isinstance(layers, nn.Sequential) else [layers]:
            if isinstance(layer, nn.Sequential):
                rows = rows.through(layer)
            elif isinstance(layer, nn.Conv2d):
                rows = rows._convolved(layer)
            elif isinstance(layer, InstanceNorm) or (isinstance(layer, nn.BatchNorm2d) and layer.training):
                rows = rows._normalised(layer)
            else:
                rows = rows.each(layer)
        return rows

    def each(self, of: Callable[[Tensor], Tensor]) -> Rows:
        """What `of` makes of every pixel."""
        return Rows(self.size, lambda first, last: of(self.part(first, last)))

    def plus(self, other: Rows) -> Rows:
        """The sum of two maps."""
        return Rows(self.size, lambda first, last: self.part(first, last) + other.part(first, last))

    def padded(self, by: int) -> Rows:
        """With `by` pixels of zeros around."""
        (h, w), pad = self.size, by

        def part(first: int, last: int) -> Tensor:
            inner = (max(first - pad, 0), min(last - pad, h))
            return F.pad(self.part(*inner), (pad, pad, max(pad - first, 0), max(last - pad - h, 0)))

        return Rows((h + 2 * by, w + 2 * by), part) if by else self

    def _convolved(self, layer: nn.Conv2d) -> Rows:
        (h, w), pad = self.size, int(layer.padding[0])
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode

        def part(first: int, last: int) -> Tensor:
            above, below = first - pad, last - pad + 2  # what a 3x3 convolution sees
            seen = self.part(max(above, 0), min(below, h))
            if pad:
                seen = F.pad(seen, (pad, pad, max(-above, 0), max(below - h, 0)), mode)
            return F.conv2d(seen, layer.weight, layer.bias)

        return Rows((h + 2 * pad - 2, w + 2 * pad - 2), part)

    def _normalised(self, layer: InstanceNorm | nn.BatchNorm2d) -> Rows:
        mean, variance = self._statistics()
        return self.each(lambda band: F.batch_norm(band, mean, variance, layer.weight, layer.bias))

    def _statistics(self) -> tuple[Float[Tensor, c], Float[Tensor, c]]:
        """Mean and variance of each channel."""
        # Means of squares would lose the variance to rounding; bands are joined by their own (Chan et al. 1979).
        count, mean, spread = 0, torch.zeros(()), torch.zeros(())
        for first, last in self.bands():
            band = self.part(first, last).float()
            here = band.shape[2] * band.shape[3]
            # On a map laid out channels last ten times as fast as the general mean and variance.
            _, average, inverse = torch.native_batch_norm(band, None, None, None, None, True, 0.0, _EPSILON)
            average, variance = average.double(), (inverse.double() ** -2 - _EPSILON).clamp(min=0)
            apart = average - mean.to(average)
            spread = spread.to(average) + here * variance + apart.square() * (count * here / (count + here))
            mean = mean.to(average) + apart * (here / (count + here))
            count += here
        return mean.float(), (spread / count).float()


def rows_of(whole: Float[Tensor, "1 c h w"]) -> Rows:
    """A map that is there."""
    return Rows((whole.shape[-2], whole.shape[-1]), lambda first, last: whole[:, :, first:last])


def resized(features: Float[Tensor, "1 c h w"], size: tuple[int, int], corners: bool) -> Rows:
    """`features` as `resize_features`, or `resize_corners`, gives them at `size`."""
    return Rows(size, lambda first, last: resize_rows(features, size, slice(first, last), corners))
