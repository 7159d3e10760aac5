"""Reads clips: frames with their own times from video files, animated images and numbered files.

Everything is streamed: only a few frames are in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

from lonepair.media.clips.animated import animation_end, decode_animated, is_animated, probe_animated
from lonepair.media.clips.container import DEFAULT_RATE, ClipInfo, Frame
from lonepair.media.clips.motion_jpeg import is_motion_jpeg
from lonepair.media.clips.numbered import clip_files, decode_files, probe_files
from lonepair.media.clips.sequence import input_pattern
from lonepair.media.clips.video import decode_video, probe_video, video_end, video_times
from lonepair.media.stills.opening import NotAnImageError


def probe(path: str | Path, rate: Fraction = DEFAULT_RATE) -> ClipInfo:
    """Return the properties of a clip.

    Args:
        path: A video file, an animated image, a folder of frames, or the pattern of a sequence (`sequence`).
        rate: Frames per second of numbered files.

    Raises:
        UserError: There is no such clip, or it is empty, of an unknown kind, or cannot be decoded.
    """
    path = Path(path).expanduser()
    if is_numbered(path):
        return probe_files(clip_files(path, logs=True), rate)
    if _is_image_file(path):
        return probe_animated(path)
    return probe_video(path)


def decode(
    path: str | Path,
    rate: Fraction = DEFAULT_RATE,
    info: ClipInfo | None = None,
    first: int = 0,
    notes: set[str] | None = None,
) -> Iterator[Frame]:
    """Yield the frames of a clip in order, each at its own time and at full size.

    Times increase strictly. A file that is cut short yields the frames that can be decoded, and logs a warning.

    Args:
        path: As in `probe`.
        rate: Frames per second of numbered files.
        info: The result of `probe`, if the caller has it. It saves one pass over numbered files and animations.
        first: Index of the first frame to yield. Numbered files before it are not opened; those of a video are
            decoded, since later frames depend on them, but not converted.
        notes: Files whose damage is logged already; each is logged once.

    Raises:
        UserError: As `probe`, or an image of a folder cannot be read.
    """
    path = Path(path).expanduser()
    if is_numbered(path):
        files = clip_files(path)
        yield from decode_files(files, info or probe_files(files, rate), first)
    elif _is_image_file(path):
        yield from islice(decode_animated(path, (info or probe_animated(path)).channels), first, None)
    else:
        yield from decode_video(
            path, first, set() if notes is None else notes, None if info is None else info.seen_parity
        )


def frame_times(path: Path, info: ClipInfo) -> list[Fraction]:
    """Return the time of every frame in seconds since the first one.

    Only animated images are decoded. Those of a video come from its packets; a file that states no times has those of
    its rate.

    Args:
        path: As in `probe`.
        info: The result of `probe`.

    Raises:
        UserError: The file cannot be read.
    """
    if is_numbered(path):
        return [index / info.rate for index in range(info.frame_count or 0)]
    if _is_image_file(path):
        return [frame.time for frame in decode_animated(path, info.channels)]
    return video_times(path, info.rate)


def clip_end(path: Path) -> Fraction | None:
    """Return when the last frame of a clip disappears, in seconds since the first one; None where it is not stated.

    Args:
        path: As in `probe`.

    Raises:
        UserError: The file cannot be read.
    """
    if is_numbered(path):
        return None
    return animation_end(path) if _is_image_file(path) else video_end(path)


def is_numbered(path: Path) -> bool:
    """Return whether the frames of `path` are numbered files: it is a folder, or the pattern of a sequence."""
    return path.is_dir() or input_pattern(path) is not None


def _is_image_file(path: Path) -> bool:
    """Return whether Pillow reads `path`; its content decides, not its name."""
    if is_motion_jpeg(path):
        return False
    try:
        is_animated(path)
    except NotAnImageError:
        return False
    return True
