"""The patch critic: a network that scores every patch of an image."""

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.blocks import Norm, conv_block, init_normal
from lonepair.ops.device import DeviceAware


class PatchCritic(DeviceAware):
    """`blocks` unpadded 3x3 convolutions with LeakyReLU between them: a receptive field of 2·blocks + 1 pixels a side.

    Without normalization the scores of an image do not depend on the rest of the batch, so that real and fake images
    can share a forward pass, and the gradient penalty is that of one image (WGAN-GP, Gulrajani et al. 2017, sec. 4 "No
    critic batch normalization"). SinGAN's critics have BatchNorm all the same.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        blocks: int,
        negative_slope: float,
        norm: Norm = "none",
        zero_bias: bool = True,
        activates_scores: bool = False,
    ) -> None:
        """
        Args:
            channels: Channels of the images.
            width: Channels of the features.
            blocks: Number of convolutions, the one that computes the scores included.
            negative_slope: Of LeakyReLU.
            norm: Normalization of the features.
            zero_bias: Whether biases start at 0 rather than with torch's default.
            activates_scores: Whether the scores pass LeakyReLU, too.
        """
        super().__init__()
        self.fast_double_backward = False
        """Whether the scores of a leaf, where a gradient penalty is computed, use `_DoubleBackwardConv2d`: the same
        values, and on a GPU much faster."""
        widths = [channels] + [width] * (blocks - 1)
        conv_blocks = [
            conv_block(inputs, outputs, norm=norm, negative_slope=negative_slope, padding=0)
            for inputs, outputs in itertools.pairwise(widths)
        ]
        self.body = nn.Sequential(*conv_blocks)
        score = nn.Conv2d(width, 1, 3)
        self.score = nn.Sequential(score, nn.LeakyReLU(negative_slope)) if activates_scores else score
        init_normal(self, zero_bias)

    def on_placed(self, device: torch.device, plain: bool) -> None:
        self.fast_double_backward = device.type == "cuda" and not plain

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h2 w2"]:
        """Scores of all patches; each side is 2·blocks pixels shorter than the image's."""
        # A leaf with a gradient is a point of the gradient penalty; the generator's images are no leaves.
        if self.fast_double_backward and image.requires_grad and image.is_leaf:
            return _apply_for_penalty(self.score, _apply_for_penalty(self.body, image))
        scores: Tensor = self.score(self.body(image))
        return scores


def _apply_for_penalty(layers: nn.Module, features: Tensor) -> Tensor:
    """`layers` of `features`, for a gradient that is itself differentiated."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            inputs = (features, layer.weight, layer.bias)
            # Autocast does not see into a custom function.
            if torch.is_autocast_enabled(features.device.type):
                dtype = torch.get_autocast_dtype(features.device.type)
                inputs = (features.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))  # type: ignore[union-attr]
            features = _DoubleBackwardConv2d.apply(*inputs)  # type: ignore[no-untyped-call]
        elif not isinstance(layer, nn.Sequential):
            features = layer(features)
    return features


class _DoubleBackwardConv2d(torch.autograd.Function):
    """An unpadded convolution whose gradient is a transposed convolution, which torch differentiates fast.

    Torch's own second derivative of a convolution is one with a kernel as large as the image, for which a GPU's library
    has no fast algorithm: nine tenths of a step at 188x250. A gradient that is itself differentiated is that of the
    image only, as gradient penalties need it.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(image, weight)
        return F.conv2d(image, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        image, weight = ctx.saved_tensors
        # First derivative with `create_graph`: by the image only, in a form whose derivative is fast.
        if torch.is_grad_enabled():
            return F.conv_transpose2d(gradients[0], weight), None, None
        # Any other derivative is torch's own: stride, padding, dilation, transposed, output padding, groups.
        options = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
        needs_gradient = [ctx.needs_input_grad[0], True, True]
        of_image, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradients[0], image, weight, [len(weight)], *options, needs_gradient
        )
        return of_image, of_weight, of_bias
