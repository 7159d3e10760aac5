"""Drawing in bands: what networks of 3x3 convolutions rng, a few rows at a time, exactly as in one piece.

A row of a feature map is computed from the few rows around it, so that memory holds a band of every map instead of all
maps whole. Normalisation by the image's own statistics needs all of a map: such a one is kept, and the next of the same
stage overwrites it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.blocks import InstanceNorm
from lonepair.ops.resize import resize_rows

BAND = 1 << 16
"""Pixels of a band, about: its maps of 64 channels are small enough for the allocator to keep (`train.engine`)."""
LAUNCHED = 1 << 20
"""The same, about, on a GPU, for which it takes much to do to be worth the launch."""
_EPSILON = 1e-5


@dataclass(frozen=True)
class Rows:
    """A map (1, c, h, w) of which any rows can be computed, and computed again."""

    size: tuple[int, int]
    """(h, w)."""
    part: Callable[[int, int], Float[Tensor, "1 c _ w"]]
    """The rows from the first number to before the second."""
    scratch: Float[Tensor, "1 c2 h2 w2"] | None = None
    """A whole map that these rows are computed from, and nothing else: it may be overwritten, a band behind them."""

    def whole(self, seen: Callable[[Tensor], None] = lambda band: None) -> Float[Tensor, "1 c h w"]:
        """All of it, a band at a time, which `seen` is shown; in the place of `scratch` where there is room."""
        (h, w), made, before, last = self.size, None, None, 0
        step = max(4, BAND // w)
        while last < h:
            first, last = last, min(h, last + step)
            band = self.part(first, last)
            if band.device.type != "cpu":
                step = max(4, LAUNCHED // w)
            seen(band)
            if made is None:
                made = self._room(band)
            if before is not None:  # a band late, as this one was computed from rows around it
                made[:, :, before[0] : first, :w] = before[1]
            before = first, band
        assert made is not None
        assert before is not None
        made[:, :, before[0] : h, :w] = before[1]
        return made[:, :, :h, :w]

    def _room(self, band: Tensor) -> Tensor:
        """Memory for all of the map that has this `band`."""
        shape, old = (1, band.shape[1], *self.size), self.scratch
        fits = old is not None and old.shape[1] == shape[1] and old.shape[2] >= shape[2] and old.shape[3] >= shape[3]
        if old is not None and fits and old.dtype == band.dtype:
            return old
        return torch.empty(shape, dtype=band.dtype, device=band.device, memory_format=torch.channels_last)

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
        return Rows(self.size, lambda first, last: of(self.part(first, last)), self.scratch)

    def plus(self, other: Rows) -> Rows:
        """The sum of two maps, of which the other has no `scratch` of its own."""
        return Rows(self.size, lambda first, last: self.part(first, last) + other.part(first, last), self.scratch)

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

        return Rows((h + 2 * pad - 2, w + 2 * pad - 2), part, self.scratch)

    def _normalised(self, layer: InstanceNorm | nn.BatchNorm2d) -> Rows:
        statistics = _Statistics()
        kept = self.whole(statistics.see)
        mean, variance = statistics.found()
        rows = Rows(self.size, lambda first, last: kept[:, :, first:last], kept)
        return rows.each(lambda band: F.batch_norm(band, mean, variance, layer.weight, layer.bias))


class _Statistics:
    """Mean and variance of each channel of a map that is seen in bands."""

    def __init__(self) -> None:
        self._count, self._mean, self._spread = 0, torch.zeros(()), torch.zeros(())

    def see(self, band: Float[Tensor, "1 c h w"]) -> None:
        """Take in one more band."""
        # Means of squares would lose the variance to rounding; bands are joined by their own (Chan et al. 1979).
        here = band.shape[2] * band.shape[3]
        # On a map laid out channels last ten times as fast as the general mean and variance.
        _, average, inverse = torch.native_batch_norm(band.float(), None, None, None, None, True, 0.0, _EPSILON)
        average, variance = average.double(), (inverse.double() ** -2 - _EPSILON).clamp(min=0)
        count, apart = self._count, average - self._mean.to(average)
        self._spread = self._spread.to(average) + here * variance + apart.square() * (count * here / (count + here))
        self._mean = self._mean.to(average) + apart * (here / (count + here))
        self._count += here

    def found(self) -> tuple[Float[Tensor, c], Float[Tensor, c]]:
        """Mean and variance of all that was seen."""
        return self._mean.float(), (self._spread / self._count).float()


def rows_of(whole: Float[Tensor, "1 c h w"]) -> Rows:
    """A map that is there."""
    return Rows((whole.shape[-2], whole.shape[-1]), lambda first, last: whole[:, :, first:last])


def resized(features: Float[Tensor, "1 c h w"], size: tuple[int, int], corners: bool) -> Rows:
    """`features` as `resize_features`, or `resize_corners`, gives them at `size`."""
    return Rows(size, lambda first, last: resize_rows(features, size, slice(first, last), corners))
