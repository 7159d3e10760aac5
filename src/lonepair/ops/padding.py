"""Padding whose gradient does not depend on the order in which a GPU adds numbers."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def reflect_pad(image: Float[Tensor, "b c h w"], by: int) -> Float[Tensor, "b c h2 w2"]:
    """`image` with `by` pixels more on each side, reflected at the border.

    On a GPU the gradient of a two-dimensional reflection sums a corner's pixels in no fixed order; along one axis there
    are at most two numbers to add, so padding one axis after the other gives the same gradient in every run.
    """
    if image.device.type == "cpu":
        return F.pad(image, [by] * 4, mode="reflect")
    return F.pad(F.pad(image, [by, by, 0, 0], mode="reflect"), [0, 0, by, by], mode="reflect")
