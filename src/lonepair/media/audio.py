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

from lonepair.errors import UserError
from lonepair.media.container import open_video, start_time

if TYPE_CHECKING:
    _Packet = Packet[AudioStream]
else:  # generic for type checkers only
    _Packet = Packet

logger = logging.getLogger("lonepair")


class AudioTrack:
    """Muxes the packets of a file's first audio stream into an output as the pictures advance.

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
            if not container.streams.audio:
                return
            # Copy where possible: it is exact and costs nothing.
            source, start = container.streams.audio[0], start_time(video) + skip
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
        except (av.FFmpegError, UserError, ValueError) as error:
            self._give_up(error)

    def advance(self, until: Fraction) -> None:
        """Mux the sound that starts before `until` seconds."""
        while True:
            # Read one packet ahead, to know whether it is due.
            try:
                self._next = self._next or next(self._packets, None)
            except (av.FFmpegError, ValueError) as error:
                self._give_up(error)
            if self._next is None or self._next[0] >= until:
                return
            packet, self._next = self._next[1], None
            try:
                self._output.mux(packet)
            except OSError:
                raise  # a fault of the disk ends the pictures too
            except (av.FFmpegError, ValueError) as error:
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
    """Yield (seconds, packet) of `source`, assigned to the stream `target`; `start` seconds become 0."""
    for packet in container.demux(source):
        if packet.dts is None or packet.pts is None:
            continue  # the end of the stream
        time = packet.pts * Fraction(packet.time_base) - start
        _shift(packet, start)
        packet.stream = target
        yield time, packet


def _transcode_packets(
    container: InputContainer, source: AudioStream, target: AudioStream, start: Fraction
) -> Iterator[tuple[Fraction, _Packet]]:
    """Yield (seconds, packet) of `source`, encoded for the stream `target`; `start` seconds become 0."""
    # AAC encodes frames of 1024 samples in floating point, Opus frames of 20 ms.
    context = target.codec_context
    layout, count = ("fltp", 1024) if context.codec.name == "aac" else ("flt", 960)
    resampler = av.AudioResampler(format=layout, layout=context.layout, rate=context.sample_rate, frame_size=count)
    for frame in _append_none(container.decode(source)):
        for resampled in resampler.resample(frame):
            yield from _with_times(target.encode(resampled), start)
    yield from _with_times(target.encode(None), start)


def _append_none(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame | None]:
    """Yield `frames`, then None, which makes the resampler return its remaining samples."""
    yield from frames
    yield None


def _with_times(packets: list[_Packet], start: Fraction) -> Iterator[tuple[Fraction, _Packet]]:
    """Yield (seconds, packet) with times moved so that `start` seconds become 0."""
    for packet in packets:
        _shift(packet, start)
        yield (packet.pts or 0) * Fraction(packet.time_base), packet


def _shift(packet: _Packet, start: Fraction) -> None:
    """Move the times of `packet` so that `start` seconds, where the pictures start, become 0."""
    ticks = round(start / Fraction(packet.time_base))
    packet.pts = (packet.pts or 0) - ticks
    packet.dts = (packet.dts or 0) - ticks
