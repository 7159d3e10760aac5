"""Reads clips: frames with their own times from video files, animated images and folders of numbered frames.

Also writes folders of frames; `write.ClipWriter` writes clip files. Everything is streamed: only a few frames are in
memory at once.
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
from lonepair.media.files import check_frames_folder, error_reason, natural_order
from lonepair.media.image import NotAnImageError, open_image, read_image, write_image
from lonepair.ops.arrays import from_integers
from lonepair.ops.color import match_channels

logger = logging.getLogger("lonepair")

_FRAME_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tga", ".avif", ".jp2"}
)

_INTERPOLATION: int | str
"""FFmpeg's conversion of YUV to RGB. Its default rounds down, which darkens every frame by 1.2 of 255; this one's error
is 0.1."""
try:
    _INTERPOLATION = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
except AttributeError:  # an older PyAV without these flags
    _INTERPOLATION = "BICUBIC"


def probe(path: str | Path, rate: Fraction = DEFAULT_RATE) -> ClipInfo:
    """Return the properties of a clip.

    Args:
        path: A video file, an animated image, or a folder of frames.
        rate: Frames per second of a folder.

    Raises:
        UserError: There is no such clip, or it is empty, of an unknown kind, or cannot be decoded.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _probe_folder(path, rate)
    if _is_image_file(path):
        return probe_animated(path)
    with open_video(path) as (container, stream):
        # The first frame tells the size, the channels and the rotation.
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
    """Yield every frame of a clip in order, each at its own time and at full size.

    Times increase strictly. A file that is cut short yields the frames that can be decoded, and logs a warning.

    Args:
        path: As in `probe`.
        rate: Frames per second of a folder.
        info: The result of `probe`, if the caller has it. It saves one pass over folders and animations.

    Raises:
        UserError: As `probe`, or an image of a folder cannot be read.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        info = info or _probe_folder(path, rate)
        for index, file in enumerate(frame_files(path)):
            yield Frame(index / rate, match_channels(read_image(file), info.channels))
    elif _is_image_file(path):
        yield from decode_animated(path, (info or probe_animated(path)).channels)
    else:
        yield from _decode_video(path)


def _is_image_file(path: Path) -> bool:
    """Return whether Pillow reads `path`; its content decides, not its name."""
    try:
        is_animated(path)
    except NotAnImageError:
        return False
    return True


# -- video files ------------------------------------------------------------------------------------------------------


def _decode_video(path: Path) -> Iterator[Frame]:
    """Yield the frames of a video file."""
    count, time, first_size = 0, Fraction(-1), None
    with open_video(path) as (container, stream):
        # Times count from the first picture, which need not be at 0 in the file.
        step, start = 1 / _rate(stream), start_time(stream)
        for frame in _video_frames(path, container, stream):
            expected_time = time + step if count else Fraction(0)
            stated_time = None if frame.pts is None else frame.pts * Fraction(frame.time_base or 0) - start
            # The rate replaces a time that is missing or does not increase.
            time = expected_time if stated_time is None or (count and stated_time <= time) else stated_time
            array = _to_array(frame, first_size)
            # A stream may change its size; all frames of a clip have that of the first.
            first_size = first_size or (frame.height, frame.width)
            count += 1
            yield Frame(time, from_integers(array))
        stated_count = stream.frames
    if not count:
        raise _no_frames(path)
    if stated_count and count < stated_count:
        logger.warning(
            "%s: only %d of %d frames can be decoded, and these are used; give a complete copy to use all",
            *(path, count, stated_count),
        )


def _video_frames(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield all frames that can be decoded; a packet that cannot be decoded is skipped, and logged at the end."""
    stream.thread_type = "AUTO"
    skipped = 0
    packets = container.demux(stream)
    while True:
        packet = None  # makes the decoder return its remaining frames
        with contextlib.suppress(av.FFmpegError, StopIteration):
            packet = next(packets)
        try:
            yield from stream.decode(packet)
        except av.EOFError:
            pass  # the last packet of `demux` has emptied the decoder already
        except av.FFmpegError:
            skipped += 1
        if packet is None:
            break
    if skipped:
        logger.warning("%s: %d packets of the video cannot be decoded and are skipped", path, skipped)


def _rate(stream: VideoStream) -> Fraction:
    """Return the average frames per second."""
    return Fraction(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)


