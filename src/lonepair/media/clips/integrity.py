"""Whether a clip's file ends where its container says: what copies that stopped and power losses leave does not.

A copy that stopped is shorter than the container states; a power loss leaves a file of the right length whose end is
zeros. FFmpeg reads both up to the fault without a word.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO

_TAIL_BYTES = 64
"""Number of bytes at the end of a file. If all are zeros, the file was not written to its end, unless its format may
end in zeros."""

_PADDING_BOXES = (b"free", b"skip", b"wide", b"mdat")
"""MP4 boxes that may end with zeros: padding, and media such as silence."""

_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""GUID of the ASF object that states the file's size."""


_PACK_START, _PROGRAM_END = b"\0\0\1\xba", 0xB9
"""MPEG-PS: what a pack starts with, and the last byte of the code that may end the file."""

_LINE_BYTES = 4096
_Y4M_CHROMA = {
    "420": (2, 2, False),
    "411": (4, 1, False),
    "422": (2, 1, False),
    "444alpha": (1, 1, True),
    "444": (1, 1, False),
    "mono": (0, 0, False),
}
"""Start of a Y4M color space -> columns and rows for each sample of color (0: no color), and whether there is alpha."""


def ends_early(path: Path, container: str) -> bool:
    """Return whether a file is shorter than its container states, or ends with zeros where it should not.

    Args:
        path: The file.
        container: FFmpeg's name of its format, or Pillow's in lower case.

    Returns:
        False also where the format does not tell.
    """
    check = next((check for name, check in _CHECKS.items() if name in container.split(",")), None)
    if check is None:
        return False
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return check(file, size)
        except (struct.error, IndexError, KeyError, StopIteration, ValueError):  # a header that ends in the middle
            return True


def _tail(file: IO[bytes], size: int, count: int = _TAIL_BYTES) -> bytes:
    """Return the last `count` bytes of a file."""
    file.seek(max(0, size - count))
    return file.read(count)


def _ends_with_zeros(file: IO[bytes], size: int) -> bool:
    return size >= _TAIL_BYTES and not any(_tail(file, size))


def _check_boxes(file: IO[bytes], size: int) -> bool:
    """MP4 and MOV: the lengths of the boxes add up to the file's."""
    position, kind = 0, b""
    while position < size:
        file.seek(position)
        header = file.read(16)
        length, kind = struct.unpack(">I4s", header[:8])
        if length == 0 and kind != b"\0\0\0\0":
            return False  # the last box, which reaches to the end
        if length == 1:
            (length,) = struct.unpack(">Q", header[8:16])
        if length < 8:
            return True
        position += length
    return position > size or (kind not in _PADDING_BOXES and _ends_with_zeros(file, size))


def _check_ebml(file: IO[bytes], size: int) -> bool:
    """MKV and WebM: the element Segment, which is the whole file but its header, ends within the file."""
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(16)
        name_length, value_length = _vint_length(header[0]), 0
        value_length = _vint_length(header[name_length])
        value = int.from_bytes(header[name_length : name_length + value_length], "big")
        ones = (1 << (7 * value_length)) - 1
        content = value & ones
        start = position + name_length + value_length
        if content == ones:  # an unknown length, of a live recording
            return _ends_with_zeros(file, size)
        if header[:name_length] == b"\x18\x53\x80\x67":
            return start + content > size or _ends_with_zeros(file, size)
        position = start + content
    return True


def _vint_length(first: int) -> int:
    """Return the number of bytes of an EBML number that starts with the byte `first`."""
    return 9 - first.bit_length() if first else 8


def _check_riff(file: IO[bytes], size: int) -> bool:
    """AVI and WebP: the lengths of the RIFF chunks add up to the file's, and something is at its end."""
    position = 0
    while position < size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF":
            return not name.strip(b"\0")
        position += 8 + length + length % 2
    return position > size + 1 or _ends_with_zeros(file, size)


def _check_transport(file: IO[bytes], size: int) -> bool:
    """MPEG-TS: the last packet is complete; packets have 188, 192 or 204 bytes and start with 0x47."""
    file.seek(0)
    head = file.read(1024)
    for length in (188, 192, 204):
        offset = length - 188 if length == 192 else 0
        if head[offset : offset + 2 * length + 1 : length] == b"GGG":
            return size % length != 0 or _tail(file, size, length)[offset : offset + 1] != b"G"
    return False


