"""Encoders behind `write.ClipWriter`: H.264 and FFV1 through FFmpeg, animated GIF, WebP and APNG through Pillow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from PIL import Image
from torch import Tensor

from lonepair.media.animated import save_animated
from lonepair.media.audio import AudioTrack
from lonepair.media.container import PIXEL_ASPECT_TAG
from lonepair.ops.arrays import to_pil, to_uint8
from lonepair.ops.color import match_channels

_MP4_AUDIO = frozenset({"aac", "alac", "mp3", "ac3", "eac3"})
_MKV_AUDIO = _MP4_AUDIO | {"flac", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "dts"}

_TIME_BASE = Fraction(1, 90_000)
"""Seconds. Exact for 24, 25, 30, 50, 60 and 30000/1001 frames per second, and fine enough for any other rate."""

_THREADS = 4
"""A fixed number rather than the machine's cores: x264 splits its work by it, so the bytes depend on it."""

_CRF = 16
"""x264's quality: visually lossless at a moderate file size. x264's default is 23; lower is better."""

_BT709, _LIMITED_RANGE = 1, 1
"""FFmpeg's numbers of the colour space and range that players assume."""


class FrameSink(ABC):
    """An open output file that takes frames. `ClipWriter` opens it at the first frame, which tells the channels."""

    @abstractmethod
    def add(self, image: Tensor, time: Fraction) -> None:
        """Append `image` (1, c, h, w) in [-1, 1], shown from `time` seconds on."""

    @abstractmethod
    def finish(self, end: Fraction) -> None:
        """Complete the file. `end` is when the last frame disappears, in seconds."""

    @abstractmethod
    def abandon(self) -> None:
        """Close all files without completing them."""


class VideoSink(FrameSink):
    """Encodes H.264 or FFV1 into a container, with sound."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: Fraction,
        channels: int,
        lossless: bool,
        comment: str,
        audio_from: Path | None,
        pixel_aspect: Fraction,
    ) -> None:
        """Open `path` for writing.

        Args:
            path: The file; its suffix names the container.
            size: (h, w) of every frame, in pixels.
            rate: Average frames per second.
            channels: Channels of the frames: 1, 3 or 4.
            lossless: FFV1 where true, else H.264.
            comment: Text for the container's comment tag; none where empty.
            audio_from: A video file whose sound is carried over.
            pixel_aspect: Width of a pixel over its height.
        """
        # Bit-exact muxing omits dates and random identifiers: equal frames give equal files.
        options = {"fflags": "+bitexact"} if lossless else {"fflags": "+bitexact", "movflags": "+faststart"}
        self._container = av.open(str(path.absolute()), "w", options=options)
        if comment:
            self._container.metadata["comment"] = comment
        self._lossless = lossless
        self._channels = channels if lossless else 3
        codec, codec_options = ("ffv1", {"level": "3", "slices": "4", "slicecrc": "1"}) if lossless else _x264()
        stream = self._container.add_stream(codec, rate=rate.limit_denominator(100_000), options=codec_options)
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        # Size and pixel format. 4:2:0 halves both sides, so they must be even.
        stream.height, stream.width = size if lossless else (size[0] + size[0] % 2, size[1] + size[1] % 2)
        stream.pix_fmt = {1: "gray", 3: "bgr0", 4: "bgra"}[channels] if lossless else "yuv420p"
        stream.thread_count = _THREADS
        stream.codec_context.time_base = _TIME_BASE
        if pixel_aspect != 1:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        self._aspect_filter: av.filter.Graph | None = None
        if pixel_aspect != 1 and lossless:
            # FFV1 stores the aspect in each frame, where players look for it. The tag is for `frames.probe`.
            stream.metadata[PIXEL_ASPECT_TAG] = str(pixel_aspect)
            self._aspect_filter = _aspect_filter(size, stream.pix_fmt, pixel_aspect)
        # Colours: without these tags players guess by the size of the picture.
        if not lossless:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED_RANGE
        # Sound: copied where the container supports the codec.
        copyable = _MKV_AUDIO if lossless else _MP4_AUDIO
        self._audio = None if audio_from is None else AudioTrack(audio_from, self._container, copyable)

    def add(self, image: Tensor, time: Fraction) -> None:
        # Encode the frame, then the sound up to its time: players need both close together in the file.
        frame = self._to_frame(to_uint8(match_channels(image, self._channels)))
        frame.pts, frame.time_base = round(time / _TIME_BASE), _TIME_BASE
        if self._aspect_filter is not None:
            self._aspect_filter.push(frame)
            filtered = self._aspect_filter.pull()
            assert isinstance(filtered, av.VideoFrame)
            frame = filtered
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        if self._audio is not None:
            self._audio.advance(time)

    def _to_frame(self, array: np.ndarray) -> av.VideoFrame:
        """Convert (h, w, c) uint8 into a frame of the stream's pixel format."""
        if self._lossless:
            layout = {1: "gray", 3: "rgb24", 4: "rgba"}[self._channels]
            frame = av.VideoFrame.from_ndarray(array[..., 0] if self._channels == 1 else array, format=layout)
            return frame.reformat(format=self._stream.pix_fmt)
        # H.264: even sides and limited range, in the colours that the tags state.
        array = np.pad(array, ((0, array.shape[0] % 2), (0, array.shape[1] % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(array, format="rgb24")
        return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range=_LIMITED_RANGE)

    def finish(self, end: Fraction) -> None:
        # None makes the encoder return the packets it holds back.
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        if self._audio is not None:
            self._audio.advance(end)
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


def _x264() -> tuple[str, dict[str, str]]:
    """Return the encoder's name and its options."""
    # mbtree is off because it reads uninitialized memory for small frames (measured: 1 file in 20 differs, even on one
    # thread; none of 600 without it), and equal frames must give equal bytes. `crf` compensates for it by itself.
    params = f"threads={_THREADS}:lookahead-threads=1:mbtree=0"
    return "libx264", {"crf": str(_CRF), "preset": "medium", "x264-params": params}


class AnimatedSink(FrameSink):
    """Collects frames for a GIF, WebP or APNG and writes it at the end, because Pillow needs all durations first."""

    def __init__(self, path: Path, rate: Fraction, comment: str) -> None:
        """`path` is the file, `rate` the average frames per second, `comment` the text for the file's comment."""
        self._path, self._rate, self._comment = path, rate, comment
        self._pictures: list[Image.Image] = []
        self._times: list[Fraction] = []

    def add(self, image: Tensor, time: Fraction) -> None:
        self._pictures.append(to_pil(match_channels(image, max(3, image.shape[1]))))
        self._times.append(time)

    def finish(self, end: Fraction) -> None:
        save_animated(self._path, self._pictures, self._times, self._rate, self._comment)

    def abandon(self) -> None:
        self._pictures.clear()
