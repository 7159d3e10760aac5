"""Carries the sound of a source clip over into an output clip."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition

from lonepair.errors import UserError
from lonepair.media.clips.container import open_video, start_time

if TYPE_CHECKING:
    _Packet = Packet[AudioStream]
else:  # generic for type checkers only
    _Packet = Packet

logger = logging.getLogger("lonepair")

_SOUND_ERRORS = (av.FFmpegError, UserError, ValueError, AttributeError, TypeError, ArithmeticError)
"""What opening and decoding sound raises: FFmpeg's errors, and those of PyAV where a stream lacks a property."""

_JITTER = Fraction(1, 10)
"""Seconds by which the stated time of sound may differ from that of the samples before it. Containers round times, AVI
to whole packets and ASF to milliseconds; a larger difference is a gap."""


def has_sound(container: InputContainer) -> bool:
    """Return whether a file has sound, of whatever codec."""
    return bool(container.streams.audio)


def _sound_stream(container: InputContainer) -> AudioStream | None:
    """Return the default audio stream among those that can be decoded, else the first one; None: there is none."""
    streams = [s for s in container.streams.audio if s.codec_context is not None and s.codec_context.sample_rate > 0]
    return next((s for s in streams if s.disposition & Disposition.default), streams[0] if streams else None)


class AudioTrack:
    """Muxes the packets of a file's audio stream (`_sound_stream`) into an output as the pictures advance.

    Packets are copied where the output supports their codec, else transcoded. A failure is logged and the output
    continues without sound: the pictures matter more.
    """

    def __init__(
        self,
        path: Path,
        output: OutputContainer,
        copyable: Collection[str],
        encoder: str = "aac",
        skip: Fraction = Fraction(0),
    ) -> None:
        """Open the source and add an audio stream to the output.

        Args:
            path: The source clip; it may have no sound.
            output: The container of the output, before its first packet.
            copyable: Names of the audio codecs that the output supports.
            encoder: FFmpeg's encoder of sound in any other codec: "aac" or "libopus".
            skip: Seconds of the source's pictures before the first one of the output. Packets that begin earlier are
                left out, so that up to one packet (about 20 ms) is silent at the start.
        """
        self._path = path
        self._output = output
        self._open_files = contextlib.ExitStack()
        self._packets: Iterator[tuple[Fraction, _Packet]] = iter(())
        self._next: tuple[Fraction, _Packet] | None = None
        try:
            container, video = self._open_files.enter_context(open_video(path))
            source = _sound_stream(container)
            if source is None:
                if container.streams.audio:
                    raise UserError("its codec is not supported")
                return
            # Copy where possible: it is exact and costs nothing.
            start = start_time(video) + skip
            if source.codec_context.name in copyable:
                target = output.add_stream_from_template(source)
                packets = _copy_packets(container, source, target, start)
            else:
                # Opus knows few sample rates.
                rate = source.codec_context.sample_rate if encoder == "aac" else 48000
                transcoded = output.add_stream(encoder, rate=rate)
                assert isinstance(transcoded, AudioStream)
                transcoded.codec_context.layout = "stereo" if source.codec_context.layout.nb_channels > 1 else "mono"
                packets = _transcode_packets(container, source, transcoded, start)
            self._packets = ((time, packet) for time, packet in packets if time >= 0) if skip else packets
        except _SOUND_ERRORS as error:
            self._give_up(error)

    def advance(self, until: Fraction | None) -> None:
        """Mux the sound that starts before `until` seconds; None: all of it."""
        while True:
            # Read one packet ahead, to know whether it is due.
            try:
                self._next = self._next or next(self._packets, None)
            except _SOUND_ERRORS as error:
                self._give_up(error)
            if self._next is None or (until is not None and self._next[0] >= until):
                return
            packet, self._next = self._next[1], None
            try:
                self._output.mux(packet)
            except OSError:
                raise  # a fault of the disk ends the pictures too
            except _SOUND_ERRORS as error:
                self._give_up(error)

    def close(self) -> None:
        """Close the source file."""
        self._packets, self._next = iter(()), None
        self._open_files.close()

    def _give_up(self, error: Exception) -> None:
        """Log `error` and continue without sound."""
        logger.warning("%s: its sound cannot be carried over (%s); the output has none from here on", self._path, error)
        self._packets, self._next = iter(()), None


def _copy_packets(
    container: InputContainer, source: AudioStream, target: AudioStream, start: Fraction
) -> Iterator[tuple[Fraction, _Packet]]:
    """Yield (seconds, packet) of `source`, assigned to the stream `target`; `start` seconds become 0.

    Times are in samples: the source's unit may be a whole packet.
    """
    fine = Fraction(1, source.codec_context.sample_rate)
    for packet in _readable_packets(container, source):
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None:
            continue  # the end of the stream
        unit = Fraction(packet.time_base)
        time = ticks * unit - start
        packet.duration = round((packet.duration or 0) * unit / fine)
        packet.pts = packet.dts = round(time / fine)
        packet.time_base = fine
        packet.stream = target
        yield time, packet


def _readable_packets(container: InputContainer, source: AudioStream) -> Iterator[_Packet]:
    """Yield the packets of `source` up to the end of the file, or to the first place that cannot be read."""
    is_pcm = source.codec_context.name.startswith("pcm")
    packets = container.demux(source)
    # A packet of zeros, which a power loss leaves, is silence in PCM only.
    with contextlib.suppress(av.FFmpegError):
        for packet in packets:
            if not packet.is_corrupt and (is_pcm or not packet.size or any(bytes(packet))):
                yield packet


def _transcode_packets(
    container: InputContainer, source: AudioStream, target: AudioStream, start: Fraction
) -> Iterator[tuple[Fraction, _Packet]]:
    """Yield (seconds, packet) of `source`, encoded for the stream `target`; `start` seconds become 0."""
    # AAC encodes frames of 1024 samples in floating point, Opus frames of 20 ms.
    context = target.codec_context
    layout, count = ("fltp", 1024) if context.codec.name == "aac" else ("flt", 960)
    resampler = av.AudioResampler(format=layout, layout=context.layout, rate=context.sample_rate, frame_size=count)
    for frame in _sound_frames(container, source):
        for resampled in resampler.resample(frame):
            yield from _with_times(target.encode(resampled), start)
    yield from _with_times(target.encode(None), start)


def _sound_frames(container: InputContainer, source: AudioStream) -> Iterator[av.AudioFrame | None]:
    """Yield the frames of `source` that can be decoded, with times in samples, then None.

    None makes the resampler return its remaining samples.
    """
    expected: Fraction | None = None
    for packet in _readable_packets(container, source):
        try:
            frames = source.codec_context.decode(packet)
        except av.FFmpegError:
            continue  # a damaged packet
        for frame in frames:
            # Samples follow each other without a break, unless the file states a gap.
            stated = None if frame.pts is None else frame.pts * Fraction(frame.time_base or 0)
            if expected is None or (stated is not None and abs(stated - expected) > _JITTER):
                expected = stated or Fraction(0)
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = round(expected * frame.sample_rate)
            expected += Fraction(frame.samples, frame.sample_rate)
            yield frame
    yield None


def _with_times(packets: list[_Packet], start: Fraction) -> Iterator[tuple[Fraction, _Packet]]:
    """Yield (seconds, packet) with times moved so that `start` seconds become 0."""
    for packet in packets:
        ticks = round(start / Fraction(packet.time_base))
        packet.pts = (packet.pts or 0) - ticks
        packet.dts = (packet.dts or 0) - ticks
        yield packet.pts * Fraction(packet.time_base), packet
