"""A target at one scale: the search for its patches, and the images that they are blended to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.distance import ColorWhitening
from lonepair.patches.lattice import Lattice
from lonepair.patches.search import NearestPatches, copied_regions, flat_index, rows_and_columns
from lonepair.patches.windows import Window

Function = Callable[..., tuple[Tensor, ...]]
"""A function of tensors. The host reads none of their values."""


_MIN_SAMPLES = 64
"""Number of patches from which the completeness term of a part of an image is estimated at least."""


@dataclass(frozen=True)
class SearchSettings:
    """How one round searches for patches; the numbers come from a `SynthesisConfig`."""

    completeness: float
    """Alpha of GPNN's completeness term; see `NearestPatches`."""
    samples: int
    """Number of the image's patches from which the completeness term estimates which target patches are in use."""
    heights: tuple[float, float] = (0.0, 1.0)
    """Top and bottom of the part of the image that is searched for, relative to the image."""

    @staticmethod
    def of(config: SynthesisConfig, window: Window | None = None) -> SearchSettings:
        """Those of `config`, for an image or for a part of it."""
        samples = config.completeness_samples
        if window is not None:
            samples = max(min(samples, _MIN_SAMPLES), round(samples * window.area_share))
        return SearchSettings(config.completeness, samples, (0.0, 1.0) if window is None else window.heights)


class Texture:
    """A target at one scale, and the search for its patches."""

    def __init__(self, image: Float[Tensor, "1 c h w"], config: SynthesisConfig) -> None:
        self.image = image
        self.shape = (image.shape[-2] - config.patch_size + 1, image.shape[-1] - config.patch_size + 1)
        """Number of patches in a column and in a row."""
        self._config = config
        self._whitening = ColorWhitening(image, config.max_contrast_ratio)
        self.search = self._search_in(image)
        self._blurred: dict[tuple[int, int], NearestPatches] = {}

    def _search_in(self, image: Tensor) -> NearestPatches:
        c = self._config
        return NearestPatches(
            self._whitening(image),
            c.patch_size,
            components=c.search_components,
            component_samples=c.search_component_samples,
            row_weight=c.row_weight,
        )

    def blurred_search(self, coarser: Float[Tensor, "1 c h2 w2"], is_cached: bool = False) -> NearestPatches:
        """The search among the patches at the same positions of the `coarser` target, enlarged to this one's size."""
        key = (coarser.shape[-2], coarser.shape[-1])
        if key in self._blurred:
            return self._blurred[key]
        search = self._search_in(resize_image(coarser, (self.image.shape[-2], self.image.shape[-1])))
        if is_cached:
            self._blurred[key] = search
        return search

    def blend(self, lattice: Lattice, matches: Int[Tensor, n]) -> Float[Tensor, "1 c h w"]:
        """The final image of the patches `matches`, in [-1, 1]."""
        # Rounding may exceed the range.
        return lattice.assemble(self.image, matches, self._config.blend_sigma).clamp(-1, 1)

    def update(
        self,
        image: Float[Tensor, "1 c h w"],
        lattice: Lattice,
        search: NearestPatches,
        matches: Int[Tensor, n] | None,
        settings: SearchSettings,
    ) -> tuple[Float[Tensor, "1 c h w"], Int[Tensor, n]]:
        """One round: match the patches of `image`, and blend the matches.

        Args:
            search: This texture's own, or a `blurred_search`.
            lattice: The patches of `image`.
            matches: Those of the round before, from which new ones start; None: search all patches for each.
            settings: How to search.

        Returns:
            The mean of the matched patches, and the matches.
        """
        queries = search.queries(self._whitening(lattice.pad(image)), lattice.step, settings.heights)
        if matches is None:
            matches = search(queries, settings.completeness)
        else:
            matches = search.follow(
                queries,
                matches,
                lattice.moves(self.shape, self._config.propagation_distance),
                settings.completeness,
                settings.samples,
            )
        matches = self._without_copied_regions(lattice, search, queries, matches, settings)
        return lattice.assemble(self.image, matches), matches

    def _without_copied_regions(
        self, lattice: Lattice, search: NearestPatches, queries: Tensor, matches: Tensor, settings: SearchSettings
    ) -> Int[Tensor, n]:
        """`matches` with other patches where a region was copied out of the target."""
        c = self._config
        longest = max(*lattice.size, *self.image.shape[-2:])
        run = max(c.copied_region_min_run, round(c.copied_region_share * longest / lattice.step))
        for _ in range(c.replacement_passes):
            is_copied = copied_regions(matches, lattice.shape, self.shape[1], run, lattice.step).flatten()
            if not is_copied.any():
                break
            subset = is_copied.nonzero()[:, 0]
            # Exclude their matches and the eight patches around each: on this lattice they are the same region.
            current = matches.index_select(0, subset)
            positions = rows_and_columns(current, self.shape[1])
            neighbors = torch.cat([positions, *(move(positions) for move in lattice.around(self.shape))], 1)
            excluded = torch.zeros(self.shape[0] * self.shape[1], dtype=torch.bool, device=matches.device)
            excluded.index_fill_(0, flat_index(neighbors, self.shape[1]), True)
            # Search for others.
            others = search(queries.index_select(0, subset), settings.completeness, excluded)
            matches = matches.index_copy(0, subset, others)
        return matches

    def similarity_map(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 1 h w"]:
        """Confidence in [0, 1] that the target has a patch like the one at each position of `image`.

        It is 1 / (1 + (d / (t m))²) for the distance d to the nearest patch, the `novelty_threshold` t, and the median
        m of d over the image, at least `similarity_floor`.
        """
        c = self._config
        lattice = Lattice((image.shape[-2], image.shape[-1]), c.patch_size, c.similarity_stride)
        queries = self.search.queries(self._whitening(lattice.pad(image)), lattice.step)
        distance = self.search.distances(queries, self.search(queries))
        median = distance.median().clamp(min=c.similarity_floor)
        return lattice.to_pixels(1 / (1 + (distance / (c.novelty_threshold * median)).square()))
