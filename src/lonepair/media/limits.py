"""Limits of how much work one input may cause, checked from its header before anything is decoded.

A file of a few kilobytes can ask for hours of decoding or for more memory than the machine has. Whoever opens a file
calls `check_pixels` with the size that its header states, and `check_clip` as soon as the number of frames is known: of
the frames that will be read, where only a part of the clip is. The environment variable `LONEPAIR_NO_LIMITS=1` lifts
all limits, on the command line, in Python and in worker processes alike.
"""

from __future__ import annotations

import os
from pathlib import Path

from lonepair.errors import UserError

MAX_PIXELS = 200_000_000
"""Pixels of one image or frame: the largest cameras of telephones have as many. As a tensor, RGB takes 2.4 GB."""

MAX_CLIP_PIXELS = 100_000_000_000
"""Pixels of all frames of a clip: 27 minutes of 1920x1080 at 30 frames per second."""

MAX_CLIP_SECONDS = 24 * 3600
"""Duration of a clip. One frame that is shown for years makes millions of frames in a format of constant rate."""

MAX_PIXELS_PER_BYTE = 20_000
"""Pixels of all frames per byte of the file. Video of a screen without any motion reaches about half of it."""

_SMALL_CLIP_PIXELS = 2_000_000_000
"""Clips of fewer pixels may have any number of them per byte: they are decoded within seconds."""

_SWITCH = "LONEPAIR_NO_LIMITS"
_REMEDY = f"or set the environment variable {_SWITCH}=1 to read it all the same"


def limits_apply() -> bool:
    """Return whether the limits hold: always, unless the environment variable `LONEPAIR_NO_LIMITS` is 1."""
    return os.environ.get(_SWITCH, "") in ("", "0")


def check_pixels(path: Path | str, size: tuple[int, int]) -> None:
    """Refuse an image, or a frame of a clip, with more than `MAX_PIXELS` pixels.

    Args:
        path: The file, for the message.
        size: (h, w) in pixels, as the header states it.

    Raises:
        UserError: The image is larger.
    """
    h, w = size
    if h * w > MAX_PIXELS and limits_apply():
        raise UserError(
            f"{path}: has {w}x{h} pixels ({h * w / 1e6:.0f} megapixels), and the limit is {MAX_PIXELS / 1e6:.0f} "
            f"megapixels; scale it down, {_REMEDY}"
        )


def check_clip(
    path: Path | str,
    size: tuple[int, int],
    frame_count: int | None,
    seconds: float | None = None,
    file_bytes: int | None = None,
) -> None:
    """Refuse a clip whose frames, or all frames together, have too many pixels, or that lasts too long.

    Args:
        path: The clip, for the message.
        size: (h, w) of a frame in pixels.
        frame_count: Number of frames that will be read; None where it is unknown.
        seconds: Their duration; None where it is unknown.
        file_bytes: Length of the file, for the limit of pixels per byte; None for no such limit.

    Raises:
        UserError: A limit is exceeded.
    """
    check_pixels(path, size)
    if not limits_apply():
        return
    h, w = size
    pixels = h * w * (frame_count or 0)
    content = f"has {frame_count} frames of {w}x{h} pixels ({pixels / 1e9:.1f} gigapixels)"
    if pixels > MAX_CLIP_PIXELS:
        raise UserError(
            f"{path}: {content}, and the limit is {MAX_CLIP_PIXELS / 1e9:.0f} gigapixels; cut or scale it, {_REMEDY}"
        )
    if file_bytes and pixels > max(_SMALL_CLIP_PIXELS, MAX_PIXELS_PER_BYTE * file_bytes):
        raise UserError(
            f"{path}: {content} in {file_bytes} bytes, and the limit is {MAX_PIXELS_PER_BYTE} pixels per byte; cut or "
            f"scale it, {_REMEDY}"
        )
    if seconds is not None and seconds > MAX_CLIP_SECONDS:
        raise UserError(
            f"{path}: lasts {seconds / 3600:.1f} hours, and the limit is {MAX_CLIP_SECONDS / 3600:.0f} hours; cut it, "
            f"{_REMEDY}"
        )
