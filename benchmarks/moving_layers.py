"""Stacks of flat layers that move: their frames, and the true flow between any two of them with its visibility.

A layer is a photograph that an affine map places on the screen at each moment; an upper layer has a shape. The
photographs have twice the resolution of the screen, and each frame is reduced from twice its size, so that a frame is
as sharp as a camera's. `made_clips.py` makes clips of them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.arrays import from_integers

RATE = Fraction(25)
"""Frames per second."""
DETAIL = 2
"""Pixels of a layer, and of a frame before it is reduced, for each pixel of the screen."""
EDGE = 2
"""Pixels around the edge of a layer whose motion does not count: they are mixed."""

Matrix = Float[np.ndarray, "2 3"]
Place = Callable[[int], Matrix]
"""Number of a frame -> the affine map from pixels of the screen to pixels of a layer, both from their centers."""


@dataclass(frozen=True)
class Layer:
    """A photograph that moves over the screen."""

    image: np.ndarray
    """(h, w, 3) in [0, 1]; beyond its border it is mirrored."""
    place: Place
    shape: np.ndarray | None = None
    """(h, w) in [0, 1]: where the layer covers those below; None: everywhere. Beyond its border it covers nothing."""


@dataclass(frozen=True)
class MadeClip:
    """A clip whose motion is known. It is the `Motion` and, where it has an object, the `ObjectPath` of the metrics."""

    name: str
    about: str
    size: tuple[int, int]
    """(h, w) in pixels."""
    length: int
    """Number of frames."""
    layers: Callable[[int], list[Layer]]
    """Number of a frame -> its layers, from back to front."""
    cuts: tuple[int, ...] = ()
    """Numbers of the frames that begin a scene."""
    fades: tuple[tuple[int, int], ...] = ()
    """(first frame, frame after the last) of each gradual change of scene, in which no motion is defined."""
    object_layer: int | None = None
    """Number of the layer that is the object."""
    gain: Callable[[int], float] = lambda index: 1.0
    """Number of a frame -> factor of its brightness."""
    noise: float = 0.0
    """Standard deviation of a sensor's noise, in [0, 1]."""
    fade_layers: Callable[[int], tuple[list[Layer], float]] | None = field(default=None, repr=False)
    """Number of a frame -> the layers that fade in, and their weight."""

    # -- frames -------------------------------------------------------------------------------------------------------

    def frames(self) -> Iterator[Float[Tensor, "1 3 h w"]]:
        """Every frame, in [-1, 1]."""
        for index in range(self.length):
            yield self.frame(index)

    def frame(self, index: int) -> Float[Tensor, "1 3 h w"]:
        """Frame number `index`, rounded to 8 bits."""
        pixels = self._render(self.layers(index), index)
        if self.fade_layers is not None:
            layers, weight = self.fade_layers(index)
            pixels = (1 - weight) * pixels + weight * self._render(layers, index) if weight else pixels
        pixels = pixels * self.gain(index)
        if self.noise:
            pixels = pixels + self.noise * np.random.default_rng(index).standard_normal(pixels.shape)
        return from_integers((pixels.clip(0, 1) * 255).round().astype(np.uint8))

    def _render(self, layers: list[Layer], index: int) -> np.ndarray:
        """The layers on the screen, (h, w, 3)."""
        cv2 = _opencv()
        h, w = self.size
        large = None
        for layer in layers:
            x, y = _layer_positions(layer.place(index), self.size, DETAIL)
            color = cv2.remap(layer.image, *_from_center(x, y, layer.image), cv2.INTER_CUBIC, None, cv2.BORDER_REFLECT)
            if layer.shape is None or large is None:
                large = color
                continue
            cover = cv2.remap(layer.shape, *_from_center(x, y, layer.shape), cv2.INTER_LINEAR)[..., None]
            large = cover * color + (1 - cover) * large
        return np.asarray(cv2.resize(large, (w, h), interpolation=cv2.INTER_AREA))

    # -- motion -------------------------------------------------------------------------------------------------------

    def between(
        self, index: int, earlier: int, frame: object = None, earlier_frame: object = None
    ) -> tuple[Float[Tensor, "1 2 h w"], Bool[Tensor, "1 1 h w"]]:
        """The true flow of frame number `index` to an earlier (or later) one, and where its pixel is visible there."""
        h, w = self.size
        owner, other_owner = self._owners(index), self._owners(earlier)
        flow = np.zeros((2, h, w))
        ys, xs = np.mgrid[:h, :w].astype(np.float64)
        for number, (now, then) in enumerate(zip(self.layers(index), self.layers(earlier), strict=True)):
            # Screen -> layer at this moment, then layer -> screen at the other one.
            x, y = _layer_positions(now.place(index), self.size, 1)
            back = _inverse(then.place(earlier))
            there_x = back[0, 0] * x + back[0, 1] * y + back[0, 2] + (w - 1) / 2
            there_y = back[1, 0] * x + back[1, 1] * y + back[1, 2] + (h - 1) / 2
            flow = np.where(owner == number, np.stack([there_x - xs, there_y - ys]), flow)
        there_x, there_y = xs + flow[0], ys + flow[1]
        inside = (there_x >= 0) & (there_x <= w - 1) & (there_y >= 0) & (there_y <= h - 1)
        column, row = there_x.round().astype(int).clip(0, w - 1), there_y.round().astype(int).clip(0, h - 1)
        # Visible: the same layer is on top in both, away from its edges.
        visible = inside & (owner == other_owner[row, column])
        visible &= ~_near_edges(owner) & ~_near_edges(other_owner)[row, column]
        if not self._in_one_scene(index, earlier):
            visible[:] = False
        return torch.from_numpy(flow.astype(np.float32))[None], torch.from_numpy(visible)[None, None]

    def _owners(self, index: int) -> np.ndarray:
        """(h, w): the number of the layer that each pixel shows."""
        owner = np.zeros(self.size, dtype=int)
        for number, layer in enumerate(self.layers(index)):
            if layer.shape is not None:
                x, y = _layer_positions(layer.place(index), self.size, 1)
                cover = _opencv().remap(layer.shape, *_from_center(x, y, layer.shape), _opencv().INTER_LINEAR)
                owner[cover > 0.5] = number
        return owner

    def _in_one_scene(self, index: int, earlier: int) -> bool:
        low, high = sorted((index, earlier))
        return not any(low < cut <= high for cut in self.cuts) and not any(
            low < stop and high >= start for start, stop in self.fades
        )

    # -- object -------------------------------------------------------------------------------------------------------

    @property
    def path(self) -> MadeClip | None:
        """The clip itself if it has an object."""
        return self if self.object_layer is not None else None

    def mask(self, index: int) -> Bool[Tensor, "1 1 h w"]:
        """Where the object is in frame number `index`."""
        assert self.object_layer is not None
        return self.layer_mask(index, self.object_layer)

    def layer_mask(self, index: int, number: int) -> Bool[Tensor, "1 1 h w"]:
        """Where layer `number` is on top in frame number `index`."""
        return torch.from_numpy(self._owners(index) == number)[None, None]


