"""Distances between the patch distributions of two images: they compare materials, whatever their positions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lonepair.ops.device import is_on_cpu
from lonepair.ops.noise import RandomStream
from lonepair.ops.padding import reflect_pad
from lonepair.ops.regions import narrow_at
from lonepair.ops.resize import resize
from lonepair.patches.search import NearestPatches, patches_of


def random_filters(count: int, channels: int, patch: int, rng: RandomStream) -> Float[Tensor, "{count} {channels} p p"]:
    """`count` directions, uniform on the unit sphere, in the space of patches of `patch` x `patch` pixels."""
    filters = rng.normal(count, channels, patch, patch)
    unit: Tensor = filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return unit


class ColorWhitening:
    """Colors relative to a target's own: its mean and its ZCA whitening matrix.

    The whitened target has uncorrelated colors of standard deviation 1. Hues that a nearly gray target lacks then
    weigh more than channel by channel, where they would pass for slight noise. A direction's standard deviation counts
    as at least a third of the largest (with a tenth hues dominate, and images become smooth) and half a gray value.
    """

    def __init__(self, target: Float[Tensor, "1 c h w"]) -> None:
        colors = target[0].flatten(1)
        self._mean = colors.mean(1).view(1, -1, 1, 1)
        centered = colors - colors.mean(1, keepdim=True)
        variances, directions = torch.linalg.eigh((centered @ centered.T / colors.shape[1]).double())
        spread = variances.clamp(min=0).sqrt()
        spread = spread.clamp(min=max(float(spread.max()) / 3, 1 / 255))
        self._units = (directions / spread @ directions.T).to(target.dtype)

    def __call__(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """`image` in units of the target's contrast."""
        # A convolution of three channels is computed as one of sixteen, in as much memory.
        measured: Tensor = (self._units @ (image - self._mean).flatten(2)).view_as(image)
        return measured


def sliced_wasserstein(
    one: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h2 w2"], filters: Float[Tensor, "f c p p"]
) -> Float[Tensor, ""]:
    """Sliced Wasserstein-1 distance between all patches of `one` and all patches of `other`.

    Each filter projects every patch to a number; the distance of two sets of numbers is the mean difference of their
    sorted values (Rabin et al. 2011), averaged over filters. Images need not be of one size: the longer list is read
    at the shorter one's quantiles, interpolated. Elnekave and Weiss (GPDM, CVPR 2022) generate images by descending it.
    """
    a, b = (_sorted(_projected(image, filters)) for image in (one, other))
    if a.shape[1] > b.shape[1]:
        a, b = b, a
    return (a - _at_quantiles(b, a.shape[1])).abs().mean()


def _projected(image: Float[Tensor, "b c h w"], filters: Tensor, step: int = 1) -> Float[Tensor, "f n"]:
    return F.conv2d(image, filters, stride=step).transpose(0, 1).flatten(1).float()


def _sorted(values: Float[Tensor, "f n"]) -> Float[Tensor, "f n"]:
    """Each row in rising order."""
    if not is_on_cpu(values):
        return values.sort(dim=1).values
    # numpy sorts with vector instructions, in half the time and less.
    order = torch.from_numpy(np.argsort(values.detach().numpy(), axis=1))
    return values.gather(1, order)


def _at_quantiles(values: Float[Tensor, "f n"], count: int) -> Float[Tensor, "f {count}"]:
    """Sorted `values` at `count` quantiles, evenly spaced."""
    if values.shape[1] == count:
        return values
    return F.interpolate(values[None], size=count, mode="linear", align_corners=True)[0]


