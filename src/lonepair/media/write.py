"""Clips out: H.264 for viewing, a lossless intermediate, and animated images; whole or not at all."""

from __future__ import annotations

import contextlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.filter
import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.animated import read_note, save_animated
from lonepair.media.audio import AudioTrack
from lonepair.media.container import ASPECT_TAG, open_video
from lonepair.media.files import atomic_write, check_output
from lonepair.media.image import NotAnImageError
from lonepair.ops.arrays import to_pil, to_uint8
from lonepair.ops.color import match_channels

log = logging.getLogger("lonepair")

_H264 = (".mp4", ".m4v", ".mov")
_LOSSLESS = (".mkv",)
_ANIMATED = (".gif", ".webp", ".png", ".apng")
WRITABLE = (*_H264, *_LOSSLESS, *_ANIMATED)
"""Suffixes that `ClipWriter` knows."""

_MP4_AUDIO = frozenset({"aac", "alac", "mp3", "ac3", "eac3"})
_MKV_AUDIO = _MP4_AUDIO | {"flac", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "dts"}

_TICK = Fraction(1, 90_000)
"""Time base in seconds: exact for 24, 25, 30, 50, 60 and 30000/1001 frames per second, fine enough for any other."""

_THREADS = 4
"""A fixed number, not the machine's cores: x264 splits its work by it, so the bytes depend on it."""

_CRF = 16
"""x264's quality: visually lossless at moderate size (its default is 23; lower is better)."""

_BT709, _LIMITED_RANGE = 1, 1
"""FFmpeg's numbers for the colour space and range that players assume."""


class _Sink(ABC):
    """Where `ClipWriter` puts frames: made at the first frame, when the channels are known."""

    @abstractmethod
    def add(self, image: Tensor, time: Fraction) -> None:
        """Take one more frame."""

    @abstractmethod
    def finish(self, end: Fraction) -> None:
        """Complete the file; `end` is when the last frame goes, in seconds."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of all files."""


