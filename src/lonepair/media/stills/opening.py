"""Opens image files with Pillow: only formats and files that are safe to open, with errors of one line."""

from __future__ import annotations

import contextlib
import io
import mmap
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, Literal, cast

from PIL import Image, ImageFile, UnidentifiedImageError

from lonepair.errors import UserError
from lonepair.media.limits import check_pixels
from lonepair.media.stills.damage import check_end, repair_jpeg
from lonepair.media.stills.kinds import TIFF_SIGNATURES, pillow_formats, refuse_unsupported
from lonepair.media.stills.png import is_png, read_png
from lonepair.media.stills.tiff import TiffHeader, UnreadableTiffError, is_tiff, read_tiff_header
from lonepair.storage.files import check_file

_File = BinaryIO | io.BufferedReader | io.BytesIO | mmap.mmap
"""What Pillow reads from."""

_AVIF_HEAD_BYTES = 1 << 16
"""Where the properties of an AVIF are."""

EXPECTED_IMAGE = "an image file such as PNG or JPEG"

_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", *TIFF_SIGNATURES, b"BM")
"""First bytes of the common formats: a file that has them is an image, even if it cannot be opened."""

_PILLOW_LIMIT = threading.Lock()
"""Only one thread at a time may replace Pillow's limit of pixels, which is a global variable."""

_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, ArithmeticError, KeyError, RuntimeError, TypeError),
    *(AttributeError, struct.error),
)
"""What Pillow's decoders raise for data that they cannot decode, as observed."""


class NotAnImageError(UserError):
    """Pillow does not recognize the file as an image. It may be a video."""


def check_image_file(path: Path) -> None:
    """Refuse a path that is not a readable file, or an image of a format that is known and not supported.

    Raises:
        UserError: It is.
    """
    check_file(path, EXPECTED_IMAGE)
    refuse_unsupported(path)


@contextlib.contextmanager
def open_image(path: Path, header_only: bool = False) -> Iterator[Image.Image]:
    """Open an image file with Pillow for the block, and turn Pillow's errors, also the block's, into `UserError`.

    Args:
        path: The file.
        header_only: The block does not decode the pixels, so that less of the file is read and checked.

    Yields:
        The image, not yet decoded. Of a TIFF it is the page of `tiff.read_tiff_header`. `info` has Pillow's entries,
        and "cicp" with the content of a PNG's chunk cICP.

    Raises:
        NotAnImageError: Pillow does not recognize the format.
        UserError: The file is missing, empty, no regular file or of a format that is not supported, it cannot be
            decoded or is damaged, it exceeds the limit of pixels, or it has no pixels.
    """
    check_image_file(path)
    try:
        with warnings.catch_warnings(), contextlib.ExitStack() as stack:
            # Pillow warns of odd tags and of large images. Only errors matter here.
            warnings.simplefilter("ignore")
            image = _open(path, header_only, stack)
            if 0 in image.size:
                raise UserError(f"{path}: the image has no pixels ({image.width}x{image.height}); give another")
            check_pixels(path, (image.height, image.width))
            if not header_only:
                check_end(path, image)
            yield image
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(path) from error
    except _ERRORS as error:
        raise undecodable(path, error) from error


def _open(path: Path, header_only: bool, stack: contextlib.ExitStack) -> Image.Image:
    """Open a file with Pillow; `stack` closes it."""
    if is_png(path):
        png = read_png(path, header_only)
        image = stack.enter_context(_pillow_open(png.data, ("PNG",)))
        image.info["exif"] = png.exif
        # Pillow scales grey of 2 and 4 bits to 8, and not the grey that is transparent.
        key, levels = image.info.get("transparency"), {";2": 85, ";4": 17}
        if image.mode == "L" and isinstance(key, int) and image.tile:
            image.info["transparency"] = key * levels.get(str(image.tile[0][3])[-2:], 1)
        if png.icc is not None:
            image.info["icc_profile"] = png.icc
        if png.cicp is not None:
            image.info["cicp"] = png.cicp
        return image
    # Always a file object: the meaning of a name is no decoder's business.
    file: _File = stack.enter_context(path.open("rb"))
    formats = pillow_formats(path)
    if is_tiff(path):
        # Pillow opens some files that tifffile does not, or refuses them with a message of its own.
        with contextlib.suppress(UnreadableTiffError):
            header = read_tiff_header(path)
            if not header.is_first:
                file = stack.enter_context(_with_first_page(file, header))
        return stack.enter_context(_pillow_open(file, ("TIFF",)))
    if not header_only and (repaired := repair_jpeg(path)) is not None:
        file = repaired
    image = stack.enter_context(_pillow_open(file, formats))
    if image.format == "AVIF" and "icc_profile" not in image.info:
        image.info["cicp"] = _avif_code_points(path)
    return image


def _avif_code_points(path: Path) -> bytes:
    """Return the code points of primaries and transfer in the first box `colr` of an AVIF; empty without one."""
    with path.open("rb") as file:
        head = file.read(_AVIF_HEAD_BYTES)
    place = head.find(b"colrnclx")
    # Two bytes each: primaries, transfer, matrix.
    return head[place + 9 : place + 14 : 2] if place >= 0 else b""


def _pillow_open(file: _File, formats: tuple[str, ...]) -> ImageFile.ImageFile:
    """Open a file with Pillow, without Pillow's own limit of pixels."""
    with _PILLOW_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(cast(IO[bytes], file), formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextlib.contextmanager
def _with_first_page(file: _File, header: TiffHeader) -> Iterator[mmap.mmap]:
    """Yield a view of a TIFF file in which the page of `header` is the first one, which Pillow opens."""
    order: Literal["big", "little"] = "big" if header.is_big_endian else "little"
    with mmap.mmap(cast(BinaryIO, file).fileno(), 0, access=mmap.ACCESS_COPY) as view:
        start, length = (8, 8) if view[2:4] in (b"+\0", b"\0+") else (4, 4)
        view[start : start + length] = header.offset.to_bytes(length, order)
        yield view


def _unidentified(path: Path) -> UserError:
    """Return the error for a file that Pillow does not recognize."""
    with path.open("rb") as file:
        head = file.read(16)
    # RIFF holds both WebP and AVI.
    if head.startswith(_SIGNATURES) and (head[:4] != b"RIFF" or head[8:12] == b"WEBP"):
        return undecodable(path, "its header is not understood")
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return undecodable(path, "its boxes are not understood")
    return NotAnImageError(f"{path}: is not an image that can be read; give {EXPECTED_IMAGE}")


def undecodable(path: Path, cause: Exception | str) -> UserError:
    """Return the error for an image file whose data cannot be decoded because of `cause`."""
    text = " ".join(str(cause).split()).rstrip(".") or type(cause).__name__
    return UserError(
        f"{path}: the image cannot be decoded ({text}): it is cut short or of an unsupported variant; "
        "give a complete copy, or save it as PNG"
    )
