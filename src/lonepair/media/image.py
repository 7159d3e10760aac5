"""Reads and writes image files as (1, c, h, w) float32 tensors in [-1, 1], sRGB, with c = 1, 3 or 4."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.deep import DEEP_SUFFIXES, encode_deep, read_deep
from lonepair.media.exr import SUFFIX as EXR
from lonepair.media.exr import check_exr_support, is_exr, read_exr, read_exr_metadata, write_exr
from lonepair.media.files import atomic_write, check_file, check_output
from lonepair.media.pil import from_pil
from lonepair.ops.arrays import from_integers, to_pil
from lonepair.ops.color import match_channels

logger = logging.getLogger("lonepair")

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", EXR)
"""Suffixes that `write_image` supports."""

_EXPECTED = "an image file such as PNG or JPEG"
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
"""First bytes of the common formats: a file that has them is an image, even if it cannot be opened."""
_HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"msf1")
"""Bytes 8 to 12 of HEIC files, whose bytes 4 to 8 are `ftyp`."""


class NotAnImageError(UserError):
    """Pillow does not recognize the file as an image. It may be a video."""


@dataclass(frozen=True)
class DecodedImage:
    """The content of an image file."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1], with c = 1, 3 or 4."""
    bits: int
    """Bits per channel of the file: 8 or 16; of EXR 16."""
    gain: Float[Tensor, "1 1 h w"] | None = None
    """Of an EXR file whose values exceed 1: the factor, in linear light, by which they do (`exr.read_exr`)."""


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file with Pillow for the block, and turn Pillow's errors, also the block's, into `UserError`.

    Args:
        path: The file.

    Yields:
        The image, not yet decoded.

    Raises:
        NotAnImageError: Pillow does not recognize the format.
        UserError: The file is missing, empty or a folder, cannot be decoded, exceeds Pillow's limit of pixels (a
            decompression bomb), or has no pixels.
    """
    check_file(path, _EXPECTED)
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd tags and of large images. Only errors matter here.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.format == "MPEG":  # Pillow recognizes this video format but cannot decode it
                    raise NotAnImageError(f"{path}: is a video, not an image")
                if 0 in image.size:
                    raise UserError(f"{path}: the image has no pixels ({image.width}x{image.height}); give another")
                yield image
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(path) from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UserError(f"{path}: the image is larger than {limit / 1e6:.0f} megapixels; make it smaller") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, ArithmeticError, KeyError) as error:
        # Pillow's decoders raise different errors for data they cannot decode; these are the observed ones.
        raise _undecodable(path, error) from error


def _unidentified(path: Path) -> UserError:
    """Return the error for a file that Pillow does not recognize."""
    # Name the kind of file, where its first bytes tell: the remedy depends on it.
    with path.open("rb") as file:
        head = file.read(16)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return UserError(f"{path}: HEIC photos cannot be read; save it as PNG or JPEG first")
    # RIFF holds both WebP and AVI.
    if head.startswith(_MAGIC) and (head[:4] != b"RIFF" or head[8:12] == b"WEBP"):
        return _undecodable(path, "its header is not understood")
    return NotAnImageError(f"{path}: is not an image that can be read; give {_EXPECTED}")


def _undecodable(path: Path, cause: Exception | str) -> UserError:
    """Return the error for an image file whose data cannot be decoded because of `cause`."""
    text = " ".join(str(cause).split()).rstrip(".") or type(cause).__name__
    return UserError(
        f"{path}: the image cannot be decoded ({text}): it is cut short or of an unsupported variant; "
        "give a complete copy, or save it as PNG"
    )


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


def decode_image(path: Path) -> DecodedImage:
    """Read an image file as `read_image` does, with its depth and the gain of an EXR file."""
    if is_exr(path):
        tensor, gain = read_exr(path)
        return DecodedImage(tensor, 16, gain)
    with open_image(path) as image:
        bits = image_bits(image)
        deep = _read_deep(path, image) if bits > 8 else None
        tensor = deep if deep is not None else from_pil(image, str(path))
    return DecodedImage(drop_opaque_alpha(tensor), bits)


def image_bits(image: Image.Image) -> int:
    """Return the bits per channel of a file that Pillow has opened: 8, or 16 for any more."""
    if image.mode.startswith("I") or image.mode == "F":
        return 16
    # Pillow opens 16-bit color as 8-bit color. Only the name of the file's own layout tells.
    return 16 if any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())) else 8


def _read_deep(path: Path, image: Image.Image) -> Float[Tensor, "1 c h w"] | None:
    """Read a 16-bit RGB or RGBA file, of which Pillow keeps only the upper 8 bits.

    Returns:
        The image at full precision; None where only Pillow can read it.
    """
    if image.mode not in ("RGB", "RGBA", "LA"):
        return None
    # FFmpeg ignores the EXIF orientation, so only upright images take this way.
    is_upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    array = read_deep(path, 3 if image.mode == "RGB" else 4) if is_upright else None
    if array is None or array.shape[:2] != (image.height, image.width):
        logger.warning("%s: 16-bit colour is read as 8-bit", path)
        return None
    return from_integers(array)


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
