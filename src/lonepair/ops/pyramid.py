"""Image pyramids: the size (h, w) of an image in pixels at each stage, and the images. Stage 0 is the coarsest.

A pyramid rule returns one scale factor a stage, the last one 1. A pair shares its factors, so that both images are
reduced alike at every stage, and an object of A meets an object of B at the scale at which it is translated. (The
published systems for pairs stretch both images to one square instead.)
"""

import math
from collections.abc import Callable, Collection

from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.ops.resize import resize_image

Size = tuple[int, int]
"""(h, w) in pixels."""


def consingan_factors(stages: int, coarsest: float) -> list[float]:
    """ConSinGAN's rule (Hinz et al., WACV 2021, sec. 3.2 "Improved Image Rescaling"): more stages at small sizes.

    Args:
        stages: Number of stages, 1 or more.
        coarsest: Factor of stage 0, in (0, 1].
    """
    last = stages - 1
    if last == 0:
        return [1.0]
    r = coarsest ** (1 / last)
    steepness = (last - 1) / math.log(last) if last > 1 else 0.0
    # Hinz et al., sec. 3.2: with N = last, stage n < N has the factor r^(((N-1) / ln N) · ln(N-n) + 1).
    return [r ** (steepness * math.log(last - stage) + 1) for stage in range(last)] + [1.0]


def geometric_factors(stages: int, coarsest: float) -> list[float]:
    """SinGAN's rule for a given number of stages: one ratio between neighbors, coarsest^((N-n)/N) at stage n of N + 1.

    Args:
        stages: Number of stages, 1 or more.
        coarsest: Factor of stage 0, in (0, 1].
    """
    last = stages - 1
    # Rounded as in the released code of ConSinGAN: a power of the ratio.
    ratio = coarsest ** (1 / last)
    return [ratio ** (last - stage) for stage in range(last)] + [1.0]


def singan_factors(original: Size, full: Size, min_side: int, nominal: float = 0.75) -> list[float]:
    """SinGAN's rule, which also chooses the number of stages (Rott Shaham et al., ICCV 2019, sec. 2.2; released code).

    The number of stages is the number of steps of ratio `nominal` from the original image down to `min_side`, less the
    steps from the original down to `full`. The ratio is then adjusted so that this number of stages ends at `min_side`.
    Powers are computed as in the released code, whose rounding error can add a pixel to the coarsest stage (26 instead
    of 25 at 188x250).

    Args:
        original: (h, w) of the image before it is reduced for training.
        full: (h, w) of the image at the last stage.
        min_side: Pixels on the shortest side at stage 0.
        nominal: Desired ratio of one stage's size to that of the next, in (0, 1).
    """
    last = math.ceil(math.log(min_side / min(original), nominal)) + 1
    last -= math.ceil(math.log(max(full) / max(original), nominal))
    return _factors_to(min_side / min(full), last)


def singan_superresolution_factors(original: Size, full: Size, min_side: int, nominal: float) -> list[float]:
    """SinGAN's rule for super-resolution (released code): as `singan_factors`, with other numbers of stages.

    Both numbers of steps are truncated instead of rounded up, and the steps down to `full` count from the width of the
    original, not from its longest side: a portrait has more stages. The arguments are those of `singan_factors`.
    """
    last = int(math.log(min_side / min(original), nominal)) + 1
    last -= int(math.log(max(full) / original[1], nominal))
    return _factors_to(min_side / min(full), last)


def _factors_to(coarsest: float, last: int) -> list[float]:
    """Powers of one ratio, from `coarsest` at stage 0 to 1 at stage `last`."""
    ratio = math.pow(coarsest, 1 / last)
    return [math.pow(ratio, last - stage) for stage in range(last + 1)]


RULES: dict[str, Callable[[int, float], list[float]]] = {"consingan": consingan_factors, "geometric": geometric_factors}
"""Name of a rule -> (number of stages, factor of stage 0) -> the factor of each stage."""


def scale_size(size: Size, factor: float) -> Size:
    """`size` times `factor`, each side rounded up (as in the published code) and 1 pixel or more."""
    return (max(1, math.ceil(size[0] * factor)), max(1, math.ceil(size[1] * factor)))


def shared_factors(
    full_sizes: Collection[Size], stages: int, min_side: int, rule: str, as_released: bool = False
) -> list[float]:
    """The scale factor of each stage, shared by several images.

    Args:
        full_sizes: (h, w) of each image at the last stage.
        stages: Number of stages.
        min_side: Pixels at stage 0 on the shortest of all sides.
        rule: A name in `RULES`.
        as_released: Keep rounding errors as in the released code of ConSinGAN, which add a pixel where a side is an
            integer but for them (26 rows instead of 25 at 164x250).

    Raises:
        UserError: A side of an image is shorter than `min_side`.
    """
    # The image with the shortest side decides: none is smaller than `min_side` at stage 0.
    smallest = min(full_sizes, key=min)
    if min(smallest) < min_side:
        raise UserError(
            f"an image of {smallest[1]}x{smallest[0]} pixels (width x height) is too small: the coarsest stage needs "
            f"{min_side} pixels on the shortest side; give a larger image or a smaller `min_side`"
        )
    factors = RULES[rule](stages, min_side / min(smallest))
    # Slightly smaller factors: an integer product with a rounding error would be rounded up by a pixel.
    return factors if as_released else [factor * (1 - 1e-12) for factor in factors[:-1]] + [1.0]


def pyramid(frames: Float[Tensor, "n c h w"], sizes: list[Size]) -> list[Tensor]:
    """`frames`, in [-1, 1], at each of `sizes`, reduced from the full resolution and not from the next larger level."""
    return [resize_image(frames, size) for size in sizes]
