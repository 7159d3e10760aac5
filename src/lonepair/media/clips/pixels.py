"""Decoded video frames as upright sRGB arrays: YUV matrix and range, HDR, alpha, and the display matrix."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type

from lonepair.errors import UserError
from lonepair.media.clips.container import INTERPOLATION
from lonepair.media.tone import ColorTags, clip_peak, to_srgb

_MATRICES = {1: "ITU709", 4: "FCC", 5: "SMPTE170M", 6: "SMPTE170M", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}
"""YUV matrix (code point of ITU-T H.273) -> swscale's name. Constant luminance (10) is read as the common form (9)."""
_DERIVED_MATRICES = (12, 13)
"""The matrix follows from the primaries."""
_UNSUPPORTED_MATRICES = {8: "YCgCo", 11: "YDzDx", 14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-Re", 17: "YCgCo-Ro"}

_HD_LINES, _HD_COLUMNS = 720, 1280
"""From either on, pictures without a tag have the matrix of BT.709, below both that of BT.601."""

_LIMITED = 1
"""FFmpeg's number of the range in which 8-bit black is 16 and white 235."""


@dataclass(frozen=True)
class PictureFormat:
    """How the frames of a clip become arrays. The first frame decides, so that all are alike."""

    size: tuple[int, int]
    """(h, w) as stored; frames of another size are scaled to it."""
    pixel_format: str
    """FFmpeg's format of the array: grey, RGB or RGBA of 8 or 16 bits."""
    matrix: str
    """swscale's name of the YUV matrix."""
    expands_gray: bool
    """Whether the frames are grey of limited range, which swscale does not expand."""
    colors: ColorTags
    transposed: bool
    """Whether the display matrix swaps rows and columns, before it mirrors them."""
    flips: tuple[bool, bool]
    """Whether rows and columns run backwards, as displayed."""


def picture_format(path: Path, frame: av.VideoFrame, context: av.VideoCodecContext) -> PictureFormat:
    """Return the format of the clip whose first frame is `frame`.

    Args:
        path: The file, for messages.
        frame: The frame.
        context: The codec context of its stream, for tags that the container states.

    Raises:
        UserError: The colors are coded in a way that is not supported.
    """
    components = frame.format.components
    deep = max(component.bits for component in components) > 8
    is_gray = frame.format.name.startswith(("gray", "mono"))
    # Tags: those of the frame, else those of the container. 2 is unspecified.
    primaries = _tag(getattr(frame, "color_primaries", 2), context.color_primaries)
    transfer = _tag(getattr(frame, "color_trc", 2), context.color_trc)
    colors = ColorTags(transfer, primaries, _peak(frame))
    # The format with the frame's channels and depth: grey stays grey, alpha stays, 10 and 12 bits become 16.
    if is_gray and not colors.is_hdr:
        pixel_format = "gray16le" if deep else "gray"
    elif any(component.is_alpha for component in components):
        pixel_format = "rgba64le" if deep else "rgba"
    else:
        pixel_format = "rgb48le" if deep else "rgb24"
    transposed, flips = _orientation(frame)
    return PictureFormat(
        size=(frame.height, frame.width),
        pixel_format=pixel_format,
        matrix=_matrix(path, frame, _tag(frame.colorspace, context.colorspace), primaries),
        expands_gray=is_gray and frame.color_range == _LIMITED,
        colors=colors,
        transposed=transposed,
        flips=flips,
    )


def to_array(frame: av.VideoFrame, layout: PictureFormat) -> np.ndarray:
    """Convert a frame into an upright array (h, w) or (h, w, c) of uint8, or of uint16 for more than 8 bits."""
    height, width = layout.size
    array = frame.to_ndarray(
        format=layout.pixel_format,
        height=height,
        width=width,
        interpolation=INTERPOLATION,
        src_colorspace=layout.matrix,
    )
    if layout.expands_gray:
        array = _expand(array)
    if layout.colors.needs_conversion and array.ndim == 3:
        array = _convert_colors(array, layout.colors)
    if layout.transposed:
        array = array.swapaxes(0, 1)
    rows, columns = (slice(None, None, -1 if backwards else 1) for backwards in layout.flips)
    return array[rows, columns]


def _tag(own: int, stated: int) -> int:
    """Return the tag of a frame, or where that is unspecified the one that the container states."""
    return own if own not in (0, 2) else stated


def _matrix(path: Path, frame: av.VideoFrame, tag: int, primaries: int) -> str:
    """Return swscale's name of the YUV matrix: by tag, by size where there is none."""
    if frame.format.is_rgb:
        return "ITU709"  # not used
    if tag in _UNSUPPORTED_MATRICES:
        raise UserError(
            f"{path}: the colors are coded as {_UNSUPPORTED_MATRICES[tag]}, which is not supported; convert the video "
            "to H.264 with BT.709"
        )
    if tag in _DERIVED_MATRICES:
        tag = {1: 1, 9: 9}.get(primaries, 2)
    if tag in _MATRICES:
        return _MATRICES[tag]
    # HDR is coded with the matrix of BT.2020 in practice; SDR without a tag follows its size.
    if primaries == 9:
        return "BT2020"
    return "ITU709" if frame.height >= _HD_LINES or frame.width >= _HD_COLUMNS else "SMPTE170M"


def _expand(array: np.ndarray) -> np.ndarray:
    """Return grey of limited range (16 to 235 of 255) as grey of full range."""
    unit = 1 if array.dtype == np.uint8 else 256  # limited range scales with powers of two
    full = 255 if array.dtype == np.uint8 else 65535
    values = (array.astype(np.float32) - 16 * unit) * (full / (219 * unit))
    return (values.clip(0, full) + 0.5).astype(array.dtype)


def _convert_colors(array: np.ndarray, colors: ColorTags) -> np.ndarray:
    """Convert the colors of RGB or RGBA to sRGB, at the depth of `array`."""
    rgb = np.ascontiguousarray(array[..., :3])
    if array.dtype == np.uint8:
        converted = ((to_srgb(rgb.astype(np.uint16) * 257, colors).astype(np.uint32) + 128) // 257).astype(np.uint8)
    else:
        converted = to_srgb(rgb, colors)
    return converted if array.shape[2] == 3 else np.concatenate([converted, array[..., 3:]], axis=2)


def _orientation(frame: av.VideoFrame) -> tuple[bool, tuple[bool, bool]]:
    """Return whether the display matrix transposes, and whether displayed rows and columns run backwards.

    The matrix maps a stored pixel (p, q) to (a p + c q, b p + d q); quarter turns and mirrors are exact, other angles
    become the nearest of them.
    """
    data = _side_data(frame, Type.DISPLAYMATRIX)
    if data is None:
        return False, (False, False)
    a, b, _, c, d, *_ = struct.unpack("=9i", data)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, (d < 0, a < 0)
    return True, (b < 0, c < 0)


def _side_data(frame: av.VideoFrame, kind: Type) -> bytes | None:
    """Return the side data of a frame of one kind, None where it has none."""
    container: Any = frame.side_data  # a mapping by its type, in fact an iterable of its entries
    return next((bytes(entry) for entry in container if entry.type == kind), None)


def _peak(frame: av.VideoFrame) -> float:
    """Return the peak luminance in cd/m2 that the frame's metadata states, else the default."""
    light = _side_data(frame, Type.CONTENT_LIGHT_LEVEL)
    if light is not None and (brightest := struct.unpack_from("=I", light)[0]):
        return clip_peak(float(brightest))
    display = _side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    if display is None:
        return clip_peak(None)
    # Ten rationals: primaries and white point, then the smallest and the largest luminance; then two flags.
    numbers = struct.unpack_from("=22i", display)
    top, bottom, has_luminance = numbers[18], numbers[19], numbers[21]
    return clip_peak(top / bottom if has_luminance and bottom else None)
