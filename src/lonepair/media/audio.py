"""The sound of a source clip, carried into an output beside its new pictures."""

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

log = logging.getLogger("lonepair")


class AudioTrack:
    """Packets of `path`'s first audio stream, muxed into `output` as the pictures advance.

    They are copied as they are where `output` takes their codec (`copyable`), else transcoded to AAC. Sound is worth
    less than the pictures: whatever fails is logged, and the output goes on without.
    """

    def __init__(self, path: Path, output: OutputContainer, copyable: Collection[str]) -> None:
        self._path = path
        self._output = output
        self._open = contextlib.ExitStack()
        self._packets: Iterator[tuple[Fraction, _Packet]] = iter(())
        self._next: tuple[Fraction, _Packet] | None = None
        try:
            container, video = self._open.enter_context(open_video(path))
            if not container.streams.audio:
                return
            source, start = container.streams.audio[0], start_time(video)
            if source.codec_context.name in copyable:
                copy = output.add_stream_from_template(source)
                self._packets = _copied(container, source, copy, start)
            else:
                aac = output.add_stream("aac", rate=source.codec_context.sample_rate)
                aac.codec_context.layout = "stereo" if source.codec_context.layout.nb_channels > 1 else "mono"
                self._packets = _transcoded(container, source, aac, start)
        except (av.FFmpegError, UserError, ValueError) as error:
            self._give_up(error)

    def advance(self, until: Fraction) -> None:
        """Mux the sound that starts before `until` seconds."""
        while True:
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
                raise  # the disk's matter, not the sound's
            except (av.FFmpegError, ValueError) as error:
                self._give_up(error)

    def close(self) -> None:
        """Let go of the source file."""
        self._packets, self._next = iter(()), None
        self._open.close()

    def _give_up(self, error: Exception) -> None:
        log.warning("%s: its sound cannot be carried over (%s); going on without", self._path, error)
        self._packets, self._next = iter(()), None


def _copied(
    container: InputContainer, source: AudioStream, target: AudioStream, start: Fraction
) -> Iterator[tuple[Fraction, _Packet]]:
    for packet in container.demux(source):
        if packet.dts is None or packet.pts is None:
            continue  # the end of the stream
        time = packet.pts * Fraction(packet.time_base) - start
        _shift(packet, start)
        packet.stream = target
        yield time, packet


def _transcoded(
    container: InputContainer, source: AudioStream, target: AudioStream, start: Fraction
) -> Iterator[tuple[Fraction, _Packet]]:
    context = target.codec_context
    resampler = av.AudioResampler(format="fltp", layout=context.layout, rate=context.sample_rate, frame_size=1024)
    for frame in _then_none(container.decode(source)):
        for piece in resampler.resample(frame):
            yield from _timed(target.encode(piece), start)
    yield from _timed(target.encode(None), start)


def _then_none(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame | None]:
    """`frames`, and None, which has the resampler give what it still holds."""
    yield from frames
    yield None


def _timed(packets: list[_Packet], start: Fraction) -> Iterator[tuple[Fraction, _Packet]]:
    for packet in packets:
        _shift(packet, start)
        yield (packet.pts or 0) * Fraction(packet.time_base), packet


def _shift(packet: _Packet, start: Fraction) -> None:
    """Move `packet` to where the pictures start at 0."""
    ticks = round(start / Fraction(packet.time_base))
    packet.pts = (packet.pts or 0) - ticks
    packet.dts = (packet.dts or 0) - ticks
