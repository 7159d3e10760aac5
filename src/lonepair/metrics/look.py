"""Look: how much of the way from the source's material to the target's an output has come."""

from collections.abc import Iterator, Sequence

from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from lonepair.patches.distance import ColorWhitening, random_filters, sliced_wasserstein

PATCH, FILTERS = 7, 128
COARSEST = 16
"""The coarsest level has at least so many pixels on the shortest side."""


def look(
    output: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"], source: Float[Tensor, "1 c h3 w3"]
) -> float:
    """`look_distance` of the output to the target, over that of the untranslated source.

    0: patches like the target's at every scale; 1: no closer than the source; above 1: further away.
    """
    return look_distance(output, target) / max(look_distance(source, target), 1e-9)


def look_distance(image: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h2 w2"]) -> float:
    """Sliced Wasserstein distance between the 7x7 patches of the levels of two Laplacian pyramids.

    As Karras et al. (ICLR 2018, sec. 5) measure a generator, for one image: every level is in units of the target's
    contrast there (`patches.ColorWhitening`), so that fine grain counts as much as large areas (of plain patches
    nearly all variance is in their mean, and a blurred output would pass), and hues that the target lacks are seen.
    The mean over levels; 0 for equal images, not symmetric. Pixels of both images are taken to be of one size. About
    0.2 s for 128x128 on one core.
    """
    count = min(_levels(image), _levels(target))
    distances = []
    for index, (ours, theirs) in enumerate(zip(_bands(image, count), _bands(target, count), strict=True)):
        contrast = ColorWhitening(theirs)
        filters = random_filters(FILTERS, image.shape[1], PATCH, RandomStream(index, PATCH, FILTERS)).to(image.device)
        distances.append(float(sliced_wasserstein(contrast(ours), contrast(theirs), filters)))
    return sum(distances) / len(distances)


def _levels(image: Tensor) -> int:
    count, side = 1, min(image.shape[-2:])
    while side // 2 >= COARSEST:
        count, side = count + 1, side // 2
    return count


def _bands(image: Tensor, count: int) -> Iterator[Tensor]:
    """A Laplacian pyramid, fine first: what each halving takes away, and what is left at last."""
    for _ in range(count - 1):
        half = resize(image, _half(image.shape[-2:]))
        yield image - resize(half, (image.shape[-2], image.shape[-1]))
        image = half
    yield image


def _half(size: Sequence[int]) -> tuple[int, int]:
    return (size[0] + 1) // 2, (size[1] + 1) // 2
