"""The command `demo`: a clip of coins translated into galaxies, from photographs that scikit-image includes.

`coins` is a photograph of Greek coins from the Brooklyn Museum (no known copyright restrictions), `hubble_deep_field`
is by NASA (public domain). Both are files of scikit-image's wheel, so nothing is downloaded.
"""

from __future__ import annotations

import importlib
import logging
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import lonepair.methods as methods
from lonepair.commands.forms import Reuse, Training
from lonepair.commands.roles import PathRole
from lonepair.commands.translate import TranslateOutput, run_translate, sheet_path, translate_form
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.train.options import Options

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from lonepair.media import values
    from lonepair.media.clips import write
    from lonepair.media.stills import image
else:
    Image = lazy("PIL.Image")
    image = lazy("lonepair.media.stills.image")
    values = lazy("lonepair.media.values")
    write = lazy("lonepair.media.clips.write")

logger = logging.getLogger("lonepair")

SIZE = (96, 128)
"""(h, w) of all three inputs, in pixels: small enough to train in minutes, and even, as H.264 needs."""
FRAMES = 36
RATE = Fraction(15)
"""Frames per second."""

# Crops as (left, top, width) in the photographs' pixels; the height follows from SIZE. They are chosen so that a coin
# and a large galaxy are about equally large, a quarter of the height.
COINS = (72.0, 92.0, 180.0)
GALAXIES = (262.0, 38.0, 212.0)


@dataclass(frozen=True)
class Demo:
    """Crop a source clip and a target from included photographs, then train and translate: about five minutes."""

    folder: Annotated[Path, PathRole.FOLDER] = Path("demo")
    """Folder for inputs and results."""
    max_minutes: float = 0.0
    """Limit of the training time in minutes; 0 is no limit."""


def run_demo(values: Demo) -> int:
    """Write the inputs, train with the preset draft, and write the translated clip."""
    _, clip, target = demo_inputs(values.folder)
    out = values.folder / "translated.mp4"
    logger.info("lonepair translate %s %s --preset draft -o %s", clip, target, out)
    # The command line's own path, so that the demo shows what a user's command does.
    form = translate_form([])
    status = run_translate(
        form(
            inputs=(clip, target),
            config=methods.get_method(methods.DEFAULT).config_class.from_preset("draft"),
            output=TranslateOutput(out=out, overwrite=True),
            training=Training(method=methods.DEFAULT, preset="draft", run=values.folder / "run"),
            reuse=Reuse(retrain=True),
            options=Options(max_minutes=values.max_minutes),
        )
    )
    logger.info("look at %s (source, target and result side by side) and play %s", sheet_path(out), out)
    return status


def demo_inputs(folder: Path) -> tuple[Path, Path, Path]:
    """Write a photograph, a clip and a target into `folder`, and return their paths in this order.

    The same versions of the libraries give the same bytes. An existing file is not replaced.

    Raises:
        UserError: where scikit-image is missing, or the folder cannot be written.
    """
    try:
        data = importlib.import_module("skimage.data")
    except ImportError as error:
        raise UserError("the demo needs scikit-image: pip install scikit-image") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error}); run the demo in a folder you may write to") from error
    coins, galaxies = Image.fromarray(data.coins()), Image.fromarray(data.hubble_deep_field())

    # An existing file is not replaced, so that the user can change an input and run the demo again.
    still, clip, target = folder / "coins.png", folder / "coins.mp4", folder / "galaxies.png"
    if not still.exists():
        image.write_image(still, _crop(coins, *COINS))
    if not target.exists():
        image.write_image(target, _crop(galaxies, *GALAXIES))
    if not clip.exists():
        with write.ClipWriter(clip, SIZE, RATE) as writer:
            for index in range(FRAMES):
                writer.write(_crop(coins, *camera_crop(index)), index / RATE)
    return still, clip, target


def camera_crop(index: int) -> tuple[float, float, float]:
    """The crop (left, top, width) of frame `index`, in the photograph's pixels.

    The camera moves once around an ellipse and zooms by 6 %, so that the clip loops.
    """
    angle = 2 * math.pi * index / FRAMES
    left, top, width = COINS
    zoom = 1 - 0.06 * math.sin(angle)
    right, down = 28 * (1 - math.cos(angle)), 18 * math.sin(angle)
    height = width * SIZE[0] / SIZE[1]
    # Zoom around the centre of the crop.
    return left + right + width * (1 - zoom) / 2, top + down + height * (1 - zoom) / 2, width * zoom


def _crop(photo: Image.Image, left: float, top: float, width: float) -> Tensor:
    """A crop of `photo`, scaled to SIZE and antialiased; corner and width may be fractions of a pixel."""
    height = width * SIZE[0] / SIZE[1]
    view = photo.resize((SIZE[1], SIZE[0]), Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))
    return values.as_image(view)
