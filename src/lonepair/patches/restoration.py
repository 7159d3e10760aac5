"""What a synthesis keeps to at one scale: the layout of the prediction, and the edges of the source."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.blur import gaussian_blur, reduce_and_enlarge, reduce_by
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.guide import Guide


@dataclass(frozen=True)
class Edges:
    """The source's edges at one scale, in the target's colors."""

    band: Float[Tensor, "1 c h w"]
    """The guided image less its layout."""
    weight: Float[Tensor, "1 1 h w"]
    """Fraction of the band that each round restores, 0 to 1: more where the source has an edge than where it is flat,
    so that texture stays in flat areas."""
    final: Float[Tensor, "1 c h w"]
    """The guided image without lines that are finer than the finished image draws."""
    final_reduction: float
    """Factor that reduces an image to that fineness."""
    final_weight: Float[Tensor, "1 1 h w"]
    """Fraction of `final` that the finished image takes, 0 to 1."""


@dataclass(frozen=True)
class Restoration:
    """What each round restores in an image of one scale."""

    layout: Float[Tensor, "1 c h w"]
    """The layout to keep to."""
    similarity: Float[Tensor, "1 1 h w"]
    """Confidence in [0, 1] that the target has a patch like the one at each position (`Texture.similarity_map`)."""
    strength: float
    """Fraction of the lost layout that is restored where the confidence is 1."""
    layout_size: tuple[int, int]
    """(h, w) to which an image is reduced to have nothing but the layout."""
    edges: Edges | None
    """None without a guide."""

    @staticmethod
    def of(
        start: Float[Tensor, "1 c h w"],
        guided: Float[Tensor, "1 c h w"] | None,
        target: Float[Tensor, "1 c h2 w2"],
        similarity: Float[Tensor, "1 1 h3 w3"],
        layout_size: tuple[int, int],
        guide: Guide | None,
        config: SynthesisConfig,
    ) -> Restoration:
        """What an image of the size of `start` keeps to.

        Args:
            start: The image that synthesis starts from at this scale.
            guided: The guided image at this scale; None without a guide.
            target: The target at this scale.
            similarity: Confidence that the target has patches like those of `start`, of any size.
            layout_size: (h, w) to which an image is reduced to have nothing but the layout.
            guide: The guide, if there is one.
            config: Settings of the synthesis.
        """
        layout = reduce_and_enlarge(start, layout_size)
        similarity = F.interpolate(similarity, start.shape[-2:], mode="bilinear")
        edges = None
        if guide is not None and guided is not None:
            reduction = max(layout_size) / max(start.shape[-2:])
            edges = _edges(guided, target, reduction, guide, config)
        return Restoration(layout, similarity, config.layout_restoration, layout_size, edges)

    def restore(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """`image` with the layout and the edges that a round lost."""
        present = reduce_and_enlarge(image, self.layout_size)
        restored = image + self.strength * self.similarity * (self.layout - present)
        if self.edges is not None:
            restored = restored + self.edges.weight * (self.edges.band - (image - present))
        return restored

    def draw_edges(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """The finished `image` with the source's edges, as far as `structure` above 0.5 asks for them."""
        if self.edges is None or not self.edges.final_weight.any():
            return image
        present = reduce_by(image.clamp(-1, 1), self.edges.final_reduction)
        return image + self.edges.final_weight * (self.edges.final - present)


def _edges(guided: Tensor, target: Tensor, reduction: float, guide: Guide, config: SynthesisConfig) -> Edges:
    """The edges of `guided`; arguments as of `Restoration.of`."""
    # Each round: a band's weight is that of a Wiener filter, energy over energy plus the texture's own.
    band, texture = (image - reduce_by(image, reduction) for image in (guided, target))
    weight = min(1.0, 2 * guide.structure) * _share(band, texture, config.edge_sigma, config.edge_threshold)
    # At the end: coarser lines, from half of the dial on.
    final_reduction = min(1.0, reduction) ** (1 - config.final_edge_scale)
    final, smooth_target = (reduce_by(image, final_reduction) for image in (guided, target))
    low = guide.transfer_side / max(guided.shape[-2:])
    lines, texture = (image - reduce_by(image, low) for image in (final, smooth_target))
    share = max(0.0, 2 * guide.structure - 1) * config.final_edges
    sigma = config.edge_sigma / final_reduction
    final_weight = share * _share(lines, texture, sigma, config.edge_threshold)
    return Edges(band, weight, final, final_reduction, final_weight)


def _share(band: Tensor, texture: Tensor, sigma: float, threshold: float) -> Float[Tensor, "1 1 h w"]:
    """Local energy of `band` over itself and `threshold` times the mean energy of `texture`, 0 to 1."""
    energy = gaussian_blur(band.square().mean(1, keepdim=True), sigma)
    return energy / (energy + threshold * texture.square().mean() + 1e-9)
