"""Clips as the rest of the package sees them (`Frame`, `ClipInfo`), and opening a video file for reading."""

from __future__ import annotations

import contextlib
import io
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
from lonepair.media.clips.demux import OPTIONS, STILL_CODECS, codec_label, foreign_kind
from lonepair.media.clips.motion_jpeg import is_motion_jpeg
from lonepair.storage.files import check_file

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
_BUFFER_BYTES = 1 << 18
"""How much of a file is read at once."""


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
    seen_parity: str | None = None
    """Order of the fields where frames look interlaced and nothing marks them (`deinterlace.seen_parity`)."""
    value_range: tuple[float, float] | None = None
    """Smallest and largest value of all frames, where values have no agreed range (`wide`); else None."""


class _Nameless:
    """An open file without the attribute `name`, which PyAV would pass to FFmpeg."""

    def __init__(self, file: io.FileIO) -> None:
        """Wrap `file`."""
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class NotAVideoError(UserError):
    """FFmpeg does not recognize the file as a video."""


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file for the block.

    Args:
        path: The file.

    Yields:
        The container and its picture stream (`_picture_stream`).

    Raises:
        NotAVideoError: FFmpeg does not recognize the file as a video, or may not open files of its kind.
        UserError: The file is missing, empty or a folder, cannot be opened, or holds no video stream that can be
            decoded.
    """
    check_file(path, SUPPORTED_INPUTS)
    with path.open("rb", buffering=0) as file:
        try:
            # FFmpeg receives an open file without a name: it could be a pattern ("f%d.png") or an address ("a:b.mp4").
            # FFmpeg takes raw Motion JPEG for its first picture.
            kind = "mjpeg" if is_motion_jpeg(path) else None
            container = av.open(
                _Nameless(file), "r", format=kind, options=OPTIONS, metadata_errors="replace", buffer_size=_BUFFER_BYTES
            )
        except (av.FFmpegError, ValueError) as error:
            raise _not_opened(path, error) from error
        with container:
            yield container, _picture_stream(path, container)


def _not_opened(path: Path, error: Exception) -> UserError:
    """Return the error for a file that FFmpeg does not open."""
    if kind := foreign_kind(path):
        return NotAVideoError(f"{path}: is {kind}")
    # The first bytes tell an incomplete video from a file of another kind.
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in _CONTAINER_BOXES or head[:4] in _CONTAINER_MAGIC:
        cause = str(getattr(error, "strerror", None) or error).lower()
        return UserError(
            f"{path}: the video cannot be opened ({cause}): the file is cut short or of an unsupported variant; "
            "give a complete copy, or convert it to MP4"
        )
    return NotAVideoError(_not_a_video(path))


def _not_a_video(path: Path) -> str:
    return f"{path}: is neither an image nor a video that can be read; give {SUPPORTED_INPUTS}"


def _picture_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the video stream of the clip: no cover picture, of a codec that can be decoded, the default one.

    Raises:
        UserError: There is none.
    """
    # Music files have their cover as a video stream of one picture.
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        content = "holds only sound" if container.streams.audio else "holds no pictures"
        raise UserError(f"{path}: the file {content}; give {SUPPORTED_INPUTS}")
    decodable = [s for s in streams if s.codec_context is not None]
    if not decodable:
        raise UserError(
            f"{path}: the video's codec {codec_label(path)!r} is not supported; convert it to H.264 or ProRes"
        )
    # A cover picture may lack its mark: then it is a stream of an image codec, or of one frame, beside another stream.
    others = [s for s in decodable if s.codec_context.codec.canonical_name not in STILL_CODECS and s.frames != 1]
    candidates = others or [s for s in decodable if s.frames > 1] or decodable
    return next((s for s in candidates if s.disposition & Disposition.default), candidates[0])


def start_time(stream: VideoStream) -> Fraction:
    """Return the time in the file, in seconds, at which the pictures start. `Frame.time` counts from there."""
    return Fraction(stream.start_time or 0) * (stream.time_base or 0)
