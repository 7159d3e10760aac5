"""Reads video files: frames with their own times, what the first frame tells, and what is missing or damaged."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from lonepair.errors import UserError
from lonepair.media.clips.audio import has_sound
from lonepair.media.clips.container import PIXEL_ASPECT_TAG, ClipInfo, Frame, open_video, start_time
from lonepair.media.clips.damage import Report, average_rate, damage_text
from lonepair.media.clips.deinterlace import deinterlace, seen_parity, stated_parity
from lonepair.media.clips.pixels import PictureFormat, picture_format, to_array
from lonepair.media.limits import check_clip
from lonepair.ops.arrays import from_integers

logger = logging.getLogger("lonepair")

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the decoder that reads its alpha channel; FFmpeg's own decoders ignore it."""

_UNMARKED = "its frames look interlaced, though nothing marks them; each becomes one progressive frame"
_MIXED = "some of its frames look interlaced and are read as they are; deinterlace or detelecine the clip first"


def probe_video(path: Path) -> ClipInfo:
    """Return the properties of a video file; decodes its first frames, and logs how its pictures are converted.

    Raises:
        UserError: The file cannot be opened, or no frame can be decoded.
    """
    with open_video(path) as (container, stream):
        _check_limits(path, container, stream)
        report = Report()
        frames = _video_frames(container, stream, report)
        for frame in frames:
            layout = picture_format(path, frame, stream.codec_context)
            _log_conversions(path, stream, layout)
            array = to_array(frame, layout)
            parity = None
            with contextlib.suppress(av.FFmpegError, ValueError):  # a format that idet does not take
                parity = None if _parity(stream) else seen_parity(chain((frame,), frames))
            if parity:
                logger.warning("%s: %s", path, _UNMARKED if parity != "mixed" else _MIXED)
            return ClipInfo(
                size=(array.shape[0], array.shape[1]),
                rate=average_rate(stream),
                frame_count=_frame_count(container, stream),
                has_audio=has_sound(container),
                channels=1 if array.ndim == 2 else array.shape[2],
                pixel_aspect=_pixel_aspect(stream, layout),
                bits=max(component.bits for component in frame.format.components),
                seen_parity=parity if parity and parity != "mixed" else None,
            )
    raise _no_frames(path)


def decode_video(path: Path, first: int, notes: set[str], parity: str | None = None) -> Iterator[Frame]:
    """Yield the frames of a video file from the one with index `first` on, and log what cannot be decoded.

    Args:
        path: The file.
        first: Index of the first frame to yield.
        notes: Files whose damage is logged already; this one is added. So are those whose deinterlacing is logged.
        parity: `ClipInfo.seen_parity`.

    Raises:
        UserError: As `probe_video`.
    """
    count, time, layout, report = 0, Fraction(-1), None, Report()
    with open_video(path) as (container, stream):
        # Times count from the first picture, which need not be at 0 in the file.
        step, start = 1 / average_rate(stream), start_time(stream)
        log = partial(_log_interlaced, path, notes) if parity is None else lambda: None
        for frame in deinterlace(_video_frames(container, stream, report), parity or _parity(stream), log):
            expected_time = time + step if count else Fraction(0)
            stated_time = None if frame.pts is None else frame.pts * Fraction(frame.time_base or 0) - start
            # The rate replaces a time that is missing or does not increase.
            time = expected_time if stated_time is None or (count and stated_time <= time) else stated_time
            layout = layout or picture_format(path, frame, stream.codec_context)
            count += 1
            if count > first:
                yield Frame(time, from_integers(to_array(frame, layout)))
        if not count:
            raise _no_frames(path)
        damage = damage_text(path, container, stream, report, count)
    # Another pass may count other frames as damaged, since several threads decode.
    if damage and str(path) not in notes:
        notes.add(str(path))
        logger.warning("%s", damage)


def video_times(path: Path, rate: Fraction) -> list[Fraction]:
    """Return the time of every frame in seconds since the first one, from the packets alone.

    Args:
        path: The file.
        rate: Frames per second where the file states no times.
    """
    with open_video(path) as (container, stream):
        # Packets come in the order of decoding, frames in that of their times. The last packet of `demux` is empty, and
        # an edit list hides packets that only others need.
        packets = [packet for packet in _packets(container, stream) if packet.size and not packet.is_discard]
        stated = sorted(packet.pts * Fraction(packet.time_base) for packet in packets if packet.pts is not None)
    if len(stated) == len(packets) and len(set(stated)) == len(stated):
        return [time - stated[0] for time in stated]
    return [index / rate for index in range(len(packets))]


