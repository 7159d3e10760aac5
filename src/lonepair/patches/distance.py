"""Distances between the patch distributions of two images: they compare materials, not positions."""

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
from lonepair.ops.resize import resize
from lonepair.patches.search import NearestPatches, patches_of
from lonepair.patches.subset import reduce_target, sample_patches


def random_filters(count: int, channels: int, side: int, rng: RandomStream) -> Float[Tensor, "{count} {channels} p p"]:
    """`count` directions, uniform on the unit sphere, in the space of patches of `side` x `side` pixels."""
    filters = rng.normal(count, channels, side, side)
    unit: Tensor = filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return unit


class ColorWhitening:
    """Colors relative to a target's own: its mean and its ZCA whitening matrix.

    The whitened target has uncorrelated colors of standard deviation 1. Hues that a nearly gray target lacks then
    weigh more than channel by channel, where they would pass for slight noise.
    """

    def __init__(self, target: Float[Tensor, "1 c h w"], max_ratio: float = 3.0) -> None:
        """
        Args:
            target: In [-1, 1].
            max_ratio: Largest ratio, 1 or more, of the standard deviations along two directions of color. A smaller
                one counts as the largest divided by it. With 10 hues dominate, and images become smooth.
        """
        # ZCA: the inverse square root of the covariance, U·diag(1/σ)·Uᵀ.
        colors = target[0].flatten(1)
        self._mean = colors.mean(1).view(1, -1, 1, 1)
        centered = colors - colors.mean(1, keepdim=True)
        variances, directions = torch.linalg.eigh((centered @ centered.T / colors.shape[1]).double())
        spread = variances.clamp(min=0).sqrt()
        # Half a gray value at least: a flat target has no contrast to divide by.
        spread = spread.clamp(min=max(float(spread.max()) / max_ratio, 1 / 255))
        self._units = (directions / spread @ directions.T).to(target.dtype)

    def __call__(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """`image` in units of the target's contrast."""
        # A convolution of three channels is computed as one of sixteen, in as much memory.
        whitened: Tensor = (self._units @ (image - self._mean).flatten(2)).view_as(image)
        return whitened


def sliced_wasserstein(
    one: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h2 w2"], filters: Float[Tensor, "f c p p"]
) -> Float[Tensor, ""]:
    """Sliced Wasserstein-1 distance between all patches of `one` and all patches of `other`.

    Each filter projects every patch to a number. The distance of two sets of numbers is the mean absolute difference
    of their sorted values (Rabin et al. 2011), averaged over filters. Images may differ in size: the longer list is
    read at the shorter one's quantiles, interpolated. Elnekave and Weiss (GPDM, CVPR 2022) generate images by
    descending this distance.
    """
    # GPDM's SWD: project all patches by convolution, sort, and compare rank by rank.
    shorter, longer = (_sorted(_project(image, filters)) for image in (one, other))
    if shorter.shape[1] > longer.shape[1]:
        shorter, longer = longer, shorter
    return (shorter - _at_quantiles(longer, shorter.shape[1])).abs().mean()


def _project(image: Float[Tensor, "b c h w"], filters: Tensor, step: int = 1) -> Float[Tensor, "f n"]:
    """The patches of `image` at every `step`-th position, projected by each filter."""
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
    """The patches of one target at several scales, each half of the one before, as a loss for images of any size.

    Every scale has up to three terms, in units of the target's contrast there:

    - the distance of the distributions of full patches;
    - with weight `detail_weight`, the same for the detail that halving the image removes. Without it fine grain hardly
      counts: nearly all variance of a patch is in its mean;
    - with weight `nearest_weight`, the distance to the target's nearest patches. Projections of patches are nearly
      Gaussian and say little about whether a patch occurs in the target.

    Images are mirrored outward by half a patch: otherwise pixels at the border belong to fewer patches and are less
    constrained. With a `border_weight` the area beyond the border is empty instead, and one more channel marks it:
    content at the target's border then stays at the image's border.

    The constants below act in training only. Like a batch size, they trade speed and memory for the noise of the loss;
    who wants a longer or a shorter training sets `steps`. They are therefore no settings.
    """

    BANKS, FILTERS = 8, 64
    """The target's projections are stored for `BANKS` sets of `FILTERS` filters; each call takes a random set."""
    MAX_PATCHES = 4096
    """Largest number of patches of the image in a call; they are chosen at random."""
    MAX_TARGET_PATCHES, REDUCED_TARGET_PATCHES = 1 << 16, 1 << 14
    """A target of more than the first number of patches is represented by at most the second, evenly spaced."""
    QUANTILES = 2 * MAX_PATCHES
    """Number of quantiles that represent the target's projections; it bounds the memory."""
    NEAREST_SAMPLES = 1024
    """Largest number of the image's patches that are compared with their nearest."""
    COMPLETENESS = 0.01
    """Alpha of GPNN's completeness term: it keeps those patches from sharing a few of the target's."""

    def __init__(
        self,
        target: Float[Tensor, "1 c h w"],
        patch_size: int,
        scales: int,
        detail_weight: float,
        nearest_weight: float,
        rng: RandomStream,
        border_weight: float = 0.0,
    ) -> None:
        """
        Args:
            target: In [-1, 1].
            patch_size: Side of the patches in pixels, odd.
            scales: Number of scales, 1 or more; fewer where the target becomes too small.
            detail_weight: Weight of the detail term, 0 or more; the full patches' is 1.
            nearest_weight: Weight of the nearest patches' term, 0 or more.
            rng: Stream of the filters.
            border_weight: Value, 0 or more, in standard deviations of color, of the border channel inside the image;
                0: no border channel.
        """
        self._scales: list[list[_DistributionTerm | _NearestTerm]] = []
        for _ in range(scales):
            terms: list[_DistributionTerm | _NearestTerm] = [
                _DistributionTerm(1.0, _full_patches, patch_size, target, rng, border_weight)
            ]
            if detail_weight:
                terms.append(_DistributionTerm(detail_weight, _fine_detail, patch_size, target, rng, border_weight))
            if nearest_weight:
                terms.append(_NearestTerm(nearest_weight, patch_size, target, border_weight))
            self._scales.append(terms)
            # With a border channel even the few patches of a very small image differ, by their position in it.
            if min(target.shape[-2:]) < (3 if border_weight else 6) * patch_size:
                break
            target = _halve(target)

    def loss(self, image: Float[Tensor, "b c h w"], rng: RandomStream) -> Float[Tensor, ""]:
        """Weighted sum of the terms, mean over scales.

        Several images are crops of one: their patches are pooled, and there is no area beyond their borders.

        Differences are squared (Wasserstein-2), which keeps colors in the target's gamut: the mean absolute difference
        takes little notice of a few patches far from all of the target's, and the layout loss rewards strong contrast.
        """
        distances: list[Tensor] = []
        for number, terms in enumerate(self._scales):
            image = _halve(image) if number else image
            distances += [term.weight * term.distance(image, rng) for term in terms]
        return torch.stack(distances).sum() / len(self._scales)


class _DistributionTerm:
    """Distance of the distributions of two images' patches of `side` pixels, each image after `transform`."""

    def __init__(
        self,
        weight: float,
        transform: Callable[[Tensor], Tensor],
        side: int,
        target: Tensor,
        rng: RandomStream,
        border_weight: float,
    ) -> None:
        self.weight = weight
        self._transform, self._side, self._border_weight = transform, side, border_weight
        self._whitening = ColorWhitening(transform(target))
        channels = target.shape[1] + (border_weight > 0)
        banks = [random_filters(PatchDistribution.FILTERS, channels, side, rng) for _ in range(PatchDistribution.BANKS)]
        self._filters = torch.stack(banks).to(target.device)
        self._target = _represent(self._prepare(target), side)
        self._quantiles: dict[int, Tensor] = {}
        """The target's sorted projections by the number of a bank, as they are first needed."""
        self._quantiles_of_all: Tensor | None = None

    def distance(self, image: Tensor, rng: RandomStream) -> Float[Tensor, ""]:
        """Sliced Wasserstein-2 distance to the target, in units of its contrast."""
        bank = rng.integer(PatchDistribution.BANKS).view(1)
        sample, step = sample_patches(self._prepare(image), self._side, PatchDistribution.MAX_PATCHES, rng)
        values = _sorted(_project(sample, self._filters.index_select(0, bank)[0], step))
        difference = values - _at_quantiles(self._target_quantiles(bank), values.shape[1])
        # The mean over filters of W2 = (mean of squared differences of sorted values)^(1/2).
        return difference.square().mean(1).add(1e-8).sqrt().mean()

    def _target_quantiles(self, bank: Int[Tensor, 1]) -> Float[Tensor, "f n"]:
        """The target's sorted projections by the filters of `bank`."""
        if is_on_cpu(bank):
            # One bank at a time: most frames of a clip are compared once.
            return self._quantiles_of_bank(int(bank))
        # The host does not read the number of the bank.
        if self._quantiles_of_all is None:
            self._quantiles_of_all = torch.stack([self._quantiles_of_bank(n) for n in range(PatchDistribution.BANKS)])
        return self._quantiles_of_all.index_select(0, bank)[0]

    def _quantiles_of_bank(self, bank: int) -> Float[Tensor, "f n"]:
        if bank not in self._quantiles:
            image, _, step = self._target
            with torch.no_grad():
                values = _sorted(_project(image, self._filters[bank], step))
                self._quantiles[bank] = _at_quantiles(values, min(values.shape[1], PatchDistribution.QUANTILES))
        return self._quantiles[bank]

    def _prepare(self, image: Tensor) -> Tensor:
        return _extend(self._whitening(self._transform(image)), self._side, self._border_weight)


class _NearestTerm:
    """Distance of an image's patches to the nearest of the target's."""

    def __init__(self, weight: float, side: int, target: Tensor, border_weight: float) -> None:
        self.weight, self._side, self._border_weight = weight, side, border_weight
        self._whitening = ColorWhitening(target)
        whitened = self._whitening(target)
        # Mirrored patches do not occur in the target.
        extended = _extend(whitened, side, border_weight) if border_weight else whitened
        self._search = NearestPatches(*_represent(extended, side))

    def distance(self, image: Tensor, rng: RandomStream) -> Float[Tensor, ""]:
        """Root mean square difference of a sample of patches to their nearest, in units of the target's contrast."""
        extended = _extend(self._whitening(image), self._side, self._border_weight)
        sample, step = sample_patches(extended, self._side, PatchDistribution.NEAREST_SAMPLES, rng)
        patches = patches_of(sample, self._side, step)
        # Completeness (GPNN, eq. 2) prefers patches of the target that are not yet used.
        matches = self._search(self._search.queries(sample, step), PatchDistribution.COMPLETENESS)
        return (patches - self._search.patches(matches)).square().mean().add(1e-8).sqrt()


# -- images -----------------------------------------------------------------------------------------------------------


def _represent(target: Tensor, side: int) -> tuple[Tensor, int, int]:
    """`reduce_target` with the constants of `PatchDistribution`."""
    return reduce_target(target, side, PatchDistribution.MAX_TARGET_PATCHES, PatchDistribution.REDUCED_TARGET_PATCHES)


def _extend(image: Tensor, side: int, border_weight: float) -> Tensor:
    """`image`, in units of contrast, extended by half a patch beyond its border."""
    reach = side // 2 if len(image) == 1 else 0
    if border_weight == 0:
        return reflect_pad(image, reach)
    return F.pad(torch.cat([image, torch.full_like(image[:, :1], border_weight)], 1), [reach] * 4)


def _full_patches(image: Tensor) -> Tensor:
    return image


def _halve(image: Tensor) -> Tensor:
    return resize(image, ((image.shape[-2] + 1) // 2, (image.shape[-1] + 1) // 2))


def _fine_detail(image: Tensor) -> Tensor:
    """The detail of `image` that halving it removes."""
    return image - resize(_halve(image), (image.shape[-2], image.shape[-1]))
