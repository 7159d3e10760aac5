"""Inputs of the examples: photographs that scikit-image includes, and simple drawings.

`coins` are Greek coins from the Brooklyn Museum (no known copyright restrictions), the deep field is NASA's (public
domain), `brick`, `gravel` and `grass` come from CC0Textures (CC0), as the docs of `skimage.data` say.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

SIZE = (128, 96)
"""(width, height) of every image, in pixels."""


def crop(photo: np.ndarray, left: int, top: int, width: int) -> Image.Image:
    """Crop `photo`, and return it as RGB at SIZE. `left`, `top` and `width` are in pixels."""
    box = (left, top, left + width, top + width * SIZE[1] // SIZE[0])
    return Image.fromarray(photo).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS, box=box)


def galaxies() -> Image.Image:
    """Return a crop of the Hubble deep field."""
    return crop(data.hubble_deep_field(), 262, 38, 212)


def coins() -> Image.Image:
    """Return a crop of a photograph of Greek coins."""
    return crop(data.coins(), 72, 92, 180)


def brick() -> Image.Image:
    """Return a brick texture."""
    return crop(data.brick(), 0, 0, 400)


def gravel() -> Image.Image:
    """Return a gravel texture."""
    return crop(data.gravel(), 0, 0, 300)


def grass() -> Image.Image:
    """Return a grass texture."""
    return crop(data.grass(), 0, 0, 300)


def glyph(letter: str) -> Image.Image:
    """Return a large letter that consists of small ones, for glyph transfer."""
    font = ImageFont.load_default(11)
    shape = Image.new("L", SIZE)
    ImageDraw.Draw(shape).text((SIZE[0] // 2, SIZE[1] // 2), letter, 255, ImageFont.load_default(100), anchor="mm")
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    for y in range(6, SIZE[1], 9):
        for x in range(6, SIZE[0], 9):
            if shape.getpixel((x, y)):
                draw.text((x, y), letter, (20, 40, 120), font, anchor="mm")
    return picture


def sketch() -> Image.Image:
    """Return circles like a pencil sketch of coins."""
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    for x, y, r in ((24, 26, 15), (64, 22, 13), (104, 30, 16), (30, 70, 14), (72, 66, 17), (110, 74, 12)):
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(40, 40, 40), width=2)
        draw.arc((x - r // 2, y - r // 2, x + r // 2, y + r // 2), 20, 200, (90, 90, 90), 1)
    return picture


def painting() -> Image.Image:
    """Return blobs in the deep field's colors: a rough painting of a sky."""
    picture = Image.new("RGB", SIZE, (12, 10, 12))
    draw = ImageDraw.Draw(picture)
    for x, y, r, color in (
        (30, 30, 12, (210, 170, 120)),
        (96, 60, 16, (200, 190, 180)),
        (64, 80, 6, (90, 120, 200)),
        (70, 18, 4, (220, 220, 220)),
        (20, 76, 5, (220, 120, 80)),
    ):
        draw.ellipse((x - r, y - r * 2 // 3, x + r, y + r * 2 // 3), fill=color)
    return picture


def pasted() -> tuple[Image.Image, Image.Image]:
    """Return the deep field with a coin in it, and the mask of the coin."""
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).ellipse((20, 60, 46, 86), fill=255)
    coin, canvas = Image.new("RGB", SIZE), galaxies()
    coin.paste(coins().crop((0, 0, 40, 40)), (11, 49))
    canvas.paste(coin, (0, 0), mask)
    return canvas, mask


def moved() -> tuple[Image.Image, Image.Image]:
    """Return the deep field with a galaxy copied to another place, and the mask of the copy."""
    image, mask = galaxies(), Image.new("L", SIZE)
    image.paste(image.crop((70, 8, 106, 40)), (12, 60))
    mask.paste(255, (12, 60, 48, 92))
    return image, mask
