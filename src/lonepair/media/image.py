"""Reads and writes image files as (1, c, h, w) float32 tensors in [-1, 1], sRGB, with c = 1, 3 or 4."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import Float
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.files import atomic_write, check_file, check_output
from lonepair.ops.arrays import from_integers, to_pil
from lonepair.ops.color import match_channels

logger = logging.getLogger("lonepair")

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Suffixes that `write_image` supports."""

_EXPECTED = "an image file such as PNG or JPEG"
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
"""First bytes of the common formats: a file that has them is an image, even if it cannot be opened."""
_HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"msf1")
"""Bytes 8 to 12 of HEIC files, whose bytes 4 to 8 are `ftyp`."""


class NotAnImageError(UserError):
    """Pillow does not recognize the file as an image. It may be a video."""


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
    """Read an image file (PNG, JPEG, TIFF, WebP, BMP, GIF, ...), the first frame or page where it has several.

    - Grey has 1 channel; 16 bits keep their precision; a palette becomes RGB.
    - Transparency gives RGBA with straight alpha. An alpha channel that is opaque everywhere is dropped.
    - EXIF orientation is applied, and an embedded colour profile is converted to sRGB.
    - Floating-point and 32-bit grey (microscopy) is read as 0..1 and 0..65535 where the values fit, else its own range
      is stretched to black..white.

    Args:
        path: The file.

    Returns:
        The image in [-1, 1], with c = 1, 3 or 4.

    Raises:
        UserError: The file cannot be read as an image (see `open_image`), or its mode is not supported.
    """
    path = Path(path).expanduser()
    with open_image(path) as image:
        deep = _read_deep(path, image)
        tensor = deep if deep is not None else from_pil(image, str(path))
    return drop_opaque_alpha(tensor)


def _read_deep(path: Path, image: Image.Image) -> Float[Tensor, "1 c h w"] | None:
    """Read a 16-bit RGB or RGBA file through FFmpeg, since Pillow keeps only the upper 8 bits.

    Returns:
        The image at full precision; None where it has 8 bits, or where only Pillow can read it.
    """
    if not isinstance(image, ImageFile.ImageFile) or image.mode not in ("RGB", "RGBA", "LA"):
        return None
    if not any(";16" in str(tile[3]) for tile in image.tile):
        return None
    # FFmpeg ignores the EXIF orientation, so only upright images take this way.
    array = None
    if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        pixel_format = "rgb48le" if image.mode == "RGB" else "rgba64le"
        with contextlib.suppress(av.FFmpegError, StopIteration, IndexError), av.open(str(path.absolute())) as container:
            array = next(container.decode(video=0)).to_ndarray(format=pixel_format)
    if array is None or array.shape[:2] != (image.height, image.width):
        logger.warning("%s: 16-bit colour is read as 8-bit", path)
        return None
    return from_integers(array)


def from_pil(image: Image.Image, name: str) -> Float[Tensor, "1 c h w"]:
    """Convert a Pillow image of any mode into a tensor in [-1, 1]; messages call it `name`.

    Raises:
        UserError: The mode is not supported, or the values are not finite.
    """
    # An unreadable EXIF block does not prevent reading the pixels.
    with contextlib.suppress(ValueError, TypeError, KeyError, SyntaxError):
        image.load()
        image = ImageOps.exif_transpose(image)
    # Grey with more than 8 bits keeps its depth; all other modes become 8-bit L, RGB or RGBA.
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide(image, name)
    image = _to_srgb(image)
    if image.mode in ("LA", "La", "PA", "RGBa", "RGBA") or image.has_transparency_data:
        mode = "RGBA"
    else:
        mode = "L" if image.mode in ("1", "L") else "RGB"
    try:
        converted = image if image.mode == mode else image.convert(mode)
    except (ValueError, ImageCms.PyCMSError) as error:
        raise UserError(f"{name}: images of mode {image.mode} are not supported; save it as RGB or grey") from error
    return from_integers(np.asarray(converted))


