"""The contrast of a blended texture: patches that overlap average each other, and the image becomes soft."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from lonepair.ops.blur import gaussian_blur
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.lattice import Lattice

BANDS = (1.0, 2.0)
"""Standard deviations in pixels of the Gaussians between which lie the two bands of fine texture."""
_FLOOR = 1e-6
"""Squared contrast below which an area is flat."""


def restore_contrast(
    image: Float[Tensor, "1 c h w"],
    target: Float[Tensor, "1 c h2 w2"],
    lattice: Lattice,
    matches: Int[Tensor, n],
    config: SynthesisConfig,
) -> Float[Tensor, "1 c h w"]:
    """`image` with the local contrast of the target's patches that it is blended from.

    In each band, the squared contrast that the matched patches have at their places in the target is what the image
    should have there. Where that is more in all than the target has, because sharp patches were matched too often, it
    is scaled to the target's mean. The image may leave [-1, 1] a little.

    Args:
        target: The target at the same scale.
        matches: For each patch of `lattice`, the index of the target's.
    """
    rest, target_rest, bands = image, target, []
    for sigma in BANDS:
        # The band of this image, and of the target.
        blurred, target_blurred = gaussian_blur(rest, sigma), gaussian_blur(target_rest, sigma)
        band, target_band = rest - blurred, target_rest - target_blurred
        rest, target_rest = blurred, target_blurred
        # Squared contrast: what the patches have in the target, and what is left of it.
        energy = target_band.square().mean(1, keepdim=True)
        expected = lattice.assemble(energy, matches, config.blend_sigma)
        expected = expected * (energy.mean() / expected.mean().clamp(min=_FLOOR)).clamp(max=1.0)
        expected = gaussian_blur(expected, config.contrast_sigma) + _FLOOR
        present = gaussian_blur(band.square().mean(1, keepdim=True), config.contrast_sigma) + _FLOOR
        gain = (expected / present).sqrt().clamp(1 / config.max_contrast_gain, config.max_contrast_gain)
        bands.append(gain * band)
    return rest + sum(bands)
