"""Clips in: frames with their own times from video files, animated images and folders of numbered frames.

Clips out are `ClipWriter` (`lonepair.media.write`) and `write_frames_folder`. Everything streams: no more than a few
frames are in memory at once (animated output excepted, see `ClipWriter`).
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from PIL import ExifTags, Image

from lonepair.errors import UserError
from lonepair.media.animated import decode_animated, is_animated, probe_animated
from lonepair.media.container import (
    DEFAULT_RATE,
    PIXEL_ASPECT_TAG,
    SUPPORTED_INPUTS,
    ClipInfo,
    Frame,
    open_video,
    start_time,
)
from lonepair.media.files import error_reason, natural_order
from lonepair.media.image import NotAnImageError, open_image, read_image, write_image
from lonepair.ops.arrays import from_integers
from lonepair.ops.color import match_channels

log = logging.getLogger("lonepair")

_FRAME_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tga", ".avif", ".jp2"}
)

_SCALING: int | str
"""How YUV becomes RGB. FFmpeg's default rounds down, which darkens every frame by 1.2 of 255; this is off by 0.1."""
try:
    _SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
except AttributeError:  # an older PyAV, that does not hand these flags on
    _SCALING = "BICUBIC"


def probe(path: str | Path, rate: Fraction = DEFAULT_RATE) -> ClipInfo:
    """What the clip `path` is: a video file, an animated image, or a folder of frames (at `rate` frames per second).

    Raises:
        UserError: there is no such clip, or it is damaged, empty, or of an unknown kind.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _probe_folder(path, rate)
    if _is_picture(path):
        return probe_animated(path)
    with open_video(path) as (container, stream):
        for frame in _video_frames(path, container, stream):
            array = _to_array(frame)
            return ClipInfo(
                size=array.shape[:2],
                rate=_rate(stream),
                frame_count=stream.frames or None,
                has_audio=bool(container.streams.audio),
                channels=1 if array.ndim == 2 else array.shape[2],
                pixel_aspect=_pixel_aspect(stream, frame),
            )
    raise _no_frames(path)


def decode(path: str | Path, rate: Fraction = DEFAULT_RATE, info: ClipInfo | None = None) -> Iterator[Frame]:
    """Every frame of the clip `path` in order, each at its own time, at full size; see `probe` for what it may be.

    `info` is what `probe` said, where it is known already: it spares a look at all frames of folders and animations.
    Times increase strictly. A file that is cut short gives what can be decoded, and a note in the log.

    Raises:
        UserError: as `probe`, or a folder's image cannot be read.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        info = info or _probe_folder(path, rate)
        for index, file in enumerate(frame_files(path)):
            yield Frame(index / rate, match_channels(read_image(file), info.channels))
    elif _is_picture(path):
        yield from decode_animated(path, (info or probe_animated(path)).channels)
    else:
        yield from _decode_video(path)


def _is_picture(path: Path) -> bool:
    """Whether Pillow reads `path`; decided by its content, whatever its name."""
    try:
        is_animated(path)
    except NotAnImageError:
        return False
    return True


# Video files


def _decode_video(path: Path) -> Iterator[Frame]:
    count, time, last_size = 0, Fraction(-1), None
    with open_video(path) as (container, stream):
        step, start = 1 / _rate(stream), start_time(stream)
        for frame in _video_frames(path, container, stream):
            following = time + step if count else Fraction(0)
            own = None if frame.pts is None else frame.pts * Fraction(frame.time_base or 0) - start
            # A missing time, and one that does not increase (broken files), come from the rate.
            time = following if own is None or (count and own <= time) else own
            array = _to_array(frame, last_size)
            last_size = last_size or (frame.height, frame.width)
            count += 1
            yield Frame(time, from_integers(array))
        promised = stream.frames
    if not count:
        raise _no_frames(path)
    if promised and count < promised:
        log.warning("%s: is damaged or cut short; %d of %d frames are used", path, count, promised)


def _video_frames(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """All frames that can be decoded: a damaged packet is left out, a damaged end is the end."""
    stream.thread_type = "AUTO"
    damaged = 0
    packets = container.demux(stream)
    while True:
        packet = None  # asks the decoder for what it still holds
        with contextlib.suppress(av.FFmpegError, StopIteration):
            packet = next(packets)
        try:
            yield from stream.decode(packet)
        except av.EOFError:
            pass  # the last packet of `demux` has asked already
        except av.FFmpegError:
            damaged += 1
        if packet is None:
            break
    if damaged:
        log.warning("%s: damaged pieces of the video were left out (%d)", path, damaged)


def _rate(stream: VideoStream) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)