def _from_wide(image: Image.Image, name: str) -> Float[Tensor, "1 1 h w"]:
    """Convert grey of 16 or 32 bits, integer or floating point."""
    array = np.asarray(image)
    if image.mode.startswith("I;16"):
        return from_integers(array.astype(np.uint16))
    if not np.isfinite(array).all():
        raise UserError(f"{name}: the image holds values that are not finite (NaN or infinity); replace them first")
    values = array.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    # Values within the usual range of the type keep their meaning. Others (counts, physical units) are stretched.
    if not (low >= 0 and high <= (1 if image.mode == "F" else 65535)):
        logger.info("%s: grey values %g to %g are stretched to black..white", name, low, high)
    else:
        low, high = 0.0, 1.0 if image.mode == "F" else 65535.0
    unit = (values - low) / ((high - low) or 1)
    return torch.from_numpy((unit * 2 - 1).astype(np.float32))[None, None]


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert `image` from its embedded colour profile to sRGB; unchanged where it has none or is sRGB already."""
    icc = image.info.get("icc_profile")
    if not icc or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # Without a readable profile the values are taken as sRGB, as most viewers do.
        return image
    return image if converted is None else converted


def drop_opaque_alpha(image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h w"]:
    """Return an RGBA image without its alpha where that is opaque everywhere; any other image unchanged."""
    return image[:, :3].contiguous() if image.shape[1] == 4 and bool((image[:, 3] == 1).all()) else image


def write_image(
    path: str | Path,
    image: Float[Tensor, "1 c h w"],
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write an image file with 8 bits per channel, completely or not at all.

    PNG, WebP and TIFF are lossless. JPEG has quality 95 without chroma subsampling; RGBA is composited over white.
    Equal pixels and metadata give equal bytes.

    Args:
        path: The file; its suffix selects the format.
        image: The image in [-1, 1].
        metadata: Texts for PNG's text chunks; in the other formats one JSON text in the comment or description
            (`read_metadata`).
        overwrite: Replace an existing file.

    Raises:
        UserError: The suffix is unknown, the file exists and `overwrite` is off, or it cannot be written.
    """
    path = Path(path).expanduser()
    check_output(path, WRITABLE, overwrite)
    suffix = path.suffix.lower()
    # PNG has a chunk for each text. The other formats have one comment, which holds all texts as JSON.
    texts = dict(metadata or {})
    comment = json.dumps(texts) if texts else ""
    picture = to_pil(match_channels(image, 3) if suffix in (".jpg", ".jpeg") and image.shape[1] == 4 else image)
    with atomic_write(path) as temporary:
        if suffix == ".png":
            info = PngImagePlugin.PngInfo()
            for key, text in texts.items():
                info.add_text(key, text)
            picture.save(temporary, "PNG", pnginfo=info)
        elif suffix == ".webp":
            picture.save(temporary, "WEBP", lossless=True, exact=True, exif=_exif_description(comment))
        elif suffix in (".tif", ".tiff"):
            tags = {ExifTags.Base.ImageDescription.value: comment} if comment else {}
            picture.save(temporary, "TIFF", compression="tiff_lzw", tiffinfo=tags)
        else:
            picture.save(temporary, "JPEG", quality=95, subsampling=0, comment=comment.encode() or None)


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
    with open_image(Path(path).expanduser()) as image:
        image.load()  # PNG may store its texts behind the pixels
        if isinstance(image, PngImagePlugin.PngImageFile):
            return {key: str(text) for key, text in image.text.items()}
        comment = image.info.get("comment") or image.getexif().get(ExifTags.Base.ImageDescription, "")
    with contextlib.suppress(ValueError):
        metadata = json.loads(comment)
        if isinstance(metadata, dict):
            return {str(key): str(text) for key, text in metadata.items()}
    return {}
