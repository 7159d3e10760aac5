"""Input of a domain: `Still` or `Clip`, with one interface (`Source`), opened by `open_source`.

No other module distinguishes images from clips when it opens an input.
"""

from __future__ import annotations

import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.clips.animated import is_animated
from lonepair.media.clips.container import DEFAULT_RATE, SUPPORTED_INPUTS, ClipInfo, Frame
from lonepair.media.clips.frames import clip_end, decode, frame_times, is_numbered, probe
from lonepair.media.clips.motion_jpeg import is_motion_jpeg
from lonepair.media.clips.numbered import clip_files
from lonepair.media.fingerprint import hash_files, hash_frames
from lonepair.media.stills.exr import is_exr, other_primaries
from lonepair.media.stills.image import decode_image
from lonepair.media.stills.opening import NotAnImageError
from lonepair.media.values import as_image
from lonepair.ops.color import common_channels, match_channels
from lonepair.ops.resize import resize_image
from lonepair.storage.files import check_file

logger = logging.getLogger("lonepair")


class Source(ABC):
    """The images of one domain in temporal order, all of one size and with the same channels."""

    is_clip: ClassVar[bool]
    """Whether the output is a clip as well. A clip of one frame is still a clip."""

    name: str
    """Name in messages: that of the file or folder, else the kind of value."""
    path: Path | None
    """The file, folder or pattern of a sequence that it was read from; None for values."""
    size: tuple[int, int]
    """(h, w) in pixels."""
    channels: int
    """1, 3 or 4."""
    rate: Fraction | None
    """Average frames per second; None for a still."""
    frame_count: int | None
    """Number of frames; None where it is unknown before decoding."""
    pixel_aspect: Fraction
    """Width of a pixel over its height; other than 1 in anamorphic video."""
    bits: int
    """Bits per channel: 8, 10, 12 or 16; a half float counts as 16."""
    first_number: int
    """Number of the first frame: that of its file where the frames are numbered files, else 0."""
    audio_path: Path | None
    """The video file that holds the sound; None without sound."""
    audio_start: Fraction
    """Seconds of the sound's file, from its first picture on, at which this source starts."""
    audio_end: Fraction | None
    """Seconds of this source at which its sound ends; None: where the file's sound ends."""

    @abstractmethod
    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the frames in order at full size, streamed; a still yields one, at time 0. Each call starts again.

        Args:
            first: Index of the first frame to yield. Frames before it cost less (`frames.decode`).
        """

    @abstractmethod
    def times(self) -> list[Fraction]:
        """Return the time of every frame in seconds; the frames of a video and of numbered files are not decoded."""

    @abstractmethod
    def end(self) -> Fraction | None:
        """Return when the last frame disappears, in seconds; None where the source does not state it."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of the content, without the name. Resuming a run compares it."""

    @final
    @property
    def display_size(self) -> tuple[int, int]:
        """(h, w) in square pixels at which the frames are shown: anamorphic ones are stretched."""
        h, w = self.size
        aspect = self.pixel_aspect
        return (h, max(1, round(w * aspect))) if aspect >= 1 else (max(1, round(h / aspect)), w)

    @final
    def with_square_pixels(self) -> Source:
        """Return the same source with square pixels: what is made from it has a size that was asked for."""
        result = copy.copy(self)
        result.pixel_aspect = Fraction(1)
        return result

    @final
    def training_frames(
        self, size: tuple[int, int], channels: int, limit: int = 256
    ) -> Float[Tensor, "n {channels} {size[0]} {size[1]}"]:
        """Return the frames that are trained on: all, or `limit` evenly spaced ones where the clip has more.

        One pass over the clip, whose length need not be known. At most 2 * `limit` frames are held, all at `size`.
        The first frame is always included.

        Args:
            size: (h, w) of the result, in pixels.
            channels: Channels of the result.
            limit: Largest number of frames, at least 1.
        """
        assert limit >= 1, limit
        # Retain every `stride`-th frame. The stride doubles when they become too many, so that the length of the clip
        # need not be known.
        retained: list[Tensor] = []
        stride = 1
        for index, frame in enumerate(self.frames()):
            if index % stride:
                continue
            retained.append(resize_image(match_channels(frame.image, channels), size))
            # Drop every second frame, and double the stride from here on.
            if len(retained) > 2 * limit:
                retained, stride = retained[::2], 2 * stride
        # Between `limit` and 2 * `limit` frames remain: choose evenly spaced ones.
        if len(retained) > limit:
            retained = [retained[round(float(index))] for index in np.linspace(0, len(retained) - 1, limit)]
        return torch.cat(retained)


