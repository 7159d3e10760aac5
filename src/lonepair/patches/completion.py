"""Image completion: unknown pixels are synthesized from patches of an image, known pixels stay as they are.

Published ideas used:
- Coarse to fine, alternate between matching the patches that cover an unknown pixel and averaging the matches; votes
  count less the farther they lie from known pixels and the worse they match (Wexler, Shechtman and Irani, Space-time
  completion of video, PAMI 2007).
- Propagate matches between neighbors and search at random around them (Barnes et al., PatchMatch, SIGGRAPH 2009).
- From one scale to the next the matches are enlarged, not the image, so that the finer image is sharp at once (Newson
  et al., Video inpainting of complex scenes, SIIMS 2014).

Decided here:
- Patches may continue across the image's borders (`Sites`), so that the result repeats without a seam.
- Where all patches can be compared in the time of a few random tries, they are.
- A new texture takes rare patches, too: the completeness term of GPNN (Granot et al., CVPR 2022, eq. 2), weakened by
  the share of known pixels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from lonepair.patches import poisson
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.distance import ColorWhitening
from lonepair.patches.search import NearestPatches, flat_index, rows_and_columns
from lonepair.patches.sites import Axes, Sites

COARSEST_PATCHES = 4
"""Sides of a patch on the shortest side of the source at the coarsest scale."""
COARSEST_ROUNDS = 12
"""Rounds of matching and voting at the coarsest scale, where the layout of the unknown pixels is decided."""
EXACT_SEARCH = 1 << 22
"""Number of pairs of patches up to which a round compares all pairs; it takes about 10 ms."""
MAX_SEARCH_PIXELS = 1 << 21
"""Number of the source's pixels above which matches are enlarged from the scale below and not searched again: their
keys would fill the memory, and hardly a match would change."""
CONFIDENCE_BASE, CONFIDENCE_RANGE = 1.3, 60.0
"""A vote counts `CONFIDENCE_BASE` times less for each pixel, up to `CONFIDENCE_RANGE`, that it is farther inside."""
SCREENING = 3e-3
"""Pull to the patches' own colors: differences of brightness are spread over about 20 pixels."""
STEP = 0.1
"""Difference of neighboring pixels, in [-1, 1], up to which one that no patch has is a step of brightness."""
TEXTURE_WEIGHT = 1.0
"""Weight of the texture channels beside a color's."""
DEPTH_CELLS = 128
"""Largest side of the image on which distances to known pixels are measured; they are enlarged to the image's size."""


