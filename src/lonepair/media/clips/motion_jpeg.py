"""Recognizes raw Motion JPEG: a clip whose file is JPEG pictures one behind the other, which also opens as one JPEG."""

from __future__ import annotations

import io
import mmap
import re
from pathlib import Path

from PIL import Image

_START = b"\xff\xd8\xff"
_NEXT = re.compile(rb"\xff\xd9[\0\xff\r\n]{0,64}(?=\xff\xd8\xff)")
"""The end of a picture, padding, and before the start of the next."""

_HEAD_BYTES = 1 << 16
_MULTI_PICTURE = b"MPF\0"
"""Marks JPEG files of cameras that hold several views or a preview of one photo."""


def is_motion_jpeg(path: Path) -> bool:
    """Return whether `path` is raw Motion JPEG: a second JPEG picture of the same size follows the first."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(3) != _START:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if _MULTI_PICTURE in data[:_HEAD_BYTES]:
                return False
            match = _NEXT.search(data)
            if match is None:
                return False
            return _size(data[: match.end()]) == _size(data[match.end() : match.end() + _HEAD_BYTES]) is not None


def _size(data: bytes) -> tuple[int, int] | None:
    """Return (w, h) of a JPEG picture, None where its header cannot be read."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