@final
class Still(Source):
    """One image."""

    is_clip = False

    def __init__(
        self,
        image: Float[Tensor, "1 c h w"],
        name: str,
        path: Path | None = None,
        bits: int = 8,
        gain: Float[Tensor, "1 1 h w"] | None = None,
    ) -> None:
        """Wrap an image.

        Args:
            image: Values in [-1, 1].
            name: Name in messages.
            path: The file that it was read from.
            bits: Bits per channel.
            gain: As `Frame.gain`.
        """
        self.name = name
        self.path = path
        self.size = (image.shape[-2], image.shape[-1])
        self.channels = image.shape[1]
        self.rate = None
        self.frame_count = 1
        self.pixel_aspect = Fraction(1)
        self.bits = bits
        self.first_number = 0
        self.audio_path = None
        self.audio_start, self.audio_end = Fraction(0), None
        self._frame = Frame(Fraction(0), image, gain)

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the image, at time 0."""
        if first == 0:
            yield self._frame

    def times(self) -> list[Fraction]:
        """Return [0]."""
        return [self._frame.time]

    def end(self) -> None:
        """Return None: an image has no end."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file's bytes, or of the pixels where there is no file."""
        return hash_frames(self.frames()) if self.path is None else hash_files([self.path])


@final
class Clip(Source):
    """A video file, an animated image, numbered files, an array, a tensor, or a list of images."""

    is_clip = True

    def __init__(
        self,
        info: ClipInfo,
        frames: Callable[[int], Iterator[Frame]],
        name: str,
        path: Path | None = None,
        end: Callable[[], Fraction | None] | None = None,
    ) -> None:
        """Wrap a clip.

        Args:
            info: Its properties.
            frames: Starts a new pass over the frames from the given index on at each call. No local function, so that
                the clip can be sent to other processes.
            name: Name in messages.
            path: The file, folder or pattern of a sequence that it is read from.
            end: Returns when the last frame disappears, in seconds, where there is no `path`.
        """
        self.name = name
        self.path = path
        self.size = info.size
        self.channels = info.channels
        self.rate = info.rate
        self.frame_count = info.frame_count
        self.pixel_aspect = info.pixel_aspect
        self.bits = info.bits
        self.first_number = info.first_number
        self.audio_path = path if info.has_audio else None
        self.audio_start, self.audio_end = Fraction(0), None
        self._info = info
        self._frames = frames
        self._end = end

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the frames from index `first` on, each at its own time."""
        return self._frames(first)

    def times(self) -> list[Fraction]:
        """Return the time of every frame in seconds."""
        if self.path is None:
            return [frame.time for frame in self.frames()]
        return frame_times(self.path, self._info)

    def end(self) -> Fraction | None:
        """Return when the last frame disappears, in seconds, as the file states it."""
        if self.path is not None:
            return clip_end(self.path)
        return None if self._end is None else self._end()

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file's bytes, of numbered files in order, or of the pixels without a file."""
        if self.path is None:
            return hash_frames(self.frames())
        return hash_files(clip_files(self.path) if is_numbered(self.path) else [self.path])


