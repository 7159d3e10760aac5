"""Contact sheets: a grid of labelled pictures that shows many results in one file."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lonepair.errors import printable
from lonepair.ops.arrays import from_integers, to_pil
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_INK, _EDGE = (64, 64, 64), (222, 222, 222)
_CHECKS = (255, 232)
"""The two greys of the checkerboard behind transparent pixels."""


def contact_sheet(rows: list[list[tuple[str, Tensor]]], cell: int = 256) -> Float[Tensor, "1 3 H W"]:
    """Arrange labelled images in a grid on white, each label above its image.

    Every image is scaled to fit its cell with its aspect ratio kept; small images are enlarged. A row is as tall as
    its tallest image. RGBA is composited over a light checkerboard.

    Args:
        rows: (label, image) pairs, with images (1, c, h, w) in [-1, 1]. Rows may differ in length.
        cell: Side of a cell in pixels, at least 8.

    Returns:
        The sheet, RGB in [-1, 1].
    """
    assert any(rows), "a contact sheet needs an image"
    assert cell >= 8, cell
    font = ImageFont.load_default(max(10, cell // 18))
    margin, gap = max(4, cell // 24), max(4, cell // 32)
    label_height = sum(font.getmetrics()) + 2 if isinstance(font, ImageFont.FreeTypeFont) else 14
    # Measure: scale the images, and derive the sheet's size from them.
    pictures = [[(label, _fit(image, cell)) for label, image in row] for row in rows if row]
    columns = max(len(row) for row in pictures)
    heights = [label_height + max(picture.height for _, picture in row) for row in pictures]
    width = 2 * margin + columns * cell + (columns - 1) * gap
    height = 2 * margin + sum(heights) + (len(pictures) - 1) * gap
    # Paint the sheet row by row.
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    y = margin
    for row, row_height in zip(pictures, heights, strict=True):
        for column, (label, picture) in enumerate(row):
            x = margin + column * (cell + gap)
            draw.text((x, y), _shorten(label, font, cell), fill=_INK, font=font)
            left, top = x + (cell - picture.width) // 2, y + label_height
            sheet.paste(picture, (left, top))
            # The edge lies just outside the picture, so that it covers no pixel.
            draw.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=_EDGE)
        y += row_height + gap
    return from_integers(np.asarray(sheet))


def _fit(image: Float[Tensor, "1 c h w"], cell: int) -> Image.Image:
    """Scale `image` to the largest size of its aspect ratio within `cell` x `cell` pixels, and convert it to RGB."""
    height, width = image.shape[-2:]
    scale = cell / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    image = resize_image(image.detach().to("cpu", torch.float32), size)
    if image.shape[1] != 4:
        return to_pil(match_channels(image, 3))
    square = max(4, cell // 32)
    ys, xs = np.indices(size) // square
    checks = np.array(_CHECKS, dtype=np.uint8)[(ys + xs) % 2]
    board = Image.fromarray(checks).convert("RGBA")
    return Image.alpha_composite(board, to_pil(image)).convert("RGB")


def _shorten(label: str, font: _Font, width: int) -> str:
    """Return `label` on one line, shortened with "..." where it is wider than `width` pixels."""
    label = printable(" ".join(label.split()))
    short = label
    while font.getlength(short) > width and len(label) > 1:
        label = label[:-1]
        short = label.rstrip() + "..."
    return short
