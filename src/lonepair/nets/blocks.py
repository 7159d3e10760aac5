"""Convolution blocks of the generators and critics."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.ops.padding import reflect_pad

Norm = Literal["batch", "instance", "none"]
PaddingMode = Literal["zeros", "reflect"]


class InstanceNorm(nn.Module):
    """Normalizes each image by its own statistics, in training and in use, as BatchNorm does in training on one image.

    The values are those of `nn.InstanceNorm2d(affine=True)`. A batch of one uses BatchNorm's kernel, which keeps the
    channels-last layout.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """`features` with mean `bias` and standard deviation |`weight`| in each channel of each image."""
        # Over one image, batch statistics are the image's own.
        if len(features) == 1:
            return F.batch_norm(features, None, None, self.weight, self.bias, training=True)
        return F.instance_norm(features, weight=self.weight, bias=self.bias)


class ReflectConv2d(nn.Conv2d):
    """A 3x3 convolution with reflection padding whose gradient is the same in every run (see `reflect_pad`)."""

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """The convolved features: 2 pixels smaller on each axis with `padding` 0, of the same size with 1."""
        return F.conv2d(reflect_pad(features, int(self.padding[0])), self.weight, self.bias)


class Constant(nn.Module):
    """A map that is saved with the networks' weights, such as the noise z* from which SinGAN reconstructs its image."""

    value: Tensor

    def __init__(self, channels: int, h: int, w: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(1, channels, h, w))


def convolution(inputs: int, outputs: int, padding: int, padding_mode: PaddingMode) -> nn.Conv2d:
    """A 3x3 convolution from `inputs` to `outputs` channels; `padding` is in pixels."""
    layer = nn.Conv2d if padding_mode == "zeros" else ReflectConv2d
    return layer(inputs, outputs, 3, padding=padding, padding_mode=padding_mode)


def conv_block(
    inputs: int, outputs: int, *, norm: Norm, negative_slope: float, padding: int, padding_mode: PaddingMode = "zeros"
) -> nn.Sequential:
    """Conv 3x3 (+ normalization) + LeakyReLU; `padding` is in pixels (0: the output loses one on each side)."""
    layers: list[nn.Module] = [convolution(inputs, outputs, padding, padding_mode)]
    if norm != "none":
        layers.append(nn.BatchNorm2d(outputs) if norm == "batch" else InstanceNorm(outputs))
    layers.append(nn.LeakyReLU(negative_slope))
    return nn.Sequential(*layers)


def init_normal(module: nn.Module, zero_bias: bool) -> None:
    """Initialize as DCGAN (Radford et al. 2016): convolutions' weights N(0, 0.02²), norms' weights N(1, 0.02²).

    Args:
        module: Changed in place.
        zero_bias: Set convolutions' biases to 0. Otherwise they keep torch's default, uniform in ±1/√(9·inputs), as in
            SinGAN and its followers.
    """
    for layer in module.modules():
        # Without memory there is nothing to initialize, and torch would import its compiler to find the result's shape.
        if any(parameter.is_meta for parameter in layer.parameters(recurse=False)):
            continue
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if zero_bias and layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | InstanceNorm):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
