"""Images that a Python program holds: Pillow images, arrays and tensors become (1, c, h, w) tensors in [-1, 1]."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.stills.image import drop_opaque_alpha, read_image
from lonepair.media.stills.pil import from_pil
from lonepair.ops.arrays import from_integers
from lonepair.ops.color import CHANNELS

logger = logging.getLogger("lonepair")

_RANGE_TOLERANCE = 1e-3
"""How far outside [-1, 1] a floating-point image may lie because of rounding. Beyond it, the units are wrong."""


def as_image(value: object) -> Float[Tensor, "1 c h w"]:
    """Convert anything that holds one image into a tensor.

    Integers are uint8 (0..255) or uint16 (0..65535). Floating-point values must already lie in [-1, 1]; *they are
    never taken as 0..1*. A tensor stays on its device.

    Args:
        value: A path or a Pillow image (converted as by `image.read_image`), an array (h, w) or (h, w, c), or a tensor
            (h, w), (c, h, w) or (1, c, h, w), with c = 1, 3 or 4.

    Returns:
        The image, float32 in [-1, 1].

    Raises:
        UserError: `value` is of another type or shape, has no pixels, or holds values that are not finite or lie
            outside [-1, 1].
    """
    if isinstance(value, str | Path):
        return read_image(value)
    if isinstance(value, Image.Image):
        if 0 in value.size:
            raise UserError(f"the Pillow image has no pixels ({value.width}x{value.height}); give another")
        return drop_opaque_alpha(from_pil(value, "the Pillow image"))
    if isinstance(value, np.ndarray):
        return _from_array(value)
    if isinstance(value, Tensor):
        return _from_tensor(value)
    raise UserError(f"a {type(value).__name__} is not an image; give a path, a Pillow image, an array or a tensor")


def _from_array(array: np.ndarray) -> Float[Tensor, "1 c h w"]:
    """Convert an array, checking its shape and type."""
    # Channels first is the most frequent mistake, so it has its own message.
    name = f"the array of shape {array.shape}"
    if array.ndim == 3 and array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS and min(array.shape[1:]) > 4:
        raise UserError(f"{name} has its channels first; arrays are (h, w, c): give array.transpose(1, 2, 0)")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in CHANNELS):
        raise UserError(f"{name} is not an image; give (h, w) or (h, w, c) with c = 1, 3 or 4")
    if array.size == 0:
        raise UserError(f"{name} has no pixels; give at least 1x1")
    # The type decides the units; other integers have no agreed range.
    if array.dtype in (np.uint8, np.uint16):
        return from_integers(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{name} holds {array.dtype}; give uint8, uint16, or floating point in [-1, 1]")
    planes = array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0)
    return _check_range(torch.from_numpy(np.array(planes[None], dtype=np.float32)), name)


def _from_tensor(tensor: Tensor) -> Float[Tensor, "1 c h w"]:
    """Convert a tensor, checking its shape and type."""
    # The same mistakes as with arrays, the other way round.
    shape = tuple(tensor.shape)
    name = f"the tensor of shape {shape}"
    if len(shape) == 3 and shape[0] not in CHANNELS and shape[2] in CHANNELS and min(shape[:2]) > 4:
        raise UserError(f"{name} has its channels last; tensors are (c, h, w): give tensor.permute(2, 0, 1)")
    if len(shape) == 4 and shape[0] > 1:
        raise UserError(f"{name} is {shape[0]} images; give one: tensor[:1]")
    image = tensor.reshape(-1, *shape[-2:])[None] if len(shape) in (2, 3, 4) and tensor.numel() else tensor
    if image.ndim != 4 or image.shape[1] not in CHANNELS:
        raise UserError(f"{name} is not an image; give (h, w), (c, h, w) or (1, c, h, w) with c = 1, 3 or 4")
    if tensor.dtype == torch.uint8:
        return image.float() / 127.5 - 1
    if tensor.dtype == torch.uint16:
        return image.float() / 32767.5 - 1
    if not tensor.is_floating_point():
        raise UserError(f"{name} holds {tensor.dtype}; give torch.uint8, or floating point in [-1, 1]")
    return _check_range(image.float(), name)


def _check_range(image: Float[Tensor, "1 c h w"], name: str) -> Float[Tensor, "1 c h w"]:
    """Return a floating-point `image` clamped to [-1, 1]; refuse one that lies outside or is not finite."""
    low, high = float(image.min()), float(image.max())
    if not bool(torch.isfinite(image).all()):
        raise UserError(f"{name} holds values that are not finite (NaN or infinity); replace them first")
    if low < -1 - _RANGE_TOLERANCE or high > 1 + _RANGE_TOLERANCE:
        remedy = "give uint8 0..255, or divide by 127.5 and subtract 1" if high > 2 else "rescale it, or clamp it"
        raise UserError(f"{name} has values from {low:g} to {high:g}, not in [-1, 1]; {remedy}")
    # A range of 0..1 is legal, and more often a mistake than not.
    if low >= 0 and low < high:
        logger.warning(
            "%s has values from %g to %g, taken as in [-1, 1]; if they are 0..1, give 2 * x - 1", name, low, high
        )
    return image.clamp(-1, 1)
