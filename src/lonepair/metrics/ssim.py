"""Structural similarity: how alike two images are in local mean, contrast and pattern."""

import torch
from jaxtyping import Float
from torch import Tensor


def ssim(one: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h w"]) -> float:
    """Mean structural similarity (Wang et al. 2004): 11-pixel Gaussian window of σ 1.5, K = 0.01 and 0.03."""
    grid = torch.arange(11) - 5.0
    line = torch.exp(-(grid**2) / (2 * 1.5**2))
    window = (line[:, None] * line[None] / line.sum() ** 2)[None, None]

    def mean(image: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(image.transpose(0, 1), window)

    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    a, b = mean(one), mean(other)
    aa, bb, ab = mean(one * one) - a * a, mean(other * other) - b * b, mean(one * other) - a * b
    return float((((2 * a * b + c1) * (2 * ab + c2)) / ((a * a + b * b + c1) * (aa + bb + c2))).mean())
