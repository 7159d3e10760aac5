"""Chooses the color space of an image file from what the file says, and converts its pixels to sRGB.

Where a file says several things, the order is that of the PNG specification: code points (cICP, or nclx in AVIF), ICC
profile, the chunk sRGB, gamma and primaries.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from lonepair.media import tone
from lonepair.media.stills.profile import (
    ColorSpace,
    icc_channels,
    space_of_code_points,
    space_of_icc,
    space_of_png,
)

logger = logging.getLogger("lonepair")

_UNSPECIFIED = 2
"""Code point of ITU-T H.273."""


def convert_colors(values: np.ndarray, info: Mapping[Any, Any], name: str, logs: bool = True) -> np.ndarray:
    """Convert pixels into sRGB by what `info` says.

    Args:
        values: (h, w, 1) or (h, w, 3), uint8 or uint16, or float32 in [0, 1].
        info: Entries as in Pillow's `Image.info`: "cicp", "icc_profile", "srgb", "gamma", "chromaticity". An ICC
            profile of tables has been applied before (`apply_tables`).
        name: Name of the image in messages.
        logs: Log how HDR is converted.

    Returns:
        The array itself where it is sRGB already; else float32 in [0, 1], of the same shape.
    """
    cicp = info.get("cicp") or (_UNSPECIFIED, _UNSPECIFIED)
    tags = tone.ColorTags(transfer=cicp[1], primaries=cicp[0])
    if tags.is_hdr:
        if logs:
            logger.info("%s: %s", name, tags.describe())
        deep = np.rint(as_unit(values) * 65535).astype(np.uint16)
        return as_unit(tone.to_srgb(deep.repeat(3 // deep.shape[2], axis=2), tags))[..., : values.shape[2]]
    space = _space(info, name)
    if space is None or space.is_srgb():
        return values
    return space.to_srgb(as_unit(values))


def as_unit(values: np.ndarray) -> np.ndarray:
    """Return uint8, uint16 or float32 values as float32 in [0, 1]."""
    if np.issubdtype(values.dtype, np.floating):
        return values.astype(np.float32, copy=False)
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


def _space(info: Mapping[Any, Any], name: str) -> ColorSpace | None:
    """Return the color space that `info` states; None for sRGB, also where nothing is stated."""
    if cicp := info.get("cicp"):
        primaries, transfer = cicp[0], cicp[1]
        if (primaries, transfer) != (_UNSPECIFIED, _UNSPECIFIED):
            return space_of_code_points(primaries, transfer)
    if icc := info.get("icc_profile"):
        space = space_of_icc(icc)
        if space is None and not has_tables(icc):
            logger.warning("%s: its color profile cannot be applied; the colors are taken as sRGB", name)
        return space
    if "srgb" in info:
        return None
    gamma = info.get("gamma")
    return space_of_png(None if gamma is None else float(gamma), info.get("chromaticity"))


def has_tables(icc: bytes) -> bool:
    """Return whether an ICC profile is one of tables, which LittleCMS applies, in 8 bits."""
    return b"A2B0" in icc[128:4096] and space_of_icc(icc) is None


def apply_tables(image: Image.Image, name: str) -> Image.Image:
    """Convert an image with an ICC profile of tables (CMYK, printers, scanners) into sRGB, in 8 bits.

    Args:
        image: Of mode RGB, RGBA, CMYK or LAB.
        name: Name of the image in messages.

    Returns:
        An image of mode RGB or RGBA; the image itself where it has no such profile, or it cannot be applied.
    """
    icc = image.info.get("icc_profile")
    if not icc or "cicp" in image.info or not has_tables(icc):
        return image
    fits = {"RGB": ("RGB", "RGBA"), "CMYK": ("CMYK",), "Lab": ("LAB",)}.get(icc_channels(icc), ())
    try:
        if image.mode not in fits:
            raise ValueError(f"a profile of {icc_channels(icc)} beside {image.mode}")
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.warning("%s: its color profile cannot be applied (%s); the colors are taken as sRGB", name, error)
        return image
    return image if converted is None else converted
