"""What a user paints, as masks: one for each style, by the color of the brush."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lonepair import UserError

OPAQUE = 64
"""Opacity, 0 to 255, from which on a pixel counts as painted."""


def painted_layer(value: Mapping[str, Any] | None) -> Image.Image | None:
    """All layers of an image editor's value as one RGBA image; None where nothing is painted."""
    layers = [layer for layer in (value or {}).get("layers") or [] if layer is not None]
    if not layers:
        return None
    image = Image.new("RGBA", layers[0].size)
    for layer in layers:
        image.alpha_composite(layer.convert("RGBA"))
    return image if np.asarray(image)[..., 3].max() >= OPAQUE else None


def write_masks(painted: Image.Image, colors: Sequence[str], folder: Path, stem: str) -> list[Path]:
    """Write a mask for each color: white where the painted color is the nearest one to it, else black.

    Args:
        painted: What was painted, transparent elsewhere.
        colors: Color of each style, such as "#ff0000".
        folder: Folder of the files.
        stem: Start of their names.

    Raises:
        UserError: A color was not painted with.
    """
    pixels = np.asarray(painted.convert("RGBA")).astype(np.int32)
    is_painted = pixels[..., 3] >= OPAQUE
    table = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors])
    # Colors of a brush are antialiased at its border: the nearest one counts.
    nearest = ((pixels[..., None, :3] - table) ** 2).sum(-1).argmin(-1)
    paths = []
    for index in range(len(colors)):
        region = is_painted & (nearest == index)
        if not region.any():
            raise UserError(f"style {index + 1} has no region: paint some of the picture in its color")
        path = folder / f"{stem}-{index + 1}.png"
        Image.fromarray(np.where(region, 255, 0).astype(np.uint8)).save(path)
        paths.append(path)
    return paths
