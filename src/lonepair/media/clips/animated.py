"""Reads and writes animated GIF, APNG and WebP (and reads animated AVIF) through Pillow."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from lonepair.media.clips.container import ClipInfo, Frame
from lonepair.media.clips.integrity import ends_early
from lonepair.media.limits import check_clip
from lonepair.media.stills.coloring import apply_tables, convert_colors
from lonepair.media.stills.opening import check_image_file, open_image
from lonepair.media.stills.pil import join
from lonepair.media.stills.tiff import is_tiff

logger = logging.getLogger("lonepair")

_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats whose frames are moments in time. The frames of a TIFF are pages, those of an MPO are views."""

_UNSET_SECONDS = Fraction(1, 10)
"""How long browsers show a frame whose duration is 0."""

_GIF_MIN_MS = 20
"""Browsers slow down GIF frames that are shorter than this to 100 ms."""

_LONGEST_MS = {".gif": 655_350, ".webp": 0xFFFFFF, ".png": 65_535_000, ".apng": 65_535_000}
"""Longest duration of a frame that a format stores: 16 bits of 1/100 s, 24 bits of ms, 16 bits of s."""
_APNG_STEPS = ((65_535, 1), (655_350, 10), (6_553_500, 100), (65_535_000, 1000))
"""APNG stores a fraction of two 16-bit numbers: up to these milliseconds, durations are multiples of these steps."""


def is_animated(path: Path) -> bool:
    """Return whether the image file `path` holds more than one moment.

    Raises:
        UserError: The file cannot be read as an image (`image.open_image`).
    """
    check_image_file(path)
    # The pages of a TIFF are no moments, and not all of them are Pillow's.
    if is_tiff(path):
        return False
    with open_image(path, header_only=True) as image:
        return image.format in _FORMATS and bool(getattr(image, "is_animated", False))


def probe_animated(path: Path) -> ClipInfo:
    """Return the properties of the animation `path`.

    Decodes all frames, because only then it is known whether one of them is transparent.

    Raises:
        UserError: The file cannot be read, or its frames exceed the limits (`limits.check_clip`).
    """
    with open_image(path, header_only=True) as image:
        check_clip(path, (image.height, image.width), getattr(image, "n_frames", 1), file_bytes=path.stat().st_size)
    count, seconds, opaque, size = 0, Fraction(0), True, (0, 0)
    for _, duration, picture in _decoded_frames(path, logs=True):
        count += 1
        seconds += duration
        opaque = opaque and picture.getchannel("A").getextrema() == (255, 255)
        size = (picture.height, picture.width)
    return ClipInfo(size=size, rate=count / seconds, frame_count=count, has_audio=False, channels=3 if opaque else 4)


def decode_animated(path: Path, channels: int) -> Iterator[Frame]:
    """Yield every frame of the animation `path`, composited as a viewer shows it, with `channels` = 3 or 4."""
    with open_image(path, header_only=True) as image:
        info = dict(image.info)
    for time, _, picture in _decoded_frames(path):
        pixels = np.asarray(apply_tables(picture, str(path)))
        color = convert_colors(pixels[..., :3], info, str(path), logs=time == 0)
        yield Frame(time, join(color, pixels[..., 3:] if channels == 4 else None))


def _decoded_frames(path: Path, logs: bool = False) -> Iterator[tuple[Fraction, Fraction, Image.Image]]:
    """Yield (time in seconds, duration in seconds, RGBA picture) of every frame."""
    with open_image(path) as image:
        count = getattr(image, "n_frames", 1)
        # The first picture of an APNG may be meant for viewers that cannot play it.
        start = 1 if count > 1 and getattr(image, "default_image", False) else 0
        # Pillow composites the frames when they are read in order.
        time = Fraction(0)
        for index in range(start, count):
            try:
                image.seek(index)
                picture = image.convert("RGBA")
            except (EOFError, OSError, SyntaxError, ValueError):
                # Without any frame there is no clip; a later error ends it.
                if index == start:
                    raise
                if logs:
                    logger.warning(
                        "%s: only %d of %d frames can be decoded, and these are used; give a complete copy to use all",
                        *(path, index - start, count - start),
                    )
                return
            # Milliseconds. APNG stores fractions, which Pillow returns as floats.
            duration = Fraction(image.info.get("duration") or 0).limit_denominator(10_000) / 1000 or _UNSET_SECONDS
            yield time, duration, picture
            time += duration
        if logs and ends_early(path, str(image.format).lower()):
            text = (
                "%s: the file is cut short or damaged; the %d frames that can be decoded are used; give a complete copy"
            )
            logger.warning(text, path, count - start)


