"""Clips as the rest of the package sees them (`Frame`, `ClipInfo`), and opening a video file for reading."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.files import check_file

DEFAULT_RATE = Fraction(25)
"""Frames per second of clips that do not state a rate: folders of frames, tensors, files without times."""

PIXEL_ASPECT_TAG = "pixel_aspect"
"""Tag in which `ClipWriter` stores the pixel aspect ratio in .mkv: PyAV cannot set Matroska's own field."""

SUPPORTED_INPUTS = "a video (mp4, mov, mkv, webm, avi), an image, or a folder of frames"
"""Ends messages about inputs of another kind."""

INTERPOLATION: int | str
"""FFmpeg's conversion between YUV and RGB. Its default rounds down, which darkens every frame that is read by 1.2 of
255; this one's error is 0.1. To YUV of 10 bits, the default gives different values for equal frames."""
try:
    INTERPOLATION = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
except AttributeError:  # an older PyAV without these flags
    INTERPOLATION = "BICUBIC"

_CONTAINER_BOXES = (b"ftyp", b"moov", b"mdat")
"""Bytes 4 to 8 of MP4 and MOV files."""
_CONTAINER_MAGIC = (b"RIFF", b"\x1aE\xdf\xa3")
"""Bytes 0 to 4 of AVI files, and of MKV and WebM files."""


@dataclass(frozen=True)
class Frame:
    """One frame of a clip."""

    time: Fraction
    """Seconds since the clip's first frame."""
    image: Float[Tensor, "1 c h w"]
    """Values in [-1, 1]."""
    gain: Float[Tensor, "1 1 h2 w2"] | None = None
    """Factors of the colors in linear light, 1 or more, of a frame from EXR whose values exceed 1 (`exr.read_exr`)."""


@dataclass(frozen=True)
class ClipInfo:
    """Properties of a clip that are known before it is decoded."""

    size: tuple[int, int]
    """(h, w) in pixels as displayed, after the rotation that the file states."""
    rate: Fraction
    """Average frames per second. Each frame still has its own time."""
    frame_count: int | None
    """Number of frames that the file states; None where it states none. An incomplete file may hold fewer."""
    has_audio: bool
    channels: int
    """1, 3 or 4; equal for all frames."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height as displayed; other than 1 in anamorphic video."""
    bits: int = 8
    """Bits per channel: 8, 10, 12 or 16; a half float counts as 16."""
    first_number: int = 0
    """Number of the first frame: that of the file where the clip is numbered files, else 0."""
    value_range: tuple[float, float] | None = None
    """Smallest and largest value of all frames, where values have no agreed range (`wide`); else None."""


class NotAVideoError(UserError):
    """FFmpeg does not recognize the file as a video."""


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file for the block.

    Args:
        path: The file.

    Yields:
        The container and its first video stream that is not a cover image.

    Raises:
        NotAVideoError: FFmpeg does not recognize the file as a video.
        UserError: The file is missing, empty or a folder, cannot be opened, or holds no video stream.
    """
    check_file(path, SUPPORTED_INPUTS)
    not_a_video = f"{path}: is neither an image nor a video that can be read; give {SUPPORTED_INPUTS}"
    try:
        # An absolute name is never taken for a URL ("a:b.mp4"), and a playlist may not open network addresses.
        options = {"protocol_whitelist": "file"}
        container = av.open(str(path.absolute()), options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        # The first bytes tell an incomplete video from a file of another kind.
        with path.open("rb") as file:
            head = file.read(12)
        if head[4:8] in _CONTAINER_BOXES or head[:4] in _CONTAINER_MAGIC:
            cause = (error.strerror or str(error)).lower()
            raise UserError(
                f"{path}: the video cannot be opened ({cause}): the file is cut short or of an unsupported variant; "
                "give a complete copy, or convert it to MP4"
            ) from error
        raise NotAVideoError(not_a_video) from error
    with container:
        # FFmpeg plays text files (tty) and single images too. Pillow reads images here.
        if container.format.name in ("tty", "image2") or container.format.name.endswith("_pipe"):
            raise NotAVideoError(not_a_video)
        # Music files have their cover as a video stream of one picture.
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            content = "holds only sound" if container.streams.audio else "holds no pictures"
            raise UserError(f"{path}: the file {content}; give {SUPPORTED_INPUTS}")
        yield container, streams[0]


def start_time(stream: VideoStream) -> Fraction:
    """Return the time in the file, in seconds, at which the pictures start. `Frame.time` counts from there."""
    return Fraction(stream.start_time or 0) * (stream.time_base or 0)
