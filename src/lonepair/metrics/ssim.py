"""Structural similarity of two images in local mean, contrast and pattern (Wang et al. 2004). Range [-1, 1]."""

import torch
from jaxtyping import Float
from torch import Tensor


def ssim(one: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h w"]) -> float:
    """The mean structural similarity of two images in [-1, 1] (Wang et al., "Image Quality Assessment", IEEE TIP 2004).

    With the paper's 11-pixel Gaussian window of σ = 1.5, K₁ = 0.01 and K₂ = 0.03. Symmetric; 1 for equal images.
    """
    # The window is separable: a product of two Gaussians, with sum 1.
    grid = torch.arange(11) - 5.0
    line = torch.exp(-(grid**2) / (2 * 1.5**2))
    window = (line[:, None] * line[None] / line.sum() ** 2)[None, None]

    def mean(image: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(image.transpose(0, 1), window)

    # C₁ = (K₁·L)² and C₂ = (K₂·L)², where L = 2 is the range of the values.
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    # Local means μ, variances σ² and the covariance.
    a, b = mean(one), mean(other)
    aa, bb, ab = mean(one * one) - a * a, mean(other * other) - b * b, mean(one * other) - a * b
    # SSIM of each window (Wang et al., eq. 13), and its mean over all windows (MSSIM).
    return float((((2 * a * b + c1) * (2 * ab + c2)) / ((a * a + b * b + c1) * (aa + bb + c2))).mean())
