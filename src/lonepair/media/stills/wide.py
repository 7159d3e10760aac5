"""Values of images that have no agreed range: floating point, 32-bit and signed integers."""

from __future__ import annotations

import logging

import numpy as np
from jaxtyping import Float32

from lonepair.errors import UserError

logger = logging.getLogger("lonepair")


def finite_range(values: np.ndarray, name: str) -> tuple[float, float]:
    """Return the smallest and the largest value.

    Raises:
        UserError: A value is not finite; `name` is the image's name in the message.
    """
    if not np.isfinite(values).all():
        raise UserError(f"{name}: the image holds values that are not finite (NaN or infinity); replace them first")
    return float(values.min()), float(values.max())


def to_unit(
    values: np.ndarray, name: str, value_range: tuple[float, float] | None = None
) -> Float32[np.ndarray, "*shape"]:
    """Return values as 0..1.

    Floating point in 0..1 and integers in 0..65535 keep their meaning. Others (counts, physical units) are stretched.

    Args:
        values: Floating point or integers.
        name: The image's name in messages.
        value_range: Smallest and largest value of all frames of a clip, so that equal values become equal levels in
            every frame; None: those of the image.

    Raises:
        UserError: A value is not finite.
    """
    own_range = finite_range(values, name)
    low, high = value_range or own_range
    top = 1.0 if np.issubdtype(values.dtype, np.floating) else 65535.0
    if low >= 0 and high <= top:
        low, high = 0.0, top
    elif value_range is None:
        logger.info("%s: values %g to %g are stretched to black..white", name, low, high)
    unit = (values.astype(np.float64) - low) / ((high - low) or 1)
    return unit.clip(0, 1).astype(np.float32)
