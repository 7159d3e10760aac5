"""Clips of known motion, made from public photographs that scikit-image includes: for measuring, not for training.

    python benchmarks/made_clips.py --out made [--clips pan zoom ...] [--side 220] [--frames 60]

writes each clip as a lossless video, and a sheet of six moments. In Python, `make_clip(name)` gives a clip's frames,
the true flow between any two of them with its visibility, its cuts, and the path of its object.

A clip is a stack of flat layers. A layer is a photograph that an affine map places on the screen at each moment; an
upper layer has a shape. The photographs have twice the resolution of the screen, and each frame is reduced from twice
its size, so that a frame is as sharp as a camera's.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.media.image import write_image
from lonepair.media.sheet import contact_sheet
from lonepair.media.write import ClipWriter
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


# -- the clips --------------------------------------------------------------------------------------------------------


def _shot(
    name: str, about: str, size: tuple[int, int], length: int, scene: np.ndarray, place: Place, **more: Any
) -> MadeClip:
    """A clip of one layer."""
    return MadeClip(name, about, size, length, lambda index: [Layer(scene, place)], **more)


def _pan(size: tuple[int, int], length: int) -> MadeClip:
    about = "the camera moves by 1.25 pixels a frame and turns after 48 frames"
    scene = photo("coffee", round(1.5 * DETAIL * size[0]))
    return _shot("pan", about, size, length, scene, lambda i: shift(back_and_forth(i, 1.25, 48) - 30))


def _zoom(size: tuple[int, int], length: int) -> MadeClip:
    about = "the camera zooms in by 1 % a frame and turns after 48 frames"
    scene = photo("chelsea", round(1.1 * DETAIL * size[0]))
    return _shot("zoom", about, size, length, scene, lambda i: shift(zoom=1.01 ** back_and_forth(i, 1, 48)))


def _rotation(size: tuple[int, int], length: int) -> MadeClip:
    about = "the camera turns by 0.6 degrees a frame"
    scene = photo("astronaut", round(1.5 * DETAIL * size[0]))
    return _shot("rotation", about, size, length, scene, lambda i: shift(y=-0.1 * size[0], angle=0.6 * i))


def _parallax(size: tuple[int, int], length: int) -> MadeClip:
    h, w = size
    far, near = photo("rocket", round(1.2 * DETAIL * h)), photo("brick", round(DETAIL * h))
    near = np.tile(near, (1, math.ceil(2.5 * w / h), 1))
    fence = posts(near.shape[1], near.shape[0], round(8 * near.shape[1] / (DETAIL * w * 2)))
    layers = [
        Layer(far, lambda i: shift(0.6 * i - 20)),
        Layer(near, lambda i: shift(2.4 * i - 0.2 * w, -0.25 * h), fence),
    ]
    about = "brick posts pass at 2.4 pixels a frame before a scene that moves by 0.6: it is hidden and revealed"
    return MadeClip("parallax", about, size, length, lambda i: layers)


def _crossing(size: tuple[int, int], length: int) -> MadeClip:
    h, w = size
    ground, shape = photo("grass", round(1.3 * DETAIL * h)), disc(0.055 * w * DETAIL)
    # The patch on the astronaut's arm, whose center is at (171, 385) and whose radius is 37 pixels of 512.
    suit = photo("astronaut", round(0.055 * w * DETAIL / 37 * 512))
    top, left = (round(center / 512 * len(suit) - len(shape) / 2) for center in (385, 171))
    patch = np.ascontiguousarray(suit[top : top + len(shape), left : left + len(shape)])
    # It is whole in the first frame and has left the frame at three quarters of the clip.
    start, stop = -0.4 * w, 0.5 * w + 0.07 * w

    def place(index: int) -> Matrix:
        progress = min(1.0, index / max(1, round(0.75 * (length - 1))))
        x, y = start + (stop - start) * progress, 0.12 * h * math.sin(2.5 * math.pi * progress)
        return shift(-x, -y)

    layers = [Layer(ground, lambda i: shift()), Layer(patch, place, shape)]
    about = "a small disc crosses a meadow before a still camera and leaves after three quarters of the clip"
    return MadeClip("crossing", about, size, length, lambda i: layers, object_layer=1)


def _noise(size: tuple[int, int], length: int) -> MadeClip:
    about = "a still shot with a sensor's noise of 5 grey levels"
    scene = photo("coffee", round(1.1 * DETAIL * size[0]))
    return _shot("noise", about, size, length, scene, lambda i: shift(), noise=5 / 255)


def _jump(size: tuple[int, int], length: int) -> MadeClip:
    about = "a slow pan with a jump cut by a fifth of the frame in the middle"
    scene, cut = photo("chelsea", round(1.5 * DETAIL * size[0])), length // 2

    def place(index: int) -> Matrix:
        return shift(0.5 * index + (0.05 if index >= cut else -0.15) * size[1])

    return _shot("jump", about, size, length, scene, place, cuts=(cut,))


def _brightness(size: tuple[int, int], length: int) -> MadeClip:
    about = "a still shot whose brightness falls from 115 % to 45 % and rises again within 40 frames"
    scene = photo("astronaut", round(1.3 * DETAIL * size[0]))

    def gain(index: int) -> float:
        return 0.8 + 0.35 * math.cos(2 * math.pi * index / 40)

    return _shot("brightness", about, size, length, scene, lambda i: shift(), gain=gain)


def _fast(size: tuple[int, int], length: int) -> MadeClip:
    speed = min(30.0, 0.1 * max(size))
    about = f"the camera moves by {speed:g} pixels a frame (30, or a tenth of the frame) and turns every 12 frames"
    scene = photo("gravel", round(1.2 * DETAIL * size[0]))
    return _shot("fast", about, size, length, scene, lambda i: shift(back_and_forth(i, speed, 12) - 6 * speed))


def _fade(size: tuple[int, int], length: int) -> MadeClip:
    scenes = [photo(name, round(1.5 * DETAIL * size[0])) for name in ("rocket", "astronaut")]
    middle, half = length // 2, min(6, length // 4)
    shots = [[Layer(scene, lambda i: shift(0.5 * (i - middle)))] for scene in scenes]

    def other(index: int) -> tuple[list[Layer], float]:
        weight = min(1.0, max(0.0, (index - middle + half + 0.5) / (2 * half)))
        return (shots[1], weight) if index < middle else (shots[0], 1 - weight)

    return MadeClip(
        "fade",
        f"one slow pan fades into another within {2 * half} frames",
        size,
        length,
        lambda i: shots[int(i >= middle)],
        cuts=(middle,),
        fades=((middle - half, middle + half),),
        fade_layers=other,
    )


CLIPS: dict[str, Callable[[tuple[int, int], int], MadeClip]] = {
    "pan": _pan,
    "zoom": _zoom,
    "rotation": _rotation,
    "parallax": _parallax,
    "crossing": _crossing,
    "noise": _noise,
    "jump": _jump,
    "brightness": _brightness,
    "fast": _fast,
    "fade": _fade,
}
"""Name of a clip -> the function that makes it at a size (h, w) in pixels, with a number of frames."""


def make_clip(name: str, side: int = 220, length: int = 60) -> MadeClip:
    """The clip `name` of `CLIPS`, `side` pixels wide at 4:3, with `length` frames."""
    return CLIPS[name]((round(side * 0.75), side), length)


def main() -> int:
    """Write clips and sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", default=list(CLIPS), choices=list(CLIPS), help="clips to write")
    parser.add_argument("--side", type=int, default=220, help="width in pixels; above 300 photographs are enlarged")
    parser.add_argument("--frames", type=int, default=60, help="frames of a clip")
    parser.add_argument("--out", type=Path, default=Path("made"), help="folder")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.clips:
        clip = make_clip(name, args.side, args.frames)
        moments = {round(moment) for moment in np.linspace(0, clip.length - 1, 6)}
        row = []
        with ClipWriter(args.out / f"{name}.mkv", clip.size, RATE, overwrite=True) as writer:
            for index, frame in enumerate(clip.frames()):
                writer.write(frame, index / RATE)
                row += [(f"{name} {index}", frame)] if index in moments else []
        write_image(args.out / f"{name}.png", contact_sheet([row], cell=220), overwrite=True)
        print(f"{name}: {clip.about}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
