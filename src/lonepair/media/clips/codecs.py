"""How a clip is encoded: the options of the user, the codecs of video files, and which of both fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import av

from lonepair.errors import UserError
from lonepair.media.clips.sequence import PATTERN_EXAMPLE, parse_pattern
from lonepair.media.stills.deep import DEEP_SUFFIXES
from lonepair.media.stills.exr import SUFFIX as EXR

THREADS = 4
"""A fixed number rather than the machine's cores: encoders split their work by it, so the bytes depend on it."""

# mbtree is off because it reads uninitialized memory for small frames (measured: 1 file in 20 differs, even on one
# thread; none of 600 without it), and equal frames must give equal bytes. `crf` compensates for it by itself.
_X264 = {"preset": "medium", "x264-params": f"threads={THREADS}:lookahead-threads=1:mbtree=0"}
_VP9 = {"b": "0", "deadline": "good", "cpu-used": "2", "row-mt": "1", "auto-alt-ref": "0"}
"""A bit rate of 0 makes the quality constant. Alternate reference frames do not go with an alpha channel."""
_FFV1 = {"level": "3", "slices": "4", "slicecrc": "1"}


@dataclass(frozen=True)
class Encoding:
    """How a clip is encoded. None leaves the choice to the output's suffix and to the source."""

    codec: str | None = None
    """Codec of a video file, a key of `CODECS`."""
    crf: int | None = None
    """Quality of h264 and vp9; smaller is better and larger in bytes."""
    bits: int | None = None
    """Bits per channel: 8, 10 or 16."""
    start_number: int | None = None
    """Number of the first file of a sequence."""


@dataclass(frozen=True)
class VideoCodec:
    """A codec of video files."""

    encoder: str
    """FFmpeg's name."""
    suffixes: tuple[str, ...]
    formats: Mapping[int, str]
    """Bits per channel -> FFmpeg's pixel format of RGB frames."""
    alpha_formats: Mapping[int, str] = field(default_factory=dict)
    """The same of RGBA frames; empty: the codec has no transparency."""
    gray_formats: Mapping[int, str] = field(default_factory=dict)
    """The same of grey frames; empty: grey becomes RGB."""
    crf: tuple[int, int, int] | None = None
    """Best, worst and default quality; None: the codec has no such setting."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the encoder."""

    @property
    def is_rgb(self) -> bool:
        """Whether frames are stored as RGB and exactly; else as YUV of Rec. 709."""
        return self.encoder == "ffv1"

    @property
    def needs_even_sides(self) -> bool:
        """Whether color is stored at half the resolution."""
        return "420" in self.formats[min(self.formats)] or "422" in self.formats[min(self.formats)]


_MP4 = (".mp4", ".m4v", ".mov")

