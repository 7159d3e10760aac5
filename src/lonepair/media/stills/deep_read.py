"""Still images of more than 8 bits per channel: Pillow has 16 bits for grey only.

PNG is decoded by FFmpeg, TIFF by tifffile. Pillow's 8 bits are a check on both.
"""

from __future__ import annotations

import logging
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, UInt16
from PIL import ExifTags, Image
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.stills.coloring import as_unit, convert_colors, has_tables
from lonepair.media.stills.damage import warn_of_zero_rows
from lonepair.media.stills.opening import open_image
from lonepair.media.stills.pil import join
from lonepair.media.stills.png import read_png
from lonepair.media.stills.profile import lab_to_srgb
from lonepair.media.stills.tiff import (
    BLACK_IS_ZERO,
    CMYK,
    COLOR_SAMPLES,
    LAB,
    RGB,
    WHITE_IS_ZERO,
    MissingCodecError,
    TiffHeader,
    read_tiff,
)
from lonepair.media.stills.wide import finite_range, to_unit

logger = logging.getLogger("lonepair")

_PNG_SAMPLES = {"gray16be": 1, "ya16be": 2, "rgb48be": 3, "rgba64be": 4}
"""FFmpeg's pixel formats of 16-bit PNG -> channels."""

_TURNS = {2: "h", 3: "hv", 4: "v", 5: "t", 6: "th", 7: "thv", 8: "tv"}
"""EXIF orientation -> steps to the upright image: transpose, flip horizontally, flip vertically."""


# -- PNG --------------------------------------------------------------------------------------------------------------


def read_deep_png(path: Path, image: Image.Image) -> Float[Tensor, "1 c h w"] | None:
    """Read a 16-bit PNG at full precision.

    Args:
        path: The file.
        image: The file as Pillow has opened it.

    Returns:
        The image, sRGB in [-1, 1]; None, with a warning, where only 8 bits of it can be read.
    """
    array = decode_png(read_png(path).data.getvalue())
    if array is None or not agrees(array, image) or has_tables(image.info.get("icc_profile", b"")):
        logger.warning("%s: 16-bit colour is read as 8-bit", path)
        return None
    count = 1 if array.shape[2] < 3 else 3
    color, alpha = array[..., :count], array[..., count:]
    color = convert_colors(color, image.info, str(path))
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return join(turn(color, orientation), turn(alpha, orientation) if alpha.shape[2] else None)