def _pixel_aspect(stream: VideoStream, frame: av.VideoFrame) -> Fraction:
    """Width over height of a pixel of `frame` turned upright; 1 where the file does not say."""
    aspect = Fraction(stream.sample_aspect_ratio or 0)
    if not aspect:
        note = {key.lower(): text for key, text in stream.metadata.items()}.get(PIXEL_ASPECT_TAG, "")
        with contextlib.suppress(ValueError, ZeroDivisionError):
            aspect = Fraction(note)
    if aspect <= 0:
        return Fraction(1)
    return 1 / aspect if round(frame.rotation / 90) % 2 else aspect


def _to_array(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> np.ndarray:
    """`frame`, turned upright, (h, w) or (h, w, c) of uint8, or uint16 where it has more than 8 bits.

    `size` is (h, w) of the clip's first frame before turning; a later frame of another size is scaled to it.
    """
    components = frame.format.components
    deep = max(component.bits for component in components) > 8
    if frame.format.name.startswith(("gray", "mono")):
        form = "gray16le" if deep else "gray"
    elif any(component.is_alpha for component in components):
        form = "rgba64le" if deep else "rgba"
    else:
        form = "rgb48le" if deep else "rgb24"
    height, width = size or (frame.height, frame.width)
    array = frame.to_ndarray(format=form, height=height, width=width, interpolation=_SCALING)
    return np.rot90(array, round(frame.rotation / 90) % 4)  # both count counterclockwise


def _no_frames(path: Path) -> UserError:
    return UserError(f"{path}: no frame of the video can be decoded; give a whole copy of the file")


# Folders of frames


def frame_files(folder: Path) -> list[Path]:
    """The image files of `folder` in natural order; hidden files and other kinds are left out.

    Raises:
        UserError: it holds none, or cannot be read.
    """
    try:
        files = [f for f in folder.iterdir() if f.suffix.lower() in _FRAME_SUFFIXES and not f.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error_reason(error)}); check the folder's permissions") from error
    if not files:
        raise UserError(f"{folder}: the folder holds no images; give {SUPPORTED_INPUTS}")
    return natural_order(files)


def _probe_folder(folder: Path, rate: Fraction) -> ClipInfo:
    """What the frames of `folder` are; all are opened, so that an odd one is named before any work is done."""
    files = frame_files(folder)
    size, channels, odd_alpha = None, 1, []
    for file in files:
        with open_image(file) as image:
            own = _upright_size(image)
            grey = image.mode in ("1", "L", "F") or image.mode.startswith("I")
            if image.has_transparency_data:
                odd_alpha.append(file)
        size = size or own
        if own != size:
            theirs, first = f"{own[1]}x{own[0]}", f"{size[1]}x{size[0]}"
            raise UserError(f"{file}: is {theirs} pixels but {files[0].name} is {first}; give frames of one size")
        channels = max(channels, 1 if grey else 3)
    # A file may say that it has alpha where all is opaque: only its pixels tell, so look until one is not.
    if any(read_image(file).shape[1] == 4 for file in odd_alpha):
        channels = 4
    assert size is not None
    return ClipInfo(size=size, rate=rate, frame_count=len(files), has_audio=False, channels=channels)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """(h, w) after EXIF orientation, of which 5 to 8 swap the sides."""
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if turned else (image.height, image.width)


def write_frames_folder(
    folder: str | Path, frames: Iterable[Frame], overwrite: bool = False, metadata: Mapping[str, str] | None = None
) -> int:
    """Write `frames` as 000000.png, 000001.png, ... in `folder` (made if missing), each whole or not at all.

    Returns how many. `metadata` goes into each file (`image.write_image`). With `overwrite`, numbered frames that a
    longer clip left there before are deleted at the end.

    Raises:
        UserError: the folder exists, is not empty and `overwrite` is off; or it cannot be written.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not overwrite and any(folder.iterdir()):
            raise UserError(f"{folder}: the folder is not empty; give --overwrite to write into it, or another folder")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error_reason(error)}); choose another folder") from error
    count = 0
    for frame in frames:
        write_image(folder / f"{count:06d}.png", frame.image, metadata, overwrite)
        count += 1
    for old in folder.glob("*.png"):
        if re.fullmatch(r"[0-9]{6,}", old.stem) and int(old.stem) >= count:
            old.unlink()
    return count
