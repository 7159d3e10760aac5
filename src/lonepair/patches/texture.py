"""A target at one scale: the search for its patches, and the images that they are blended to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lonepair.ops.device import is_on_cpu
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.distance import ColorWhitening
from lonepair.patches.lattice import Lattice
from lonepair.patches.search import NearestPatches, copied_regions, flat_index, rows_and_columns

Function = Callable[..., tuple[Tensor, ...]]
"""A function of tensors. The host reads none of their values."""


@dataclass(frozen=True)
class SearchSettings:
    """How one round searches for patches; the numbers come from a `SynthesisConfig`."""

    completeness: float
    """Alpha of GPNN's completeness term; see `NearestPatches`."""
    samples: int
    """Number of the image's patches that tell which patches of the target are not in use yet."""
    searches_all: bool = False
    """Whether those samples are also searched for among all of the target's patches."""
    every_second: bool = False
    """Whether "all" is every second row and column of the target's patches."""
    fixed_work: bool = False
    """Whether the amount of work on a GPU is fixed by sizes alone, so that the host reads no result."""

    @staticmethod
    def of_image(config: SynthesisConfig) -> SearchSettings:
        """For an image, or a clip's first frame."""
        return SearchSettings(config.completeness, config.completeness_samples)

    @staticmethod
    def of_frame(config: SynthesisConfig, number: int) -> SearchSettings:
        """For round `number` of a clip's later frame."""
        return SearchSettings(
            config.clip_completeness,
            config.clip_completeness_samples,
            searches_all=number < config.clip_global_rounds,
            every_second=config.clip_half_search,
            fixed_work=True,
        )


class Texture:
    """A target at one scale, and the search for its patches."""

    def __init__(self, image: Float[Tensor, "1 c h w"], config: SynthesisConfig) -> None:
        self.image = image
        self.shape = (image.shape[-2] - config.patch_size + 1, image.shape[-1] - config.patch_size + 1)
        """Number of patches in a column and in a row."""
        self._config = config
        self._whitening = ColorWhitening(image)
        self.search = self._search_in(image)

    def _search_in(self, image: Tensor) -> NearestPatches:
        c = self._config
        return NearestPatches(self._whitening(image), c.patch_size, components=c.search_components)

    def blurred(self, coarser: Float[Tensor, "1 c h2 w2"]) -> NearestPatches:
        """The search among the same patches, as blurred as those of the `coarser` target."""
        return self._search_in(resize_image(coarser, (self.image.shape[-2], self.image.shape[-1])))

    def blend(self, lattice: Lattice, matches: Int[Tensor, n]) -> Float[Tensor, "1 c h w"]:
        """The final image of the patches `matches`, in [-1, 1]."""
        return lattice.assembled(self.image, matches, self._config.blend_sigma).clamp(-1, 1)  # rounding may exceed it

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
            search: This texture's own, or a `blurred` one.
            matches: Those of the round before, from which new ones start; None: search all patches for each.

        Returns:
            The mean of the matched patches, and the matches.
        """
        queries = search.queries(self._whitening(lattice.over(image)), lattice.step)
        if matches is None:
            matches = search(queries, settings.completeness)
        else:
            matches = search.follow(
                queries,
                matches,
                lattice.moves(self.shape, self._config.propagation_distance),
                settings.completeness,
                settings.samples,
                settings.searches_all,
                settings.every_second,
            )
        matches = self._without_copied_regions(lattice, search, queries, matches, settings)
        return lattice.assembled(self.image, matches), matches

    def _without_copied_regions(
        self, lattice: Lattice, search: NearestPatches, queries: Tensor, matches: Tensor, settings: SearchSettings
    ) -> Int[Tensor, n]:
        """`matches` with other patches where a region was copied out of the target."""
        c = self._config
        run = max(2, round(c.copied_region_share * max(*lattice.size, *self.image.shape[-2:]) / lattice.step))
        has_fixed_work = settings.fixed_work and not is_on_cpu(matches)
        for _ in range(c.gpu_replacement_passes if has_fixed_work else c.replacement_passes):
            copied = copied_regions(matches, lattice.shape, self.shape[1], run, lattice.step).flatten()
            if has_fixed_work:  # always the same number; the first one repeats where there are fewer
                chosen = _first_true(copied, min(c.gpu_replacements, len(copied)))
            elif copied.any():
                chosen = copied.nonzero()[:, 0]
            else:
                break
            own = matches.index_select(0, chosen)
            # The eight patches beside a copied one are excluded, too: on this lattice they are the same region.
            places = rows_and_columns(own, self.shape[1])
            near = torch.cat([places, *(move(places) for move in lattice.around(self.shape))], 1)
            excluded = torch.zeros(self.shape[0] * self.shape[1], dtype=torch.bool, device=matches.device)
            excluded.index_fill_(0, flat_index(near, self.shape[1]), True)
            others = search(queries.index_select(0, chosen), settings.completeness, excluded, settings.every_second)
            others = torch.where(copied.index_select(0, chosen), others, own)
            matches = matches.index_copy(0, chosen, others)
        return matches

    def similarity_map(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 1 h w"]:
        """Confidence in [0, 1] that the target has a patch like the one at each position of `image`.

        1 / (1 + (d / (t m))²) for the distance d to the nearest patch, its median m over the image, and the
        `novelty_threshold` t.
        """
        c = self._config
        lattice = Lattice((image.shape[-2], image.shape[-1]), c.patch_size, c.similarity_stride)
        queries = self.search.queries(self._whitening(lattice.over(image)), lattice.step)
        distance = self.search.distances(queries, self.search(queries))
        median = distance.median().clamp(min=1e-4)
        return lattice.spread(1 / (1 + (distance / (c.novelty_threshold * median)).square()))


def _first_true(chosen: Bool[Tensor, n], count: int) -> Int[Tensor, {count}]:
    """Indices of the first `count` true values, without reading them on the host.

    Where there are fewer the first one repeats; where there is none, all are 0.
    """
    nth, own = chosen.cumsum(0), torch.arange(len(chosen), device=chosen.device)
    slot = torch.where(chosen & (nth <= count), nth - 1, count)  # the last slot is for all others
    first = torch.zeros(count + 1, dtype=torch.long, device=chosen.device).scatter(0, slot, own)[:count]
    return torch.where(torch.arange(count, device=chosen.device) < nth[-1], first, first[:1])