def open_source(value: object, rate: Fraction = DEFAULT_RATE) -> Source:
    """Open an image or a clip as a `Source`.

    - A path is an image, a video, an animated image, a folder of frames, or the pattern of a sequence such as
      `name.%04d.exr` (`sequence`). A file's content decides, not its name.
    - A Pillow image, an array (h, w) or (h, w, c), and a tensor (h, w), (c, h, w) or (1, c, h, w) are stills
      (`values.as_image`).
    - An array (n, h, w, c) and a tensor (n, c, h, w) with n > 1 are clips.
    - A list of images is a clip; each image is cropped and scaled to the first one's size.
    - A `Source` is returned unchanged.

    Args:
        value: One of these.
        rate: Frames per second of numbered files, arrays and tensors, which state none.

    Raises:
        UserError: There is no such file, it cannot be decoded or is of an unknown kind, or `value` is none of these.
    """
    if isinstance(value, Source):
        return value
    if isinstance(value, str | Path):
        return _open_path(Path(value).expanduser(), rate)
    if isinstance(value, list | tuple):
        return _clip_from_list(value)
    # Arrays and tensors with four dimensions: several images are a clip, one is a still.
    name = f"the {type(value).__name__}"
    if isinstance(value, np.ndarray) and value.ndim == 4:
        if value.shape[0] != 1:
            return _clip_from_images([_frame_at(value, index) for index in range(value.shape[0])], name, rate)
        value = value[0]
    if isinstance(value, Tensor) and value.ndim == 4 and value.shape[0] != 1:
        return _clip_from_images([_frame_at(value, index) for index in range(value.shape[0])], name, rate)
    return Still(as_image(value), name, bits=_bits_of(value))


def _bits_of(value: object) -> int:
    """Bits per channel of an image that a program holds; floating-point values count as 8."""
    has_16 = str(getattr(value, "dtype", "")).endswith("uint16") or str(getattr(value, "mode", "")).startswith("I")
    return 16 if has_16 else 8


def _clip_from_list(values: Sequence[object]) -> Clip:
    """Make a clip of images, each cropped centrally to the first one's aspect ratio and scaled to its size."""
    if not values:
        raise UserError("an empty list of images: give at least one")
    # Each value may be of any kind of image; of a clip in the list its first frame counts.
    images = [next(open_source(value).frames()).image for value in values]
    channels = common_channels(*(image.shape[1] for image in images))
    h, w = images[0].shape[-2:]
    fitted = []
    for image in images:
        height, width = image.shape[-2:]
        # The largest central crop with the aspect ratio of (h, w).
        scale = min(height / h, width / w)
        rows, columns = max(1, round(h * scale)), max(1, round(w * scale))
        top, left = (height - rows) // 2, (width - columns) // 2
        crop = image[:, :, top : top + rows, left : left + columns]
        fitted.append(resize_image(match_channels(crop, channels), (h, w)))
    return _clip_from_images(fitted, f"{len(values)} images", DEFAULT_RATE)


def _open_path(path: Path, rate: Fraction) -> Source:
    """Open a file, a folder or a sequence."""
    if not is_numbered(path):
        check_file(path, SUPPORTED_INPUTS)
        try:
            if not is_motion_jpeg(path) and (is_exr(path) or not is_animated(path)):
                content = decode_image(path)
                _log_primaries(path)
                return Still(content.image, path.name, path, content.bits, content.gain)
        except NotAnImageError:
            pass  # `probe` opens videos and refuses files of unknown kinds
    info = probe(path, rate)
    if is_numbered(path):
        _log_primaries(clip_files(path)[0])
    return Clip(info, partial(decode, path, rate, info, notes=set()), path.name, path)


def _log_primaries(file: Path) -> None:
    """Log where the primaries of an EXR file are converted."""
    if is_exr(file) and other_primaries(file):
        logger.info("%s: its primaries, which are not those of Rec. 709, are converted to sRGB", file)


def _frame_at(values: np.ndarray | Tensor, index: int) -> Float[Tensor, "1 c h w"]:
    """Convert the image at `index` of an array (n, h, w, c) or a tensor (n, c, h, w)."""
    try:
        return as_image(values[index])
    except UserError as error:
        raise UserError(f"frame {index} of the clip of shape {tuple(values.shape)}: {error}") from error


def _clip_from_images(images: list[Tensor], name: str, rate: Fraction) -> Clip:
    """Make a clip of images of one size, shown at `rate` frames per second."""
    if not images:
        raise UserError(f"{name} holds no frames; give at least one")
    size = (images[0].shape[-2], images[0].shape[-1])
    info = ClipInfo(size=size, rate=rate, frame_count=len(images), has_audio=False, channels=images[0].shape[1])
    return Clip(info, partial(_image_frames, images, rate), name)


def _image_frames(images: list[Tensor], rate: Fraction, first: int) -> Iterator[Frame]:
    return (Frame(index / rate, image) for index, image in enumerate(images[first:], first))
