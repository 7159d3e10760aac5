"""Colors from gradients: steps between patches of unlike brightness are spread over their surroundings.

The screened Poisson equation of Darabi et al., Image melding, SIGGRAPH 2012: the image whose gradients are nearest to
those that the patches have, with a weak pull to the patches' own colors. Known pixels are its boundary.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.patches.sites import Axes

MAX_ITERATIONS = 200
TOLERANCE = 1e-3
"""Share of the first residual at which the solution is accurate enough: a fraction of a gray level."""


def gradients(image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h w"]:
    """Differences to the next row, then to the next column, of each channel; the last row and column take the first."""
    return torch.cat([image.roll(-1, dim) - image for dim in (2, 3)], 1)


def solve(
    colors: Float[Tensor, "1 c h w"],
    wanted: Float[Tensor, "1 c2 h w"],
    known: Bool[Tensor, "h w"],
    wraps: Axes,
    screening: float,
) -> Float[Tensor, "1 c h w"]:
    """The image nearest to the gradients `wanted`; known pixels keep their color.

    It minimizes, over unknown pixels, the squared differences of its gradients to `wanted` plus `screening` times the
    squared differences of its colors to `colors`, by conjugate gradients.

    Args:
        colors: The colors that the solution is near to.
        wanted: As `gradients` returns them.
        known: Pixels that keep their color.
        wraps: Whether the image continues across its top and bottom, and across its left and right border.
        screening: Above 0. A difference of colors is spread over about screening^(-1/2) pixels.
    """
    unknown = (~known).to(colors.dtype)
    edges = torch.ones(2, 1, *known.shape, device=colors.device)
    for axis, wrap in enumerate(wraps):
        if not wrap:  # there is no pixel behind the last one
            edges[axis].select(axis + 1, known.shape[axis] - 1).zero_()

    def transposed(differences: Tensor) -> Tensor:
        """The transpose of `gradients`, of the edges within the image."""
        total = torch.zeros_like(colors)
        for axis, part in enumerate(differences.chunk(2, 1)):
            part = part * edges[axis]
            total += part.roll(1, axis + 2) - part
        return total

    def product(change: Tensor) -> Tensor:
        """The normal equations' matrix times a `change` of the unknown colors."""
        return (transposed(gradients(change)) + screening * change) * unknown

    # Conjugate gradients from no change on.
    change = torch.zeros_like(colors)
    residual = transposed(wanted - gradients(colors)) * unknown
    direction, norm = residual, residual.square().sum()
    limit = TOLERANCE**2 * norm
    for _ in range(MAX_ITERATIONS):
        if norm <= limit:
            break
        image = product(direction)
        step = norm / (direction * image).sum()
        change, residual = change + step * direction, residual - step * image
        before, norm = norm, residual.square().sum()
        direction = residual + norm / before * direction
    return colors + change