class ClipWriter:
    """Writes a clip, frame by frame at each one's own time; a context manager. Nothing is left behind on any error.

    By the suffix of `path`:
    .mp4 .m4v .mov  H.264 4:2:0 (libx264, crf 16, BT.709), plays everywhere. Odd sides grow by a repeated row or
                    column; grey becomes RGB; RGBA goes over white. Sound of `audio_from` is carried over.
    .mkv            FFV1: bit-exact for 8-bit grey, RGB and RGBA; times in steps of 1 ms. Sound likewise.
    .gif .webp      animated, looping, silent: GIF has 256 colours, WebP is quality 90.
    .png .apng      animated PNG, looping, silent, exact.
    Animated images are held in memory (8 bits per channel) until the end, and join frames that do not differ into
    one that lasts longer.

    The same frames, times and metadata give the same bytes with the same FFmpeg, x264 and Pillow.

    Raises:
        UserError: unknown suffix, a file that exists and no `overwrite`, a missing encoder, a path that cannot be
            written, a full disk, or no frame at all.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        rate: Fraction,
        audio_from: Path | None = None,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        """`size` is (h, w) of every frame; `rate` the average frames per second; `metadata` for `read_clip_metadata`.

        `audio_from` may be any video file: one without sound is no error. `pixel_aspect` is a pixel's width over its
        height; animated images have square pixels only.
        """
        self.path = Path(path).expanduser()
        check_output(self.path, WRITABLE, overwrite)
        self._suffix = self.path.suffix.lower()
        if self._suffix not in _ANIMATED:
            _check_encoder(self.path, "ffv1" if self._suffix in _LOSSLESS else "libx264")
        self._size = size
        self._rate = rate
        self._audio_from = audio_from
        self._pixel_aspect = pixel_aspect
        self._note = json.dumps(dict(metadata)) if metadata else ""
        self._atomic = atomic_write(self.path)
        self._temporary: Path | None = None
        self._sink: _Sink | None = None
        self._last: Fraction | None = None

    def __enter__(self) -> ClipWriter:
        self._temporary = self._atomic.__enter__()
        return self

    def write(self, image: Float[Tensor, "1 c h w"], time: Fraction) -> None:
        """Add `image`, [-1, 1], of the clip's size, to be shown from `time` seconds on; times must increase.

        Raises:
            UserError: the file cannot be written.
        """
        assert self._temporary is not None, "write inside the with block"
        assert tuple(image.shape[-2:]) == self._size, (image.shape, self._size)
        assert self._last is None or time > self._last, (time, self._last)
        with self._reported():
            if self._sink is None:
                self._sink = self._open_sink(self._temporary, image.shape[1])
            self._sink.add(image, time)
        self._last = time

    def _open_sink(self, temporary: Path, channels: int) -> _Sink:
        if self._suffix in _ANIMATED:
            if self._audio_from is not None:
                log.info("%s: %s files have no sound", self.path, self._suffix)
            if self._pixel_aspect != 1:
                log.info("%s: %s files have square pixels; the clip looks stretched", self.path, self._suffix)
            return _AnimatedSink(temporary, self._rate, self._note)
        lossless = self._suffix in _LOSSLESS
        if not lossless and channels == 4:
            log.info("%s: H.264 has no transparency; frames are put over white (.mkv and .webp keep it)", self.path)
        if not lossless and (self._size[0] % 2 or self._size[1] % 2):
            log.info("%s: H.264 needs even sides; the last row or column of %s is repeated", self.path, self._size)
        return _VideoSink(
            temporary, self._size, self._rate, channels, lossless, self._note, self._audio_from, self._pixel_aspect
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                with self._reported():
                    if self._sink is None or self._last is None:
                        raise UserError(f"{self.path}: the clip has no frames, so there is nothing to write")
                    self._sink.finish(self._last + 1 / self._rate)
            except BaseException:
                self._discard()
                raise
            self._atomic.__exit__(None, None, None)
        else:
            self._discard()

    def _discard(self) -> None:
        if self._sink is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._sink.abandon()
        abandoned = _AbandonedError()
        self._atomic.__exit__(_AbandonedError, abandoned, None)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """Errors of the encoder and the disk, as the user's."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            why = (error.strerror or str(error)).lower()
            raise UserError(f"{self.path}: cannot be written ({why}); free some space, or choose another -o") from error


class _AbandonedError(Exception):
    """Tells `atomic_write` that the temporary file is to go."""


def _check_encoder(path: Path, codec: str) -> None:
    try:
        av.Codec(codec, "w")
    except (av.FFmpegError, ValueError) as error:  # UnknownCodecError is a ValueError
        raise UserError(
            f"{path}: the encoder {codec} is missing from this PyAV; reinstall it from its wheel "
            "(pip install --force-reinstall --only-binary av av), or write .gif or .webp"
        ) from error


