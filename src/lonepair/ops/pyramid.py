"""Pyramid rules: how large an image is at each stage. StageSizes are (h, w) in pixels, stage 0 is the coarsest.

A rule is a list of scale factors, one a stage, the last one 1. A pair shares one list, so that at every stage both
images are shrunk alike and an object of A meets an object of B at the scale at which it will be redrawn; the
published pair systems stretch both images to one square instead.
"""

import math
from collections.abc import Callable, Collection, Sequence

from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.ops.resize import resize_image

Size = tuple[int, int]


def consingan_factors(stages: int, coarsest: float) -> list[float]:
    """ConSinGAN's rule (Hinz et al., WACV 2021, section 3.2 "Improved Image Rescaling"): dense where images are small.

    `coarsest` is the factor of stage 0, in (0, 1]. With N = stages - 1 and r = coarsest^(1/N), stage i < N has the
    factor r^(((N-1)/ln N)·ln(N-i) + 1); stage N has 1.
    """
    last = stages - 1
    if last == 0:
        return [1.0]
    r = coarsest ** (1 / last)
    steepness = (last - 1) / math.log(last) if last > 1 else 0.0
    return [r ** (steepness * math.log(last - i) + 1) for i in range(last)] + [1.0]


def geometric_factors(stages: int, coarsest: float) -> list[float]:
    """One ratio from stage to stage: coarsest^((N-i)/N), as SinGAN's pyramid has it."""
    last = stages - 1
    return [coarsest ** ((last - i) / last) for i in range(last)] + [1.0]


def singan_factors(original: Size, full: Size, min_side: int, nominal: float = 0.75) -> list[float]:
    """SinGAN's rule (Rott Shaham et al., ICCV 2019, sec. 2.2, as in its released code).

    The number of stages is what a ratio near `nominal` needs between `min_side` pixels on the shortest side and the
    `original` image, less what it needs between `full`, the image as reduced for training, and the original. The exact
    ratio is the one that so many stages give. Powers are taken as the released code takes them, whose rounding error
    can add a pixel to the coarsest stage (26 rather than 25 at 188x250).
    """
    stages = math.ceil(math.log(min_side / min(original), nominal)) + 1
    stages -= math.ceil(math.log(max(full) / max(original), nominal))
    ratio = math.pow(min_side / min(full), 1 / stages)
    return [math.pow(ratio, stages - stage) for stage in range(stages + 1)]


RULES: dict[str, Callable[[int, float], list[float]]] = {"consingan": consingan_factors, "geometric": geometric_factors}


def scale_size(size: Size, factor: float) -> Size:
    """`size` times `factor`, each side rounded up (as the published code does) and at least 1."""
    return (max(1, math.ceil(size[0] * factor)), max(1, math.ceil(size[1] * factor)))


def shared_factors(full_sizes: Collection[Size], stages: int, min_side: int, rule: str) -> list[float]:
    """The scale factor of every stage, coarse first, that several images share.

    The shortest side among all images has `min_side` pixels at stage 0.

    Raises:
        UserError: where an image is smaller than the coarsest stage wants it.
    """
    small = min(full_sizes, key=min)
    if min(small) < min_side:
        raise UserError(
            f"an image of {small[1]}x{small[0]} pixels (width x height) is too small: the coarsest stage needs "
            f"{min_side} pixels on the shortest side; give a larger image or a smaller `min_side`"
        )
    # The tiny slack keeps a product that is an integer up to rounding error from gaining a pixel.
    return [factor * (1 - 1e-12) for factor in RULES[rule](stages, min_side / min(small))[:-1]] + [1.0]


def stage_sizes(full_sizes: Sequence[Size], stages: int, min_side: int, rule: str) -> list[list[Size]]:
    """The (h, w) of every stage, coarse first, for each of several images (see `shared_factors`)."""
    factors = shared_factors(full_sizes, stages, min_side, rule)
    return [[scale_size(size, factor) for factor in factors] for size in full_sizes]


def pyramid(frames: Float[Tensor, "n c h w"], sizes: list[Size]) -> list[Tensor]:
    """`frames` at every size, each reduced from the full resolution, not from the level above."""
    return [resize_image(frames, size) for size in sizes]
