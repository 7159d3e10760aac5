"""Small copies of evenly spaced frames of a clip of unknown length, for its contact sheet."""

from __future__ import annotations

from fractions import Fraction

from jaxtyping import Float
from torch import Tensor

from lonepair.ops.resize import resize_image

_CAPACITY = 32
"""Between this number and twice as many frames are retained; a clip of up to twice as many frames retains all."""
_SIDE = 256
"""Longest side of a retained frame in pixels: that of a contact sheet's cells."""

Frames = tuple[Fraction, Tensor, Tensor]
"""A frame's time in seconds, the frame of the source and its translation, each (1, c, h, w) of its own size."""


class Thumbnails:
    """Retains evenly spaced frames of a stream, and its last one."""

    def __init__(self) -> None:
        self._retained: list[tuple[int, Frames]] = []
        self._stride = 1
        self._last: Frames | None = None
        self._count = 0

    def add(self, time: Fraction, source: Float[Tensor, "1 c h w"], output: Float[Tensor, "1 c2 h2 w2"]) -> None:
        """Take the next frame."""
        index, self._last = self._count, (time, source, output)
        self._count += 1
        if index % self._stride:
            return
        self._retained.append((index, _small_copies(self._last)))
        # From here on every second of the retained frames only.
        if len(self._retained) > 2 * _CAPACITY:
            self._retained, self._stride = self._retained[::2], 2 * self._stride

    def select(self, count: int) -> list[Frames]:
        """Up to `count` frames, evenly spaced from the first to the last."""
        if self._last is None:
            return []
        frames = dict(self._retained) | {self._count - 1: _small_copies(self._last)}
        ideal = (i * (self._count - 1) / max(1, count - 1) for i in range(count))
        nearest = {min(frames, key=lambda index: abs(index - at)) for at in ideal}
        return [frames[index] for index in sorted(nearest)]


def _small_copies(frames: Frames) -> Frames:
    time, *images = frames
    source, output = (_thumbnail(image) for image in images)
    return time, source, output


def _thumbnail(image: Tensor) -> Tensor:
    """`image` within `_SIDE` pixels, as `contact_sheet` scales it."""
    h, w = image.shape[-2:]
    scale = _SIDE / max(h, w)
    return image if scale >= 1 else resize_image(image, (max(1, round(h * scale)), max(1, round(w * scale))))
