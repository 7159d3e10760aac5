"""Samples in the manner of GPNN and GPDM by this package's own patch search and patch distance, for the field's tables.

They are not the authors' code: coarse to fine and the term for completeness are GPNN's (Granot et al., CVPR 2022),
descent of the sliced Wasserstein distance is GPDM's (Elnekave and Weiss, CVPR 2022); all else is ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.pyramid import scale_size
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.distance import random_filters, sliced_wasserstein
from lonepair.patches.synthesis import Synthesizer

COARSEST_SIDE = 21
"""Shortest side in pixels of the coarsest scale."""
RATIO = 0.75
"""Ratio of two successive scales."""
NOISE = 3.0
"""Standard deviation of the noise that is added to the coarsest image in [-1, 1]. With less, this search restores the
image itself; with this much, samples copy as much as those that GPNN's authors published."""
STEPS, FILTERS, LEARNING_RATE = 100, 64, 0.02
"""GPDM-like: steps per scale, random directions per step, and Adam's learning rate. GPDM takes 300 steps."""


def gpnn_like(image: Tensor, seed: int) -> Tensor:
    """A sample (1, c, h, w): nearest patches from the coarsest image with noise on, nothing kept from being copied."""
    noisy = _noisy_coarsest(image, seed)
    factors = _factors(image)
    config = SynthesisConfig(
        layout_scale=1.0,
        layout_restoration=0.0,
        copied_region_share=1.0,
        replacement_passes=0,
        patch_stride=1,
        rounds=10,
        propagation_distance=4,
        texture_contrast=False,
    )
    return Synthesizer(image, factors, config).synthesize(resize_image(noisy, _size(image))).image


def gpdm_like(image: Tensor, seed: int) -> Tensor:
    """A sample (1, c, h, w): pixels that descend the sliced Wasserstein distance of patches, coarse to fine."""
    sample, rng = _noisy_coarsest(image, seed), RandomStream(seed, 1)
    for factor in _factors(image):
        target = resize_image(image, scale_size(_size(image), factor))
        pixels = resize_image(sample, _size(target)).clone().requires_grad_()
        optimizer = torch.optim.Adam([pixels], LEARNING_RATE)
        for _ in range(STEPS):
            filters = random_filters(FILTERS, image.shape[1], 7, rng)
            (pixels.grad,) = torch.autograd.grad(sliced_wasserstein(pixels, target, filters), pixels)
            optimizer.step()
        sample = pixels.detach().clamp(-1, 1)
    return sample


def _factors(image: Tensor) -> list[float]:
    """Scales from the coarsest to 1."""
    coarsest = COARSEST_SIDE / min(image.shape[-2:])
    factors = [1.0]
    while factors[0] * RATIO > coarsest:
        factors.insert(0, factors[0] * RATIO)
    return [coarsest, *factors]


def _noisy_coarsest(image: Tensor, seed: int) -> Tensor:
    """The image at the coarsest size with noise on."""
    coarse = resize_image(image, scale_size(_size(image), _factors(image)[0]))
    return coarse + NOISE * RandomStream(seed, 0).normal(*coarse.shape)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


BASELINES: dict[str, Callable[[Tensor, int], Tensor]] = {"gpnn-like": gpnn_like, "gpdm-like": gpdm_like}
"""Name of a method of the table -> a function of an image and a seed."""
