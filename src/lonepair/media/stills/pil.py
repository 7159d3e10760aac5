"""Pillow images of any mode become (1, c, h, w) float32 tensors in [-1, 1], sRGB."""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.stills.coloring import apply_tables, as_unit, convert_colors
from lonepair.media.stills.wide import to_unit
from lonepair.ops.arrays import from_integers


def from_pil(image: Image.Image, name: str, value_range: tuple[float, float] | None = None) -> Float[Tensor, "1 c h w"]:
    """Convert a Pillow image of any mode into a tensor in [-1, 1]; messages call it `name`.

    Args:
        image: The image.
        name: Its name in messages.
        value_range: Smallest and largest value of the clip, of which it is a frame, where values have no agreed range
            (`wide.to_unit`); None: those of the image.

    Raises:
        UserError: The mode is not supported, or the values are not finite.
    """
    image.load()
    # An unreadable EXIF block does not prevent reading the pixels.
    with contextlib.suppress(ValueError, TypeError, KeyError, SyntaxError):
        image = ImageOps.exif_transpose(image)
    # Grey with more than 8 bits keeps its depth; all other modes become 8-bit L, RGB or RGBA.
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide(image, name, value_range)
    if image.mode in ("LA", "La", "PA", "RGBa", "RGBA") or image.has_transparency_data:
        mode = "RGBA"
    else:
        mode = "L" if image.mode in ("1", "L") else "RGB"
    try:
        image = apply_tables(image.convert(mode) if image.mode in ("P", "PA") else image, name)
        array = np.asarray(image if image.mode == mode else image.convert(mode))
    except (ValueError, ImageCms.PyCMSError) as error:
        raise UserError(f"{name}: images of mode {image.mode} are not supported; save it as RGB or grey") from error
    array = array[..., None] if array.ndim == 2 else array
    return join(convert_colors(array[..., :3], image.info, name), array[..., 3:] if mode == "RGBA" else None)


def _from_wide(image: Image.Image, name: str, value_range: tuple[float, float] | None) -> Float[Tensor, "1 c h w"]:
    """Convert grey of 16 or 32 bits, integer or floating point."""
    array = np.asarray(image)[..., None]
    if not image.mode.startswith("I;16"):
        return join(convert_colors(to_unit(array, name, value_range), image.info, name))
    array = array.astype(np.uint16)
    key = image.info.get("transparency")
    alpha = np.where(array == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
    return join(convert_colors(array, image.info, name), alpha)


def join(color: np.ndarray, alpha: np.ndarray | None = None) -> Float[Tensor, "1 c h w"]:
    """Return pixels as a tensor in [-1, 1].

    Args:
        color: (h, w, 1) or (h, w, 3): uint8 or uint16, or float32 in [0, 1].
        alpha: (h, w, 1) of one of these types; with it grey becomes RGB.
    """
    if alpha is None:
        return _to_tensor(color)
    rgb = _to_tensor(color.repeat(3, axis=2) if color.shape[2] == 1 else color)
    return torch.cat([rgb, _to_tensor(alpha)], dim=1)


def _to_tensor(array: np.ndarray) -> Float[Tensor, "1 c h w"]:
    if array.dtype in (np.uint8, np.uint16):
        return from_integers(array)
    unit = np.ascontiguousarray(np.moveaxis(as_unit(array), 2, 0)[None])
    return torch.from_numpy(unit * np.float32(2) - np.float32(1))
