"""Memory that a training of the default pair takes."""

from __future__ import annotations

BASE_BYTES = 700 * 10**6
"""Memory of a training of any size: Python, torch, weights and optimizers of the default pair."""
BYTES_PER_PIXEL = 13_000
"""Memory of a training for each pixel of its finest stage: features and gradients of both generators."""
MAX_FULL_SIDE = 362
"""Side in pixels above which a step computes crops (`crop_size`), so that features take no more memory."""
BYTES_PER_IMAGE_PIXEL = 200
"""Memory for each pixel of any size: the images at every stage."""


def bytes_needed(longest_side: int) -> int:
    """Memory that training the default pair takes with images whose finest stage is `longest_side` pixels square.

    A rough model, linear in the pixels, somewhat above the peaks of full runs on a CPU in bfloat16: 0.76 GB at 80 px,
    0.87 GB at 128, 0.96 GB at 176, 1.32 GB at 220, and of some steps at 2048x2048, 3.0 GB, and 4096x4096, 3.8 GB.
    Square is the worst case: 4:3 images take less.
    """
    features = BYTES_PER_PIXEL * min(longest_side, MAX_FULL_SIDE) ** 2
    return BASE_BYTES + features + BYTES_PER_IMAGE_PIXEL * longest_side**2
