"""What a domain is given as: a still or a clip. The only place in the package that asks "image or clip?"."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.animated import is_animated
from lonepair.media.container import DEFAULT_RATE, SUPPORTED_INPUTS, ClipInfo, Frame
from lonepair.media.files import check_file
from lonepair.media.frames import decode, frame_files, probe
from lonepair.media.image import NotAnImageError, read_image
from lonepair.media.values import as_image
from lonepair.ops.color import common_channels, match_channels
from lonepair.ops.resize import resize_image

_CHUNK_BYTES = 1 << 20


class Source(ABC):
    """One domain: pictures that are shown one after another, of one size and with the same channels."""

    is_clip: ClassVar[bool]
    """Whether what is made from it is a clip too (a clip of one frame is still a clip)."""

    name: str
    """A file's or folder's name, else what kind of value it was; for messages."""
    path: Path | None
    """The file or folder it was read from."""
    size: tuple[int, int]
    """(h, w) in pixels."""
    channels: int
    """1, 3 or 4."""
    rate: Fraction | None
    """Average frames per second; None for a still."""
    frame_count: int | None
    """How many frames, where that is known before decoding."""
    pixel_aspect: Fraction
    """Width of a pixel over its height; other than 1 in anamorphic video."""
    audio_path: Path | None
    """The video file that holds its sound; None where there is none."""

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Every frame in order at full size, streamed; a still gives one, at time 0. May be called again."""

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the content, not of its name: tells on resuming that the input has changed."""

    @final
    def training_frames(
        self, size: tuple[int, int], channels: int, limit: int = 256
    ) -> Float[Tensor, "n {channels} {size[0]} {size[1]}"]:
        """All frames, or `limit` evenly spread ones where there are more, at `size` = (h, w) and with `channels`.

        One pass over the clip, whose length need not be known: at most 2 * `limit` frames are held, all at `size`.
        The first and the last frame of those kept are always among them.
        """
        assert limit >= 1, limit
        kept: list[Tensor] = []
        stride = 1
        for index, frame in enumerate(self.frames()):
            if index % stride:
                continue
            kept.append(resize_image(match_channels(frame.image, channels), size))
            if len(kept) > 2 * limit:  # from here on every second of those only
                kept, stride = kept[::2], 2 * stride
        if len(kept) > limit:
            kept = [kept[round(float(index))] for index in np.linspace(0, len(kept) - 1, limit)]
        return torch.cat(kept)


@final
class Still(Source):
    """One image."""

    is_clip = False

    def __init__(self, image: Float[Tensor, "1 c h w"], name: str, path: Path | None = None) -> None:
        """`image` in [-1, 1]; `path` is the file it was read from."""
        self.name = name
        self.path = path
        self.size = (image.shape[-2], image.shape[-1])
        self.channels = image.shape[1]
        self.rate = None
        self.frame_count = 1
        self.pixel_aspect = Fraction(1)
        self.audio_path = None
        self._image = image

    def frames(self) -> Iterator[Frame]:
        """The image, at time 0."""
        yield Frame(Fraction(0), self._image)

    def fingerprint(self) -> str:
        """SHA-256 of the file's bytes, or of the pixels where there is no file."""
        return _hash_frames(self.frames()) if self.path is None else _hash_files([self.path])


@final
class Clip(Source):
    """Frames in time: a video file, an animated image, a folder, or a tensor."""

    is_clip = True

    def __init__(
        self, info: ClipInfo, frames: Callable[[], Iterator[Frame]], name: str, path: Path | None = None
    ) -> None:
        """`frames` starts a new pass over the clip each time it is called."""
        self.name = name
        self.path = path
        self.size = info.size
        self.channels = info.channels
        self.rate = info.rate
        self.frame_count = info.frame_count
        self.pixel_aspect = info.pixel_aspect
        self.audio_path = path if info.has_audio else None
        self._frames = frames

    def frames(self) -> Iterator[Frame]:
        """Every frame, each at its own time."""
        return self._frames()

    def fingerprint(self) -> str:
        """SHA-256 of the file's bytes, of a folder's files in order, or of the pixels where there is no file."""
        if self.path is None:
            return _hash_frames(self.frames())
        return _hash_files(frame_files(self.path) if self.path.is_dir() else [self.path])