class PatchDistribution:
    """The patches of one target at its own size and at half of it, as a loss for images of any size.

    Each level compares distributions of whole patches and, with weight `detail`, of the detail that halving the image
    removes, both in units of the target's contrast there. Without the second term fine grain hardly counts: nearly
    all variance of a patch is in its mean. The target's sorted projections are stored for each of `BANKS` sets of
    filters; a call takes a random set, and at most `MOST` random patches of the image.

    Images are mirrored outward by half a patch: otherwise pixels at the border belong to fewer patches and are less
    constrained. With `frame` the area beyond the border is empty instead, and one more channel marks it with that
    weight, in standard deviations of color: content at the target's border then stays at the image's border.

    Projections of patches are nearly Gaussian and say little of whether a patch occurs in the target. With weight
    `nearest`, `QUERIES` patches are also compared with the target's nearest, where `COMPLETENESS` keeps them from
    sharing a few patches.
    """

    BANKS, FILTERS, MOST = 8, 64, 4096
    ALL, KNOWN = 1 << 16, 1 << 14
    """A target of up to `ALL` patches is represented by all of them, a larger one by `KNOWN`, evenly spaced."""
    QUANTILES = 2 * MOST
    """Number of quantiles that represent a projection; it bounds the memory."""
    QUERIES, COMPLETENESS = 1024, 0.01

    def __init__(
        self,
        target: Float[Tensor, "1 c h w"],
        patch: int,
        levels: int,
        detail: float,
        nearest: float,
        rng: RandomStream,
        frame: float = 0.0,
    ) -> None:
        self._levels: list[list[_Distribution | _Nearness]] = []
        for _ in range(levels):
            terms: list[_Distribution | _Nearness] = [_Distribution(1.0, _whole, patch, target, rng, frame)]
            if detail:
                terms.append(_Distribution(detail, _fine, patch, target, rng, frame))
            if nearest:
                terms.append(_Nearness(nearest, patch, target, frame))
            self._levels.append(terms)
            if min(target.shape[-2:]) < (3 if frame else 6) * patch:
                break  # framed, even the patches of a very small image differ: they say what is above what
            target = _halved(target)

    def loss(self, image: Float[Tensor, "b c h w"], rng: RandomStream) -> Float[Tensor, ""]:
        """Sliced Wasserstein-2 distance of `image` to the target plus that to the nearest patches, mean over levels.

        Several images are crops of one: their patches are pooled, and there is no area beyond their borders.

        The squared distances keep colors in the target's gamut: the mean absolute difference takes little notice of a
        few patches far from all of the target's, and the layout loss rewards strong contrast.
        """
        distances: list[Tensor] = []
        for index, terms in enumerate(self._levels):
            image = _halved(image) if index else image
            distances += [term.weight * term.distance(image, rng) for term in terms]
        return torch.stack(distances).sum() / len(self._levels)


class _Distribution:
    """Distance of two distributions of patches of `side` pixels, of the images after `of`."""

    def __init__(
        self, weight: float, of: Callable[[Tensor], Tensor], side: int, target: Tensor, rng: RandomStream, frame: float
    ) -> None:
        self.weight = weight
        self._of, self._side, self._frame = of, side, frame
        self._contrast = ColorWhitening(of(target))
        channels = target.shape[1] + (frame > 0)
        banks = [random_filters(PatchDistribution.FILTERS, channels, side, rng) for _ in range(PatchDistribution.BANKS)]
        self._filters = torch.stack(banks).to(target.device)
        theirs = self._prepared(target)
        self._theirs = _known(theirs, side)
        self._kept: dict[int, Tensor] = {}
        self._of_all: Tensor | None = None

    def distance(self, image: Tensor, rng: RandomStream) -> Float[Tensor, ""]:
        """Sliced Wasserstein-2 distance to the target, in units of its contrast."""
        bank = rng.integer(PatchDistribution.BANKS).view(1)
        some, step = _some(self._prepared(image), self._side, PatchDistribution.MOST, rng)
        ours = _sorted(_projected(some, self._filters.index_select(0, bank)[0], step))
        apart = ours - _at_quantiles(self._distributed(bank), ours.shape[1])
        return apart.square().mean(1).add(1e-8).sqrt().mean()

    def _distributed(self, bank: Int[Tensor, 1]) -> Float[Tensor, "f n"]:
        if is_on_cpu(bank):
            # One bank at a time: most frames of a clip are compared once.
            return self._of_bank(int(bank))
        if self._of_all is None:  # the host does not know the bank
            self._of_all = torch.stack([self._of_bank(number) for number in range(PatchDistribution.BANKS)])
        return self._of_all.index_select(0, bank)[0]

    def _of_bank(self, bank: int) -> Float[Tensor, "f n"]:
        if bank not in self._kept:
            image, _, step = self._theirs
            with torch.no_grad():
                found = _sorted(_projected(image, self._filters[bank], step))
                self._kept[bank] = _at_quantiles(found, min(found.shape[1], PatchDistribution.QUANTILES))
        return self._kept[bank]

    def _prepared(self, image: Tensor) -> Tensor:
        return _bordered(self._contrast(self._of(image)), self._side, self._frame)


