"""Reflection padding with a deterministic gradient on a GPU."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def reflect_pad(image: Float[Tensor, "b c h w"], by: int) -> Float[Tensor, "b c h2 w2"]:
    """`image` with `by` reflected pixels more on each side; its gradient is the same in every run."""
    if image.device.type == "cpu":
        return F.pad(image, [by] * 4, mode="reflect")
    # On a GPU the gradient of a two-dimensional reflection sums up to four values of a corner pixel in no fixed order.
    # Along one axis it sums two values at most, and a sum of two does not depend on their order.
    return F.pad(F.pad(image, [by, by, 0, 0], mode="reflect"), [0, 0, by, by], mode="reflect")
