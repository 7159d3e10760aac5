"""Animated GIF, APNG and WebP, in and out, through Pillow."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from lonepair.media.container import ClipInfo, Frame
from lonepair.media.image import open_image
from lonepair.ops.arrays import from_integers

log = logging.getLogger("lonepair")

_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats whose frames are moments in time. (The frames of a TIFF are pages, those of an MPO views.)"""

_UNSET_SECONDS = Fraction(1, 10)
"""How long browsers show a frame whose duration is given as zero."""

_GIF_SHORTEST_MS = 20
"""Browsers slow down frames that are shorter than this to 100 ms."""


def is_animated(path: Path) -> bool:
    """Whether the image file `path` holds more than one moment.

    Raises:
        UserError: the file cannot be read as an image (`image.open_image`).
    """
    with open_image(path) as image:
        return image.format in _FORMATS and getattr(image, "n_frames", 1) > 1


def probe_animated(path: Path) -> ClipInfo:
    """What the animation `path` is. All frames are looked at: only then is it known whether any is transparent."""
    count, seconds, opaque, size = 0, Fraction(0), True, (0, 0)
    for _, duration, picture in _walk(path):
        count += 1
        seconds += duration
        opaque = opaque and picture.getchannel("A").getextrema() == (255, 255)
        size = (picture.height, picture.width)
    return ClipInfo(size=size, rate=count / seconds, frame_count=count, has_audio=False, channels=3 if opaque else 4)


def decode_animated(path: Path, channels: int) -> Iterator[Frame]:
    """Every frame of the animation `path`, whole (what a viewer shows at that moment), of `channels` = 3 or 4."""
    for time, _, picture in _walk(path):
        yield Frame(time, from_integers(np.asarray(picture)[..., :channels]))


def _walk(path: Path) -> Iterator[tuple[Fraction, Fraction, Image.Image]]:
    """(time, duration, RGBA picture) of every frame, seconds."""
    with open_image(path) as image:
        count = getattr(image, "n_frames", 1)
        # An APNG may start with a picture that is for viewers without animation only.
        start = 1 if count > 1 and getattr(image, "default_image", False) else 0
        time = Fraction(0)
        for index in range(start, count):
            try:
                image.seek(index)
                picture = image.convert("RGBA")
            except (EOFError, OSError, SyntaxError, ValueError):
                if index == start:
                    raise
                log.warning("%s: is damaged or cut short; %d of %d frames are used", path, index - start, count - start)
                return
            # Milliseconds; APNG's are floats of true fractions.
            duration = Fraction(image.info.get("duration") or 0).limit_denominator(10_000) / 1000 or _UNSET_SECONDS
            yield time, duration, picture
            time += duration


def save_animated(
    path: Path, pictures: list[Image.Image], times: list[Fraction], rate: Fraction, note: str = ""
) -> None:
    """Write `pictures` (RGB or RGBA, one size) as a GIF, WebP or APNG that loops for ever; by `path`'s suffix.

    `times` are in seconds and increase; the last frame lasts 1 / `rate`. `note` goes into the file's comment.
    GIF has 256 colours per frame and steps of 10 ms, WebP is lossy (quality 90), APNG is exact.
    """
    suffix = path.suffix.lower()
    is_gif = suffix == ".gif"
    tick = 10 if is_gif else 1
    # Rounding the times, not the durations, so that errors do not add up.
    marks = [round((time - times[0]) * 1000 / tick) * tick for time in (*times, times[-1] + 1 / rate)]
    shortest = _GIF_SHORTEST_MS if is_gif else 1
    durations = [max(shortest, after - before) for before, after in pairwise(marks)]
    if is_gif and sum(durations) > marks[-1] + tick * len(durations) // 2:
        log.warning("GIF shows at most 50 frames per second: %s plays slower than the clip", path.name)
    if is_gif:
        pictures = [_hard_alpha(picture) for picture in pictures]
    first, rest = pictures[0], pictures[1:]
    if is_gif:
        first.save(path, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, comment=note.encode())
    elif suffix == ".webp":
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = note
        block = exif.tobytes() if note else b""
        first.save(path, "WEBP", save_all=True, append_images=rest, duration=durations, loop=0, quality=90, exif=block)
    else:
        info = PngImagePlugin.PngInfo()
        if note:
            info.add_text("Comment", note)
        first.save(path, "PNG", save_all=True, append_images=rest, duration=durations, loop=0, pnginfo=info)


def _hard_alpha(picture: Image.Image) -> Image.Image:
    """An RGBA `picture` with each pixel all there or not at all, which is what GIF knows; any other itself."""
    if picture.mode != "RGBA":
        return picture
    mask = picture.getchannel("A").point(lambda alpha: 255 if alpha >= 128 else 0)
    hard = Image.new("RGBA", picture.size)
    hard.paste(picture.convert("RGB"), mask=mask)
    return hard


def read_comment(path: Path) -> str:
    """The comment that `save_animated` wrote; empty where there is none."""
    with open_image(path) as image:
        image.load()
        note = image.info.get("comment") or image.info.get("Comment")
        note = note or image.getexif().get(ExifTags.Base.ImageDescription, "")
    if isinstance(note, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return note.decode()
        return ""
    return str(note)
