"""Masks of edited or missing pixels: reading them, softening their edge, and blending two images with one."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageFilter
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.sizes import fit_inside
from lonepair.media.stills.image import read_image
from lonepair.media.values import as_image
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize, resize_image

logger = logging.getLogger("lonepair")

REFERENCE_SIDE = 250
"""Longest side in pixels of the images whose masks SinGAN and ConSinGAN dilate."""


def read_mask(value: object, size: tuple[int, int], name: str = "the mask") -> Float[Tensor, "1 1 h w"]:
    """A mask, 1 at marked pixels and 0 elsewhere, at `size` = (h, w).

    Args:
        value: Path, PIL image, array or tensor. White marks pixels. If the image has transparent parts, opaque pixels
            are marked instead.
        size: (h, w) in pixels. A mask of another size is resized, with a message.
        name: What messages call the mask.

    Raises:
        UserError: for a value that is not an image, and for a mask that marks no pixel.
    """
    image = read_image(value) if isinstance(value, str | Path) else as_image(value)
    log_reading(image, size, name)
    mask = (mask_weights(image, size) > 0.5).float()
    if not bool(mask.any()):
        raise UserError(f"{name} marks no pixel: make the marked pixels white (or opaque)")
    return mask


def has_transparency(image: Float[Tensor, "1 c h w"]) -> bool:
    """Whether `image` has an alpha channel that is not opaque everywhere."""
    return image.shape[1] == 4 and float(image[:, 3].min()) < 1


def mask_weights(image: Float[Tensor, "1 c h w"], size: tuple[int, int]) -> Float[Tensor, "1 1 h2 w2"]:
    """The mask that `image` is, 0 (black) to 1 (white), at (h, w) `size`; of a transparent image its alpha."""
    if has_transparency(image):
        gray = image[:, 3:]
    else:
        gray = match_channels(image[:, :3] if image.shape[1] == 4 else image, 1)
    return (resize_image(gray, size) + 1) / 2


def log_reading(image: Float[Tensor, "1 c h w"], size: tuple[int, int], name: str) -> None:
    """Say where the mask `image` is taken from its alpha channel or resized to (h, w) `size`."""
    if has_transparency(image):
        logger.info("%s has transparent parts: its opaque pixels are taken as marked", name)
    if tuple(image.shape[-2:]) != tuple(size):
        logger.info("%s has %dx%d pixels and is resized to %dx%d", name, *reversed(image.shape[-2:]), *reversed(size))


def difference_mask(
    edited: Float[Tensor, "1 c h w"], original: Float[Tensor, "1 c2 h2 w2"], threshold: float = 0.1
) -> Float[Tensor, "1 1 h w"]:
    """A mask of the pixels at which `edited` differs from `original`, resized to it, by more than `threshold`.

    Args:
        edited: In [-1, 1].
        original: In [-1, 1].
        threshold: Largest absolute difference over the channels, of the range [-1, 1], that still counts as equal.

    Raises:
        UserError: where they do not differ.
    """
    channels = min(edited.shape[1], original.shape[1])
    fitted = resize_image(original, (edited.shape[-2], edited.shape[-1]))
    difference = (match_channels(edited, channels) - match_channels(fitted, channels)).abs().amax(1, keepdim=True)
    mask = (difference > threshold).float()
    if not bool(mask.any()):
        raise UserError("the edited image does not differ from the original; give `mask`")
    return mask


def soften(mask: Float[Tensor, "1 1 h w"], dilate: int, feather: float) -> Float[Tensor, "1 1 h w"]:
    """`mask` dilated by a disk and blurred, in [0, 1].

    As in SinGAN's released code, the blurred mask is scaled to a maximum of 1, so that a small marked region is not
    faded.

    Args:
        mask: 0 or 1.
        dilate: Radius of the disk in pixels; 0 does not dilate.
        feather: Standard deviation of the blur in pixels; 0 does not blur.
    """
    dilated = dilate_mask(mask, dilate)
    if feather > 0:
        soft = Image.fromarray((dilated[0, 0].numpy() * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(feather))
        dilated = torch.from_numpy(np.asarray(soft, np.float32) / 255)[None, None]
        dilated = dilated / dilated.max().clamp(min=1e-6)
    return dilated


def soften_for_edit(mask: Float[Tensor, "1 1 h w"], dilate: int, feather: float) -> Float[Tensor, "1 1 h w"]:
    """`soften` with lengths in pixels of an image whose longest side is `REFERENCE_SIDE`; smaller images: their own.

    SinGAN's released code reduces the mask with the image to 250 pixels, dilates it by 7 pixels for harmonization and
    by 20 for editing, and blurs it with 5.
    """
    size = (mask.shape[-2], mask.shape[-1])
    reduced_size = fit_inside(size, REFERENCE_SIDE)
    scale = max(size) / max(reduced_size)
    if scale > 1 and dilate > 0:
        # Dilate at the reduced size, where the disk is small. Every marked pixel counts.
        reduced = torch.nn.functional.adaptive_max_pool2d(mask, reduced_size)
        dilated = resize(dilate_mask(reduced, dilate), size)
        mask = torch.maximum(mask, (dilated > 0.5).float())
    return soften(mask, dilate if scale == 1 else 0, scale * feather)


def dilate_mask(mask: Float[Tensor, "1 1 h w"], radius: int) -> Float[Tensor, "1 1 h w"]:
    """`mask`, 0 or 1, dilated by a disk of `radius` pixels."""
    if radius <= 0:
        return mask
    grid = torch.arange(-radius, radius + 1)
    disk = (grid[:, None] ** 2 + grid[None] ** 2 <= radius**2).float()[None, None]
    return (torch.nn.functional.conv2d(mask, disk, padding=radius) > 0.5).float()


def blend(
    inside: Float[Tensor, "1 c h w"], outside: Float[Tensor, "1 c2 h w"], mask: Float[Tensor, "1 1 h w"]
) -> Float[Tensor, "1 c h w"]:
    """`inside` where `mask` is 1, `outside` where it is 0, and their weighted mean between."""
    return mask * inside + (1 - mask) * match_channels(outside, inside.shape[1])
