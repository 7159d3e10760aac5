"""Which image formats are read, and the names of those that are not.

A message about a file of an unsupported format says what the file is and what to save instead.
"""

from __future__ import annotations

import re
from pathlib import Path

from lonepair.errors import UserError

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files, in both byte orders."""

_FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "SGI"),
    *("TIFF", "WEBP"),
)
_TGA_SUFFIXES = frozenset({".tga", ".icb", ".vda", ".vst"})

_HEAD_BYTES = 1024
_RAW_SUFFIXES = (
    *(".3fr", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25"),
    *(".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf"),
    *(".srw", ".x3f"),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})

_AS_PNG = "convert it to PNG"
_AS_DEEP_PNG = "convert it to 16-bit PNG"
_RAW_CAMERA = ("a raw camera file", "develop it in a photo editor, and save it as TIFF or PNG")
_HEIC = ("a HEIC/HEIF image", "save it as PNG or JPEG first")
_KINDS = (
    (rb"II\*\0.{4}CR|II(RO|RS|U\0)|MMOR|FUJIFILMCCD-RAW|FOVb|\0MRM|.{6}HEAPCCDR|IIII|.{4}ftypcrx ", *_RAW_CAMERA),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL image", _AS_PNG),
    (rb"II\xbc", "a JPEG XR image", _AS_PNG),
    (rb"\xff\xd8\xff\xf7", "a JPEG-LS image", _AS_PNG),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript or EPS file", _AS_PNG),
    (rb"%PDF", "a PDF file", _AS_PNG),
    (rb"(\xef\xbb\xbf)?\s*(<[?!].*?>\s*)*<svg[\s>]", "an SVG drawing", _AS_PNG),
    (rb"8BPS", "a Photoshop file (PSD)", "save it as PNG, or as TIFF for 16 bits"),
    (rb"gimp xcf", "a GIMP file (XCF)", "export it as PNG"),
    (rb"PK\x03\x04.{26}mimetype(image/openraster|application/x-kr)", "a layered drawing", "export it as PNG"),
    (
        rb"\xd7\xcd\xc6\x9a|[\x01\x02]\x00\x09\x00\x00[\x01\x03]|\x01\x00{3}.{36} EMF",
        "a Windows metafile (EMF)",
        _AS_PNG,
    ),
    (rb"PF\s", "a color PFM image", "convert it to OpenEXR, or to TIFF of floating point"),
    (rb"#\?R(ADIANCE|GBE)", "a Radiance HDR image", "convert it to OpenEXR"),
    (rb"SDPX|XPDS|\x80\x2a\x5f\xd7", "a DPX or Cineon image", f"{_AS_DEEP_PNG}, or to OpenEXR"),
    (rb".{128}DICM", "a DICOM image", _AS_DEEP_PNG),
    (rb"SIMPLE  =", "a FITS image", _AS_DEEP_PNG),
    (rb"icns", "an icon file (ICNS)", _AS_PNG),
    (rb"BPG\xfb|FLIF|AT&TFORM|\x59\xa6\x6a\x95", "an image of a rare format (BPG, FLIF, DjVu, SUN)", _AS_PNG),
)
"""Pattern of the first bytes, name, remedy."""


def pillow_formats(path: Path) -> tuple[str, ...]:
    """Return Pillow's names of the formats that the file `path` may have; no other of its readers is run.

    TGA has no signature, so it is among them only where the file's name says so.
    """
    return (*_FORMATS, "TGA") if path.suffix.lower() in _TGA_SUFFIXES else _FORMATS


def refuse_unsupported(path: Path) -> None:
    """Refuse an image file of a format that is not read. Its content decides, of a TIFF also its name.

    Args:
        path: A file that exists and is not empty.

    Raises:
        UserError: The file is a raw camera file, or of a format that is known and not supported.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    # Raw camera files are TIFF files inside, whose first page often is a thumbnail.
    if head.startswith(TIFF_SIGNATURES) and path.suffix.lower() in _RAW_SUFFIXES:
        raise raw_camera_error(path)
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), _HEAD_BYTES)
        brands = {head[8:12], *(head[start : start + 4] for start in range(16, length, 4))}
        if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS:
            raise _unsupported(path, *_HEIC)
    for pattern, name, remedy in _KINDS:
        if re.match(pattern, head, re.DOTALL):
            raise _unsupported(path, name, remedy)


def raw_camera_error(path: Path) -> UserError:
    """Return the error for a raw camera file."""
    return _unsupported(path, *_RAW_CAMERA)


def _unsupported(path: Path, name: str, remedy: str) -> UserError:
    return UserError(f"{path}: is {name}, which is not supported; {remedy}")
