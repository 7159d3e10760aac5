"""TIFF files through tifffile: which page is the picture, and pixels of more than 8 bits (Pillow has 16 for grey only).

Files with 8 bits per channel are decoded by Pillow; here only their page is chosen, and its data checked for gaps.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lonepair.errors import UserError
from lonepair.media.limits import check_pixels
from lonepair.media.stills.kinds import TIFF_SIGNATURES, raw_camera_error

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

logger = logging.getLogger("lonepair")

_CFA, _LINEAR_RAW = 32803, 34892
"""Photometric interpretations of the sensor data of cameras."""
_DNG_VERSION = 50706
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK, LAB = 0, 1, 2, 5, 8
"""Other photometric interpretations."""
COLOR_SAMPLES = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, LAB: 3}
"""Channels of the photometric interpretations that are read at full precision."""
_ASSOCIATED, _UNASSOCIATED = 1, 2
"""Kinds of alpha: the color is multiplied by it, or not."""
_REDUCED, _MASK = 1, 4
"""Bits of the tag NewSubfileType."""

_RARE_COMPRESSIONS = frozenset({22610, 33003, 33004, 33005, 34712, 34887, 34933, 34934, 50001, 50002, 52546})
"""Codecs that Pillow lacks: JPEG XR, JPEG 2000, LERC, PNG, WebP, JPEG XL."""


class UnreadableTiffError(UserError):
    """tifffile cannot read the file."""


class MissingCodecError(UserError):
    """The optional package imagecodecs, which decodes this file, is not installed."""


_MAX_PAGES = 1000
"""Pages that are looked at. A file of more is a stack, whose pages have one size."""

_ERRORS = (
    *(ValueError, RuntimeError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError, EOFError),
    *(NotImplementedError, ImportError),
)
"""What tifffile and its codecs raise for data that they cannot read."""


@dataclass(frozen=True)
class TiffHeader:
    """Properties of the page that is the picture."""

    size: tuple[int, int]
    """(h, w) as stored, before orientation."""
    offset: int
    """Where the page's directory starts in the file."""
    is_first: bool
    """Whether it is the page that other programs open."""
    bits: int
    """Bits per channel."""
    photometric: int
    samples: int
    """Channels, alpha and others included."""
    alpha: int | None
    """Index of the alpha channel; None without one."""
    is_premultiplied: bool
    """Whether the color is multiplied by alpha."""
    kind: str
    """NumPy's kind of the values: u, i or f."""
    orientation: int
    """1 to 8, as in EXIF."""
    icc: bytes | None
    is_big_endian: bool
    is_big_tiff: bool
    is_tiled: bool
    compression: int
    """TIFF's number of the codec."""
    is_planar: bool
    """Whether each channel is stored by itself."""
    segments: tuple[tuple[int, int], ...]
    """Offset and length in bytes of every strip or tile."""

    @property
    def is_deep(self) -> bool:
        """Whether `read_tiff` reads the page; else it is Pillow's."""
        is_unknown_to_pillow = self.photometric in COLOR_SAMPLES and (
            (self.is_big_tiff and self.is_big_endian)
            or (self.is_planar and self.is_premultiplied)
            or self.compression in _RARE_COMPRESSIONS
        )
        return self.bits > 8 or self.kind == "f" or is_unknown_to_pillow

    @property
    def depth(self) -> int:
        """Bits per channel of the image that is read: 8 or 16."""
        return 16 if self.bits > 8 else 8

    @property
    def is_wide(self) -> bool:
        """Whether values have no agreed range: floating point, signed and 32-bit integers."""
        return self.kind != "u" or self.bits > 16

    @property
    def channels(self) -> int:
        """Channels of the image: 1, 3, or 4 where the file has an alpha channel."""
        return 4 if self.alpha is not None else COLOR_SAMPLES.get(self.photometric, 3)


def is_tiff(path: Path) -> bool:
    """Return whether the file `path` starts as a TIFF file does."""
    with path.open("rb") as file:
        return file.read(4) in TIFF_SIGNATURES


def read_tiff_header(path: Path) -> TiffHeader:
    """Return the properties of the largest page that is neither a reduced picture nor a mask, the first of several.

    Pages below other pages (SubIFDs) count, too.

    Raises:
        UserError: The file is a raw camera file, has no page, is cut short, or exceeds the limit of pixels.
    """
    with _open(path) as file:
        page = _picture_page(path, file)
        header = _header(page, file)
        check_pixels(path, header.size)
    end = path.stat().st_size
    if any(offset + length > end for offset, length in header.segments):
        raise UserError(f"{path}: the TIFF file is cut short: its pixels reach beyond its end; give a complete copy")
    return header


