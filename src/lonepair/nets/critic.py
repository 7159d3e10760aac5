"""The patch critic: a score for every patch, none for the whole image."""

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.blocks import Norm, conv_block, init_normal
from lonepair.ops.device import DeviceAware


class PatchCritic(DeviceAware):
    """`blocks` Conv 3x3, unpadded, LeakyReLU between them: each score sees 2·blocks + 1 pixels.

    Without normalisation no image of a batch touches another, so that real and fake may share a forward, and the
    gradient penalty is that of one image (WGAN-GP, Gulrajani et al. 2017, sec. 4 "No critic batch normalization").
    SinGAN's critics have BatchNorm all the same.
    """

    def __init__(
        self, channels: int, width: int, blocks: int, negative_slope: float, norm: Norm = "none", zero_bias: bool = True
    ) -> None:
        super().__init__()
        self.direct = False
        """Whether scores of a leaf, at which a penalty is taken, are by `_Twice`: the same, on a GPU much faster."""
        widths = [channels] + [width] * (blocks - 1)
        conv_blocks = [
            conv_block(inputs, outputs, norm=norm, negative_slope=negative_slope, padding=0)
            for inputs, outputs in itertools.pairwise(widths)
        ]
        self.body = nn.Sequential(*conv_blocks)
        self.score = nn.Conv2d(width, 1, 3)
        init_normal(self, zero_bias)

    def on_placed(self, device: torch.device, plain: bool) -> None:
        self.direct = device.type == "cuda" and not plain

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h2 w2"]:
        """Scores of all patches; each side is 2·blocks pixels shorter than the image's."""
        if self.direct and image.requires_grad and image.is_leaf:
            return _twice(self.score, _twice(self.body, image))
        scores: Tensor = self.score(self.body(image))
        return scores


def _twice(layers: nn.Module, features: Tensor) -> Tensor:
    """`layers` of `features`, whose gradient will itself be differentiated."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            given = (features, layer.weight, layer.bias)
            if torch.is_autocast_enabled(features.device.type):
                dtype = torch.get_autocast_dtype(features.device.type)
                given = (features.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))  # type: ignore[union-attr]
            features = _Twice.apply(*given)  # type: ignore[no-untyped-call]
        elif not isinstance(layer, nn.Sequential):
            features = layer(features)
    return features


class _Twice(torch.autograd.Function):
    """An unpadded convolution whose gradient is a transposed one, of which torch knows the derivatives, too.

    What torch makes of a convolution's second derivative is one whose kernel is as large as the picture, for which a
    GPU's library has nothing fast: nine tenths of a step at 188x250. A gradient that is to be differentiated is taken
    as that of the picture alone, as penalties are.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(image, weight)
        return F.conv2d(image, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        image, weight = ctx.saved_tensors
        if torch.is_grad_enabled():
            return F.conv_transpose2d(gradients[0], weight), None, None
        wanted = [ctx.needs_input_grad[0], True, True]
        same = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)  # stride, padding, dilation, not transposed, in one group
        found = torch.ops.aten.convolution_backward(gradients[0], image, weight, [len(weight)], *same, wanted)
        return found[0], found[1], found[2]