def _pixel_aspect(stream: VideoStream, frame: av.VideoFrame) -> Fraction:
    """Return width over height of a pixel of the upright `frame`; 1 where the file does not state it."""
    # The container's field, else the tag that `ClipWriter` writes.
    aspect = Fraction(stream.sample_aspect_ratio or 0)
    if not aspect:
        tag = {key.lower(): text for key, text in stream.metadata.items()}.get(PIXEL_ASPECT_TAG, "")
        with contextlib.suppress(ValueError, ZeroDivisionError):
            aspect = Fraction(tag)
    if aspect <= 0:
        return Fraction(1)
    # A quarter turn swaps width and height.
    return 1 / aspect if round(frame.rotation / 90) % 2 else aspect


def _to_array(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> np.ndarray:
    """Convert a frame into an upright array.

    Args:
        frame: The decoded frame.
        size: (h, w) of the clip's first frame before rotation; a later frame of another size is scaled to it.

    Returns:
        (h, w) or (h, w, c) of uint8, or of uint16 where the frame has more than 8 bits.
    """
    # The format with the frame's channels and depth: grey stays grey, alpha stays, 10 and 12 bits become 16.
    components = frame.format.components
    deep = max(component.bits for component in components) > 8
    if frame.format.name.startswith(("gray", "mono")):
        pixel_format = "gray16le" if deep else "gray"
    elif any(component.is_alpha for component in components):
        pixel_format = "rgba64le" if deep else "rgba"
    else:
        pixel_format = "rgb48le" if deep else "rgb24"
    height, width = size or (frame.height, frame.width)
    array = frame.to_ndarray(format=pixel_format, height=height, width=width, interpolation=_INTERPOLATION)
    return np.rot90(array, round(frame.rotation / 90) % 4)  # both count counterclockwise


def _no_frames(path: Path) -> UserError:
    """Return the error for a video of which no frame can be decoded."""
    return UserError(f"{path}: no frame of the video can be decoded; give a complete copy, or convert it to MP4")


# -- folders of frames ------------------------------------------------------------------------------------------------


def frame_files(folder: Path) -> list[Path]:
    """Return the image files of `folder` in natural order, without hidden files and files of other kinds.

    Raises:
        UserError: The folder holds no image, or cannot be read.
    """
    try:
        files = [f for f in folder.iterdir() if f.suffix.lower() in _FRAME_SUFFIXES and not f.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error_reason(error)}); check the folder's permissions") from error
    if not files:
        raise UserError(f"{folder}: the folder holds no images; give {SUPPORTED_INPUTS}")
    return natural_order(files)


def _probe_folder(folder: Path, rate: Fraction) -> ClipInfo:
    """Return the properties of a folder of frames.

    Opens every file, so that one of another size is refused before any work is done.
    """
    files = frame_files(folder)
    size, channels, may_be_transparent = None, 1, []
    for file in files:
        with open_image(file) as image:
            file_size = upright_size(image)
            is_gray = image.mode in ("1", "L", "F") or image.mode.startswith("I")
            if image.has_transparency_data:
                may_be_transparent.append(file)
        size = size or file_size
        if file_size != size:
            (h, w), (first_h, first_w) = file_size, size
            raise UserError(
                f"{file}: is {w}x{h} pixels but {files[0].name} is {first_w}x{first_h}; give frames of one size"
            )
        channels = max(channels, 1 if is_gray else 3)
    # An alpha channel may be opaque everywhere. Only the pixels tell, so decode files until one is transparent.
    if any(read_image(file).shape[1] == 4 for file in may_be_transparent):
        channels = 4
    assert size is not None
    return ClipInfo(size=size, rate=rate, frame_count=len(files), has_audio=False, channels=channels)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return (h, w) after EXIF orientation, of which 5 to 8 swap the sides."""
    swaps_sides = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if swaps_sides else (image.height, image.width)


def write_frames_folder(
    folder: str | Path, frames: Iterable[Frame], overwrite: bool = False, metadata: Mapping[str, str] | None = None
) -> int:
    """Write frames as 000000.png, 000001.png, ..., each file completely or not at all.

    Args:
        folder: The folder, created if it is missing.
        frames: The frames in order.
        overwrite: Accept a folder that is not empty. Numbered frames that a longer clip left there are deleted at the
            end.
        metadata: Texts for each file (`image.write_image`).

    Returns:
        The number of frames.

    Raises:
        UserError: The folder is not empty and `overwrite` is off, or it cannot be written.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error_reason(error)}); choose another folder") from error
    check_frames_folder(folder, overwrite)
    count = 0
    for frame in frames:
        write_image(folder / f"{count:06d}.png", frame.image, metadata, overwrite)
        count += 1
    # Frames of an earlier, longer clip would be read as the end of this one.
    for file in folder.glob("*.png"):
        if re.fullmatch(r"[0-9]{6,}", file.stem) and int(file.stem) >= count:
            file.unlink()
    return count