@contextlib.contextmanager
def _open(path: Path) -> Iterator[TiffFile]:
    """Open a TIFF file for the block, and turn tifffile's errors, also the block's, into `UserError`."""
    import tifffile

    # It logs what it finds odd. Only errors matter here.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with path.open("rb") as stream, tifffile.TiffFile(stream) as file:
            yield file
    except UserError:
        raise
    except _ERRORS as error:
        text = " ".join(str(error).split())[:120]
        if "imagecodecs" in text or isinstance(error, ImportError):
            raise MissingCodecError(
                f"{path}: its compression needs a package: pip install 'lonepair[tiff]', or save it uncompressed"
            ) from error
        raise _damaged(path, text or type(error).__name__) from error


def _picture_page(path: Path, file: TiffFile) -> TiffPage:
    pages: list[Any] = []
    for page in file.pages:
        pages.append(page)
        with contextlib.suppress(*_ERRORS):
            pages.extend(page.pages or ())
        if len(pages) >= _MAX_PAGES:
            break
    if not pages:
        raise _damaged(path, "it has no page")
    for page in pages:
        if int(page.photometric or 0) in (_CFA, _LINEAR_RAW) or _DNG_VERSION in page.tags:
            raise raw_camera_error(path)
    full = [page for page in pages if not int(page.subfiletype) & (_REDUCED | _MASK)] or pages
    largest: TiffPage = max(full, key=lambda page: page.imagewidth * page.imagelength)  # the first of equal ones
    return largest


def _header(page: TiffPage, file: TiffFile) -> TiffHeader:
    photometric = int(page.photometric or 0)
    colors = COLOR_SAMPLES.get(photometric, 4 if photometric == CMYK else 3)
    kinds = [int(kind) for kind in page.extrasamples]
    # Extra channels follow the colors. The first that is alpha counts.
    alphas = [index for index, kind in enumerate(kinds) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    first_alpha = alphas[0] if alphas and page.samplesperpixel >= colors + alphas[0] + 1 else None
    orientation = page.tags.get(274)
    dtype = page.dtype
    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    return TiffHeader(
        size=(page.imagelength, page.imagewidth),
        offset=page.offset,
        is_first=page.offset == file.pages[0].offset,
        bits=bits,
        photometric=photometric,
        samples=page.samplesperpixel,
        alpha=None if first_alpha is None else colors + first_alpha,
        is_premultiplied=first_alpha is not None and kinds[first_alpha] == _ASSOCIATED,
        kind="u" if dtype is None else dtype.kind,
        orientation=int(orientation.value) if orientation is not None and orientation.value in range(1, 9) else 1,
        icc=page.iccprofile,
        is_big_endian=file.byteorder == ">",
        is_big_tiff=file.is_bigtiff,
        is_tiled=page.is_tiled,
        compression=int(page.compression or 1),
        is_planar=int(page.planarconfig or 1) == 2 and page.samplesperpixel > 1,
        segments=tuple(zip(page.dataoffsets, page.databytecounts, strict=False)),
    )


def read_tiff(path: Path, header: TiffHeader) -> np.ndarray:
    """Read the pixels of the page of `header`: as stored, upright only where the file says nothing else.

    Args:
        path: The file.
        header: The result of `read_tiff_header`.

    Returns:
        (h, w, samples) of the file's own type; integers of 9 to 15 bits are scaled to 16.

    Raises:
        UserError: The page cannot be decoded, or has another arrangement than rows, columns and channels.
        MissingCodecError: A package is missing.
    """
    with _open(path) as file:
        page: Any = _picture_page(path, file)
        array = page.asarray()
        axes = page.axes
    if axes == "YX":
        array = array[..., None]
    elif axes == "SYX":
        array = np.moveaxis(array, 0, 2)
    elif axes != "YXS":
        raise UserError(f"{path}: TIFF pages with the axes {axes} are not supported; save each picture as a file")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.uint16 and header.bits < 16:
        top = (1 << header.bits) - 1
        array = ((array.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
    return np.asarray(array)


def _damaged(path: Path, problem: str) -> UnreadableTiffError:
    return UnreadableTiffError(
        f"{path}: the TIFF file cannot be decoded ({problem}): it is cut short or of an unsupported variant; give a "
        "complete copy, or save it as PNG"
    )
