"""Encoders behind `write.ClipWriter`: videos through FFmpeg, animated images through Pillow, and numbered files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from av.packet import Packet
from PIL import Image
from torch import Tensor

from lonepair.media.clips.animated import save_animated
from lonepair.media.clips.audio import AudioTrack
from lonepair.media.clips.codecs import THREADS, VideoEncoding
from lonepair.media.clips.container import INTERPOLATION, PIXEL_ASPECT_TAG
from lonepair.media.clips.sequence import SequencePattern
from lonepair.media.stills.exr import SUFFIX as EXR
from lonepair.media.stills.exr import write_exr
from lonepair.media.stills.image import write_image
from lonepair.ops.arrays import to_pil, to_uint8, to_uint16
from lonepair.ops.color import match_channels
from lonepair.storage.files import atomic_write, check_output

_MP4_AUDIO = frozenset({"aac", "alac", "mp3", "ac3", "eac3"})
_MKV_AUDIO = _MP4_AUDIO | {"flac", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "dts"}
_AUDIO = {
    ".mp4": _MP4_AUDIO,
    ".m4v": _MP4_AUDIO,
    ".mov": _MP4_AUDIO | {"pcm_s16le", "pcm_s24le"},
    ".mkv": _MKV_AUDIO,
    ".webm": frozenset({"opus", "vorbis"}),
}
"""Suffix -> audio codecs that are copied; others are transcoded."""

_TIME_BASE = Fraction(1, 90_000)
"""Seconds. Exact for 24, 25, 30, 50, 60 and 30000/1001 frames per second, and fine enough for any other rate."""

_BT709, _LIMITED_RANGE = 1, 1
"""FFmpeg's numbers of the colour space and range that players assume."""


class FrameSink(ABC):
    """An open output that takes frames. `ClipWriter` opens it at the first frame, which tells the channels."""

    @abstractmethod
    def add(self, image: Tensor, time: Fraction, gain: Tensor | None) -> None:
        """Append `image` (1, c, h, w) in [-1, 1], shown from `time` seconds on; `gain` as `Frame.gain`."""

    @abstractmethod
    def finish(self, end: Fraction, sound_end: Fraction | None = None) -> None:
        """Complete the output.

        Args:
            end: When the last frame disappears, in seconds.
            sound_end: When the sound ends, in seconds; None: at its own end.
        """

    @abstractmethod
    def abandon(self) -> None:
        """Close all files without completing them."""


