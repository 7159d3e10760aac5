"""The guide of patch synthesis: the networks' coarse prediction with the fine edges of the source.

A guided filter (He, Sun and Tang, Guided Image Filtering, ECCV 2010) models the prediction as a local affine function
of the source at the networks' resolution, and applies that function to the source at any larger size. The result has
the prediction's colors and the source's edges, with the right sign where light became dark.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.blur import gaussian_blur, reduce_by
from lonepair.ops.resize import resize_image
from lonepair.patches.color_energy import ColorEnergy, cell_means
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.windows import Window


@dataclass(frozen=True)
class AffineMap:
    """A local affine function of colors at the networks' resolution: prediction = matrix · source + offset."""

    matrix: Float[Tensor, "1 cc h w"]
    """Row by row; cc is the square of the number of channels."""
    offset: Float[Tensor, "1 c h w"]

    def apply(self, source: Float[Tensor, "1 c h2 w2"]) -> Float[Tensor, "1 c h2 w2"]:
        """The function of `source` at any size, clamped to [-1, 1]."""
        size, channels = (source.shape[-2], source.shape[-1]), source.shape[1]
        # One output channel at a time: all matrices of a large image would take several times its memory.
        rows = []
        for row, offset in zip(torch.split(self.matrix, channels, 1), torch.split(self.offset, 1, 1), strict=True):
            weights = F.interpolate(row, size, mode="bilinear", align_corners=False)
            rows.append((weights * source).sum(1, keepdim=True))
            rows[-1] += F.interpolate(offset, size, mode="bilinear", align_corners=False)
        return torch.cat(rows, 1).clamp(-1, 1)


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
    shape = (*source.shape[-2:], channels, channels)
    own, cross = (values.permute(0, 2, 3, 1).reshape(1, *shape) for values in (own, cross))
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
    power: Tensor = vectors * values.clamp(min=1e-12).pow(exponent) @ vectors.T
    return power


def tone_sign(source: Float[Tensor, "1 c h w"], prediction: Float[Tensor, "1 c h w"]) -> float:
    """1 where light areas of `source` are light in `prediction`, -1 where they became dark.

    It is the sign of the correlation of the two lightnesses, the means over the color channels.
    """
    grays = (image[:, :3].mean(1) for image in (source, prediction))
    light, other = (gray - gray.mean() for gray in grays)
    return -1.0 if float((light * other).sum()) < 0 else 1.0


def source_transfer(
    network_input: Float[Tensor, "1 c h w"], prediction: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"]
) -> Float[Tensor, "c c"]:
    """The matrix by which a guide maps the source's fine edges: `color_transfer` with the sign of the tone.

    All frames of a scene share it, so that edges do not flicker.
    """
    return tone_sign(network_input, prediction) * color_transfer(network_input, target)


@dataclass(frozen=True)
class Guide:
    """What a synthesis starts from and keeps to: the networks' prediction and, by `structure`, the source's edges."""

    prediction: Float[Tensor, "1 c h w"]
    """In [-1, 1], at the networks' resolution."""
    source: Float[Tensor, "1 c h2 w2"]
    """The translated image in [-1, 1], at the output's size."""
    structure: float
    """How much of the source's edges is kept, 0 to 1."""
    affine: AffineMap
    transfer: Float[Tensor, "c c"]
    """Colors of the source to those of the target, with the sign of the tone (`color_transfer`, `tone_sign`)."""
    transfer_side: float
    """Shapes finer than this, in pixels on the longest side, follow `transfer`; larger ones the local map."""
    max_energy: float
    """Largest energy of the source's fine band, as a multiple of the target's at the same color."""

    def crop(self, window: Window) -> Guide:
        """The guide of a part of the image."""
        affine = AffineMap(window.crop(self.affine.matrix), window.crop(self.affine.offset))
        prediction, source = window.crop(self.prediction), window.crop(self.source)
        return replace(
            self, prediction=prediction, source=source, affine=affine, transfer_side=self.transfer_side * window.share
        )

    @staticmethod
    def fit(
        network_input: Float[Tensor, "1 c h w"],
        prediction: Float[Tensor, "1 c h w"],
        source: Float[Tensor, "1 c h2 w2"],
        transfer: Float[Tensor, "c c"],
        structure: float,
        config: SynthesisConfig,
    ) -> Guide:
        """The guide of one image.

        Args:
            network_input: The source at the networks' resolution.
            prediction: What the networks made of it.
            source: The source at the output's size.
            transfer: The result of `source_transfer`.
            structure: How much of the source's edges is kept, 0 to 1.
            config: Settings of the fit.
        """
        affine = fit_affine_map(network_input, prediction, config.guide_sigma, config.guide_damping)
        return Guide(
            prediction, source, structure, affine, transfer, config.guide_transfer_side, config.guide_max_energy
        )

    def guided(self, size: tuple[int, int], target: Float[Tensor, "1 c h4 w4"]) -> Float[Tensor, "1 c h3 w3"]:
        """The target's colors with the source's edges at (h, w) `size`, in [-1, 1].

        The networks ignore much that is fine, such as a face's features, and the local map with them. So the fine band
        of the source takes the map of all colors instead. Where it is stronger than the target is in areas of the same
        color, the surplus is removed, from `structure` 0.5 to 1 ever less of it: white paper keeps clear of the
        source's grain.

        Args:
            target: The target at the scale of `size`.
        """
        source = resize_image(self.source, size)
        reduction = self.transfer_side / max(size)
        fine = source - reduce_by(source, reduction)
        mapped = torch.einsum("ij,bjhw->bihw", self.transfer, fine)
        coarse = self.affine.apply(source - fine)
        if reduction < 1 and self.structure < 1:
            allowed = self.max_energy * ColorEnergy.of(target, reduction).at(cell_means(coarse, reduction))
            energy = cell_means(mapped.square().sum(1, keepdim=True), reduction)
            gain = (allowed / energy.clamp(min=1e-8)).clamp(max=1) ** min(0.5, 1 - self.structure)
            mapped = mapped * F.interpolate(gain, size, mode="bilinear", align_corners=False)
        return (coarse + mapped).clamp(-1, 1)

    def start(self, size: tuple[int, int], guided: Float[Tensor, "1 c h3 w3"]) -> Float[Tensor, "1 c h3 w3"]:
        """The image that synthesis starts from at (h, w) `size`: the prediction, from `structure` 0.5 on the guide.

        Args:
            guided: The result of `guided` at this size.
        """
        prediction = resize_image(self.prediction, size)
        return torch.lerp(prediction, guided, min(1.0, 2 * self.structure))
