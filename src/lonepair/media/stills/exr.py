"""Reads and writes OpenEXR files: scene-linear half floats, whose values may exceed 1, with premultiplied alpha.

The package works on sRGB in [-1, 1]. A pixel is therefore stored as color x gain in linear light: the color lies in
[0, 1] and becomes sRGB as usual, and the gain, 1 or more, holds how far the pixel's largest channel exceeds 1. Whatever
happens to the color, multiplying by the gain gives the highlights back, with the hue of the new color.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.stills.profile import SRGB_XY, decode_srgb, encode_srgb, xyz_of_primaries
from lonepair.storage.files import check_file, special_kind

SUFFIX = ".exr"

_MAGIC = b"\x76\x2f\x31\x01"
"""First bytes of every OpenEXR file."""

_HALF_MAX = 65504.0
"""Largest half float."""

_REDIRECTION = threading.Lock()
"""Only one thread at a time may redirect stdout."""


@dataclass(frozen=True)
class ExrHeader:
    """Properties of an OpenEXR file that are known before its pixels are decoded."""

    size: tuple[int, int]
    """(h, w) of the display window in pixels."""
    channels: tuple[str, ...]
    """Names of all channels of the first part."""
    pixel_aspect: Fraction
    """Width of a pixel over its height."""


def is_exr(path: Path) -> bool:
    """Return whether the file `path` starts as an OpenEXR file does."""
    if special_kind(path):  # a pipe would wait for a writer
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def check_exr_support(path: Path) -> None:
    """Check that the OpenEXR package is installed, before any work is done for the file `path`.

    Raises:
        UserError: It is missing.
    """
    _openexr(path)


def _openexr(path: Path) -> Any:
    """Import the OpenEXR package; the message of its absence names `path`."""
    try:
        return importlib.import_module("OpenEXR")
    except ImportError:
        raise UserError(f"{path}: .exr files need the OpenEXR package: pip install 'lonepair[exr]'") from None


def fit_gain(gain: Float[Tensor, "1 1 h w"] | None, size: tuple[int, int]) -> Float[Tensor, "1 1 h2 w2"] | None:
    """Resize a gain (`Frame.gain`) to `size` = (h, w) in pixels. Bilinear, so that it never falls below 1."""
    if gain is None or tuple(gain.shape[-2:]) == size:
        return gain
    return F.interpolate(gain, size, mode="bilinear", antialias=True, align_corners=False).clamp_min(1)


# -- reading ----------------------------------------------------------------------------------------------------------


def read_exr_header(path: Path) -> ExrHeader:
    """Return the properties of the OpenEXR file `path`.

    Raises:
        UserError: The file cannot be read, or the OpenEXR package is missing.
    """
    header = _open(path, header_only=True).header()
    low, high = header["displayWindow"]
    names = tuple(channel.name for channel in header["channels"])
    aspect = Fraction(float(header.get("pixelAspectRatio", 1.0))).limit_denominator(1000)
    size = (int(high[1] - low[1]) + 1, int(high[0] - low[0]) + 1)
    return ExrHeader(size, names, aspect if aspect > 0 else Fraction(1))


def exr_channels(header: ExrHeader) -> int:
    """Return 1, 3 or 4: the channels of an image with these EXR channels, transparency not yet checked."""
    if "A" in header.channels:
        return 4
    return 3 if "R" in header.channels else 1


def read_exr(path: Path) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 1 h w"] | None]:
    """Read an OpenEXR file: its channels R, G, B (or Y) and A of the first part, in its display window.

    Negative values, which lie outside of the sRGB gamut, become 0. Colors of a pixel with alpha 0 become 0.

    Args:
        path: The file.

    Returns:
        - The image, sRGB in [-1, 1], with c = 1, 3 or 4 and straight alpha.
        - The gain in linear light, 1 or more: color x gain is what the file holds. None where nothing exceeds 1.

    Raises:
        UserError: The file cannot be read, has none of these channels, has values that are not finite, or the OpenEXR
            package is missing.
    """
    file = _open(path)
    header, planes = file.header(), file.channels()
    names = next((names for names in (("R", "G", "B"), ("Y",)) if all(name in planes for name in names)), None)
    if names is None or any(planes[name].pixels.shape != planes[names[0]].pixels.shape for name in names):
        raise UserError(
            f"{path}: has the channels {', '.join(sorted(planes)[:8])}; R, G and B, or Y, of one size are read: "
            "write these from your compositor"
        )
    color = np.stack([_in_display_window(planes[name].pixels, header) for name in names])
    alpha = _in_display_window(planes["A"].pixels, header)[None] if "A" in planes else None
    if not np.isfinite(color).all() or (alpha is not None and not np.isfinite(alpha).all()):
        raise UserError(f"{path}: the image holds values that are not finite (NaN or infinity); replace them first")
    if alpha is not None:
        alpha = alpha.clip(0, 1)
        color = np.divide(color, alpha, out=np.zeros_like(color), where=alpha > 0)
    color = _to_rec709(color, header).clip(0, None)
    # The largest channel, where it exceeds 1, is the gain: dividing by it retains the hue.
    gain = np.maximum(color.max(axis=0, keepdims=True), 1)
    unit = encode_srgb(color / gain)
    if alpha is not None and alpha.min() < 1:
        unit = np.concatenate([np.repeat(unit, 3, axis=0) if len(names) == 1 else unit, alpha])
    image = torch.from_numpy(np.ascontiguousarray(unit * 2 - 1, dtype=np.float32))[None]
    return image, torch.from_numpy(gain)[None] if gain.max() > 1 else None


def _open(path: Path, header_only: bool = False) -> Any:
    """Open an OpenEXR file with the OpenEXR package."""
    check_file(path, "an image file")
    package = _openexr(path)
    unreadable = UserError(
        f"{path}: the EXR file cannot be read: it is cut short or of an unsupported variant; give a complete copy"
    )
    # The package prints why pixels cannot be decoded, and then returns a file without parts. On stdout, lonepair has
    # names of files only.
    try:
        with _REDIRECTION, contextlib.redirect_stdout(sys.stderr):
            file = package.File(str(path), separate_channels=True, header_only=header_only)
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise unreadable from error
    if not file.parts:
        raise unreadable
    return file


def _in_display_window(plane: np.ndarray, header: Mapping[str, Any]) -> Float32[np.ndarray, "h w"]:
    """Return a channel, which covers the data window, as float32 in the display window: cropped, and filled with 0."""
    data, display = header["dataWindow"], header["displayWindow"]
    width, height = (int(display[1][axis] - display[0][axis]) + 1 for axis in (0, 1))
    left, top = (int(data[0][axis] - display[0][axis]) for axis in (0, 1))
    plane = plane.astype(np.float32)
    if (left, top) == (0, 0) and plane.shape == (height, width):
        return plane
    window = np.zeros((height, width), dtype=np.float32)
    rows = slice(max(top, 0), min(top + plane.shape[0], height))
    columns = slice(max(left, 0), min(left + plane.shape[1], width))
    if rows.start < rows.stop and columns.start < columns.stop:
        window[rows, columns] = plane[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return window


def other_primaries(path: Path) -> bool:
    """Return whether the OpenEXR file `path` states primaries other than those of Rec. 709, such as ACES."""
    return _other_primaries(_open(path, header_only=True).header()) is not None


def _other_primaries(header: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Return x and y of red, green, blue and white where they are not those of Rec. 709."""
    stated = header.get("chromaticities")
    if stated is None or np.allclose(np.ravel(stated), SRGB_XY, atol=2e-3):
        return None
    return tuple(float(value) for value in np.ravel(stated))


