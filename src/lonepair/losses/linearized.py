"""A loss whose gradient is computed once and used for several updates, as the code of SinGAN and ConSinGAN does."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def keeps_graph() -> torch.autograd.graph.saved_tensors_hooks:
    """Context of a forward pass that can be differentiated after an optimizer has changed its parameters.

    The gradient combines the stored activations with the changed parameters. Torch up to 1.4 did so without this
    context, and SinGAN's authors trained with it; later versions refuse such a backward pass.
    """
    # Versions of saved tensors are not checked where hooks save them.
    return torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.detach(), lambda tensor: tensor)


def linearize(
    loss: Float[Tensor, ""], parameters: Sequence[Tensor], retain_graph: bool = False
) -> Callable[[], Float[Tensor, ""]]:
    """`loss` with its current value and gradient, for updates after `parameters` have changed.

    Args:
        loss: A scalar computed from `parameters`.
        parameters: May be changed afterwards; the gradient is computed now.
        retain_graph: Keep the graph of `loss`, to differentiate parts of it again.

    Returns:
        A function that returns the value of `loss` now, as the authors' code logs it, in every call. The gradient by
        `parameters` is that of `loss` now, too.
    """
    gradients = torch.autograd.grad(loss, parameters, retain_graph=retain_graph)
    value = loss.detach()

    def stored_loss() -> Tensor:
        # Σ gradient · parameter has the stored gradient. Its own value is no loss: it is subtracted again.
        product = torch.stack([(g * p).sum() for g, p in zip(gradients, parameters, strict=True)]).sum()
        return value + (product - product.detach())

    return stored_loss
