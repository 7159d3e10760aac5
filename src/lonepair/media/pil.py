"""Pillow images of any mode become (1, c, h, w) float32 tensors in [-1, 1], sRGB."""

from __future__ import annotations

import contextlib
import io
import logging

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from lonepair.errors import UserError
from lonepair.ops.arrays import from_integers

logger = logging.getLogger("lonepair")


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