class VideoSink(FrameSink):
    """Encodes a video file, with sound."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: Fraction,
        channels: int,
        encoding: VideoEncoding,
        comment: str,
        audio_from: Path | None,
        audio_start: Fraction,
        pixel_aspect: Fraction,
    ) -> None:
        """Open `path` for writing.

        Args:
            path: The file; its suffix names the container.
            size: (h, w) of every frame, in pixels.
            rate: Average frames per second.
            channels: Channels of the frames: 1, 3 or 4.
            encoding: The codec and its options.
            comment: Text for the container's comment tag; none where empty.
            audio_from: A video file whose sound is carried over.
            audio_start: Seconds of its pictures before the first frame.
            pixel_aspect: Width of a pixel over its height.
        """
        codec, suffix = encoding.codec, path.suffix.lower()
        # Bit-exact muxing omits dates and random identifiers: equal frames give equal files.
        options = {"fflags": "+bitexact"} | ({} if suffix in (".mkv", ".webm") else {"movflags": "+faststart"})
        self._container = av.open(str(path.absolute()), "w", options=options)
        if comment:
            self._container.metadata["comment"] = comment
        self._codec, self._bits = codec, encoding.bits
        quality = {} if encoding.crf is None else {"crf": str(encoding.crf)}
        stream = self._container.add_stream(
            codec.encoder, rate=rate.limit_denominator(100_000), options={**quality, **codec.options}
        )
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        # Pixel format: with alpha and as grey where the codec has these. Color at half the size needs even sides.
        formats = {1: codec.gray_formats, 4: codec.alpha_formats}.get(channels) or codec.formats
        self._channels = channels if formats is not codec.formats else 3
        self._pad = [(0, side % 2 if codec.needs_even_sides else 0) for side in size]
        stream.height, stream.width = (side + after for side, (_, after) in zip(size, self._pad, strict=True))
        stream.pix_fmt = formats[encoding.bits]
        stream.thread_count = THREADS
        context = stream.codec_context
        context.time_base = _TIME_BASE
        # Colours: without these tags players guess by the size of the picture.
        if not codec.is_rgb:
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED_RANGE
        self._waiting: tuple[av.VideoFrame, int] | None = None
        self._durations: dict[int, int] = {}
        self._start: tuple[Fraction, Fraction] | None = None
        self._adds_durations = suffix in (".mp4", ".m4v", ".mov")
        self._aspect_filter: av.filter.Graph | None = None
        if pixel_aspect != 1:
            context.sample_aspect_ratio = pixel_aspect
            if suffix == ".mkv":
                stream.metadata[PIXEL_ASPECT_TAG] = str(pixel_aspect)  # for `frames.probe`
            if codec.is_rgb:  # FFV1 stores the aspect in each frame, where players look for it
                self._aspect_filter = _aspect_filter(size, stream.pix_fmt, pixel_aspect)
        # Sound: copied where the container supports the codec.
        encoder = "libopus" if suffix == ".webm" else "aac"
        self._audio = None
        if audio_from is not None:
            self._audio = AudioTrack(audio_from, self._container, _AUDIO[suffix], encoder, audio_start)

    def add(self, image: Tensor, time: Fraction, gain: Tensor | None) -> None:
        # A frame is encoded when the next one tells how long it lasts.
        frame = self._to_frame(match_channels(image, self._channels))
        ticks = round(time / _TIME_BASE)
        frame.pts, frame.time_base = ticks, _TIME_BASE
        self._encode_waiting(time)
        self._waiting = frame, ticks

    def _encode_waiting(self, end: Fraction) -> None:
        """Encode the frame that waits, which lasts until `end` seconds, then the sound up to `end`.

        Players need both close together in the file.
        """
        if self._waiting is None:
            return
        frame, ticks = self._waiting
        self._durations[ticks] = round(end / _TIME_BASE) - ticks
        if self._aspect_filter is not None:
            self._aspect_filter.push(frame)
            filtered = self._aspect_filter.pull()
            assert isinstance(filtered, av.VideoFrame)
            frame = filtered
        self._mux(self._stream.encode(frame))
        if self._audio is not None:
            self._audio.advance(end)

    def _mux(self, packets: list[Packet[av.VideoStream]], end: Fraction | None = None) -> None:
        """Write packets of the pictures; each states how long its frame lasts. `end` is given with the last ones."""
        for index, packet in enumerate(packets):
            unit = Fraction(packet.time_base)
            if self._start is None:
                self._start = (packet.pts or 0) * unit, (packet.dts or 0) * unit
            duration = self._durations.pop(round((packet.pts or 0) * packet.time_base / _TIME_BASE), None)
            if duration is not None:
                packet.duration = round(duration * _TIME_BASE / packet.time_base)
            # MP4 adds the durations up in the order of decoding: the last one makes their sum right.
            if end is not None and index == len(packets) - 1 and self._adds_durations:
                first_time, first_dts = self._start
                rest = end - first_time - ((packet.dts or 0) * unit - first_dts)
                packet.duration = max(packet.duration or 0, round(rest / unit))
            self._container.mux(packet)

    def _to_frame(self, image: Tensor) -> av.VideoFrame:
        """Convert an image into a frame of the stream's pixel format."""
        array = np.pad(to_uint8(image) if self._bits == 8 else to_uint16(image), (*self._pad, (0, 0)), mode="edge")
        layout = {1: "gray", 3: "rgb24", 4: "rgba"} if self._bits == 8 else {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}
        frame = av.VideoFrame.from_ndarray(array[..., 0] if self._channels == 1 else array, layout[self._channels])
        if self._codec.is_rgb:
            return frame.reformat(format=self._stream.pix_fmt)
        return frame.reformat(
            format=self._stream.pix_fmt,
            dst_colorspace="ITU709",
            dst_color_range=_LIMITED_RANGE,
            interpolation=INTERPOLATION,
        )

    def finish(self, end: Fraction, sound_end: Fraction | None = None) -> None:
        self._encode_waiting(end)
        # None makes the encoder return the packets it holds back.
        self._mux(self._stream.encode(None), end)
        if self._audio is not None:
            self._audio.advance(sound_end)
            self._audio.close()
        self._container.close()

    def abandon(self) -> None:
        if self._audio is not None:
            self._audio.close()
        self._container.close()


