"""Clips of known motion, made from public photographs that scikit-image includes: for measuring, not for training.

    python benchmarks/made_clips.py --out made [--clips pan zoom ...] [--side 220] [--frames 60]

writes each clip as a lossless video, and a sheet of six moments. In Python, `make_clip(name)` gives a clip's frames,
the true flow between any two of them with its visibility, its cuts, and the path of its object.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from moving_layers import DETAIL, RATE, Layer, MadeClip, Matrix, Place, back_and_forth, disc, photo, posts, shift

from lonepair.media.clips.write import ClipWriter
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import write_image


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