def decode_png(data: bytes) -> UInt16[np.ndarray, "h w c"] | None:
    """Decode a 16-bit PNG with FFmpeg; None where it cannot."""
    decoder = av.CodecContext.create("png", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except (av.FFmpegError, ValueError):
        return None
    if not frames or frames[0].format.name not in _PNG_SAMPLES:
        return None
    # The planes as they are: a conversion would change values.
    frame, samples = frames[0], _PNG_SAMPLES[frames[0].format.name]
    rows = np.frombuffer(bytes(frame.planes[0]), np.uint8).reshape(frame.height, -1)[:, : frame.width * samples * 2]
    return np.ascontiguousarray(rows).view(">u2").reshape(frame.height, frame.width, samples).astype(np.uint16)


def agrees(array: np.ndarray, image: Image.Image) -> bool:
    """Return whether 16-bit pixels have the upper 8 bits that Pillow reads.

    Args:
        array: The pixels, (h, w, c).
        image: The file as Pillow has opened it.
    """
    other = np.asarray(image)
    other = other[..., None] if other.ndim == 2 else other
    # Pillow opens grey and alpha of 16 bits as RGBA.
    other = other[..., ::3] if (array.shape[2], other.shape[2]) == (2, 4) else other
    channels = min(array.shape[2], other.shape[2])
    if array.shape[:2] != other.shape[:2]:
        return False
    own = array[..., :channels]
    if other.dtype.itemsize == 2:
        # Pillow shifts 9 to 15 bits to 16, so that white is less than 65535.
        return int(np.abs(own.astype(np.int32) - other[..., :channels]).max(initial=0)) < 256
    return int(np.abs((own >> 8).astype(np.int16) - other[..., :channels]).max(initial=0)) <= 1


# -- TIFF -------------------------------------------------------------------------------------------------------------


def read_deep_tiff(
    path: Path, header: TiffHeader, value_range: tuple[float, float] | None = None
) -> Float[Tensor, "1 c h w"] | None:
    """Read a TIFF of more than 8 bits, or of floating point.

    Args:
        path: The file.
        header: The result of `tiff.read_tiff_header`.
        value_range: As in `wide.to_unit`.

    Returns:
        The image, sRGB in [-1, 1]; None, with a warning, where only Pillow can read it, in 8 bits.

    Raises:
        UserError: The file cannot be decoded, its kind is not supported, or two decoders read different pixels.
    """
    if header.photometric not in COLOR_SAMPLES or (
        header.photometric == LAB and (header.kind, header.bits) != ("u", 16)
    ):
        _fall_back(path, header, None)
        return None
    if header.icc is not None and has_tables(header.icc):
        _fall_back(path, header, None)
        return None
    try:
        array = read_tiff(path, header)
    except MissingCodecError as error:
        _fall_back(path, header, error)
        return None
    _check_against_pillow(path, header, array)
    if not (header.is_tiled or header.is_planar):
        warn_of_zero_rows(path, array)
    color, alpha = _split(array, header, str(path), value_range)
    if header.photometric != LAB:
        color = convert_colors(color, {"icc_profile": header.icc} if header.icc else {}, str(path))
    return join(turn(color, header.orientation), None if alpha is None else turn(alpha, header.orientation))


def deep_tiff_range(path: Path, header: TiffHeader) -> tuple[float, float] | None:
    """Return the smallest and the largest value of a TIFF whose values have no agreed range; None for any other."""
    if not header.is_wide or header.photometric not in COLOR_SAMPLES:
        return None
    color, _ = _unmultiplied(read_tiff(path, header), header)
    return finite_range(color, str(path))


def _fall_back(path: Path, header: TiffHeader, error: MissingCodecError | None) -> None:
    """Log that Pillow reads 8 bits of the file.

    Raises:
        UserError: Pillow cannot, or would read wrong pixels.
    """
    is_integer = header.kind == "u" and header.bits == 16 and header.photometric in (BLACK_IS_ZERO, RGB, CMYK, LAB)
    is_gray_float = (header.kind, header.bits, header.photometric) == ("f", 32, BLACK_IS_ZERO)
    if header.is_planar or not (is_integer or is_gray_float):
        raise error or UserError(
            f"{path}: TIFF files of {header.bits} bits with photometric interpretation {header.photometric} are not "
            "supported; save it as RGB or grey"
        )
    remedy = "; pip install 'lonepair[tiff]' to read all of its bits" if error else ""
    logger.warning("%s: 16-bit colour is read as 8-bit%s", path, remedy)


def _check_against_pillow(path: Path, header: TiffHeader, array: np.ndarray) -> None:
    """Compare a decoded page with Pillow's pixels, where Pillow reads pages of its kind rightly.

    Raises:
        UserError: They differ.
    """
    if header.is_planar or header.is_wide or header.photometric not in (BLACK_IS_ZERO, RGB) or header.bits != 16:
        return
    try:
        with open_image(path) as image:
            # The alpha of premultiplied pixels is compared alone: Pillow divides the colors by it.
            own = array[..., 3:4] if header.is_premultiplied else array
            stored = image.getchannel("A") if header.is_premultiplied else image
            # Pillow turns the picture when it is decoded, where the file says so.
            is_equal = header.orientation != 1 or agrees(own, stored)
    except (UserError, ValueError):
        return  # Pillow cannot open it
    if not is_equal:
        raise UserError(f"{path}: two decoders read different pixels from this TIFF file; save it as PNG")


def _unmultiplied(array: np.ndarray, header: TiffHeader) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the color channels, not multiplied by alpha, and alpha as uint8, uint16 or float32 in [0, 1]."""
    color = array[..., : COLOR_SAMPLES[header.photometric]]
    if header.alpha is None:
        return color, None
    alpha = array[..., header.alpha : header.alpha + 1]
    if header.kind == "f":
        alpha = alpha.clip(0, 1).astype(np.float32)
    elif alpha.dtype not in (np.uint8, np.uint16):
        alpha = (alpha / np.iinfo(alpha.dtype).max).clip(0, 1).astype(np.float32)
    if not header.is_premultiplied:
        return color, alpha
    if not header.is_wide:
        color = as_unit(color)
    share = as_unit(alpha)
    straight = np.divide(color, share, out=np.zeros(color.shape, np.float32), where=share > 0, casting="unsafe")
    return straight if header.is_wide else straight.clip(0, 1), alpha


def _split(
    array: np.ndarray, header: TiffHeader, name: str, value_range: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return color and alpha with black at 0: uint8, uint16, or float32 in [0, 1]."""
    color, alpha = _unmultiplied(array, header)
    if header.photometric == LAB:
        signed = color.view(np.int16)[..., 1:] / np.float32(256)
        color = lab_to_srgb(np.concatenate([color[..., :1] * np.float32(100 / 65535), signed], axis=2))
    elif header.is_wide:
        color = to_unit(color, name, value_range)
    if header.photometric == WHITE_IS_ZERO:
        color = (1.0 if color.dtype.kind == "f" else np.iinfo(color.dtype).max) - color
    return color, alpha


def turn(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return (h, w, c) pixels upright, for one of the eight orientations of EXIF."""
    for step in _TURNS.get(orientation, ()):
        array = array.swapaxes(0, 1) if step == "t" else np.flip(array, 1 if step == "h" else 0)
    return np.ascontiguousarray(array)
