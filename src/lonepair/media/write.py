"""Writes clips: H.264 for viewing, FFV1 as a lossless intermediate, and animated images; complete or not at all."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.animated import read_comment
from lonepair.media.container import open_video
from lonepair.media.files import atomic_write, check_output
from lonepair.media.image import NotAnImageError
from lonepair.media.sinks import AnimatedSink, FrameSink, VideoSink

logger = logging.getLogger("lonepair")

_H264 = (".mp4", ".m4v", ".mov")
_LOSSLESS = (".mkv",)
_ANIMATED = (".gif", ".webp", ".png", ".apng")
WRITABLE = (*_H264, *_LOSSLESS, *_ANIMATED)
"""Suffixes that `ClipWriter` supports."""


class ClipWriter:
    """Context manager that writes a clip frame by frame. An error leaves no file behind.

    The suffix of the path selects the format:

    - `.mp4`, `.m4v`, `.mov`: H.264 4:2:0 (libx264, crf 16, BT.709), which plays everywhere. The last row or column is
      repeated where a side is odd; grey becomes RGB; RGBA is composited over white. Sound is carried over.
    - `.mkv`: FFV1, bit-exact for 8-bit grey, RGB and RGBA; times in steps of 1 ms. Sound is carried over.
    - `.gif`, `.webp`: animated, looping, silent. GIF has 256 colours, WebP has quality 90.
    - `.png`, `.apng`: animated PNG, looping, silent, exact.

    Animated images are held in memory, with 8 bits per channel, until the end. Equal consecutive frames become one
    frame that lasts longer. Equal frames, times and metadata give equal bytes with the same FFmpeg, x264 and Pillow.

    Raises:
        UserError: The suffix is unknown, the file exists and `overwrite` is off, an encoder is missing, the path
            cannot be written, the disk is full, or no frame was written.
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
        """Check the output; the file is opened when the block starts.

        Args:
            path: The clip to write.
            size: (h, w) of every frame, in pixels.
            rate: Average frames per second. The last frame lasts 1 / `rate` seconds.
            audio_from: A video file whose sound is carried over; it may have none.
            metadata: Texts that `read_clip_metadata` returns.
            overwrite: Replace an existing file.
            pixel_aspect: Width of a pixel over its height. Animated images have square pixels only.
        """
        self.path = Path(path).expanduser()
        check_output(self.path, WRITABLE, overwrite)
        self._suffix = self.path.suffix.lower()
        # A missing encoder is reported now and not after the first frame was computed.
        if self._suffix not in _ANIMATED:
            _check_encoder(self.path, "ffv1" if self._suffix in _LOSSLESS else "libx264")
        self._size = size
        self._rate = rate
        self._audio_from = audio_from
        self._pixel_aspect = pixel_aspect
        self._comment = json.dumps(dict(metadata)) if metadata else ""
        self._atomic = atomic_write(self.path)
        self._temporary: Path | None = None
        self._sink: FrameSink | None = None
        self._last_time: Fraction | None = None

    def __enter__(self) -> ClipWriter:
        self._temporary = self._atomic.__enter__()
        return self

    def write(self, image: Float[Tensor, "1 c h w"], time: Fraction) -> None:
        """Append a frame.

        Args:
            image: The frame in [-1, 1], of the clip's size.
            time: Seconds from which the frame is shown; larger than the previous frame's.

        Raises:
            UserError: The file cannot be written.
        """
        assert self._temporary is not None, "write inside the with block"
        assert tuple(image.shape[-2:]) == self._size, (image.shape, self._size)
        assert self._last_time is None or time > self._last_time, (time, self._last_time)
        with self._user_errors():
            # The first frame tells the number of channels.
            if self._sink is None:
                self._sink = self._open_sink(self._temporary, image.shape[1])
            self._sink.add(image, time)
        self._last_time = time

    def _open_sink(self, temporary: Path, channels: int) -> FrameSink:
        """Open the encoder of the suffix, and log what its format cannot hold."""
        if self._suffix in _ANIMATED:
            if self._audio_from is not None:
                logger.info("%s: %s files have no sound", self.path.name, self._suffix)
            if self._pixel_aspect != 1:
                logger.info("%s: %s files have square pixels; the clip looks stretched", self.path.name, self._suffix)
            return AnimatedSink(temporary, self._rate, self._comment)
        lossless = self._suffix in _LOSSLESS
        if not lossless and channels == 4:
            name = self.path.name
            logger.info("%s: H.264 has no transparency; frames are put over white (.mkv and .webp keep it)", name)
        if not lossless and (self._size[0] % 2 or self._size[1] % 2):
            h, w = self._size
            text = "%s: H.264 needs even sides; the last row or column of %dx%d is repeated"
            logger.info(text, self.path.name, w, h)
        return VideoSink(
            temporary, self._size, self._rate, channels, lossless, self._comment, self._audio_from, self._pixel_aspect
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            # Complete the file, then give it its name. Any error deletes it.
            try:
                with self._user_errors():
                    if self._sink is None or self._last_time is None:
                        raise UserError(f"{self.path}: the clip has no frames, so there is nothing to write")
                    self._sink.finish(self._last_time + 1 / self._rate)
            except BaseException:
                self._discard()
                raise
            self._atomic.__exit__(None, None, None)
        else:
            self._discard()

    def _discard(self) -> None:
        """Close all files and delete the temporary one."""
        if self._sink is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._sink.abandon()
        abandoned = _AbandonedError()
        self._atomic.__exit__(_AbandonedError, abandoned, None)

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


def _check_encoder(path: Path, codec: str) -> None:
    """Refuse to start where PyAV lacks the encoder `codec`."""
    try:
        av.Codec(codec, "w")
    except (av.FFmpegError, ValueError) as error:  # UnknownCodecError is a ValueError
        raise UserError(
            f"{path}: the encoder {codec} is missing from this PyAV; reinstall it from its wheel "
            "(pip install --force-reinstall --only-binary av av), or write .gif or .webp"
        ) from error


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
