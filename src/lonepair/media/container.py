"""What a clip is to the rest of the package, and the one place where a video file is opened for reading."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.files import check_file

DEFAULT_RATE = Fraction(25)
"""Frames per second where nothing says it: folders of frames, tensors, files without times."""

PIXEL_ASPECT_TAG = "pixel_aspect"
"""Where `ClipWriter` notes the shape of pixels in .mkv: PyAV cannot set Matroska's own field."""

SUPPORTED_INPUTS = "a video (mp4, mov, mkv, webm, avi), an image, or a folder of frames"


@dataclass(frozen=True)
class Frame:
    """One picture of a clip."""

    time: Fraction
    """Seconds since the clip's first frame."""
    image: Float[Tensor, "1 c h w"]
    """[-1, 1]."""


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip before it is decoded."""

    size: tuple[int, int]
    """(h, w) in pixels, as shown (turned as the file says)."""
    rate: Fraction
    """Average frames per second; each frame still has its own time."""
    frame_count: int | None
    """How many, where the file says it. A damaged file may hold fewer."""
    has_audio: bool
    channels: int
    """1, 3 or 4; the same for every frame."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height, as shown; other than 1 in anamorphic video."""


class NotAVideoError(UserError):
    """The file is of a kind that FFmpeg does not know as a video."""


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The video file `path` and its first stream of moving pictures, open for the block.

    Raises:
        NotAVideoError: the file is of another kind.
        UserError: the file is missing, empty, a folder, damaged, or holds no pictures.
    """
    check_file(path, SUPPORTED_INPUTS)
    try:
        # An absolute name is never taken for a URL ("a:b.mp4"), and a playlist may not reach into the network.
        options = {"protocol_whitelist": "file"}
        container = av.open(str(path.absolute()), options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        with path.open("rb") as file:
            start = file.read(12)
        if start[4:8] in (b"ftyp", b"moov", b"mdat") or start[:4] in (b"RIFF", b"\x1aE\xdf\xa3"):
            raise UserError(f"{path}: the video is damaged or cut short; give a whole copy of the file") from error
        raise NotAVideoError(
            f"{path}: is neither an image nor a video that can be read; give {SUPPORTED_INPUTS}"
        ) from error
    with container:
        # FFmpeg "plays" text files (tty), and pictures one by one, which is Pillow's work here.
        if container.format.name in ("tty", "image2") or container.format.name.endswith("_pipe"):
            raise NotAVideoError(f"{path}: is neither an image nor a video that can be read; give {SUPPORTED_INPUTS}")
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]  # no covers
        if not streams:
            what = "holds only sound" if container.streams.audio else "holds no pictures"
            raise UserError(f"{path}: the file {what}; give {SUPPORTED_INPUTS}")
        yield container, streams[0]


def start_time(stream: VideoStream) -> Fraction:
    """The time in the file, in seconds, that is our 0: where the pictures start."""
    return Fraction(stream.start_time or 0) * (stream.time_base or 0)