@dataclass(frozen=True)
class PartialImage:
    """An image of which only some pixels are known."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1]; its values at unknown pixels have no effect."""
    known: Bool[Tensor, "h w"]

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return self.known.shape[0], self.known.shape[1]

    def resized(self, size: tuple[int, int]) -> PartialImage:
        """This image at `size`. A pixel is known where more than half of it is; unknown pixels do not mix into it."""
        if size == self.size:
            return self
        weight = self.known[None, None].to(self.image.dtype)
        share = resize(weight, size)
        known = share > 0.5
        image = resize(self.image * weight, size) / torch.where(known, share, 1.0)
        return PartialImage(image.clamp(-1, 1), known[0, 0])

    def with_texture(self, window: int) -> PartialImage:
        """This image with two more channels: the mean absolute differences of neighbors in rows and in columns.

        Without them the nearest patches of a smooth beginning are smooth ones, and a textured hole is filled with its
        flattest parts (Newson et al. 2014, sec. 3.3).

        Args:
            window: Approximate side in pixels of the square over which differences are averaged.
        """
        gray, known = self.image.mean(1, keepdim=True), self.known[None, None].to(self.image.dtype)
        # Means over small cells first: a window of a large image has thousands of pixels.
        cell = max(1, window // 5)
        cells = tuple(-(-n // cell) for n in self.size)
        features = []
        for dim in (2, 3):
            count = gray.shape[dim] - 1
            weight = known.narrow(dim, 1, count) * known.narrow(dim, 0, count)
            differences = (gray.narrow(dim, 1, count) - gray.narrow(dim, 0, count)).abs() * weight
            sums = F.interpolate(torch.cat([differences, weight], 1), cells, mode="area")
            means = F.avg_pool2d(sums, 5, 1, 2, count_include_pad=False)
            mean = means[:, :1] / means[:, 1:].clamp(min=1e-6)
            features.append(F.interpolate(mean, self.size, mode="bilinear", align_corners=False))
        return PartialImage(torch.cat([self.image, *features], 1), self.known)

    def filled(self) -> Float[Tensor, "1 c h w"]:
        """The image with a smooth continuation of the known pixels at the unknown ones, computed at halved sizes."""
        if bool(self.known.all()) or not bool(self.known.any()):
            return self.image
        weight = self.known[None, None].to(self.image.dtype)
        half = tuple((n + 1) // 2 for n in self.size)
        share = F.interpolate(weight, half, mode="area")
        colors = F.interpolate(self.image * weight, half, mode="area") / share.clamp(min=1e-6)
        coarse = PartialImage(colors, share[0, 0] > 0).filled()
        smooth = F.interpolate(coarse, self.size, mode="bilinear", align_corners=False)
        return torch.where(self.known, self.image, smooth)


@torch.no_grad()
def complete(
    canvas: PartialImage,
    source: PartialImage,
    config: SynthesisConfig,
    wraps: Axes = (False, False),
    start: Float[Tensor, "1 c h2 w2"] | None = None,
    seed: int = 0,
) -> Float[Tensor, "1 c h w"]:
    """`canvas` with its unknown pixels synthesized from patches of `source`; known pixels stay equal.

    Args:
        canvas: The image to complete.
        source: The image that patches come from, at the same scale. Only patches of known pixels are used.
        config: Size and distance of patches, rounds and scales.
        wraps: Whether the result continues across its top and bottom, and across its left and right border.
        start: A rough picture of the unknown pixels, of the canvas's aspect. None: a smooth continuation of the known
            ones.
        seed: Random seed of the search.
    """
    factors = _factors(min(*canvas.size, *source.size), config)
    window = 2 * math.ceil(1 / factors[0])
    is_own = source is canvas  # a large image is then resized once
    canvas = canvas.with_texture(window)
    source = canvas if is_own else source.with_texture(window)
    scale: _Scale | None = None
    matches = torch.zeros(2, 0, dtype=torch.long)
    for factor in factors:
        here = canvas.resized(_scaled(canvas.size, factor))
        there = here if is_own else source.resized(_scaled(source.size, factor))
        usable = full_patches(there.known, config.patch_size)
        # A small hole begins at the first scale that shows it.
        if bool(here.known.all()) or not bool(usable.any()):
            continue
        before = scale
        scale = _Scale(here, there, usable, config, wraps, RandomStream(seed, *here.size))
        if before is None:
            matches = scale.rounds(scale.begin(start), None, COARSEST_ROUNDS)
        else:
            matches = scale.sites.carry(before.sites, matches, there.size)
            is_searched = usable.numel() <= MAX_SEARCH_PIXELS
            matches = scale.rounds(scale.vote(matches, None), matches, config.rounds if is_searched else 0)
    return canvas.image[:, :-2] if scale is None else scale.final_image(matches)


class _Scale:
    """Completion at one scale."""

    def __init__(
        self,
        canvas: PartialImage,
        source: PartialImage,
        usable: Bool[Tensor, "rows columns"],
        config: SynthesisConfig,
        wraps: Axes,
        rng: RandomStream,
    ) -> None:
        self._canvas, self._config, self._rng = canvas, config, rng
        self._source, self._usable = source.filled(), usable
        self._whitening = ColorWhitening(self._source[:, :-2], config.max_contrast_ratio)
        self._texture_units = self._source[:, -2:].std((2, 3), keepdim=True).clamp(min=1 / 255)
        self.sites = Sites(canvas.known, config.patch_size, config.patch_stride, wraps)
        depth = _depth(canvas.known, wraps)
        centers = [(p + config.patch_size // 2) % n for p, n in zip(self.sites.positions, canvas.size, strict=True)]
        self._confidence = CONFIDENCE_BASE ** -depth[centers[0], centers[1]]
        # GPNN's completeness term makes a new texture diverse. Where most patches of the source stay in the canvas they
        # are in use already: the less is unknown, the weaker the term.
        self._completeness = config.completeness / float((~canvas.known).float().mean()) ** 4
        self._nearest: NearestPatches | None = None

    def _in_units(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """`image` in units of the source's contrast."""
        texture = TEXTURE_WEIGHT * image[:, -2:] / self._texture_units
        return torch.cat([self._whitening(image[:, :-2]), texture], 1)

    @property
    def search(self) -> NearestPatches:
        """The search among the source's usable patches."""
        if self._nearest is None:
            c = self._config
            self._nearest = NearestPatches(
                self._in_units(self._source),
                c.patch_size,
                components=c.search_components,
                component_samples=c.search_component_samples,
                usable=self._usable.flatten(),
            )
        return self._nearest

    def begin(self, start: Float[Tensor, "1 c2 h2 w2"] | None) -> Float[Tensor, "1 c h w"]:
        """The canvas with the colors of `start`, or else smooth ones, and smooth texture at its unknown pixels."""
        image = self._canvas.filled()
        if start is None:
            return image
        colors = torch.where(self._canvas.known, image[:, :-2], resize(start, self._canvas.size))
        return torch.cat([colors, image[:, -2:]], 1)

    def rounds(
        self, image: Float[Tensor, "1 c h w"], matches: Int[Tensor, "2 m"] | None, count: int
    ) -> Int[Tensor, "2 m"]:
        """The matches after `count` rounds of matching and voting, from `image` and `matches` on."""
        for _ in range(count):
            queries = self.search.queries(self._in_units(self.sites.patches(image)))
            if matches is None or len(queries) * self._usable.numel() <= EXACT_SEARCH:
                matches = rows_and_columns(self.search(queries, self._completeness), self.search.columns)
            else:
                matches = self._follow(queries, matches)
            image = self.vote(matches, self.search.distances(queries, flat_index(matches, self.search.columns)))
        assert matches is not None
        return matches

    def vote(
        self, matches: Int[Tensor, "2 m"], distances: Float[Tensor, m] | None, sigma: float = math.inf
    ) -> Float[Tensor, "1 c h w"]:
        """The canvas with the mean of the matched patches at its unknown pixels."""
        weights = self._confidence
        if distances is not None:
            # Wexler et al. 2007: similarity exp(-d² / 2σ²), where σ² is the 75th percentile of the d².
            spread = distances.quantile(0.75) if len(distances) < 1 << 24 else distances.mean()
            weights = weights * torch.exp(-distances / (2 * spread.clamp(min=1e-6)))
        votes, _ = self.sites.vote(self._source, matches, weights, sigma)
        return torch.where(self._canvas.known, self._canvas.image, votes.clamp(-1, 1))

    def final_image(self, matches: Int[Tensor, "2 m"]) -> Float[Tensor, "1 c h w"]:
        """The colors of the canvas with its unknown pixels sharp, and no steps between patches of unlike brightness."""
        known, sigma = self._canvas.known, self._config.blend_sigma
        source = self._source[:, :-2]
        votes, _ = self.sites.vote(source, matches, self._confidence, sigma)
        image = torch.where(known, self._canvas.image[:, :-2], votes)
        beyond = F.pad(source, [0, 1, 0, 1], mode="replicate")
        gradients = poisson.gradients(beyond)[..., :-1, :-1]
        wanted, _ = self.sites.vote(gradients, matches, self._confidence, sigma)
        # Steps much above `STEP` are content, such as a horizon that the source has nowhere: they stay.
        own = poisson.gradients(image)
        steps = (wanted - own).view(2, -1, *self._canvas.size)
        strength = steps.norm(dim=1, keepdim=True)
        wanted = own + (steps / (1 + (strength / STEP).square())).view_as(own)
        # Only the unknown pixels and those beside them take part.
        rows, columns = (_span((~known).any(1 - axis), self.sites.wraps[axis]) for axis in (0, 1))
        part = poisson.solve(
            image[..., rows, columns],
            wanted[..., rows, columns],
            known[rows, columns],
            self.sites.wraps,
            SCREENING,
        )
        image[..., rows, columns] = part
        return image.clamp(-1, 1)

    def _follow(self, queries: Float[Tensor, "m d"], matches: Int[Tensor, "2 m"]) -> Int[Tensor, "2 m"]:
        """Better `matches`, beside those of neighbors and at random around each site's own (PatchMatch)."""
        columns = self.search.columns
        shape = (self._usable.shape[0], self._usable.shape[1])
        best = self.search.distances(queries, flat_index(matches, columns))
        for candidates in self._candidates(shape):
            tried = candidates(matches)
            tried = torch.stack([tried[axis].clamp(0, shape[axis] - 1) for axis in (0, 1)])
            distances = self.search.distances(queries, flat_index(tried, columns))
            nearer = distances < best
            matches, best = torch.where(nearer, tried, matches), torch.where(nearer, distances, best)
        return matches

    def _candidates(self, shape: tuple[int, int]) -> Iterator[Callable[[Tensor], Tensor]]:
        """Functions from the matches to other candidates, in the order in which they are tried."""
        distance = self._config.propagation_distance
        while distance >= 1:
            for dy, dx in ((-distance, 0), (distance, 0), (0, -distance), (0, distance)):
                yield functools.partial(self.sites.beside, dy=dy, dx=dx)
            distance //= 2
        # Random offsets in windows of half the size each (Barnes et al. 2009, sec. 3.2).
        reach = max(shape) / 2
        while reach >= 1:
            yield functools.partial(self._beyond, reach=reach)
            reach /= 2

    def _beyond(self, matches: Int[Tensor, "2 m"], reach: float) -> Int[Tensor, "2 m"]:
        """`matches` moved at random by up to `reach` pixels along each axis."""
        offset = (2 * self._rng.uniform(*matches.shape) - 1) * reach
        return matches + offset.round().long().to(matches.device)


def _factors(shortest: int, config: SynthesisConfig) -> list[float]:
    """Scales in equal ratios, coarsest first, up to 1, for images whose shortest side has `shortest` pixels."""
    coarsest = min(1.0, COARSEST_PATCHES * config.patch_size / shortest)
    steps = math.ceil(-math.log(coarsest) / math.log(config.max_scale_ratio))
    return [coarsest ** (1 - step / steps) for step in range(steps)] + [1.0]


def _scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def full_patches(known: Bool[Tensor, "h w"], side: int) -> Bool[Tensor, "rows columns"]:
    """Whether the patch that begins at each pixel has known pixels only."""
    if min(known.shape) < side:
        return known.new_zeros(0, 0)
    return F.max_pool2d((~known).float()[None], side, stride=1)[0] == 0


def _span(is_unknown: Bool[Tensor, n], wraps: bool) -> slice:
    """The lines from one before the first unknown pixel to one after the last; all on an axis that continues."""
    if wraps:
        return slice(None)
    lines = is_unknown.nonzero()[:, 0]
    return slice(max(0, int(lines[0]) - 1), int(lines[-1]) + 2)


def _depth(known: Bool[Tensor, "h w"], wraps: Axes) -> Float[Tensor, "h w"]:
    """How far inside the unknown area each pixel lies, in pixels, up to `CONFIDENCE_RANGE`; 0 at known pixels."""
    h, w = known.shape
    cell = max(1.0, max(h, w) / DEPTH_CELLS)
    reached = F.interpolate(known.float()[None, None], _scaled((h, w), 1 / cell), mode="area")
    reached = (reached > 0).float()
    depth = torch.zeros_like(reached)
    for _ in range(math.ceil(CONFIDENCE_RANGE / cell)):
        depth += 1 - reached
        for axis, wrap in enumerate(wraps):
            pad = [0, 0, 1, 1] if axis == 0 else [1, 1, 0, 0]
            reached = F.pad(reached, pad, mode="circular" if wrap else "replicate")
        reached = F.max_pool2d(reached, 3, stride=1)
    return F.interpolate(cell * depth, (h, w), mode="bilinear", align_corners=False)[0, 0]
