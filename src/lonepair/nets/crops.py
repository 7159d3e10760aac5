"""Crops of a growing generator's output, so that the cost of a training step on a large image is that of its crops.

A pixel depends on a few pixels around it, and on fewer of each coarser stage, so that the crops' values are exactly
those of the full image. Instance normalization is the one exception: it uses the statistics of all crops instead of the
full image's. `nets.stage` evaluates a stage on the full image, on crops and in bands of rows by three functions. One
function for all three would not be smaller: the full image upsamples twice where crops upsample once, and the order of
the sums in the gradient must remain that of published runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from lonepair.nets.stage import StageGeometry
from lonepair.ops.noise import RandomStream
from lonepair.ops.regions import Regions, Size, sample_regions


@dataclass(frozen=True, eq=False)
class Crops:
    """Which crops of the newest stage's image to compute, and the (h, w) of the full image at every stage."""

    sizes: tuple[Size, ...]
    regions: Regions
    """In the image of the newest stage."""
    _by_geometry: dict[StageGeometry, list[Regions]] = field(default_factory=dict)
    """`regions_by_stage` of each geometry, as two generators may share one step's crops."""

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, stage: int) -> Size:
        return self.sizes[stage]

    def regions_by_stage(self, geometry: StageGeometry) -> list[Regions]:
        """The features that the crops depend on, stage 0 first: full maps at coarse stages, regions at fine stages."""
        # Each set of regions costs several small kernels, and two generators of one geometry need the same.
        if geometry not in self._by_geometry:
            self._by_geometry[geometry] = _regions_by_stage(self, geometry)
        return self._by_geometry[geometry]


StageSizes = Sequence[Size] | Crops
"""(h, w) of the image at stages 0 and up; `Crops` if only crops of the last one are computed."""


def choose_crops(sizes: Sequence[Size], side: int, patch: int, rng: RandomStream) -> StageSizes:
    """Random crops of the last of `sizes` (`sample_regions`), or `sizes` itself if the image is too small for crops."""
    regions = sample_regions(sizes[-1], side, patch, rng)
    return sizes if regions is None else Crops(tuple(sizes), regions)


def crop_image(sizes: StageSizes, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """The crops of an image of the newest stage; the image itself if `sizes` is not `Crops`."""
    return sizes.regions.crop(image) if isinstance(sizes, Crops) else image


def full_sizes(sizes: StageSizes) -> Sequence[Size]:
    """(h, w) of the full image at every stage."""
    return sizes.sizes if isinstance(sizes, Crops) else sizes


def _regions_by_stage(crops: Crops, geometry: StageGeometry) -> list[Regions]:
    # From the crops down to stage 0. The tail is one convolution of 3x3.
    regions = crops.regions.expanded(1)
    by_stage = [regions]
    for stage in range(len(crops) - 1, 0, -1):
        below = crops[stage - 1]
        if not regions.is_full_image:
            regions = geometry.features_below(regions, below)
        # Stage 0 has the noise of the full image. Crops that overlap much cost more than the full map.
        if regions.is_full_image or stage == 1 or regions.pixels >= below[0] * below[1]:
            regions = Regions.full_image(below, regions.top_left.device)
        by_stage.append(regions)
    return by_stage[::-1]
