"""The chunks of a PNG file: checks their checksums, and leaves out those that prevent Pillow from reading the pixels.

Pillow refuses a file for a long text (a workflow of some megabytes) or for a checksum of a chunk that no picture needs.
A file that lost its end, on the other hand, may look complete to it.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lonepair.errors import UserError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXEL_CHUNKS = (b"IDAT", b"fdAT")
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_MAX_TEXT_BYTES = 1 << 16
"""Texts that are longer are left out. Those of this package have a few hundred bytes."""
_MAX_PROFILE_BYTES = 1 << 24


@dataclass(frozen=True)
class PngFile:
    """A PNG file without the chunks that Pillow need not see."""

    data: io.BytesIO
    """The file for Pillow or FFmpeg."""
    icc: bytes | None
    """The ICC profile; None where there is none that can be unpacked."""
    cicp: bytes | None
    """Content of the chunk cICP: code points of primaries, transfer and matrix, and the flag for full range."""
    exif: bytes
    """The EXIF block; empty without one."""


def is_png(path: Path) -> bool:
    """Return whether the file `path` starts as a PNG file does."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def read_png(path: Path, header_only: bool = False) -> PngFile:
    """Read the chunks of a PNG file.

    Left out are the profile and EXIF, which are returned apart, chunks that no picture needs and whose checksum is
    wrong, and texts that are long or unpack to long ones.

    Args:
        path: The file.
        header_only: Skip the pixels: Pillow can then open the result, but not decode it.

    Raises:
        UserError: The file has no complete header, is cut short, or the checksum of a chunk with pixels is wrong.
    """
    parts, header = [SIGNATURE], b""
    profile, cicp, exif = None, None, b""
    is_before_pixels = True
    with path.open("rb") as file:
        file.seek(len(SIGNATURE))
        while True:
            kind, content, crc = _read_chunk(path, file, skips_pixels=header_only)
            if header_only and kind in _PIXEL_CHUNKS:
                is_before_pixels = False
                continue
            if zlib.crc32(content, zlib.crc32(kind)) != crc:
                # The fifth bit of the first letter marks chunks that no picture needs.
                if kind[0] & 32:
                    continue
                raise _damaged(path, f"the checksum of chunk {_label(kind)} is wrong")
            header = header or content
            if kind == b"iCCP":
                profile = _unpack_profile(content)
            elif kind == b"cICP":
                cicp = content
            elif kind == b"eXIf":
                exif = content
            elif is_before_pixels and (kind not in _TEXT_CHUNKS or _is_short_text(kind, content)):
                parts.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc))
            if kind == b"IEND":
                break
    if len(header) != 13:
        raise _damaged(path, "the header is not complete")
    if not is_before_pixels:
        parts.append(struct.pack(">I4s", 1, b"IDAT"))  # where Pillow stops
    return PngFile(io.BytesIO(b"".join(parts)), profile, cicp, exif)


def _read_chunk(path: Path, file: BinaryIO, skips_pixels: bool) -> tuple[bytes, bytes, int]:
    """Return the type, the content (empty of skipped pixels) and the checksum of the next chunk."""
    start = file.read(8)
    length = int.from_bytes(start[:4], "big")
    # A type has four letters. A block of zeros, which a loss of power leaves, has none.
    if len(start) == 8 and start[4:].isalpha() and start[4:].isascii() and length < 1 << 31:
        if skips_pixels and start[4:] in _PIXEL_CHUNKS:
            file.seek(length, io.SEEK_CUR)
            length = 0
        content, crc = file.read(length), file.read(4)
        if len(crc) == 4:
            return start[4:], content, int.from_bytes(crc, "big")
        raise _damaged(path, f"chunk {_label(start[4:])} is not complete")
    problem = "a chunk is not one of PNG" if len(start) == 8 else "its end is missing"
    raise _damaged(path, problem)


def _unpack_profile(content: bytes) -> bytes | None:
    """Return the ICC profile of a chunk iCCP; None where it cannot be unpacked."""
    _, _, packed = content.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], _MAX_PROFILE_BYTES)
    except zlib.error:
        return None


def _is_short_text(kind: bytes, content: bytes) -> bool:
    """Return whether a text is short, also when it is unpacked."""
    if len(content) > _MAX_TEXT_BYTES:
        return False
    # Key, 0; of zTXt the method; of iTXt the flag "packed", the method, language, 0, translated key, 0.
    _, _, rest = content.partition(b"\0")
    if kind == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif kind == b"zTXt":
        packed = rest[1:]
    else:
        return True
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed, _MAX_TEXT_BYTES)
    except zlib.error:
        return False
    return not unpacker.unconsumed_tail


def _label(kind: bytes) -> str:
    return kind.decode("ascii")


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: the PNG file is damaged or cut short ({problem}); give a complete copy")
