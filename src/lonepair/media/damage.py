"""Finds still images that lost their end where the decoder does not: files cut short, and files with a tail of zeros.

A tail of zeros is what a loss of power leaves: the file has its length, but its last blocks were never written. PNG has
checksums (`png`), compressed TIFF fails to decode; the other formats are checked here.
"""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path

import numpy as np
from PIL import Image

from lonepair.errors import UserError

logger = logging.getLogger("lonepair")

_TAIL_BYTES = 1 << 16
"""How much is read at once in search of the last byte that is not zero."""

_MAX_ZEROS = 16
"""Compressed data does not end in more zeros, lossy WebP apart."""
_MACROBLOCK_PIXELS = 256
_MACROBLOCKS_PER_ZERO = 20
"""Lossy WebP ends in zeros where the picture is of one color: one per 39 macroblocks, measured."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_START_OF_SCAN = 0xDA
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""In the data of a scan: a marker that ends it, which is neither an escaped 255 nor a restart."""
_FILLER = b"\x55\xaa\x6d" * 4096
"""Stands for missing data of a scan: decoded, it is a picture that nobody has."""


def check_end(path: Path, image: Image.Image) -> None:
    """Refuse a compressed image file that ends in zeros, and one that lacks the mark of its end.

    Args:
        path: The file.
        image: The file as Pillow has opened it.

    Raises:
        UserError: The end of the file is missing.
    """
    if image.format not in ("WEBP", "AVIF", "JPEG2000", "QOI"):
        return
    length, zeros = path.stat().st_size, _zeros_at_end(path)
    allowed = _MAX_ZEROS
    with path.open("rb") as file:
        head = file.read(64)
        file.seek(max(0, length - zeros - 2))
        last = file.read(2)
    if image.format == "WEBP" and b"VP8L" not in head:
        allowed += image.width * image.height // _MACROBLOCK_PIXELS // _MACROBLOCKS_PER_ZERO
    if zeros > allowed:
        raise _damaged(path, f"its last {zeros} bytes are zeros")
    if image.format == "JPEG2000" and last != _JPEG_END:
        raise _damaged(path, "its end marker is missing")


def _zeros_at_end(path: Path) -> int:
    """Return the number of zero bytes at the end of a file."""
    zeros = 0
    with path.open("rb") as file:
        end = file.seek(0, io.SEEK_END)
        while end > 0:
            start = max(0, end - _TAIL_BYTES)
            file.seek(start)
            block = file.read(end - start)
            rest = len(block.rstrip(b"\0"))
            zeros += len(block) - rest
            if rest:
                break
            end = start
    return zeros


# -- JPEG -------------------------------------------------------------------------------------------------------------


def repair_jpeg(path: Path) -> io.BytesIO | None:
    """Return a JPEG file that has all of its pixels and lacks only its end marker, with the marker; else None.

    Raises:
        UserError: A JPEG file without end marker lacks pixels.
    """
    with path.open("rb") as file:
        if file.read(2) != _JPEG_START:
            return None
        file.seek(-2, io.SEEK_END)
        if file.read(2) == _JPEG_END:
            return None
        file.seek(0)
        data = file.read()
    end = _jpeg_end(data)
    if end is None:
        return None
    # A block of zeros is no data of a scan. A zero behind 255 is.
    data = data[:end].rstrip(b"\0")
    data += b"\0" if data.endswith(b"\xff") else b""
    if _jpeg_end(data) is None or not _has_all_pixels(data):
        raise _damaged(path, "its last pixels are missing")
    logger.warning("%s: the JPEG file has no end marker; its pixels are complete and are read", path)
    return io.BytesIO(data + _JPEG_END)


def _jpeg_end(data: bytes) -> int | None:
    """Return where the last scan of a JPEG without end marker ends; None where a marker or an open segment ends it."""
    position, in_scan = 2, False
    while True:
        match = _SCAN_END.search(data, position) if in_scan else _MARKER.match(data, position)
        if match is None:
            return len(data) if in_scan else None
        marker, position = match[0][-1], match.end()
        if marker == _JPEG_END[1] or position + 2 > len(data):
            return None
        position += int.from_bytes(data[position : position + 2], "big")
        in_scan = marker == _START_OF_SCAN


def _has_all_pixels(data: bytes) -> bool:
    """Return whether the last scan of `data`, a JPEG without end marker, is complete.

    Where it is not, the decoder takes what follows for pixels, so that the picture depends on it.
    """
    pictures = []
    for rest in (b"", _FILLER):
        with Image.open(io.BytesIO(data + rest + _JPEG_END), formats=("JPEG",)) as image:
            pictures.append(np.asarray(image))
    return bool(np.array_equal(pictures[0], pictures[1]))


# -- formats without compression --------------------------------------------------------------------------------------

_RAW_FORMATS = ("BMP", "DIB", "PPM", "TGA", "TIFF", "SGI", "DDS")


def warn_of_zero_rows(path: Path, image: Image.Image) -> None:
    """Log a warning where the data of an uncompressed image breaks off amid a row, and only zeros follow.

    Args:
        path: The file.
        image: The decoded image.
    """
    if image.format not in _RAW_FORMATS or _zeros_at_end(path) < 2 * image.width // 8:
        return
    pixels = np.asarray(image)
    if image.format in ("BMP", "DIB", "TGA"):  # the last row comes first
        pixels = pixels[::-1]
    h, w = pixels.shape[:2]
    is_set = (pixels != 0).reshape(h, w, -1).any(axis=2)
    rows = np.flatnonzero(is_set.any(axis=1))
    row = int(rows[-1]) if len(rows) else 0
    first_zero = int(np.flatnonzero(is_set[row])[-1]) + 1 if len(rows) else 0
    # A black area also ends in zeros: but the row above it is black at the same place.
    lost = is_set[row - 1, first_zero:] if row > 0 else is_set[:0, 0]
    if h - row > 2 and lost.size and lost.mean() > 0.5:
        logger.warning(
            "%s: the pixels break off in row %d of %d, and zeros follow; give a complete copy if they are not black",
            *(path, row + 1, h),
        )


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: the image is damaged or cut short ({problem}); give a complete copy")