def _check_flv(file: IO[bytes], size: int) -> bool:
    """FLV: each tag is followed by its length."""
    (length,) = struct.unpack(">I", _tail(file, size, 4))
    file.seek(max(0, size - 4 - length))
    return file.read(1) not in (b"\x08", b"\x09", b"\x12") or not length


def _check_asf(file: IO[bytes], size: int) -> bool:
    """ASF (WMV): the header states the size of the file."""
    file.seek(0)
    head = file.read(1 << 16)
    place = head.find(_ASF_PROPERTIES)
    return place >= 0 and struct.unpack_from("<Q", head, place + 40)[0] > size


def _check_ogg(file: IO[bytes], size: int) -> bool:
    """Ogg: the last page ends with the file."""
    tail = _tail(file, size, 1 << 17)
    place = tail.rfind(b"OggS")
    if place < 0 or place + 27 > len(tail):
        return True
    segments = tail[place + 26]
    return place + 27 + segments + sum(tail[place + 27 : place + 27 + segments]) != len(tail)


def _check_dv(file: IO[bytes], size: int) -> bool:
    """DV: frames have a fixed length, 12 blocks of 12,000 bytes (625 lines) or 10 (525 lines)."""
    file.seek(3)
    length = 144_000 if file.read(1)[0] & 0x80 else 120_000
    return size % length != 0 or _ends_with_zeros(file, size)


def _check_motion_jpeg(file: IO[bytes], size: int) -> bool:
    """Raw MJPEG: the last picture has an end marker."""
    return re.search(rb"\xff\xd9[\0\xff\r\n]{0,16}\Z", _tail(file, size)) is None or _ends_with_zeros(file, size)


def _check_mxf(file: IO[bytes], size: int) -> bool:
    """MXF: a footer partition or the index of partitions is at the end."""
    tail = _tail(file, size, 1 << 20)
    return re.search(rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01[\x04\x11]", tail) is None or not any(
        tail[-_TAIL_BYTES:]
    )


def _check_yuv4mpeg(file: IO[bytes], size: int) -> bool:
    """YUV4MPEG2 (Y4M): each frame is a line that starts with FRAME, and planes whose length the header states."""
    file.seek(0)
    words = file.readline(_LINE_BYTES).split()
    fields = {word[:1]: word[1:].decode("latin-1") for word in reversed(words[1:])}
    w, h, layout = int(fields[b"W"]), int(fields[b"H"]), fields.get(b"C", "420")
    columns, rows, has_alpha = _Y4M_CHROMA[next(name for name in _Y4M_CHROMA if layout.startswith(name))]
    chroma = 2 * -(-w // columns) * -(-h // rows) if columns else 0
    is_deep = re.search(r"(p|mono)(9|1[0-6])$", layout) is not None
    length = (w * h * (1 + has_alpha) + chroma) * (1 + is_deep)
    while line := file.readline(_LINE_BYTES):
        if not line.startswith(b"FRAME") or not line.endswith(b"\n"):
            return True
        if file.seek(length, os.SEEK_CUR) > size:
            return True
    # Black grey and transparent alpha are zeros, too.
    return bool(columns) and not has_alpha and _ends_with_zeros(file, size)


def _check_program(file: IO[bytes], size: int) -> bool:
    """MPEG-PS: the packets of the last pack end with the file. Whether packs are missing, no file states."""
    tail = _tail(file, size, 1 << 18)
    place = tail.rfind(_PACK_START)
    if place < 0:
        return _ends_with_zeros(file, size)
    # MPEG-2 has 14 bytes and padding, MPEG-1 12 bytes.
    is_second = tail[place + 4] & 0xC0 == 0x40
    place += 14 + (tail[place + 13] & 7) if is_second else 12
    while place + 6 <= len(tail) and tail[place : place + 3] == b"\0\0\1":
        if tail[place + 3] == _PROGRAM_END:
            return False
        place += 6 + int.from_bytes(tail[place + 4 : place + 6], "big")
    return place > len(tail) or _ends_with_zeros(file, size)


_CHECKS: dict[str, Callable[[IO[bytes], int], bool]] = {
    "mov": _check_boxes,
    "matroska": _check_ebml,
    "avi": _check_riff,
    "webp": _check_riff,
    "mpegts": _check_transport,
    "flv": _check_flv,
    "asf": _check_asf,
    "ogg": _check_ogg,
    "dv": _check_dv,
    "mjpeg": _check_motion_jpeg,
    "mxf": _check_mxf,
    "mpeg": _check_program,
    "yuv4mpegpipe": _check_yuv4mpeg,
}
"""Name of a format -> its check."""