# H.265 is missing on purpose: the x265 of PyAV 18.1's wheel writes beyond its memory where frames are 48 pixels wide or
# less, and fails for one in seven clips of a single frame.
CODECS: Mapping[str, VideoCodec] = MappingProxyType(
    {
        "h264": VideoCodec(
            "libx264", (*_MP4, ".mkv"), {8: "yuv420p", 10: "yuv420p10le"}, crf=(0, 51, 16), options=_X264
        ),
        "prores-4444": VideoCodec(
            *("prores_ks", (".mov",), {10: "yuv444p10le"}, {10: "yuva444p10le"}),
            options={"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},
        ),
        "prores-422": VideoCodec(
            "prores_ks", (".mov",), {10: "yuv422p10le"}, options={"profile": "hq", "vendor": "apl0"}
        ),
        "vp9": VideoCodec("libvpx-vp9", (".webm",), {8: "yuv420p"}, {8: "yuva420p"}, crf=(0, 63, 20), options=_VP9),
        "ffv1": VideoCodec(
            *("ffv1", (".mkv",), {8: "bgr0", 16: "gbrp16le"}, {8: "bgra", 16: "gbrap16le"}),
            gray_formats={8: "gray", 16: "gray16le"},
            options=_FFV1,
        ),
    }
)
"""Name of a codec, as `Encoding.codec` takes it -> the codec."""

_DEFAULT_CODECS = {".mp4": "h264", ".m4v": "h264", ".mov": "h264", ".mkv": "ffv1", ".webm": "vp9"}
VIDEO_SUFFIXES = tuple(_DEFAULT_CODECS)
"""Suffixes of video files that can be written."""


@dataclass(frozen=True)
class VideoEncoding:
    """A codec with all options decided."""

    name: str
    codec: VideoCodec
    bits: int
    crf: int | None


def resolve_video(path: Path, encoding: Encoding, source_bits: int) -> VideoEncoding:
    """Decide the options of the video file `path`, and check that they fit together and can be encoded.

    H.264 has 8 bits unless `encoding` says otherwise, so that it plays everywhere. The other codecs take as many bits
    as the source has, where they can.

    Args:
        path: The file; its suffix is one of `VIDEO_SUFFIXES`.
        encoding: What the user chose.
        source_bits: Bits per channel of the source.

    Raises:
        UserError: The codec is unknown or does not go into the file, a value is out of range, or this PyAV lacks the
            encoder.
    """
    suffix = path.suffix.lower()
    name = encoding.codec or _DEFAULT_CODECS[suffix]
    codec = CODECS.get(name)
    if codec is None:
        raise UserError(f"codec is {name!r}: choose one of {', '.join(CODECS)}")
    if suffix not in codec.suffixes:
        own = ", ".join(key for key, other in CODECS.items() if suffix in other.suffixes)
        raise UserError(
            f"{path}: codec {name} does not go into {suffix} files; name the file {' or '.join(codec.suffixes)}, or "
            f"choose {own} for {suffix}"
        )
    _refuse_start_number(path, encoding)
    crf = encoding.crf
    if crf is not None and codec.crf is None:
        raise UserError(f"crf is {crf}, but {name} has no such setting; leave it out, or choose h264 or vp9")
    if crf is not None and codec.crf is not None and not codec.crf[0] <= crf <= codec.crf[1]:
        raise UserError(f"crf is {crf}: {name} takes {codec.crf[0]} (best) to {codec.crf[1]} (smallest file)")
    depths = sorted(codec.formats)
    if encoding.bits is not None and encoding.bits not in depths:
        raise UserError(f"bits is {encoding.bits}: {name} has {' or '.join(map(str, depths))} bits per channel")
    automatic = next((depth for depth in depths if depth >= source_bits), depths[-1])
    bits = encoding.bits or (8 if name == "h264" else automatic)
    _check_encoder(path, codec.encoder)
    return VideoEncoding(name, codec, bits, crf if crf is not None or codec.crf is None else codec.crf[2])


def resolve_image_bits(path: Path, encoding: Encoding, source_bits: int) -> int:
    """Decide the bits per channel of the image file or the sequence `path`, and check that the options fit it.

    Args:
        path: An image file or the pattern of a sequence.
        encoding: What the user chose.
        source_bits: Bits per channel of the source.

    Returns:
        8 or 16.

    Raises:
        UserError: An option does not go with the file.
    """
    suffix = path.suffix.lower()
    if parse_pattern(path) is None:
        _refuse_start_number(path, encoding)
    elif encoding.start_number is not None and encoding.start_number < 0:
        raise UserError(f"start_number is {encoding.start_number}: give 0 or more")
    for name, value in (("codec", encoding.codec), ("crf", encoding.crf)):
        if value is not None:
            raise UserError(f"{name} is {value}, but {suffix} files have none; leave it out, or write a video file")
    depths = {EXR: (16,), **dict.fromkeys(DEEP_SUFFIXES, (8, 16))}.get(suffix, (8,))
    if encoding.bits is not None and encoding.bits not in depths:
        raise UserError(
            f"bits is {encoding.bits}: {suffix} files have {' or '.join(map(str, depths))} bits per channel"
        )
    return encoding.bits or (depths[-1] if source_bits > 8 else depths[0])


def check_animation(path: Path, encoding: Encoding) -> None:
    """Refuse options that do not go with an animated image.

    Raises:
        UserError: `encoding` sets one.
    """
    resolve_image_bits(path, replace(encoding, bits=None), 8)
    if encoding.bits not in (None, 8):
        raise UserError(
            f"bits is {encoding.bits}: animated images have 8 bits per channel; write a video or a sequence"
        )


def _refuse_start_number(path: Path, encoding: Encoding) -> None:
    if encoding.start_number is not None:
        raise UserError(
            f"start_number is {encoding.start_number}, but {path.name} has no place for a number; leave it out, or "
            f"write a sequence such as {PATTERN_EXAMPLE}"
        )


def _check_encoder(path: Path, encoder: str) -> None:
    """Refuse to start where PyAV lacks the encoder."""
    try:
        av.Codec(encoder, "w")
    except (av.FFmpegError, ValueError) as error:  # UnknownCodecError is a ValueError
        raise UserError(
            f"{path}: the encoder {encoder} is missing from this PyAV; reinstall it from its wheel "
            "(pip install --force-reinstall --only-binary av av), or write .gif or .webp"
        ) from error
