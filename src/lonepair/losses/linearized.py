"""A loss whose gradient is computed once and used for several updates, as the code of SinGAN and ConSinGAN does."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def linearize(loss: Float[Tensor, ""], parameters: Sequence[Tensor]) -> Callable[[], Float[Tensor, ""]]:
    """The first-order approximation of `loss` around the current values of `parameters`.

    Args:
        loss: A scalar computed from `parameters`.
        parameters: May be changed afterwards; their current values are copied.

    Returns:
        A function that returns loss + Σ gradient · (parameter - old value) for the parameters' values when it is
        called. Its gradient is that of `loss` now, in every call.
    """
    gradients = torch.autograd.grad(loss, parameters)
    old_values = [parameter.detach().clone() for parameter in parameters]
    value = loss.detach()

    # The value is exact at the old parameters only; what counts is that its gradient is the stored one.
    def approximation() -> Tensor:
        changes = [(g * (p - old)).sum() for g, p, old in zip(gradients, parameters, old_values, strict=True)]
        return value + torch.stack(changes).sum()

    return approximation
