"""Crops: pieces of what networks of 3x3 convolutions draw, each exactly as it would be in the whole picture.

Every pixel hangs on a few around it, and on fewer of each coarser stage. So a step on pieces of a picture costs what
these pieces cost, however large the picture is. What is normalised by an image's own statistics takes those of all
pieces together in place of the whole image's: the one thing that is not exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.blocks import InstanceNorm
from lonepair.noise import Draw
from lonepair.resize import resize_part

Size = tuple[int, int]
Span = tuple[int, int]
"""First row, or column, and the one after the last."""

ACROSS = 2
"""So many crops lie side by side, and as many one below the other: one in each quarter of the picture."""


@dataclass(frozen=True)
class Places:
    """Where crops of one size lie in maps of one size."""

    of: Size
    """(h, w) of the maps."""
    size: Size
    """(h, w) of the crops."""
    corners: tuple[Size, ...]
    """(top, left) of each."""

    def __len__(self) -> int:
        return len(self.corners)

    @property
    def is_whole(self) -> bool:
        return self.size == self.of

    def rows(self, index: int) -> Span:
        """Rows of one of the crops."""
        top = self.corners[index][0]
        return top, top + self.size[0]

    def columns(self, index: int) -> Span:
        """Columns of one of the crops."""
        left = self.corners[index][1]
        return left, left + self.size[1]

    def cut(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """The crops of `image`."""
        h, w = self.size
        return torch.cat([image[:, :, top : top + h, left : left + w] for top, left in self.corners])

    def cut_from(self, crops: Float[Tensor, "n c h w"], theirs: Places) -> Float[Tensor, "n c h2 w2"]:
        """The same of `crops` that lie at `theirs`, around these."""
        h, w = self.size
        parts = []
        for crop, (top, left), (their_top, their_left) in zip(crops, self.corners, theirs.corners, strict=True):
            y, x = top - their_top, left - their_left
            parts.append(crop[None, :, y : y + h, x : x + w])
        return torch.cat(parts)

    def around(self, crops: Float[Tensor, "n c h w"], theirs: Places, by: int) -> Float[Tensor, "n c h2 w2"]:
        """The same with `by` more pixels around, zeros beyond the maps' border."""
        h, w = self.size
        parts = []
        for crop, (top, left), (their_top, their_left) in zip(crops, self.corners, theirs.corners, strict=True):
            above, before = max(by - top, 0), max(by - left, 0)
            below, after = max(top + h + by - self.of[0], 0), max(left + w + by - self.of[1], 0)
            y, x = top - by + above - their_top, left - by + before - their_left
            inside = crop[None, :, y : y + h + 2 * by - above - below, x : x + w + 2 * by - before - after]
            parts.append(F.pad(inside, [before, after, above, below]))
        return torch.cat(parts)

    def enlarged(self, crops: Float[Tensor, "m c h w"], theirs: Places) -> Float[Tensor, "n c h2 w2"]:
        """What enlarging images to these maps' size gives here, of their `crops`, [-1, 1] (see `resize_image`)."""
        parts = []
        for index in range(len(self)):
            own = 0 if theirs.is_whole else index
            part = crops[own : own + 1].float()
            places = (self.rows(index), self.columns(index))
            parts.append(resize_part(part, theirs.corners[own], theirs.of, self.of, *places, corners=False, image=True))
        return torch.cat(parts).clamp(-1, 1)

    def grown(self, by: int) -> Places:
        """Those with `by` more pixels around, all of one size, as far as the maps reach."""
        return self._over(
            [(a - by, b + by) for a, b in self._all(0)], [(a - by, b + by) for a, b in self._all(1)], self.of
        )

    def below(self, size: Size, seen: Callable[[Span, int, int], Span]) -> Places:
        """What of maps of `size` these are made of, where `seen` says it for one axis: of a span, the old and new."""
        rows = [seen(span, size[0], self.of[0]) for span in self._all(0)]
        columns = [seen(span, size[1], self.of[1]) for span in self._all(1)]
        return self._over(rows, columns, size)

    def _all(self, axis: int) -> list[Span]:
        return [(corner[axis], corner[axis] + self.size[axis]) for corner in self.corners]

    def _over(self, rows: Sequence[Span], columns: Sequence[Span], of: Size) -> Places:
        """The smallest of one size that cover the spans, moved inside maps of size `of`."""
        size, corners = [], []
        for spans, full in ((rows, of[0]), (columns, of[1])):
            inside = [(max(a, 0), min(b, full)) for a, b in spans]
            own = min(full, max(b - a for a, b in inside))
            size.append(own)
            corners.append([min(a, full - own) for a, _ in inside])
        return Places(of, (size[0], size[1]), tuple(zip(*corners, strict=True)))


@dataclass(frozen=True)
class Crops:
    """What is wanted of pictures: pieces of the newest stage's, out of (h, w) `sizes` of all stages."""

    sizes: tuple[Size, ...]
    wanted: Places

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, stage: int) -> Size:
        return self.sizes[stage]


Sizes = Sequence[Size] | Crops
"""(h, w) of all stages, whose last is drawn, and maybe only pieces of it."""


def is_cropped(size: Size, side: int) -> bool:
    """Whether of a picture of (h, w) `size` crops are seen that together have the pixels of a square of `side`."""
    return 0 < 2 * side**2 < size[0] * size[1]


def crops(sizes: Sequence[Size], side: int, patch: int, draw: Draw) -> Sizes:
    """Crops that together have the pixels of a square of `side`, or `sizes` as they are, where the picture is small.

    Small is what has less than two such squares. In each part of the picture lies one crop. Every patch of `patch`
    pixels a side is as likely to be in one as every other, those at the border, too: a picture's patches are divided
    into as many equal fields as there are crops' worth in it, from one end or, as likely, from the other. (Where they
    do not divide, the fewer than a field that are left over at an end are half as likely.)
    """
    h, w = sizes[-1]
    if not is_cropped((h, w), side):
        return sizes
    spans = []
    for full in (h, w):
        patches = full - patch + 1
        # Of an oblong picture they are oblong.
        fields = max(ACROSS, round(ACROSS * (h * w) ** 0.5 / side))
        own = patches // fields
        first = (patches - own * fields) * draw.below(2)
        lots = draw.scalars(ACROSS).tolist()
        numbers = [int((part + lot) * fields / ACROSS) for part, lot in enumerate(lots)]
        spans.append((own + patch - 1, [first + number * own for number in numbers]))
    (height, tops), (width, lefts) = spans
    corners = tuple((top, left) for top in tops for left in lefts)
    return Crops(tuple(sizes), Places((h, w), (height, width), corners))


def cut(sizes: Sizes, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """What is wanted of an image of the newest stage."""
    return sizes.wanted.cut(image) if isinstance(sizes, Crops) else image


def whole(sizes: Sizes) -> Sequence[Size]:
    """The sizes of whole pictures."""
    return sizes.sizes if isinstance(sizes, Crops) else sizes


def enlarged_from(span: Span, old: int, new: int, corners: bool) -> Span:
    """Which of `old` values a `span` of the `new` ones that a bicubic enlargement makes of them hangs on."""
    first, last = span[0], span[1] - 1
    if corners:
        low, high = (at * (old - 1) / max(1, new - 1) for at in (first, last))
    else:
        low, high = ((at + 0.5) * old / new - 0.5 for at in (first, last))
    return math.floor(low) - 1, math.floor(high) + 3


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
