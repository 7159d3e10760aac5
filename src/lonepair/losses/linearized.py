"""A gradient that is used again after the weights have moved: two of the released training scripts do so."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def linearize(loss: Float[Tensor, ""], parameters: Sequence[Tensor]) -> Callable[[], Float[Tensor, ""]]:
    """The loss as its tangent plane at the parameters' present values: its gradient stays what it is now.

    Each call evaluates it at the values that the parameters then have.
    """
    gradients = torch.autograd.grad(loss, parameters)
    origins = [parameter.detach().clone() for parameter in parameters]
    value = loss.detach()

    def plane() -> Tensor:
        moved = [(g * (p - o)).sum() for g, p, o in zip(gradients, parameters, origins, strict=True)]
        return value + torch.stack(moved).sum()

    return plane