def animation_end(path: Path) -> Fraction:
    """Return when the last frame of the animation `path` disappears, in seconds."""
    return sum((duration for _, duration, _ in _decoded_frames(path)), Fraction(0))


def save_animated(
    path: Path, name: Path, pictures: list[Image.Image], times: list[Fraction], end: Fraction, comment: str = ""
) -> None:
    """Write a GIF, WebP or APNG that loops forever.

    GIF has 256 colours per frame and steps of 10 ms, WebP is lossy (quality 90), APNG is exact.

    Args:
        path: The file; its suffix selects the format.
        name: Its name in messages.
        pictures: RGB or RGBA pictures of one size.
        times: Start of each picture in seconds, increasing.
        end: When the last picture disappears, in seconds.
        comment: Text for the file's comment; none where empty.
    """
    suffix = path.suffix.lower()
    is_gif = suffix == ".gif"
    if is_gif:
        pictures = [_binarize_alpha(picture) for picture in pictures]
    # Equal pictures become one before their durations are limited: Pillow would add up the limited ones.
    pictures, times = _without_repeats(pictures, times)
    durations = _limited(name, _durations(name, times, end, is_gif), suffix)
    first, rest = pictures[0], pictures[1:]
    if is_gif:
        first.save(path, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, comment=comment.encode())
    elif suffix == ".webp":
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = comment
        block = exif.tobytes() if comment else b""
        first.save(path, "WEBP", save_all=True, append_images=rest, duration=durations, loop=0, quality=90, exif=block)
    else:
        info = PngImagePlugin.PngInfo()
        if comment:
            info.add_text("Comment", comment)
        first.save(path, "PNG", save_all=True, append_images=rest, duration=durations, loop=0, pnginfo=info)


def _without_repeats(pictures: list[Image.Image], times: list[Fraction]) -> tuple[list[Image.Image], list[Fraction]]:
    """Return the pictures that differ from the one before, and their times."""
    retained = [0]
    for index in range(1, len(pictures)):
        if pictures[index].tobytes() != pictures[retained[-1]].tobytes():
            retained.append(index)
    return [pictures[index] for index in retained], [times[index] for index in retained]


def _durations(path: Path, times: list[Fraction], end: Fraction, is_gif: bool) -> list[int]:
    """Return how long each frame lasts, in milliseconds that the format can store."""
    step = 10 if is_gif else 1
    # Round the times rather than the durations, so that rounding errors do not add up.
    marks = [round((time - times[0]) * 1000 / step) * step for time in (*times, end)]
    # A format that cannot show a frame as briefly as the clip does plays slower.
    shortest = _GIF_MIN_MS if is_gif else 1
    durations = [max(shortest, after - before) for before, after in pairwise(marks)]
    if is_gif and sum(durations) > marks[-1] + step * len(durations) // 2:
        logger.warning(
            "%s: plays slower than the clip, because GIF shows at most 50 frames per second; write .webp or .mp4", path
        )
    return durations


def _limited(path: Path, durations: list[int], suffix: str) -> list[int]:
    """Return the durations in milliseconds, none longer than a file with this suffix can store; log where one is."""
    longest = _LONGEST_MS[suffix]
    if max(durations) > longest:
        logger.warning(
            "%s: a frame lasts %.0f s, %s files hold %.0f s at most and show it that long; write .mp4 for all of it",
            *(path, max(durations) / 1000, suffix, longest / 1000),
        )
    durations = [min(duration, longest) for duration in durations]
    if suffix in (".png", ".apng"):
        steps = [next(step for most, step in _APNG_STEPS if duration <= most) for duration in durations]
        durations = [duration // step * step for duration, step in zip(durations, steps, strict=True)]
    return durations


def _binarize_alpha(picture: Image.Image) -> Image.Image:
    """Return an RGBA `picture` with alpha 0 or 255, as GIF needs it; a picture of another mode is returned as is."""
    if picture.mode != "RGBA":
        return picture
    mask = picture.getchannel("A").point(lambda alpha: 255 if alpha >= 128 else 0)
    binary = Image.new("RGBA", picture.size)
    binary.paste(picture.convert("RGB"), mask=mask)
    return binary


def read_comment(path: Path) -> str:
    """Return the comment that `save_animated` wrote into the image file `path`; empty where there is none."""
    with open_image(path) as image:
        image.load()
        comment = image.info.get("comment") or image.info.get("Comment")
        comment = comment or image.getexif().get(ExifTags.Base.ImageDescription, "")
    if isinstance(comment, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return comment.decode()
        return ""
    return str(comment)
