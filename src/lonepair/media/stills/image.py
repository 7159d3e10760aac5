"""Reads and writes image files as (1, c, h, w) float32 tensors in [-1, 1], sRGB, with c = 1, 3 or 4."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import ExifTags, Image, PngImagePlugin
from torch import Tensor

from lonepair.media.stills.damage import warn_of_zero_rows
from lonepair.media.stills.deep import DEEP_SUFFIXES, encode_deep
from lonepair.media.stills.deep_codecs import read_deep_codec, stated_bits
from lonepair.media.stills.deep_read import deep_tiff_range, read_deep_png, read_deep_tiff
from lonepair.media.stills.exr import SUFFIX as EXR
from lonepair.media.stills.exr import (
    check_exr_support,
    exr_channels,
    is_exr,
    read_exr,
    read_exr_header,
    read_exr_metadata,
    write_exr,
)
from lonepair.media.stills.opening import check_image_file, open_image
from lonepair.media.stills.pil import from_pil
from lonepair.media.stills.tiff import TiffHeader, UnreadableTiffError, is_tiff, read_tiff_header
from lonepair.media.stills.wide import finite_range
from lonepair.ops.arrays import to_pil
from lonepair.ops.color import match_channels
from lonepair.storage.files import atomic_write, check_output

logger = logging.getLogger("lonepair")

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", EXR)
"""Suffixes that `write_image` supports."""

_RAW_FORMATS = ("BMP", "DIB", "PPM", "TGA", "TIFF")
"""Pillow's names of formats that may be without compression."""

_SWAPS_SIDES = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@dataclass(frozen=True)
class DecodedImage:
    """The content of an image file."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1], with c = 1, 3 or 4."""
    bits: int
    """Bits per channel of the file: 8 or 16; of EXR 16."""
    gain: Float[Tensor, "1 1 h w"] | None = None
    """Of an EXR file whose values exceed 1: the factor, in linear light, by which they do (`exr.read_exr`)."""


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file tells."""

    size: tuple[int, int]
    """(h, w) in pixels, after the orientation that the file states."""
    channels: int
    """1, 3 or 4. One with 4 channels may still be opaque everywhere."""
    bits: int
    """Bits per channel: 8, or 16 for any more."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    is_wide: bool = False
    """Whether the values have no agreed range (`wide`)."""


def read_image(path: str | Path) -> Float[Tensor, "1 c h w"]:
    """Read an image file (PNG, JPEG, TIFF, WebP, BMP, GIF, EXR, ...), the first frame or page where it has several.

    - Grey has 1 channel; 16 bits keep their precision; a palette becomes RGB.
    - Transparency gives RGBA with straight alpha. An alpha channel that is opaque everywhere is dropped.
    - EXIF orientation is applied, and an embedded colour profile is converted to sRGB.
    - Floating-point and 32-bit grey (microscopy) is read as 0..1 and 0..65535 where the values fit, else its own range
      is stretched to black..white.
    - EXR is converted from linear light to sRGB. A pixel whose largest channel exceeds 1 is divided by it.

    Args:
        path: The file.

    Returns:
        The image in [-1, 1], with c = 1, 3 or 4.

    Raises:
        UserError: The file cannot be read as an image (see `open_image`), or its mode is not supported.
    """
    return decode_image(Path(path).expanduser()).image


def decode_image(path: Path, value_range: tuple[float, float] | None = None) -> DecodedImage:
    """Read an image file as `read_image` does, with its depth and the gain of an EXR file.

    Args:
        path: The file.
        value_range: Of a frame whose values have no agreed range: the smallest and the largest one of its clip
            (`value_range`). None: those of the image.
    """
    if is_exr(path):
        tensor, gain = read_exr(path)
        return DecodedImage(tensor, 16, gain)
    check_image_file(path)
    if header := _deep_tiff_header(path):
        deep = read_deep_tiff(path, header, value_range)
        if deep is not None:
            return DecodedImage(drop_opaque_alpha(deep), header.depth)
    with open_image(path) as image:
        bits = header.depth if header else 16 if _has_deep_pixels(path, image) else 8
        deep = None
        if bits > 8:
            deep = read_deep_png(path, image) if image.format == "PNG" else read_deep_codec(path, image)
        if deep is None:
            deep = from_pil(image, str(path), value_range)
            if image.format in _RAW_FORMATS:
                warn_of_zero_rows(path, np.asarray(image), image.format in ("BMP", "DIB", "TGA"))
    return DecodedImage(drop_opaque_alpha(deep), bits)


def read_header(path: Path) -> ImageHeader:
    """Read the header of an image file; its pixels are not decoded.

    Raises:
        UserError: The file cannot be read as an image.
    """
    if is_exr(path):
        exr = read_exr_header(path)
        return ImageHeader(exr.size, exr_channels(exr), 16, exr.pixel_aspect)
    check_image_file(path)
    if tiff := _deep_tiff_header(path):
        h, w = tiff.size
        size = (w, h) if tiff.orientation in _SWAPS_SIDES else (h, w)
        return ImageHeader(size, tiff.channels, tiff.depth, is_wide=tiff.is_wide)
    with open_image(path, header_only=True) as image:
        is_gray = image.mode in ("1", "L", "F") or image.mode.startswith("I")
        # Pillow swaps the sides of a TIFF itself.
        orientation = 1 if image.format == "TIFF" else image.getexif().get(ExifTags.Base.Orientation, 1)
        return ImageHeader(
            size=(image.width, image.height) if orientation in _SWAPS_SIDES else (image.height, image.width),
            channels=4 if image.has_transparency_data else 1 if is_gray else 3,
            bits=16 if _has_deep_pixels(path, image) else 8,
            is_wide=image.mode in ("I", "F"),
        )


