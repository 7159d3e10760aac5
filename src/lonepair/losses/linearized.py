"""A loss whose gradient is computed once and used for several updates, as the code of SinGAN and ConSinGAN does."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def linearize(loss: Float[Tensor, ""], parameters: Sequence[Tensor]) -> Callable[[], Float[Tensor, ""]]:
    """`loss` with its current value and gradient, for updates after `parameters` have changed.

    Args:
        loss: A scalar computed from `parameters`.
        parameters: May be changed afterwards; the gradient is computed now.

    Returns:
        A function that returns the value of `loss` now, as the authors' code logs it, in every call. The gradient by
        `parameters` is that of `loss` now, too.
    """
    gradients = torch.autograd.grad(loss, parameters)
    value = loss.detach()

    def stored_loss() -> Tensor:
        # Σ gradient · parameter has the stored gradient. Its own value is no loss: it is subtracted again.
        product = torch.stack([(g * p).sum() for g, p in zip(gradients, parameters, strict=True)]).sum()
        return value + (product - product.detach())

    return stored_loss