class _VideoSink(_Sink):
    """H.264 or FFV1 in a container, with sound."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: Fraction,
        channels: int,
        lossless: bool,
        note: str,
        audio_from: Path | None,
        pixel_aspect: Fraction,
    ) -> None:
        # Bit-exact muxing leaves out the random and the dated: the same frames give the same file.
        options = {"fflags": "+bitexact"} if lossless else {"fflags": "+bitexact", "movflags": "+faststart"}
        self._container = av.open(str(path.absolute()), "w", options=options)
        if note:
            self._container.metadata["comment"] = note
        self._lossless = lossless
        self._channels = channels if lossless else 3
        codec, codec_options = ("ffv1", {"level": "3", "slices": "4", "slicecrc": "1"}) if lossless else _x264()
        stream = self._container.add_stream(codec, rate=rate.limit_denominator(100_000), options=codec_options)
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        # 4:2:0 halves both sides, so they must be even.
        stream.height, stream.width = size if lossless else (size[0] + size[0] % 2, size[1] + size[1] % 2)
        stream.pix_fmt = {1: "gray", 3: "bgr0", 4: "bgra"}[channels] if lossless else "yuv420p"
        stream.thread_count = _THREADS
        stream.codec_context.time_base = _TICK
        if pixel_aspect != 1:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        self._shape: av.filter.Graph | None = None
        if pixel_aspect != 1 and lossless:
            # FFV1 has it from each frame, where players look; the tag is for `probe`.
            stream.metadata[ASPECT_TAG] = str(pixel_aspect)
            self._shape = _shape_filter(size, stream.pix_fmt, pixel_aspect)
        if not lossless:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED_RANGE
        copyable = _MKV_AUDIO if lossless else _MP4_AUDIO
        self._audio = None if audio_from is None else AudioTrack(audio_from, self._container, copyable)

    def add(self, image: Tensor, time: Fraction) -> None:
        array = to_uint8(match_channels(image, self._channels))
        if self._lossless:
            form = {1: "gray", 3: "rgb24", 4: "rgba"}[self._channels]
            frame = av.VideoFrame.from_ndarray(array[..., 0] if self._channels == 1 else array, format=form)
            frame = frame.reformat(format=self._stream.pix_fmt)
        else:
            array = np.pad(array, ((0, array.shape[0] % 2), (0, array.shape[1] % 2), (0, 0)), mode="edge")
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range=_LIMITED_RANGE)
        frame.pts, frame.time_base = round(time / _TICK), _TICK
        if self._shape is not None:
            self._shape.push(frame)
            shaped = self._shape.pull()
            assert isinstance(shaped, av.VideoFrame)
            frame = shaped
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        if self._audio is not None:
            self._audio.advance(time)

    def finish(self, end: Fraction) -> None:
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


def _shape_filter(size: tuple[int, int], form: str, aspect: Fraction) -> av.filter.Graph:
    """Notes in each frame of `form` and (h, w) `size` that its pixels are `aspect` times as wide as high."""
    graph = av.filter.Graph()
    start_stage = graph.add_buffer(width=size[1], height=size[0], format=av.VideoFormat(form), time_base=_TICK)
    start_stage.link_to(setter := graph.add("setsar", f"{aspect}:max=65535"))
    setter.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _x264() -> tuple[str, dict[str, str]]:
    # Without mbtree: for small frames it reads memory that is never set (measured: 1 file in 20 differs, even on one
    # thread; none of 600 without), and the same frames must give the same bytes. `crf` allows for it by itself.
    params = f"threads={_THREADS}:lookahead-threads=1:mbtree=0"
    return "libx264", {"crf": str(_CRF), "preset": "medium", "x264-params": params}


class _AnimatedSink(_Sink):
    """GIF, WebP and APNG: written at the end, since Pillow wants all durations at once."""

    def __init__(self, path: Path, rate: Fraction, note: str) -> None:
        self._path, self._rate, self._note = path, rate, note
        self._pictures: list[Image.Image] = []
        self._times: list[Fraction] = []

    def add(self, image: Tensor, time: Fraction) -> None:
        self._pictures.append(to_pil(match_channels(image, max(3, image.shape[1]))))
        self._times.append(time)

    def finish(self, end: Fraction) -> None:
        save_animated(self._path, self._pictures, self._times, self._rate, self._note)

    def abandon(self) -> None:
        self._pictures.clear()


def read_clip_metadata(path: str | Path) -> dict[str, str]:
    """The metadata that `ClipWriter` wrote into the clip `path`; empty where there is none.

    Raises:
        UserError: the file cannot be read.
    """
    path = Path(path).expanduser()
    try:
        note = read_note(path)
    except NotAnImageError:
        with open_video(path) as (container, _):
            note = {key.lower(): text for key, text in container.metadata.items()}.get("comment", "")
    with contextlib.suppress(ValueError):
        found = json.loads(note)
        if isinstance(found, dict):
            return {str(key): str(text) for key, text in found.items()}
    return {}