def open_source(value: object, rate: Fraction = DEFAULT_RATE) -> Source:
    """A `Source` of whatever holds an image or a clip.

    A path is an image, a video, an animated image, or a folder of frames; what a file is is told by its content, not
    its name. A Pillow image, an array (h, w), (h, w, c) and a tensor (h, w), (c, h, w), (1, c, h, w) are stills
    (`image.as_image`); an array (n, h, w, c) and a tensor (n, c, h, w) with n > 1 are clips. A list of stills is a
    clip, each fitted to the first one's size. `rate` is the frames per second of what does not know its own: folders,
    arrays, tensors and lists. A `Source` is returned as it is.

    Raises:
        UserError: there is no such file, it is damaged or of an unknown kind, or the value is none of these.
    """
    if isinstance(value, Source):
        return value
    if isinstance(value, str | Path):
        return _open_path(Path(value).expanduser(), rate)
    if isinstance(value, list | tuple):
        return _several(value)
    name = f"the {type(value).__name__}"
    if isinstance(value, np.ndarray) and value.ndim == 4:
        if value.shape[0] != 1:
            return _clip_of([_frame_of(value, index) for index in range(value.shape[0])], name, rate)
        value = value[0]
    if isinstance(value, Tensor) and value.ndim == 4 and value.shape[0] != 1:
        return _clip_of([_frame_of(value, index) for index in range(value.shape[0])], name, rate)
    return Still(as_image(value), name)


def _several(values: Sequence[object]) -> Clip:
    """Several images as one source: each cut to the first one's aspect in its middle, and fitted to its size."""
    if not values:
        raise UserError("an empty list of images: give at least one")
    images = [next(open_source(value).frames()).image for value in values]
    channels = common_channels(*(image.shape[1] for image in images))
    h, w = images[0].shape[-2:]
    fitted = []
    for image in images:
        high, wide = image.shape[-2:]
        share = min(high / h, wide / w)
        rows, columns = max(1, round(h * share)), max(1, round(w * share))
        top, left = (high - rows) // 2, (wide - columns) // 2
        cut = image[:, :, top : top + rows, left : left + columns]
        fitted.append(resize_image(match_channels(cut, channels), (h, w)))
    return _clip_of(fitted, f"{len(values)} images", DEFAULT_RATE)


def _open_path(path: Path, rate: Fraction) -> Source:
    if not path.is_dir():
        check_file(path, SUPPORTED_INPUTS)
        try:
            if not is_animated(path):
                return Still(read_image(path), path.name, path)
        except NotAnImageError:
            pass  # a video, or nothing we know: `probe` tells
    info = probe(path, rate)
    return Clip(info, lambda: decode(path, rate, info), path.name, path)


def _frame_of(values: np.ndarray | Tensor, index: int) -> Float[Tensor, "1 c h w"]:
    try:
        return as_image(values[index])
    except UserError as error:
        raise UserError(f"frame {index} of the clip of shape {tuple(values.shape)}: {error}") from error


def _clip_of(images: list[Tensor], name: str, rate: Fraction) -> Clip:
    if not images:
        raise UserError(f"{name} holds no frames; give at least one")
    size = (images[0].shape[-2], images[0].shape[-1])
    info = ClipInfo(size=size, rate=rate, frame_count=len(images), has_audio=False, channels=images[0].shape[1])
    return Clip(info, lambda: (Frame(index / rate, image) for index, image in enumerate(images)), name)


def _hash_files(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        check_file(path, "the file that the run was started with")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _hash_frames(frames: Iterator[Frame]) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(f"{frame.time} {tuple(frame.image.shape)}".encode())
        digest.update(frame.image.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
