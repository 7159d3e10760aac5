"""Subsets of an image's patches, so that a loss need not compute all of them."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from lonepair.ops.device import is_on_cpu
from lonepair.ops.noise import RandomStream
from lonepair.ops.regions import narrow_at


def sample_patches(
    image: Float[Tensor, "b c h w"], side: int, max_count: int, rng: RandomStream
) -> tuple[Float[Tensor, "b c h2 w2"], int]:
    """A random subset of at most `max_count` patches of `side` pixels: `image` from the first one on, and their step.

    The start is random, so that every patch has the same chance; the other patches need not be computed.
    """
    step = _step_for(image, side, max_count)
    if is_on_cpu(image):
        return image[:, :, rng.host_integer(step) :, rng.host_integer(step) :], step
    # Always the same number, so that the host knows all sizes: patches are aligned to one end or the other, at random.
    # The patches that are left over at an end, fewer than a step, are half as likely.
    for axis in (2, 3) if step > 1 else ():
        positions = image.shape[axis] - side + 1
        first = rng.integer(step) + rng.integer(2) * (positions % step)
        image = narrow_at(image, axis, first, side + (positions // step - 1) * step)
    return image, step


def reduce_target(
    image: Float[Tensor, "1 c h w"], side: int, max_count: int, reduced_count: int
) -> tuple[Float[Tensor, "1 c h2 w2"], int, int]:
    """The patches of `side` pixels that represent a target: the packed image, their side and their step.

    A target of up to `max_count` patches is represented by all of them, a larger one by at most `reduced_count`.
    """
    is_small = _step_for(image, side, max_count) == 1
    return pack_patches(image, side, 1 if is_small else _step_for(image, side, reduced_count))


def pack_patches(image: Float[Tensor, "1 c h w"], side: int, step: int) -> tuple[Float[Tensor, "1 c h2 w2"], int, int]:
    """`image`, `side` and `step`, without the pixels between patches that do not touch: they would fill the memory."""
    if step <= side:
        return image, side, step
    patches = image.unfold(2, side, step).unfold(3, side, step)
    return patches.permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3), side, side


def _step_for(image: Tensor, side: int, max_count: int) -> int:
    """The smallest step in pixels at which `image` has at most `max_count` patches."""
    rows, columns = image.shape[-2] - side + 1, image.shape[-1] - side + 1
    step = 1
    while len(image) * -(-rows // step) * -(-columns // step) > max_count:
        step += 1
    return step