def video_end(path: Path) -> Fraction | None:
    """Return when the last frame of a video disappears, in seconds since the first one; None where it is not stated.

    The last packet states how long its frame lasts, else the stream states when it ends.
    """
    with open_video(path) as (container, stream):
        last, duration, unit, count = None, 0, Fraction(stream.time_base or 0), 0
        for packet in _packets(container, stream):
            count += bool(packet.size)
            if packet.size and not packet.is_discard and packet.pts is not None and (last is None or packet.pts > last):
                last, duration = packet.pts, packet.duration or 0
        if last is None:
            return None
        # A packet's duration in MP4 is that to the next one in the order of decoding; the track's is that of all.
        is_complete = count == len(getattr(stream, "index_entries", ())) and "mov" in container.format.name
        if stream.duration and (is_complete or not duration):
            duration = max(duration if not is_complete else 0, (stream.start_time or 0) + stream.duration - last)
        return (last + duration) * unit - start_time(stream) if duration > 0 else None


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of a stream up to the end of the file, or to the first place that cannot be read."""
    with contextlib.suppress(av.FFmpegError):
        yield from container.demux(stream)


def _video_frames(container: InputContainer, stream: VideoStream, report: Report) -> Iterator[av.VideoFrame]:
    """Yield all frames that can be decoded; `report` counts packets and what is wrong with them."""
    decoder = _decoder(stream)
    decoder.thread_type = "AUTO"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet, report.has_stopped = None, True
        # None makes the decoder return its remaining frames.
        if packet is not None and packet.size:
            report.packets += 1
            report.visible += not packet.is_discard
            if packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base)
                report.end = max(report.end, end)
        try:
            for frame in decoder.decode(packet):
                report.corrupt += frame.is_corrupt
                yield frame
        except av.EOFError:
            pass  # the last packet of `demux` has emptied the decoder already
        except av.FFmpegError:
            report.skipped += 1
        if packet is None:
            break


def _check_limits(path: Path, container: InputContainer, stream: VideoStream) -> None:
    """Refuse a clip whose header states more work than the limits allow."""
    seconds = (container.duration or 0) / av.time_base
    count = stream.frames or round(seconds * average_rate(stream))
    check_clip(path, (stream.codec_context.height, stream.codec_context.width), count, seconds, path.stat().st_size)


def _log_conversions(path: Path, stream: VideoStream, layout: PictureFormat) -> None:
    """Log how the pictures of a clip are converted, where that is more than a change of format."""
    if layout.colors.needs_conversion:
        logger.warning("%s: %s", path, layout.colors.describe())


def _log_interlaced(path: Path, notes: set[str]) -> None:
    """Log once that frames are marked as interlaced."""
    if (note := f"interlaced: {path}") not in notes:
        notes.add(note)
        logger.info("%s: its frames are interlaced; each becomes one progressive frame", path)


def _frame_count(container: InputContainer, stream: VideoStream) -> int | None:
    """Return the number of frames that are shown, None where the file does not state it exactly."""
    if not stream.frames:
        return None
    entries = list(getattr(stream, "index_entries", ()))
    kinds = container.format.name.split(",")
    # An edit list hides frames; AVI counts packets without content, too.
    if "mov" in kinds and entries:
        return sum(not entry.is_discard for entry in entries)
    return None if "avi" in kinds and len(entries) != stream.frames else stream.frames


def _parity(stream: VideoStream) -> str | None:
    return stated_parity(stream.codec_context.codec.canonical_name, int(stream.codec_context.field_order))


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


def _pixel_aspect(stream: VideoStream, layout: PictureFormat) -> Fraction:
    """Return width over height of a pixel as displayed; 1 where the file does not state it."""
    # The container's field, else the tag that `ClipWriter` writes.
    aspect = Fraction(stream.sample_aspect_ratio or 0)
    if not aspect:
        tag = {key.lower(): text for key, text in stream.metadata.items()}.get(PIXEL_ASPECT_TAG, "")
        with contextlib.suppress(ValueError, ZeroDivisionError):
            aspect = Fraction(tag)
    if aspect <= 0:
        return Fraction(1)
    return 1 / aspect if layout.transposed else aspect


def _no_frames(path: Path) -> UserError:
    """Return the error for a video of which no frame can be decoded."""
    return UserError(f"{path}: no frame of the video can be decoded; give a complete copy, or convert it to MP4")
