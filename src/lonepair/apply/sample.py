"""Draw random images from a trained method."""

from __future__ import annotations

import torch
from torch import Tensor

from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.noise import Draw
from lonepair.train.engine import Engine


@torch.no_grad()
def sample(
    method: Method, engine: Engine, count: int, seed: int, size: tuple[int, int] | None = None
) -> list[dict[str, Tensor]]:
    """`count` random images of every domain, each (1, c, h, w) in [-1, 1] on the CPU; those of a pair are aligned.

    Noise is drawn on the CPU from (seed, index), so that neither count nor device changes a picture.

    Raises:
        UserError: for a count below 1, or a size below the coarsest stage's.
    """
    if count < 1:
        raise UserError(f"count is {count}: ask for 1 sample or more")
    smallest = method.config.min_side
    if size is not None and min(size) < smallest:
        raise UserError(
            f"size is {size[0]}x{size[1]}: both sides need at least {smallest} pixels (the model's min_side)"
        )
    full = {domain: size or own for domain, own in method.plan.full_sizes.items()}
    sizes = {domain: method.plan.sizes(whole)[: method.stage + 1] for domain, whole in full.items()}
    drawn = []
    for index in range(count):
        with engine.autocast():
            images = method.sample(sizes, Draw(seed, index, place=engine.device))
        drawn.append({domain: image.float().cpu().contiguous() for domain, image in images.items()})
    return drawn
