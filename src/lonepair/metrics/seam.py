"""The error of a tile's seam: how visible the line is at which copies of an image meet."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

OWN_SHARE = 0.95
"""Share of an image's own lines that a seam is compared with: a line as strong as these is not seen as a seam."""


def seam_error(image: Float[Tensor, "1 c h w"], axis: str) -> float:
    """Contrast across the seam beyond the image's own, in gray levels (of 255).

    It is the mean absolute difference of the last and the first row (`axis` "y") or column ("x"), minus the one that 95
    percent of the neighboring rows or columns within the image do not exceed. 0 or less: the seam is no stronger than
    the image's own lines, such as the joints of a wall.

    Args:
        image: In [-1, 1]. Its color channels count, alpha does not.
        axis: "x" for the seam between right and left border, "y" for the one between bottom and top.
    """
    color = image[:, : min(3, image.shape[1])]
    dim = {"y": 2, "x": 3}[axis]
    count = color.shape[dim]
    across = (color.select(dim, 0) - color.select(dim, count - 1)).abs().mean()
    lines = (color.narrow(dim, 1, count - 1) - color.narrow(dim, 0, count - 1)).abs().mean((0, 1, 5 - dim))
    return float(127.5 * (across - lines.quantile(OWN_SHARE)))
