"""Images in and out: file <-> tensor, in the one convention: (1, c, h, w) float32 in [-1, 1], sRGB, c = 1, 3 or 4."""

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

log = logging.getLogger("lonepair")

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Suffixes that `write_image` knows."""

_EXPECTED = "an image file such as PNG or JPEG"
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
"""First bytes of the common formats: a file that has them and cannot be opened is damaged, not of another kind."""


class NotAnImageError(UserError):
    """The file is of a kind that Pillow does not know (it may be a video)."""


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """`path` opened by Pillow for the block, with Pillow's errors, there and in the block, turned into ours.

    Raises:
        NotAnImageError: Pillow does not know the format.
        UserError: the file is missing, empty, a folder, damaged, too large (a decompression bomb), or without pixels.
    """
    check_file(path, _EXPECTED)
    damaged = f"{path}: the image is damaged or cut short; give a whole copy of the file"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd tags and large sizes: what matters is an error below
            with Image.open(path) as image:
                if image.format == "MPEG":  # a video that Pillow can only name
                    raise NotAnImageError(f"{path}: is a video, not an image")
                if 0 in image.size:
                    raise UserError(f"{path}: the image has no pixels ({image.width}x{image.height}); give another")
                yield image
    except UserError:
        raise
    except UnidentifiedImageError as error:
        with path.open("rb") as file:
            start = file.read(16)
        if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
            raise UserError(f"{path}: HEIC photos cannot be read; save it as PNG or JPEG first") from error
        # RIFF holds WebP and AVI alike.
        if start.startswith(_MAGIC) and (start[:4] != b"RIFF" or start[8:12] == b"WEBP"):
            raise UserError(damaged) from error
        raise NotAnImageError(f"{path}: is not an image Pillow can read; give {_EXPECTED}") from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UserError(f"{path}: the image is larger than {limit / 1e6:.0f} megapixels; make it smaller") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, ArithmeticError, KeyError) as error:
        # What Pillow's decoders raise on broken data: an open set, each format has its own.
        raise UserError(damaged) from error


def read_image(path: str | Path) -> Float[Tensor, "1 c h w"]:
    """The image file `path` (PNG, JPEG, TIFF, WebP, BMP, GIF, ...; of several frames or pages the first).

    Grey stays 1 channel and 16 bit keeps its precision; a palette becomes RGB; transparency that is used makes RGBA
    (straight alpha), an alpha that is opaque everywhere is left out. EXIF orientation is applied, and an embedded
    colour profile converted to sRGB. Floating point and 32-bit grey (microscopy) is taken as 0..1 and 0..65535 where
    it fits these, else its own range is stretched to black..white.

    Raises:
        UserError: the file cannot be read as an image (see `open_image`), or its mode is not supported.
    """
    path = Path(path).expanduser()
    with open_image(path) as image:
        deep = _read_deep(path, image)
        tensor = deep if deep is not None else from_pil(image, str(path))
    return drop_opaque_alpha(tensor)


def _read_deep(path: Path, image: Image.Image) -> Float[Tensor, "1 c h w"] | None:
    """A 16-bit RGB or RGBA file at full precision, or None where it is none: Pillow keeps only the upper 8 bits."""
    if not isinstance(image, ImageFile.ImageFile) or image.mode not in ("RGB", "RGBA", "LA"):
        return None
    if not any(";16" in str(tile[3]) for tile in image.tile):
        return None
    array = None
    if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        form = "rgb48le" if image.mode == "RGB" else "rgba64le"
        with contextlib.suppress(av.FFmpegError, StopIteration, IndexError), av.open(str(path.absolute())) as container:
            array = next(container.decode(video=0)).to_ndarray(format=form)
    if array is None or array.shape[:2] != (image.height, image.width):
        log.warning("%s: 16-bit colour is read as 8-bit", path)
        return None
    return from_integers(array)


def from_pil(image: Image.Image, name: str) -> Float[Tensor, "1 c h w"]:
    """Any Pillow image as a tensor; `name` is what errors call it."""
    with contextlib.suppress(ValueError, TypeError, KeyError, SyntaxError):  # a broken EXIF block is no reason to stop
        image.load()
        image = ImageOps.exif_transpose(image)
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
    """Grey of 16 or 32 bits, integer or floating point."""
    array = np.asarray(image)
    if image.mode.startswith("I;16"):
        return from_integers(array.astype(np.uint16))
    if not np.isfinite(array).all():
        raise UserError(f"{name}: the image holds values that are not finite (NaN or infinity); replace them first")
    values = array.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= (1 if image.mode == "F" else 65535)):
        log.info("%s: grey values %g to %g are stretched to black..white", name, low, high)
    else:
        low, high = 0.0, 1.0 if image.mode == "F" else 65535.0
    unit = (values - low) / ((high - low) or 1)
    return torch.from_numpy((unit * 2 - 1).astype(np.float32))[None, None]


def _to_srgb(image: Image.Image) -> Image.Image:
    """`image` with its embedded colour profile converted to sRGB; as it is where there is none, or it is sRGB."""
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
        return image  # a broken profile: the numbers are taken as sRGB, as most viewers do
    return image if converted is None else converted


def drop_opaque_alpha(image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h w"]:
    """RGBA without its alpha where that is opaque everywhere; any other image itself."""
    return image[:, :3].contiguous() if image.shape[1] == 4 and bool((image[:, 3] == 1).all()) else image


def write_image(
    path: str | Path,
    image: Float[Tensor, "1 c h w"],
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write `image`, [-1, 1], as 8 bits per channel; whole or not at all.

    PNG, WebP and TIFF are lossless; JPEG is quality 95 without chroma subsampling, RGBA over white. `metadata` goes
    into PNG's text chunks, and as one JSON text into the comment or description of the others (`read_metadata`).
    The same pixels and metadata give the same bytes.

    Raises:
        UserError: the suffix is unknown, the file exists and `overwrite` is off, or it cannot be written.
    """
    path = Path(path).expanduser()
    check_output(path, WRITABLE, overwrite)
    suffix = path.suffix.lower()
    texts = dict(metadata or {})
    note = json.dumps(texts) if texts else ""
    picture = to_pil(match_channels(image, 3) if suffix in (".jpg", ".jpeg") and image.shape[1] == 4 else image)
    with atomic_write(path) as temporary:
        if suffix == ".png":
            info = PngImagePlugin.PngInfo()
            for key, text in texts.items():
                info.add_text(key, text)
            picture.save(temporary, "PNG", pnginfo=info)
        elif suffix == ".webp":
            picture.save(temporary, "WEBP", lossless=True, exact=True, exif=_description(note))
        elif suffix in (".tif", ".tiff"):
            picture.save(temporary, "TIFF", compression="tiff_lzw", tiffinfo={270: note} if note else {})
        else:
            picture.save(temporary, "JPEG", quality=95, subsampling=0, comment=note.encode() or None)


def _description(text: str) -> bytes:
    """An EXIF block with `text` (ASCII) as the image's description; empty for an empty text."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = text
    return exif.tobytes() if text else b""


def read_metadata(path: str | Path) -> dict[str, str]:
    """What `write_image` (or, in PNG, any program) has written beside the pixels; empty where there is nothing.

    Raises:
        UserError: the file cannot be read as an image.
    """
    with open_image(Path(path).expanduser()) as image:
        image.load()  # PNG may hold its texts behind the pixels
        if isinstance(image, PngImagePlugin.PngImageFile):
            return {key: str(text) for key, text in image.text.items()}
        note = image.info.get("comment") or image.getexif().get(ExifTags.Base.ImageDescription, "")
    with contextlib.suppress(ValueError):
        found = json.loads(note)
        if isinstance(found, dict):
            return {str(key): str(text) for key, text in found.items()}
    return {}
