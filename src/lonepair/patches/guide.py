"""The guide of patch synthesis: the networks' coarse prediction with the fine edges of the source.

A guided filter (He, Sun and Tang, Guided Image Filtering, ECCV 2010) models the prediction as a local affine function of
the source at the networks' resolution, and applies that function to the source at any larger size. The result has the
prediction's colors and the source's edges, with the right sign where light became dark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.resize import resize_image


@dataclass(frozen=True)
class AffineMap:
    """A local affine function of colors at the networks' resolution: prediction = matrix · source + offset."""

    matrix: Float[Tensor, "1 cc h w"]
    """Row by row; cc is the square of the number of channels."""
    offset: Float[Tensor, "1 c h w"]

    def apply(self, source: Float[Tensor, "1 c h2 w2"]) -> Float[Tensor, "1 c h2 w2"]:
        """The function of `source` at any size, clamped to [-1, 1]."""
        size = (source.shape[-2], source.shape[-1])
        channels = source.shape[1]
        matrix = F.interpolate(self.matrix, size, mode="bilinear", align_corners=False)
        offset = F.interpolate(self.offset, size, mode="bilinear", align_corners=False)
        mapped = (matrix.unflatten(1, (channels, channels)) * source[:, None]).sum(2)
        return (mapped + offset).clamp(-1, 1)


def fit_affine_map(
    source: Float[Tensor, "1 c h w"], prediction: Float[Tensor, "1 c h w"], sigma: float, damping: float
) -> AffineMap:
    """The local least-squares fit of `prediction` to `source`, both in [-1, 1] (He et al. 2010, eq. 19 and 20).

    Args:
        sigma: Standard deviation, in pixels, of the Gaussian window of each fit.
        damping: Epsilon of the paper, in squared units of the images: contrast of the source below its root counts as
            noise.
    """
    channels = source.shape[1]

    def mean(values: Tensor) -> Tensor:
        return gaussian_blur(values, sigma)

    def products(first: Tensor, second: Tensor) -> Tensor:
        return (first[:, :, None] * second[:, None]).flatten(1, 2)

    # Covariances in each window: of the source with itself, and with the prediction.
    source_mean, prediction_mean = mean(source), mean(prediction)
    own = mean(products(source, source)) - products(source_mean, source_mean)
    cross = mean(products(prediction, source)) - products(prediction_mean, source_mean)
    own, cross = (values.unflatten(1, (channels, channels)).permute(0, 3, 4, 1, 2) for values in (own, cross))
    identity = torch.eye(channels, device=source.device, dtype=source.dtype)
    matrix = torch.linalg.solve(own + damping * identity, cross, left=False).permute(0, 3, 4, 1, 2)
    offset = prediction_mean - (matrix * source_mean[:, None]).sum(2)
    return AffineMap(mean(matrix.flatten(1, 2)), mean(offset))


def color_transfer(
    source: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"], floor: float = 1e-4
) -> Float[Tensor, "c c"]:
    """The linear Monge-Kantorovich map of the colors of `source` to those of `target`, less the means.

    Pitie and Kokaram, The linear Monge-Kantorovitch linear colour mapping, CVMP 2007: among the matrices that turn the
    covariance of the source's colors into the target's, the one that moves colors least.

    Args:
        floor: Variance, in squared units of the images, added to both: images of one color have none.
    """
    own, other = (_color_covariance(image, floor) for image in (source, target))
    root = _matrix_power(own, 0.5)
    inverse = _matrix_power(own, -0.5)
    return inverse @ _matrix_power(root @ other @ root, 0.5) @ inverse


def _color_covariance(image: Tensor, floor: float) -> Float[Tensor, "c c"]:
    colors = image[0].flatten(1)
    colors = colors - colors.mean(1, keepdim=True)
    identity = torch.eye(len(colors), device=image.device, dtype=image.dtype)
    return colors @ colors.T / colors.shape[1] + floor * identity


def _matrix_power(matrix: Float[Tensor, "c c"], exponent: float) -> Float[Tensor, "c c"]:
    """A power of a symmetric matrix without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=1e-12) ** exponent @ vectors.T


def tone_sign(source: Float[Tensor, "1 c h w"], prediction: Float[Tensor, "1 c h w"]) -> float:
    """1 where light areas of `source` are light in `prediction`, -1 where they became dark.

    It is the sign of the correlation of the two lightnesses, the means over channels.
    """
    light, other = (image.mean(1) - image.mean() for image in (source, prediction))
    return -1.0 if float((light * other).sum()) < 0 else 1.0


def gaussian_blur(image: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """`image` after a Gaussian of standard deviation `sigma` pixels; beyond the border the border repeats."""
    radius = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, -1)
    groups = image.shape[1]
    image = F.conv2d(F.pad(image, [radius, radius, 0, 0], mode="replicate"), kernel[:, :, None, :], groups=groups)
    return F.conv2d(F.pad(image, [0, 0, radius, radius], mode="replicate"), kernel[..., None], groups=groups)
