"""Crops: pieces of what networks of 3x3 convolutions rng, each exactly as it would be in the whole picture.

Every pixel hangs on a few around it, and on fewer of each coarser stage. So a step on pieces of a picture costs what
these pieces cost, however large the picture is. What is normalised by an image's own statistics takes those of all
pieces together in place of the whole image's: the one thing that is not exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lonepair.nets.blocks import InstanceNorm
from lonepair.ops.noise import RandomStream
from lonepair.ops.regions import Regions, Size, pieces_of


@dataclass(frozen=True, eq=False)
class Crops:
    """What is wanted of pictures: pieces of the newest stage's, out of (h, w) `sizes` of all stages."""

    sizes: tuple[Size, ...]
    wanted: Regions
    found: dict[tuple[int, int, str], list[Regions]] = field(default_factory=dict)
    """What of each stage they hang on, as far as it was asked for, by what a network is like."""

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, stage: int) -> Size:
        return self.sizes[stage]


StageSizes = Sequence[Size] | Crops
"""(h, w) of all stages, whose last is drawn, and maybe only pieces of it."""


def crops(sizes: Sequence[Size], side: int, patch: int, rng: RandomStream) -> StageSizes:
    """`pieces_of` a picture, or `sizes` as they are, where it is small."""
    found = pieces_of(1, sizes[-1], side, patch, rng)
    return sizes if found is None else Crops(tuple(sizes), found)


def cut(sizes: StageSizes, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """What is wanted of an image of the newest stage."""
    return sizes.wanted.cut(image) if isinstance(sizes, Crops) else image


def whole(sizes: StageSizes) -> Sequence[Size]:
    """The sizes of whole pictures."""
    return sizes.sizes if isinstance(sizes, Crops) else sizes


def enlarged_from(
    first: Int[Tensor, " n"], length: int, old: int, new: int, corners: bool
) -> tuple[Int[Tensor, " n"], int]:
    """Which of `old` values `length` of the `new` ones, from `first` on, that a bicubic enlargement makes of them hang
    on: the first, which may lie beyond the border, and how many are enough wherever they lie."""
    if corners:
        low, share = first * (old - 1) // max(1, new - 1), (old - 1, max(1, new - 1))
    else:
        low, share = ((2 * first + 1) * old - new) // (2 * new), (old, new)
    # The kernel reaches one value back and two on.
    return low - 1, 4 - (1 - length) * share[0] // share[1]


def together(layers: nn.Module, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
    """`layers` of crops of one image: normalised by the statistics of all."""
    for layer in layers.children() if isinstance(layers, nn.Sequential) else [layers]:
        if isinstance(layer, nn.Sequential):
            features = together(layer, features)
        elif isinstance(layer, InstanceNorm):
            features = F.batch_norm(features, None, None, layer.weight, layer.bias, training=True)
        else:
            features = layer(features)
    return features
