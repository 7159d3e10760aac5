"""Convolution blocks that the generators and critics are made of."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.ops.padding import reflect_pad

Norm = Literal["batch", "instance", "none"]
Border = Literal["zeros", "reflect"]


class InstanceNorm(nn.Module):
    """Each image's own statistics, in training and in use: what BatchNorm computes when it trains on one image.

    Values as `nn.InstanceNorm2d(affine=True)`; a batch of one takes BatchNorm's kernel, which keeps channels-last.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """`features` with mean `bias` and standard deviation |`weight`| in each channel of each image."""
        if len(features) == 1:
            return F.batch_norm(features, None, None, self.weight, self.bias, training=True)
        return F.instance_norm(features, weight=self.weight, bias=self.bias)


class MirroredConv2d(nn.Conv2d):
    """A convolution whose border is mirrored outward, and its derivative the same twice (see `reflect_pad`)."""

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Each side is shorter by 2 where `padding` is 0, and as long as it was where it is 1."""
        return F.conv2d(reflect_pad(features, int(self.padding[0])), self.weight, self.bias)


class Constant(nn.Module):
    """An image or a map that is kept with the networks, such as the noise that a reconstruction starts from."""

    value: Tensor

    def __init__(self, channels: int, h: int, w: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(1, channels, h, w))


def convolution(inputs: int, outputs: int, padding: int, border: Border) -> nn.Conv2d:
    """Conv 3x3, its border filled as `border` says."""
    kind = nn.Conv2d if border == "zeros" else MirroredConv2d
    return kind(inputs, outputs, 3, padding=padding, padding_mode=border)


def conv_block(
    inputs: int, outputs: int, *, norm: Norm, slope: float, padding: int, border: Border = "zeros"
) -> nn.Sequential:
    """Conv 3x3 (+ normalisation) + LeakyReLU; `padding` in pixels (0: each side loses 1), filled as `border` says."""
    layers: list[nn.Module] = [convolution(inputs, outputs, padding, border)]
    if norm != "none":
        layers.append(nn.BatchNorm2d(outputs) if norm == "batch" else InstanceNorm(outputs))
    layers.append(nn.LeakyReLU(slope))
    return nn.Sequential(*layers)


def init_normal(module: nn.Module, zero_bias: bool) -> None:
    """Convolutions N(0, 0.02), norms' weights N(1, 0.02), as DCGAN has it; SinGAN and its followers do not set biases.

    Without `zero_bias` a convolution's bias stays as torch makes it, uniform in ±1/√(inputs x 9).
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
            if zero_bias and part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d | InstanceNorm):
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)