class _Nearness:
    """Distance of an image's patches to the nearest of the target's."""

    def __init__(self, weight: float, side: int, target: Tensor, frame: float) -> None:
        self.weight, self._side, self._frame = weight, side, frame
        self._contrast = ColorWhitening(target)
        prepared = self._contrast(target)
        # Mirrored patches do not occur in the target.
        theirs = _bordered(prepared, side, frame) if frame else prepared
        self._theirs = NearestPatches(*_known(theirs, side))

    def distance(self, image: Tensor, rng: RandomStream) -> Float[Tensor, ""]:
        """Root mean square difference of some patches to their nearest, in units of the target's contrast."""
        some, step = _some(
            _bordered(self._contrast(image), self._side, self._frame), self._side, PatchDistribution.QUERIES, rng
        )
        ours = patches_of(some, self._side, step)
        found = self._theirs(self._theirs.queries(some, step), PatchDistribution.COMPLETENESS)
        nearest = self._theirs.patches(found)
        return (ours - nearest).square().mean().add(1e-8).sqrt()


def _some(
    image: Float[Tensor, "b c h w"], side: int, most: int, rng: RandomStream
) -> tuple[Float[Tensor, "b c h2 w2"], int]:
    """A random subset of at most `most` patches: `image` from the first of them on, and their step.

    The start is random, so that every patch has the same chance; the other patches need not be computed.
    """
    step = _step(image, side, most)
    if is_on_cpu(image):
        return image[:, :, rng.host_integer(step) :, rng.host_integer(step) :], step
    # Always the same number, so that the host knows all sizes: patches are aligned to one end or the other, at random.
    # The patches that are left over at an end, fewer than a step, are half as likely.
    for axis in (2, 3) if step > 1 else ():
        places = image.shape[axis] - side + 1
        first = rng.integer(step) + rng.integer(2) * (places % step)
        image = narrow_at(image, axis, first, side + (places // step - 1) * step)
    return image, step


def _step(image: Tensor, side: int, most: int) -> int:
    """The smallest step in pixels at which `image` has at most `most` patches."""
    rows, columns = image.shape[-2] - side + 1, image.shape[-1] - side + 1
    step = 1
    while len(image) * -(-rows // step) * -(-columns // step) > most:
        step += 1
    return step


def _known(image: Float[Tensor, "1 c h w"], side: int) -> tuple[Float[Tensor, "1 c h2 w2"], int, int]:
    """A packed target, the side of its patches, and the step between those that represent it."""
    is_small = _step(image, side, PatchDistribution.ALL) == 1
    return _packed(image, side, 1 if is_small else _step(image, side, PatchDistribution.KNOWN))


def _packed(image: Float[Tensor, "1 c h w"], side: int, step: int) -> tuple[Float[Tensor, "1 c h2 w2"], int, int]:
    """`image`, `side` and `step`, without the pixels between patches that do not touch: they would fill the memory."""
    if step <= side:
        return image, side, step
    apart = image.unfold(2, side, step).unfold(3, side, step)
    return apart.permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3), side, side


def _bordered(image: Tensor, side: int, frame: float) -> Tensor:
    """`image`, in units of contrast, extended by half a patch beyond its border."""
    reach = side // 2 if len(image) == 1 else 0
    if frame == 0:
        return reflect_pad(image, reach)
    return F.pad(torch.cat([image, torch.full_like(image[:, :1], frame)], 1), [reach] * 4)


def _whole(image: Tensor) -> Tensor:
    return image


def _halved(image: Tensor) -> Tensor:
    return resize(image, ((image.shape[-2] + 1) // 2, (image.shape[-1] + 1) // 2))


def _fine(image: Tensor) -> Tensor:
    """The detail of `image` that halving it removes."""
    return image - resize(_halved(image), (image.shape[-2], image.shape[-1]))
