"""Networks of 3x3 convolutions evaluated in bands of rows, so that memory holds a band of every feature map only.

A row of a feature map depends on a few rows around it, so that the values are those of the full image. Normalization by
an image's own statistics needs the full map: such a map is stored, and the next one of the same stage overwrites it.
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

BAND_PIXELS = 1 << 16
"""Pixels of a band, about, on a CPU: its maps of 64 channels are small enough for the allocator to reuse."""
GPU_BAND_PIXELS = 1 << 20
"""Pixels of a band, about, on a GPU, where a kernel needs more work to be worth its launch."""
_MIN_BAND_ROWS = 4
_EPSILON = 1e-5


@dataclass(frozen=True)
class Rows:
    """A feature map (1, c, h, w) whose rows are computed on demand, and computed again if asked for again."""

    size: tuple[int, int]
    """(h, w)."""
    compute: Callable[[int, int], Float[Tensor, "1 c _ w"]]
    """(first, last) -> the rows [first, last)."""
    scratch: Float[Tensor, "1 c2 h2 w2"] | None = None
    """A stored map that only these rows are computed from: `full` may overwrite it, a band behind."""

    def full(self, on_band: Callable[[Tensor], None] = lambda band: None) -> Float[Tensor, "1 c h w"]:
        """The full map, computed band by band, in the memory of `scratch` if it fits there.

        Args:
            on_band: Receives every band, top to bottom.
        """
        (h, w), output, previous, last = self.size, None, None, 0
        band_rows = max(_MIN_BAND_ROWS, BAND_PIXELS // w)
        while last < h:
            first, last = last, min(h, last + band_rows)
            band = self.compute(first, last)
            # The device is known from the first band on.
            if band.device.type != "cpu":
                band_rows = max(_MIN_BAND_ROWS, GPU_BAND_PIXELS // w)
            on_band(band)
            if output is None:
                output = self._allocate(band)
            # Written one band late: this band was computed from rows of `scratch` around it.
            if previous is not None:
                output[:, :, previous[0] : first, :w] = previous[1]
            previous = first, band
        # The last band. The memory of `scratch` may be larger than the map.
        assert output is not None
        assert previous is not None
        output[:, :, previous[0] : h, :w] = previous[1]
        return output[:, :, :h, :w]

    def _allocate(self, band: Tensor) -> Tensor:
        """Memory for a full map with the channels of `band`."""
        shape, old = (1, band.shape[1], *self.size), self.scratch
        fits = old is not None and old.shape[1] == shape[1] and old.shape[2] >= shape[2] and old.shape[3] >= shape[3]
        if old is not None and fits and old.dtype == band.dtype:
            return old
        return torch.empty(shape, dtype=band.dtype, device=band.device, memory_format=torch.channels_last)

    def apply(self, layers: nn.Module) -> Rows:
        """`layers`, in sequence, of this map: unstrided 3x3 convolutions, normalizations and pixelwise modules."""
        rows = self
        # Only layers whose rows depend on few rows are supported: 3x3 convolutions, and modules of single pixels.
        for layer in layers.children() if isinstance(layers, nn.Sequential) else [layers]:
            if isinstance(layer, nn.Sequential):
                rows = rows.apply(layer)
            elif isinstance(layer, nn.Conv2d):
                rows = rows._convolve(layer)
            # BatchNorm in evaluation mode is pixelwise; in training mode it needs the statistics of the full map.
            elif isinstance(layer, InstanceNorm) or (isinstance(layer, nn.BatchNorm2d) and layer.training):
                rows = rows._normalize(layer)
            else:
                rows = rows.map(layer)
        return rows

    def map(self, function: Callable[[Tensor], Tensor]) -> Rows:
        """A pixelwise `function` of this map."""
        return Rows(self.size, lambda first, last: function(self.compute(first, last)), self.scratch)

    def add(self, other: Rows) -> Rows:
        """The sum with `other`, which has no `scratch`."""
        return Rows(self.size, lambda first, last: self.compute(first, last) + other.compute(first, last), self.scratch)

    def zero_pad(self, margin: int) -> Rows:
        """This map with `margin` pixels of zeros on each side."""
        if margin == 0:
            return self
        h, w = self.size

        def compute(first: int, last: int) -> Tensor:
            # The rows inside the map are computed, those above and below it are zeros.
            inside = (max(first - margin, 0), min(last - margin, h))
            above, below = max(margin - first, 0), max(last - margin - h, 0)
            return F.pad(self.compute(*inside), (margin, margin, above, below))

        return Rows((h + 2 * margin, w + 2 * margin), compute)

    def _convolve(self, layer: nn.Conv2d) -> Rows:
        (h, w), pad = self.size, int(layer.padding[0])
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode

        def compute(first: int, last: int) -> Tensor:
            # The rows that a 3x3 convolution reads, padded where they lie outside the map.
            top, bottom = first - pad, last - pad + 2
            inputs = self.compute(max(top, 0), min(bottom, h))
            if pad:
                inputs = F.pad(inputs, (pad, pad, max(-top, 0), max(bottom - h, 0)), mode)
            return F.conv2d(inputs, layer.weight, layer.bias)

        return Rows((h + 2 * pad - 2, w + 2 * pad - 2), compute, self.scratch)

    def _normalize(self, layer: InstanceNorm | nn.BatchNorm2d) -> Rows:
        # Two passes: statistics need the full map, which is stored meanwhile. Computing it again instead takes 151 s
        # for a 4096x4096 sample that takes 70 s.
        statistics = _Statistics()
        stored = self.full(statistics.update)
        mean, variance = statistics.mean_and_variance()
        rows = Rows(self.size, lambda first, last: stored[:, :, first:last], stored)
        return rows.map(lambda band: F.batch_norm(band, mean, variance, layer.weight, layer.bias))


class _Statistics:
    """Running mean and variance of each channel, over the bands of a map."""

    def __init__(self) -> None:
        self._pixels, self._mean, self._squares = 0, torch.zeros(()), torch.zeros(())

    def update(self, band: Float[Tensor, "1 c h w"]) -> None:
        """Include one more band (the parallel update of Chan, Golub, LeVeque 1979, eq. 2.1).

        The mean of squares less the squared mean would lose the variance to rounding.
        """
        pixels = band.shape[2] * band.shape[3]
        # With channels last ten times as fast as torch's general mean and variance.
        _, mean, inverse = torch.native_batch_norm(band.float(), None, None, None, None, True, 0.0, _EPSILON)
        # `inverse` is 1 / sqrt(variance + epsilon). Float64, as thousands of bands are summed.
        mean, variance = mean.double(), (inverse.double() ** -2 - _EPSILON).clamp(min=0)
        before, difference = self._pixels, mean - self._mean.to(mean)
        between = difference.square() * (before * pixels / (before + pixels))
        self._squares = self._squares.to(mean) + pixels * variance + between
        self._mean = self._mean.to(mean) + difference * (pixels / (before + pixels))
        self._pixels += pixels

    def mean_and_variance(self) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """Of each channel, over all bands."""
        return self._mean.float(), (self._squares / self._pixels).float()


def as_rows(features: Float[Tensor, "1 c h w"]) -> Rows:
    """A stored map as `Rows`."""
    return Rows((features.shape[-2], features.shape[-1]), lambda first, last: features[:, :, first:last])


def resized_rows(features: Float[Tensor, "1 c h w"], size: tuple[int, int], align_corners: bool) -> Rows:
    """The rows of `features` at (h, w) `size`, by `resize_features` or, to align corners, `resize_align_corners`."""
    return Rows(size, lambda first, last: resize_rows(features, size, slice(first, last), align_corners))