def _to_rec709(color: Float32[np.ndarray, "c h w"], header: Mapping[str, Any]) -> Float32[np.ndarray, "c h w"]:
    """Convert linear RGB of the primaries that the file states into that of Rec. 709."""
    stated = _other_primaries(header)
    if stated is None or len(color) != 3:
        return color
    try:
        matrix = np.linalg.inv(xyz_of_primaries(SRGB_XY)) @ xyz_of_primaries(stated)
    except ValueError:  # primaries that are none
        return color
    return np.asarray(np.einsum("ij,jhw->ihw", matrix.astype(np.float32), color))


def read_exr_metadata(path: Path) -> dict[str, str]:
    """Return the texts that `write_exr` stored in the OpenEXR file `path`; empty where there are none."""
    try:
        metadata = json.loads(str(_open(path, header_only=True).header().get("comments", "")))
    except ValueError:
        return {}
    return {str(key): str(text) for key, text in metadata.items()} if isinstance(metadata, dict) else {}


# -- writing ----------------------------------------------------------------------------------------------------------


def write_exr(
    path: Path,
    temporary: Path,
    image: Float[Tensor, "1 c h w"],
    gain: Float[Tensor, "1 1 h w"] | None = None,
    metadata: Mapping[str, str] | None = None,
    pixel_aspect: Fraction = Fraction(1),
) -> None:
    """Write an OpenEXR file: half floats, ZIP compression, premultiplied alpha; Y for grey.

    Args:
        path: The file's name in messages.
        temporary: The file to write.
        image: sRGB in [-1, 1] with straight alpha.
        gain: Factors in linear light, 1 or more (`read_exr`); None: 1 everywhere.
        metadata: Texts for the attribute `comments`, as JSON.
        pixel_aspect: Width of a pixel over its height.

    Raises:
        UserError: The OpenEXR package is missing, or it cannot write the file.
    """
    package = _openexr(path)
    planes = image[0].detach().to("cpu", torch.float32).clamp(-1, 1).add(1).div(2).numpy()
    count = 1 if planes.shape[0] == 1 else 3
    color = decode_srgb(planes[:count])
    if gain is not None:
        color = color * gain[0].detach().cpu().numpy()
    names = ["Y"] if count == 1 else ["R", "G", "B"]
    if planes.shape[0] == 4:
        color, names = np.concatenate([color * planes[3:], planes[3:]]), [*names, "A"]
    half = color.clip(0, _HALF_MAX).astype(np.float16)
    header: dict[str, Any] = {"compression": package.ZIP_COMPRESSION, "type": package.scanlineimage}
    header["pixelAspectRatio"] = float(pixel_aspect)
    if metadata:
        header["comments"] = json.dumps(dict(metadata))
    channels = {name: np.ascontiguousarray(plane) for name, plane in zip(names, half, strict=True)}
    try:
        package.File(header, channels).write(str(temporary))
    except (RuntimeError, OSError) as error:
        raise UserError(f"{path}: cannot be written; free some space, or choose another place") from error