def _aspect_filter(size: tuple[int, int], pixel_format: str, aspect: Fraction) -> av.filter.Graph:
    """Build a filter that stores the pixel aspect ratio `aspect` in each frame it passes on.

    Args:
        size: (h, w) of the frames, in pixels.
        pixel_format: FFmpeg's name of the frames' pixel format.
        aspect: Width of a pixel over its height.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(width=size[1], height=size[0], format=av.VideoFormat(pixel_format), time_base=_TIME_BASE)
    source.link_to(setter := graph.add("setsar", f"{aspect}:max=65535"))
    setter.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


class AnimatedSink(FrameSink):
    """Collects frames for a GIF, WebP or APNG and writes it at the end, because Pillow needs all durations first."""

    def __init__(self, path: Path, name: Path, comment: str) -> None:
        """`path` is the file, `name` its name in messages, `comment` the text for the file's comment."""
        self._path, self._name, self._comment = path, name, comment
        self._pictures: list[Image.Image] = []
        self._times: list[Fraction] = []

    def add(self, image: Tensor, time: Fraction, gain: Tensor | None) -> None:
        self._pictures.append(to_pil(match_channels(image, max(3, image.shape[1]))))
        self._times.append(time)

    def finish(self, end: Fraction, sound_end: Fraction | None = None) -> None:
        save_animated(self._path, self._name, self._pictures, self._times, end, self._comment)

    def abandon(self) -> None:
        self._pictures.clear()


class SequenceSink(FrameSink):
    """Writes each frame as a numbered image file, complete or not at all. Files of earlier frames stay in any case."""

    def __init__(
        self,
        pattern: SequencePattern,
        start_number: int,
        bits: int,
        metadata: Mapping[str, str],
        overwrite: bool,
        pixel_aspect: Fraction,
    ) -> None:
        """Take the pattern and how its files are written.

        Args:
            pattern: Names the files.
            start_number: Number of the first file.
            bits: Bits per channel; more than 8 make 16.
            metadata: Texts for each file (`image.write_image`).
            overwrite: Replace existing files.
            pixel_aspect: Width of a pixel over its height; only EXR stores it.
        """
        self._pattern, self._next = pattern, start_number
        self._bits, self._metadata, self._overwrite = bits, metadata, overwrite
        self._pixel_aspect = pixel_aspect

    def add(self, image: Tensor, time: Fraction, gain: Tensor | None) -> None:
        path = self._pattern.path(self._next)
        if path.suffix.lower() == EXR:
            check_output(path, (EXR,), self._overwrite)
            with atomic_write(path) as temporary:
                write_exr(path, temporary, image, gain, self._metadata, self._pixel_aspect)
        else:
            write_image(path, image, self._metadata, self._overwrite, self._bits)
        self._next += 1

    def finish(self, end: Fraction, sound_end: Fraction | None = None) -> None:
        """Nothing is left to do: every file is complete."""

    def abandon(self) -> None:
        """Nothing is open."""
