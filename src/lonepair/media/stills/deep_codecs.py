"""AVIF, JPEG 2000 and PPM of more than 8 bits per channel, of which Pillow reads 8 bits of color.

imagecodecs, an optional package, decodes AVIF and JPEG 2000. Pillow's 8 bits are a check on it.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt16
from PIL import ExifTags, Image, ImageFile
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.stills.coloring import convert_colors, has_tables
from lonepair.media.stills.damage import warn_of_zero_rows
from lonepair.media.stills.deep_read import agrees, turn
from lonepair.media.stills.pil import join

logger = logging.getLogger("lonepair")

_HEAD_BYTES = 1 << 16
"""Where the properties of an AVIF, and the header of a JPEG 2000 codestream, are."""

_AVIF_TOLERANCE = 3.0
"""Largest mean difference from Pillow's pixels, of 255. At edges of color, libavif interpolates in other ways where it
converts YUV to 8 bits."""


def stated_bits(path: Path, image: Image.Image) -> int:
    """Return the bits per channel that the header of an AVIF, JPEG 2000 or PPM file states; 8 for other formats.

    Args:
        path: The file.
        image: The file as Pillow has opened it.
    """
    if image.format == "PPM":
        arguments = image.tile[0][3] if isinstance(image, ImageFile.ImageFile) and image.tile else ()
        largest = arguments[-1] if isinstance(arguments, tuple) and isinstance(arguments[-1], int) else 255
        return 16 if largest > 255 else 8
    if image.format not in ("AVIF", "JPEG2000"):
        return 8
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if image.format == "AVIF":
        # AV1 configuration: marker, profile and level, then flags: more than 8 bits, 12 bits.
        place = head.find(b"av1C")
        flags = head[place + 6] if 0 <= place < len(head) - 6 else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    # The codestream's marker SIZ: 38 bytes of sizes and counts, then the first channel: sign, and bits less 1.
    place = head.find(b"\xff\x4f\xff\x51")
    return (head[place + 42] & 0x7F) + 1 if 0 <= place < len(head) - 42 else 8


def read_deep_codec(path: Path, image: Image.Image) -> Float[Tensor, "1 c h w"] | None:
    """Read an AVIF, JPEG 2000 or PPM file of more than 8 bits at full precision.

    Args:
        path: The file.
        image: The file as Pillow has opened it.

    Returns:
        The image, sRGB in [-1, 1]; None where Pillow reads it: it has 8 bits, or, with a warning, only 8 can be read.

    Raises:
        UserError: The file is a JPEG 2000 that imagecodecs does not read, or is not installed for.
    """
    bits = stated_bits(path, image)
    if bits <= 8 or (image.format == "PPM" and image.mode != "RGB"):
        return None
    kind, remedy = str(image.format), "save it as PNG"
    try:
        array = _read_ppm(path, image) if kind == "PPM" else _decode(path, kind, bits)
    except ImportError:
        array, remedy = None, "pip install 'lonepair[tiff]' to read all of its bits"
    upright = image.getexif().get(ExifTags.Base.Orientation, 1)
    if array is None or not _agrees(array, image) or has_tables(image.info.get("icc_profile", b"")):
        if kind == "JPEG2000":
            # Pillow rounds up, so that white becomes black.
            raise UserError(f"{path}: JPEG 2000 of this kind with {bits} bits cannot be read rightly; {remedy}")
        logger.warning("%s: its colors have %d bits, of which 8 are read; %s", path, bits, remedy)
        return None
    if image.format == "PPM":
        warn_of_zero_rows(path, array)
    count = 1 if array.shape[2] < 3 else 3
    color, alpha = convert_colors(array[..., :count], image.info, str(path)), array[..., count:]
    return join(turn(color, upright), turn(alpha, upright) if alpha.shape[2] else None)


def _decode(path: Path, kind: str, bits: int) -> UInt16[np.ndarray, "h w c"] | None:
    """Decode an AVIF or JPEG 2000 file with imagecodecs, scaled to 16 bits; None where it cannot.

    Raises:
        ImportError: The package is missing.
    """
    import imagecodecs

    try:
        decode = imagecodecs.avif_decode if kind == "AVIF" else imagecodecs.jpeg2k_decode
        array = decode(path.read_bytes())
    except (RuntimeError, ValueError, TypeError):
        return None
    if array.dtype != np.uint16 or array.ndim not in (2, 3):
        return None
    array = array[..., None] if array.ndim == 2 else array
    return _scaled(array, (1 << bits) - 1) if array.shape[2] <= 4 else None


def _read_ppm(path: Path, image: Image.Image) -> UInt16[np.ndarray, "h w 3"] | None:
    """Read the pixels of a color PPM of 16 bits; None where they are not complete."""
    assert isinstance(image, ImageFile.ImageFile)
    decoder, _, offset, arguments = image.tile[0]
    assert isinstance(arguments, tuple)
    count = image.width * image.height * 3
    if decoder == "ppm_plain":
        with path.open("rb") as file:
            file.seek(offset)
            words = re.sub(rb"#[^\r\n]*", b" ", file.read()).split()[:count]
        values = np.array(words, np.int64)
    else:
        values = np.fromfile(path, ">u2", count, offset=offset)
    if len(values) < count:
        return None
    return _scaled(values.reshape(image.height, image.width, 3).astype(np.uint16), int(arguments[-1]))


def _agrees(array: UInt16[np.ndarray, "h w c"], image: Image.Image) -> bool:
    """Return whether 16-bit pixels are those of `image`, as far as Pillow reads its format rightly."""
    other = np.asarray(image)
    other = other[..., None] if other.ndim == 2 else other
    if image.format == "AVIF":
        return array.shape == other.shape and float(np.abs(array / np.float32(257) - other).mean()) <= _AVIF_TOLERANCE
    if image.format == "PPM" or other.dtype != np.uint8:
        return agrees(array, image)
    # Pillow rounds up, and 256 becomes 0.
    return array.shape == other.shape and bool((((array >> 8).astype(np.uint8) - other + 1) & 255 <= 2).all())


def _scaled(array: UInt16[np.ndarray, "h w c"], top: int) -> UInt16[np.ndarray, "h w c"]:
    """Return values from 0 to `top` as 16 bits."""
    return ((array.astype(np.uint32).clip(0, top) * 65535 + top // 2) // top).astype(np.uint16)
