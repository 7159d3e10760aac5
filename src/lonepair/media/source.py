"""Input of a domain: `Still` or `Clip`, with one interface (`Source`), opened by `open_source`.

No other module distinguishes images from clips when it opens an input.
"""

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
    """The images of one domain in temporal order, all of one size and with the same channels."""

    is_clip: ClassVar[bool]
    """Whether the output is a clip as well. A clip of one frame is still a clip."""

    name: str
    """Name in messages: that of the file or folder, else the kind of value."""
    path: Path | None
    """The file or folder that it was read from; None for values."""
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
    audio_path: Path | None
    """The video file that holds the sound; None without sound."""

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield every frame in order at full size, streamed; a still yields one, at time 0. Each call starts again."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of the content, without the name. Resuming a run compares it."""

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

    def __init__(self, image: Float[Tensor, "1 c h w"], name: str, path: Path | None = None) -> None:
        """Wrap an image.

        Args:
            image: Values in [-1, 1].
            name: Name in messages.
            path: The file that it was read from.
        """
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
        """Yield the image, at time 0."""
        yield Frame(Fraction(0), self._image)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file's bytes, or of the pixels where there is no file."""
        return _hash_frames(self.frames()) if self.path is None else _hash_files([self.path])


@final
class Clip(Source):
    """A video file, an animated image, a folder of frames, an array, a tensor, or a list of images."""

    is_clip = True

    def __init__(
        self, info: ClipInfo, frames: Callable[[], Iterator[Frame]], name: str, path: Path | None = None
    ) -> None:
        """Wrap a clip.

        Args:
            info: Its properties.
            frames: Starts a new pass over the frames at each call.
            name: Name in messages.
            path: The file or folder that it is read from.
        """
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
        """Yield every frame, each at its own time."""
        return self._frames()

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file's bytes, of a folder's files in order, or of the pixels without a file."""
        if self.path is None:
            return _hash_frames(self.frames())
        return _hash_files(frame_files(self.path) if self.path.is_dir() else [self.path])


def open_source(value: object, rate: Fraction = DEFAULT_RATE) -> Source:
    """Open an image or a clip as a `Source`.

    - A path is an image, a video, an animated image, or a folder of frames. A file's content decides, not its name.
    - A Pillow image, an array (h, w) or (h, w, c), and a tensor (h, w), (c, h, w) or (1, c, h, w) are stills
      (`values.as_image`).
    - An array (n, h, w, c) and a tensor (n, c, h, w) with n > 1 are clips.
    - A list of images is a clip; each image is cropped and scaled to the first one's size.
    - A `Source` is returned unchanged.

    Args:
        value: One of these.
        rate: Frames per second of folders, arrays and tensors, which state none.

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
    return Still(as_image(value), name)


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
    """Open a file or folder."""
    if not path.is_dir():
        check_file(path, SUPPORTED_INPUTS)
        try:
            if not is_animated(path):
                return Still(read_image(path), path.name, path)
        except NotAnImageError:
            pass  # `probe` opens videos and refuses files of unknown kinds
    info = probe(path, rate)
    return Clip(info, lambda: decode(path, rate, info), path.name, path)


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
    return Clip(info, lambda: (Frame(index / rate, image) for index, image in enumerate(images)), name)


def _hash_files(paths: list[Path]) -> str:
    """Return the SHA-256 of the files' bytes, in order."""
    digest = hashlib.sha256()
    for path in paths:
        check_file(path, "the file that the run was started with")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _hash_frames(frames: Iterator[Frame]) -> str:
    """Return the SHA-256 of the frames' times, shapes and pixels."""
    # Times and shapes are included: the same pixels at another speed are another clip.
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(f"{frame.time} {tuple(frame.image.shape)}".encode())
        digest.update(frame.image.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
