"""Reads clips: frames with their own times from video files, animated images and numbered files.

Everything is streamed: only a few frames are in memory at once.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from lonepair.errors import UserError
from lonepair.media.animated import decode_animated, is_animated, probe_animated
from lonepair.media.container import (
    DEFAULT_RATE,
    INTERPOLATION,
    PIXEL_ASPECT_TAG,
    ClipInfo,
    Frame,
    open_video,
    start_time,
)
from lonepair.media.numbered import decode_files, frame_files, probe_files
from lonepair.media.opening import NotAnImageError
from lonepair.media.sequence import input_pattern
from lonepair.ops.arrays import from_integers

logger = logging.getLogger("lonepair")

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the decoder that reads its alpha channel; FFmpeg's own decoders ignore it."""


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
        return probe_files(frame_files(path), rate)
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
                bits=max(component.bits for component in frame.format.components),
            )
    raise _no_frames(path)


def decode(
    path: str | Path, rate: Fraction = DEFAULT_RATE, info: ClipInfo | None = None, first: int = 0
) -> Iterator[Frame]:
    """Yield the frames of a clip in order, each at its own time and at full size.

    Times increase strictly. A file that is cut short yields the frames that can be decoded, and logs a warning.

    Args:
        path: As in `probe`.
        rate: Frames per second of numbered files.
        info: The result of `probe`, if the caller has it. It saves one pass over numbered files and animations.
        first: Index of the first frame to yield. Numbered files before it are not opened; those of a video are
            decoded, since later frames depend on them, but not converted.

    Raises:
        UserError: As `probe`, or an image of a folder cannot be read.
    """
    path = Path(path).expanduser()
    if is_numbered(path):
        files = frame_files(path)
        yield from decode_files(files, info or probe_files(files, rate), first)
    elif _is_image_file(path):
        yield from islice(decode_animated(path, (info or probe_animated(path)).channels), first, None)
    else:
        yield from _decode_video(path, first)


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
    with open_video(path) as (container, stream):
        # Packets come in the order of decoding, frames in that of their times. The last packet of `demux` is empty.
        packets = [packet for packet in container.demux(stream) if packet.size]
        stated = sorted(packet.pts * Fraction(packet.time_base) for packet in packets if packet.pts is not None)
    if len(stated) == len(packets) and len(set(stated)) == len(stated):
        return [time - stated[0] for time in stated]
    return [index / info.rate for index in range(len(packets))]


def is_numbered(path: Path) -> bool:
    """Return whether the frames of `path` are numbered files: it is a folder, or the pattern of a sequence."""
    return path.is_dir() or input_pattern(path) is not None


def _is_image_file(path: Path) -> bool:
    """Return whether Pillow reads `path`; its content decides, not its name."""
    try:
        is_animated(path)
    except NotAnImageError:
        return False
    return True


# -- video files ------------------------------------------------------------------------------------------------------


def _decode_video(path: Path, first: int) -> Iterator[Frame]:
    """Yield the frames of a video file from the one with index `first` on."""
    count, time, first_size = 0, Fraction(-1), None
    with open_video(path) as (container, stream):
        # Times count from the first picture, which need not be at 0 in the file.
        step, start = 1 / _rate(stream), start_time(stream)
        for frame in _video_frames(path, container, stream):
            expected_time = time + step if count else Fraction(0)
            stated_time = None if frame.pts is None else frame.pts * Fraction(frame.time_base or 0) - start
            # The rate replaces a time that is missing or does not increase.
            time = expected_time if stated_time is None or (count and stated_time <= time) else stated_time
            # A stream may change its size; all frames of a clip have that of the first.
            first_size = first_size or (frame.height, frame.width)
            count += 1
            if count > first:
                yield Frame(time, from_integers(_to_array(frame, first_size)))
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
    decoder = _decoder(stream)
    decoder.thread_type = "AUTO"
    skipped = 0
    packets = container.demux(stream)
    while True:
        packet = None  # makes the decoder return its remaining frames
        with contextlib.suppress(av.FFmpegError, StopIteration):
            packet = next(packets)
        try:
            yield from decoder.decode(packet)
        except av.EOFError:
            pass  # the last packet of `demux` has emptied the decoder already
        except av.FFmpegError:
            skipped += 1
        if packet is None:
            break
    if skipped:
        logger.warning("%s: %d packets of the video cannot be decoded and are skipped", path, skipped)


def _decoder(stream: VideoStream) -> av.VideoCodecContext:
    """Return the decoder of a stream: FFmpeg's choice, or the one that reads the alpha channel that the file states."""
    own = stream.codec_context
    tags = {key.lower(): text for key, text in stream.metadata.items()}
    name = _ALPHA_DECODERS.get(own.codec.canonical_name if own.codec else "")
    if name is None or tags.get("alpha_mode") != "1":
        return own
    try:
        decoder = av.CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):  # UnknownCodecError is a ValueError
        logger.warning("the transparency of a %s video cannot be read: %s is missing from this PyAV", own.name, name)
        return own
    assert isinstance(decoder, av.VideoCodecContext)
    return decoder


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
    array = frame.to_ndarray(format=pixel_format, height=height, width=width, interpolation=INTERPOLATION)
    return np.rot90(array, round(frame.rotation / 90) % 4)  # both count counterclockwise


def _no_frames(path: Path) -> UserError:
    """Return the error for a video of which no frame can be decoded."""
    return UserError(f"{path}: no frame of the video can be decoded; give a complete copy, or convert it to MP4")
