"""Sizes at which sources are trained on and used. A size is (h, w) in pixels."""

from __future__ import annotations

import math
import re

from lonepair.errors import UserError
from lonepair.media.source import Source


def fit_inside(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Scale `size` down so that its longest side is at most `longest` pixels.

    Args:
        size: (h, w) in pixels.
        longest: Upper limit of the longest side, at least 1.

    Returns:
        (h, w) with the aspect ratio kept; never enlarged, no side below 1.
    """
    assert longest >= 1, longest
    scale = min(1.0, longest / max(size))
    # The published code rounds up. The slack keeps the rounding error of an exact integer from adding a pixel.
    return max(1, math.ceil(size[0] * scale - 1e-9)), max(1, math.ceil(size[1] * scale - 1e-9))


def check_min_side(source: Source, min_side: int) -> None:
    """Refuse a `source` whose shortest side has fewer than `min_side` pixels.

    Raises:
        UserError: The shortest side is below `min_side`.
    """
    h, w = source.size
    if min(h, w) < min_side:
        raise UserError(
            f"{source.name}: {w}x{h} pixels are too few: the shortest side needs {min_side} (min_side); "
            "give a larger image, or train with a smaller `min_side` (12 at least)"
        )


def training_size(source: Source, min_side: int, max_side: int) -> tuple[int, int]:
    """Return the size at which `source` is trained on.

    Args:
        source: The image or clip.
        min_side: Lower limit of the shortest side, in pixels.
        max_side: Upper limit of the longest side, in pixels.

    Returns:
        (h, w): the size of `source`, reduced to `max_side` where it is larger.

    Raises:
        UserError: `source` is smaller than `min_side`, or so elongated that it becomes smaller when it is reduced.
    """
    check_min_side(source, min_side)
    h, w = source.size
    reduced = fit_inside(source.size, max_side)
    if min(reduced) < min_side:
        sufficient = math.ceil(min_side * max(h, w) / min(h, w))
        raise UserError(
            f"{source.name}: {w}x{h} pixels, reduced to {max_side} (max_side), leave {min(reduced)} on the shortest "
            f"side, of {min_side} (min_side) that are needed; crop it, or set `max_side` to {sufficient}"
        )
    return reduced


def working_size(size: tuple[int, int], min_side: int, max_side: int) -> tuple[int, int]:
    """Return the size at which a trained model processes an image of `size`.

    The shortest side is at least `min_side`, even if the longest then exceeds `max_side`: the networks are
    convolutional and see patches, so a panorama may be longer than any training image.

    Args:
        size: (h, w) of the input, in pixels.
        min_side: Lower limit of the shortest side, in pixels.
        max_side: Upper limit of the longest side, in pixels.

    Returns:
        (h, w) with the aspect ratio of `size`.
    """
    # Reduced to `max_side`, unless that makes the shortest side too short for the networks.
    h, w = fit_inside(size, max_side)
    scale = min_side / min(size)
    return (h, w) if min(h, w) >= min_side else (round(size[0] * scale), round(size[1] * scale))


def parse_size(text: str, own: tuple[int, int], name: str = "size") -> tuple[int, int]:
    """(h, w) in pixels from "640x360" (width x height), "640" (longest side, aspect of `own`) or "" (`own`).

    Args:
        text: The size.
        own: (h, w) of the source.
        name: Of the setting, in messages.

    Raises:
        UserError: for another text, and for a side outside 1 to 16384.
    """
    if not text:
        return own
    if match := re.fullmatch(r"(\d+)[xX](\d+)", text):
        size = (int(match[2]), int(match[1]))
    elif text.isdecimal() and int(text):
        scale = int(text) / max(own)
        size = (max(1, round(own[0] * scale)), max(1, round(own[1] * scale)))
    else:
        raise UserError(
            f"{name} {text}: not a size; write WIDTHxHEIGHT, such as 640x360, or the longest side, such as 640"
        )
    if min(size) < 1 or max(size) > 16384:
        raise UserError(f"{name} {text}: both sides must be 1 to 16384 pixels")
    return size