def _opencv() -> Any:
    return importlib.import_module("cv2")


def _layer_positions(place: Matrix, size: tuple[int, int], detail: int) -> tuple[np.ndarray, np.ndarray]:
    """The positions in a layer, from its center, of the screen's pixels; `detail` of them a pixel in each direction."""
    h, w = size
    ys, xs = np.mgrid[: h * detail, : w * detail].astype(np.float64)
    # Centers of the small pixels, in pixels of the screen from its center.
    xs, ys = (xs + 0.5) / detail - w / 2, (ys + 0.5) / detail - h / 2
    return (
        place[0, 0] * xs + place[0, 1] * ys + place[0, 2],
        place[1, 0] * xs + place[1, 1] * ys + place[1, 2],
    )


def _from_center(x: np.ndarray, y: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions from the center of `image` as OpenCV counts them, from its first pixel."""
    h, w = image.shape[:2]
    return (x + (w - 1) / 2).astype(np.float32), (y + (h - 1) / 2).astype(np.float32)


def _inverse(matrix: Matrix) -> Matrix:
    """The inverse of an affine map."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], 1)


def _near_edges(owner: np.ndarray) -> np.ndarray:
    """Whether another layer is on top within `EDGE` pixels."""
    cv2 = _opencv()
    kernel = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    labels = owner.astype(np.uint8)
    return np.asarray(cv2.dilate(labels, kernel) != cv2.erode(labels, kernel))


# -- layers -----------------------------------------------------------------------------------------------------------


def shift(x: float = 0.0, y: float = 0.0, zoom: float = 1.0, angle: float = 0.0) -> Matrix:
    """The place of a layer for a camera that looks at (x, y), in pixels of the screen from the layer's center.

    Args:
        x: Position to the right.
        y: Position down.
        zoom: Enlargement.
        angle: Rotation in degrees.
    """
    cos, sin = math.cos(math.radians(angle)) * DETAIL / zoom, math.sin(math.radians(angle)) * DETAIL / zoom
    return np.array([[cos, -sin, DETAIL * x], [sin, cos, DETAIL * y]])


@lru_cache(16)
def photo(name: str, height: int) -> np.ndarray:
    """A photograph of scikit-image as (h, w, 3) in [0, 1], `height` pixels of a layer high.

    `astronaut` and `hubble_deep_field` are NASA's (public domain); `chelsea`, `coffee`, `rocket` and the textures
    `brick`, `grass` and `gravel` are CC0, as the docs of `skimage.data` say.
    """
    cv2, data = _opencv(), importlib.import_module("skimage.data")
    image: np.ndarray = getattr(data, name)()
    image = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]
    width = round(image.shape[1] * height / image.shape[0])
    mode = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_CUBIC
    pixels: np.ndarray = cv2.resize(image, (width, height), interpolation=mode).astype(np.float32) / 255
    return pixels


def disc(radius: float) -> np.ndarray:
    """The shape of a disc, in pixels of a layer."""
    side = 2 * math.ceil(radius) + 3
    ys, xs = np.mgrid[:side, :side] - (side - 1) / 2
    shape: np.ndarray = np.clip(radius + 0.5 - np.hypot(xs, ys), 0, 1).astype(np.float32)
    return shape


def posts(width: int, height: int, count: int) -> np.ndarray:
    """The shape of upright posts of uneven heights, in pixels of a layer."""
    shape = np.zeros((height, width), np.float32)
    for number in range(count):
        left = round((number + 0.3) * width / count)
        top = round(height * (0.15 + 0.35 * ((number * 0.618) % 1)))
        shape[top:, left : left + round(0.4 * width / count)] = 1
    return shape


def back_and_forth(index: int, speed: float, turn: int) -> float:
    """The position of a camera that moves by `speed` pixels a frame and turns every `turn` frames."""
    phase = index % (2 * turn)
    return speed * min(phase, 2 * turn - phase)
