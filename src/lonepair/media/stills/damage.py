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
_BLOCK_BYTES = 512
"""Size of the blocks in which disks are written, or a divisor of it."""
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


def warn_of_zero_rows(path: Path, pixels: np.ndarray, has_last_row_first: bool = False) -> None:
    """Log a warning where the data of an uncompressed image breaks off, and only zeros follow.

    A black band may end a picture, so that nothing is refused. Suspicious is a break amid a row, and one at the end of
    a row where the zeros begin with a block of a disk in a picture without any other zero: of black bands that end a
    picture, one in 512 begins there by chance.

    Args:
        path: The file.
        pixels: (h, w) or (h, w, c), as they are stored.
        has_last_row_first: Whether the format may store the last row first.
    """
    if (zeros := _zeros_at_end(path)) < _MAX_ZEROS:
        return
    is_set = (pixels != 0).reshape(*pixels.shape[:2], -1).any(axis=2)
    orders = (is_set, is_set[::-1]) if has_last_row_first else (is_set,)
    starts_with_block = (path.stat().st_size - zeros) % _BLOCK_BYTES == 0
    if any(_breaks_off(order) for order in orders):
        logger.warning("%s: its pixels break off amid a row, and zeros follow; give a complete copy", path)
    elif starts_with_block and any(_ends_in_zero_rows(pixels, order) for order in orders):
        text = "%s: its last rows are zeros from the start of a disk's block on; give a complete copy if none is black"
        logger.warning(text, path)


def _breaks_off(is_set: np.ndarray) -> bool:
    """Return whether pixels in the order of the file break off amid a row; `is_set` (h, w): those that are not 0.

    A black area may end a picture, too: but there the row above is black at the same place.
    """
    rows = np.flatnonzero(is_set.any(axis=1))
    if not len(rows) or rows[-1] == 0 or len(is_set) - rows[-1] <= 2:
        return False
    row = int(rows[-1])
    lost = is_set[row - 1, int(np.flatnonzero(is_set[row])[-1]) + 1 :]
    return bool(lost.size and lost.mean() > 0.5)


def _ends_in_zero_rows(pixels: np.ndarray, is_set: np.ndarray) -> bool:
    """Return whether all values of some rows in the order of the file are zero, and none of the rows before them."""
    rows = int(is_set.any(axis=1).sum())
    is_complete = is_set[:rows].all() and np.count_nonzero(pixels) == rows * pixels[0].size
    return 0 < rows < len(is_set) and bool(is_complete)


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: the image is damaged or cut short ({problem}); give a complete copy")