def value_range(files: Sequence[Path]) -> tuple[float, float] | None:
    """Return the smallest and the largest value of all frames of a clip; None where values have an agreed range.

    Decodes the files, where the first one has such values.

    Raises:
        UserError: A file cannot be read as an image, or has values that are not finite.
    """
    if not read_header(files[0]).is_wide:
        return None
    ranges = []
    for file in files:
        if header := _deep_tiff_header(file):
            own = deep_tiff_range(file, header)
        else:
            with open_image(file) as image:
                own = finite_range(np.asarray(image), str(file)) if image.mode in ("I", "F") else None
        if own is not None:
            ranges.append(own)
    return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None


def _deep_tiff_header(path: Path) -> TiffHeader | None:
    """Return the header of a TIFF that Pillow does not read rightly; None for any other file."""
    if not is_tiff(path):
        return None
    try:
        header = read_tiff_header(path)
    except UnreadableTiffError:
        return None  # Pillow opens some files that tifffile does not, or refuses it with its own message
    return header if header.is_deep else None


def _has_deep_pixels(path: Path, image: Image.Image) -> bool:
    """Return whether a file that Pillow has opened has more than 8 bits per channel."""
    # Pillow opens 16-bit color as 8-bit color. Only the name of the file's own layout tells, or the header.
    has_deep_layout = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    return image.mode.startswith("I") or image.mode == "F" or has_deep_layout or stated_bits(path, image) > 8


def drop_opaque_alpha(image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h w"]:
    """Return an RGBA image without its alpha where that is opaque everywhere; any other image unchanged."""
    return image[:, :3].contiguous() if image.shape[1] == 4 and bool((image[:, 3] == 1).all()) else image


def write_image(
    path: str | Path,
    image: Float[Tensor, "1 c h w"],
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
    bits: int = 8,
    gain: Float[Tensor, "1 1 h w"] | None = None,
) -> None:
    """Write an image file, completely or not at all.

    PNG, WebP and TIFF are lossless. JPEG has quality 95 without chroma subsampling; RGBA is composited over white.
    EXR holds half floats in linear light. Equal pixels and metadata give equal bytes.

    Args:
        path: The file; its suffix selects the format.
        image: The image in [-1, 1].
        metadata: Texts for PNG's text chunks; in the other formats one JSON text in the comment or description
            (`read_metadata`). A TIFF of 16 bits has none.
        overwrite: Replace an existing file.
        bits: Bits per channel. More than 8 make 16 in PNG and TIFF; JPEG and WebP have 8, EXR has 16.
        gain: Factors in linear light, 1 or more, that EXR applies (`exr.read_exr`). The other formats hold no values
            above 1.

    Raises:
        UserError: The suffix is unknown, the file exists and `overwrite` is off, or it cannot be written.
    """
    path = Path(path).expanduser()
    check_image_output(path, overwrite)
    suffix, texts = path.suffix.lower(), dict(metadata or {})
    with atomic_write(path) as temporary:
        if suffix == EXR:
            write_exr(path, temporary, image, gain, texts)
        elif bits > 8 and suffix in DEEP_SUFFIXES:
            temporary.write_bytes(encode_deep(image, suffix, texts))
        else:
            _write_pil(temporary, image, suffix, texts)


def check_image_output(path: Path, overwrite: bool) -> None:
    """Refuse an image file that `write_image` could not write, before any work is done for it.

    Raises:
        UserError: As `write_image`.
    """
    check_output(path, WRITABLE, overwrite)
    if path.suffix.lower() == EXR:
        check_exr_support(path)


def _write_pil(path: Path, image: Float[Tensor, "1 c h w"], suffix: str, texts: Mapping[str, str]) -> None:
    """Write an image with 8 bits per channel through Pillow."""
    # PNG has a chunk for each text. The other formats have one comment, which holds all texts as JSON.
    comment = json.dumps(texts) if texts else ""
    picture = to_pil(match_channels(image, 3) if suffix in (".jpg", ".jpeg") and image.shape[1] == 4 else image)
    if suffix == ".png":
        info = PngImagePlugin.PngInfo()
        for key, text in texts.items():
            info.add_text(key, text)
        picture.save(path, "PNG", pnginfo=info)
    elif suffix == ".webp":
        picture.save(path, "WEBP", lossless=True, exact=True, exif=_exif_description(comment))
    elif suffix in (".tif", ".tiff"):
        tags = {ExifTags.Base.ImageDescription.value: comment} if comment else {}
        picture.save(path, "TIFF", compression="tiff_lzw", tiffinfo=tags)
    else:
        picture.save(path, "JPEG", quality=95, subsampling=0, comment=comment.encode() or None)


def _exif_description(text: str) -> bytes:
    """Return an EXIF block with `text` (ASCII) as the image's description; empty for an empty text."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = text
    return exif.tobytes() if text else b""


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the texts that `write_image` (or, in PNG, any program) stored beside the pixels.

    Args:
        path: The image file.

    Returns:
        The texts by name; empty where there are none.

    Raises:
        UserError: The file cannot be read as an image.
    """
    path = Path(path).expanduser()
    if is_exr(path):
        return read_exr_metadata(path)
    with open_image(path) as image:
        image.load()  # PNG may store its texts behind the pixels
        if isinstance(image, PngImagePlugin.PngImageFile):
            return {key: str(text) for key, text in image.text.items()}
        comment = image.info.get("comment") or image.getexif().get(ExifTags.Base.ImageDescription, "")
    with contextlib.suppress(ValueError):
        metadata = json.loads(comment)
        if isinstance(metadata, dict):
            return {str(key): str(text) for key, text in metadata.items()}
    return {}
