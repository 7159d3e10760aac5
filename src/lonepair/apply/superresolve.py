"""Super-resolution: the finest stage, trained to add the detail of one step in size, applied again and again."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.methods.base import SingleMethod
from lonepair.ops.color import match_channels
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image

MAX_PIXELS = 8192 * 8192


@torch.no_grad()
def superresolve(
    method: SingleMethod, engine: Engine, image: Float[Tensor, "1 c h w"], factor: float, seed: int
) -> Float[Tensor, "1 c2 h2 w2"]:
    """`image` enlarged by `factor` (SinGAN, sec. 4): k steps of factor^(1/k), k so that each is near the model's own
    ratio between its last two stages; after each the last generator adds its detail, with fresh noise.

    Raises:
        UserError: for a factor that is not above 1, or a result of more than 67 megapixels.
    """
    if not factor > 1:
        raise UserError(f"factor is {factor:g}: choose a number above 1, such as 2 or 4")
    h, w = image.shape[-2:]
    if h * w * factor**2 > MAX_PIXELS:
        raise UserError(f"{w}x{h} pixels times {factor:g} are more than {MAX_PIXELS / 1e6:.0f} megapixels; choose less")
    factors = method.plan.factors[: method.stage + 1]
    own = factors[-1] / factors[-2] if len(factors) > 1 else 1.26
    steps = max(1, round(math.log(factor) / math.log(own)))
    drawn = engine.to_device(match_channels(image, method.plan.channels))
    last = method.stage
    for step in range(1, steps + 1):
        scale = factor ** (step / steps)
        size = (round(h * scale), round(w * scale))
        large = resize_image(drawn, size)
        sizes = [size] * (last + 1)
        with engine.autocast():
            # The last stage sees the enlarged image itself: what lies below it is the image that is given.
            drawn = (
                method.translate(large, sizes, "a", last, RandomStream.for_sample(seed, step, engine.device))
                .float()
                .clamp(-1, 1)
            )
    return drawn.cpu().contiguous()
