"""Writes clips: video files and animated images, complete or not at all, and sequences of numbered image files."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.clips.animated import read_comment
from lonepair.media.clips.codecs import (
    VIDEO_SUFFIXES,
    Encoding,
    VideoEncoding,
    check_animation,
    resolve_image_bits,
    resolve_video,
)
from lonepair.media.clips.container import open_video
from lonepair.media.clips.sequence import check_sequence_output, parse_pattern
from lonepair.media.clips.sinks import AnimatedSink, FrameSink, SequenceSink, VideoSink
from lonepair.media.source import Source
from lonepair.media.stills.exr import SUFFIX as EXR
from lonepair.media.stills.exr import fit_gain
from lonepair.media.stills.opening import NotAnImageError
from lonepair.storage.files import atomic_write, check_output

logger = logging.getLogger("lonepair")

_ANIMATED = (".gif", ".webp", ".png", ".apng")
WRITABLE = (*VIDEO_SUFFIXES, *_ANIMATED)
"""Suffixes of the files that `ClipWriter` writes."""


class ClipWriter:
    """Context manager that writes a clip frame by frame. An error leaves nothing behind but complete numbered files.

    The suffix of the path selects the format, and `Encoding` what a format leaves open:

    - `.mp4`, `.m4v`, `.mov`: H.264 4:2:0 (libx264, crf 16, BT.709, 8 bits), which plays everywhere; `.mov` also takes
      ProRes, with alpha in 4444.
    - `.webm`: VP9 4:2:0, 8 bits, with alpha.
    - `.mkv`: FFV1, bit-exact for grey, RGB and RGBA of 8 or 16 bits; times in steps of 1 ms. Or H.264.
    - `.gif`, `.webp`: animated, looping, silent. GIF has 256 colours, WebP has quality 90.
    - `.png`, `.apng`: animated PNG, looping, silent, exact.
    - A pattern such as `name.%04d.exr` or `name.####.png`: one image file for each frame (`image.write_image`), silent.

    Videos carry sound over. Codecs without alpha composite RGBA over white, codecs without grey write RGB, and 4:2:0
    and 4:2:2 repeat the last row or column where a side is odd. Animated images are held in memory, with 8 bits per
    channel, until the end. Equal consecutive frames become one frame that lasts longer. Equal frames, times and
    metadata give equal bytes with the same FFmpeg, encoders and Pillow.

    Raises:
        UserError: The suffix is unknown, the file exists and `overwrite` is off, an option does not go with the format,
            an encoder is missing, the path cannot be written, the disk is full, or no frame was written.
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
        encoding: Encoding | None = None,
        source_bits: int = 8,
        audio_start: Fraction = Fraction(0),
        end: Callable[[], Fraction | None] | None = None,
        audio_end: Fraction | None = None,
    ) -> None:
        """Check the output; the file is opened when the block starts.

        Args:
            path: The clip to write.
            size: (h, w) of every frame, in pixels.
            rate: Average frames per second.
            audio_from: A video file whose sound is carried over; it may have none.
            metadata: Texts that `read_clip_metadata` returns.
            overwrite: Replace an existing file.
            pixel_aspect: Width of a pixel over its height. Only videos and EXR files store it.
            encoding: The user's choices; None: none.
            source_bits: Bits per channel of the source, where `encoding` leaves them open.
            audio_start: Seconds of `audio_from`, from its first picture on, at which the clip starts.
            end: Returns when the last frame disappears, in seconds; None, or where it returns None: 1 / `rate` seconds
                after it appears. It is called at the end.
            audio_end: Seconds of the clip at which the sound ends; None: at its own end.
        """
        self.path = Path(path).expanduser()
        self._suffix = self.path.suffix.lower()
        self._encoding = encoding = encoding or Encoding()
        # Everything that can be wrong is reported now and not after the first frame was computed.
        self._pattern = parse_pattern(self.path)
        self._video: VideoEncoding | None = None
        if self._pattern is not None:
            check_sequence_output(self._pattern, overwrite)
            self._bits = resolve_image_bits(self.path, encoding, source_bits)
        else:
            check_output(self.path, WRITABLE, overwrite)
            if self._suffix in _ANIMATED:
                check_animation(self.path, encoding)
            else:
                self._video = resolve_video(self.path, encoding, source_bits)
        self._size, self._rate, self._pixel_aspect = size, rate, pixel_aspect
        self._audio_from, self._audio_start = audio_from, audio_start
        self._end, self._sound_end = end, audio_end
        self._metadata, self._overwrite, self._source_bits = dict(metadata or {}), overwrite, source_bits
        self._atomic = atomic_write(self.path) if self._pattern is None else None
        self._temporary = self.path
        self._sink: FrameSink | None = None
        self._last_time: Fraction | None = None
        self._has_lost_gain = False

    @classmethod
    def for_source(
        cls,
        source: Source,
        path: str | Path,
        size: tuple[int, int],
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
        encoding: Encoding | None = None,
    ) -> ClipWriter:
        """Return a writer for frames made from the clip `source`, with its rate, sound, depth, end and first number.

        Args:
            source: The clip.
            path: As in the constructor, like the other arguments.
        """
        assert source.rate is not None, source.name
        encoding = encoding or Encoding()
        if encoding.start_number is None and parse_pattern(Path(path)) is not None:
            encoding = replace(encoding, start_number=source.first_number)
        return cls(
            *(path, size, source.rate, source.audio_path, metadata, overwrite),
            # Of another size, the clip has square pixels.
            source.pixel_aspect if size == source.size else Fraction(1),
            *(encoding, source.bits, source.audio_start, source.end, source.audio_end),
        )

    @property
    def bits(self) -> int:
        """Bits per channel that are written."""
        if self._pattern is not None:
            return self._bits
        return 8 if self._video is None else self._video.bits

    def __enter__(self) -> ClipWriter:
        if self._atomic is not None:
            self._temporary = self._atomic.__enter__()
        self._is_open = True
        return self

    def write(
        self, image: Float[Tensor, "1 c h w"], time: Fraction, gain: Float[Tensor, "1 1 h2 w2"] | None = None
    ) -> None:
        """Append a frame.

        Args:
            image: The frame in [-1, 1], of the clip's size.
            time: Seconds from which the frame is shown; larger than the previous frame's.
            gain: As `Frame.gain`, of any size; only EXR files hold values above 1.

        Raises:
            UserError: The file cannot be written.
        """
        assert self._is_open, "write inside the with block"
        assert tuple(image.shape[-2:]) == self._size, (image.shape, self._size)
        assert self._last_time is None or time > self._last_time, (time, self._last_time)
        with self._user_errors():
            # The first frame tells the number of channels.
            if self._sink is None:
                self._sink = self._open_sink(image.shape[1])
            if gain is not None and self._suffix != EXR and not self._has_lost_gain:
                logger.warning("%s: values above 1 are lost; write a sequence of .exr files to retain them", self.path)
                self._has_lost_gain = True
            self._sink.add(image, time, fit_gain(gain, self._size))
        self._last_time = time

    def _open_sink(self, channels: int) -> FrameSink:
        """Open the encoder of the suffix, and log what its format cannot hold."""
        if self._pattern is not None:
            if self._audio_from is not None:
                logger.info("%s: image files have no sound", self.path.name)
            start = self._encoding.start_number or 0
            options = (self._metadata, self._overwrite, self._pixel_aspect)
            return SequenceSink(self._pattern, start, self._bits, *options)
        comment = json.dumps(self._metadata) if self._metadata else ""
        if self._video is None:
            if self._audio_from is not None:
                logger.info("%s: %s files have no sound", self.path.name, self._suffix)
            if self._pixel_aspect != 1:
                logger.info("%s: %s files have square pixels; the clip looks stretched", self.path.name, self._suffix)
            return AnimatedSink(self._temporary, self.path, comment)
        self._log_losses(self._video, channels)
        audio = (self._audio_from, self._audio_start, self._pixel_aspect)
        return VideoSink(self._temporary, self._size, self._rate, channels, self._video, comment, *audio)

    def _log_losses(self, video: VideoEncoding, channels: int) -> None:
        """Log what a video's codec cannot hold of frames with these channels."""
        name, label = self.path.name, video.name.upper().replace("H2", "H.2")
        if channels == 4 and not video.codec.alpha_formats:
            text = "%s: %s has no transparency; frames are put over white (%s keep it)"
            logger.info(text, name, label, "prores-4444 in .mov, vp9 in .webm and ffv1 in .mkv")
        if self._source_bits > max(video.bits, 8) or (self._source_bits > 8 and video.bits == 8):
            text = "%s: %s is written with %d bits per channel, the source has %d (`bits` chooses more where it can)"
            logger.info(text, name, label, video.bits, self._source_bits)
        if self._pixel_aspect != 1 and self._suffix == ".webm":
            logger.info("%s: .webm files have square pixels; the clip looks stretched", name)
        h, w = self._size
        if video.codec.needs_even_sides and (h % 2 or w % 2):
            logger.info("%s: %s needs even sides; the last row or column of %dx%d is repeated", name, label, w, h)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            # Complete the file, then give it its name. Any error deletes it.
            try:
                with self._user_errors():
                    if self._sink is None or self._last_time is None:
                        raise UserError(f"{self.path}: the clip has no frames, so there is nothing to write")
                    end = self._end() if self._end is not None else None
                    # A source may end before its last frame's time where it states a wrong length.
                    end = end if end is not None and end > self._last_time else self._last_time + 1 / self._rate
                    self._sink.finish(end, self._sound_end)
            except BaseException:
                self._discard()
                raise
            if self._atomic is not None:
                self._atomic.__exit__(None, None, None)
        else:
            self._discard()

    def _discard(self) -> None:
        """Close all files and delete the temporary one."""
        if self._sink is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._sink.abandon()
        if self._atomic is not None:
            self._atomic.__exit__(_AbandonedError, _AbandonedError(), None)

    @contextlib.contextmanager
    def _user_errors(self) -> Iterator[None]:
        """Turn errors of the encoder and the disk into `UserError`."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            cause = (error.strerror or str(error)).lower()
            raise UserError(
                f"{self.path}: cannot be written ({cause}); free some space, or choose another place"
            ) from error


class _AbandonedError(Exception):
    """Makes `atomic_write` delete the temporary file."""


def read_clip_metadata(path: str | Path) -> dict[str, str]:
    """Read the metadata that `ClipWriter` wrote into a clip.

    Args:
        path: The clip.

    Returns:
        The texts by name; empty where the clip has none.

    Raises:
        UserError: The file cannot be read.
    """
    path = Path(path).expanduser()
    # Animated images first: Pillow reads them, and refuses videos.
    try:
        comment = read_comment(path)
    except NotAnImageError:
        with open_video(path) as (container, _):
            comment = {key.lower(): text for key, text in container.metadata.items()}.get("comment", "")
    with contextlib.suppress(ValueError):
        metadata = json.loads(comment)
        if isinstance(metadata, dict):
            return {str(key): str(text) for key, text in metadata.items()}
    return {}
