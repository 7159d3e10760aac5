"""Where pieces of pictures lie: pieces that together are as good as the whole, every patch as likely as every other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

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

    def only(self, index: int) -> Places:
        """One of them."""
        return replace(self, corners=(self.corners[index],))

    def rows(self, index: int) -> Span:
        """Rows of one of the crops."""
        top = self.corners[index][0]
        return top, top + self.size[0]

    def columns(self, index: int) -> Span:
        """Columns of one of the crops."""
        left = self.corners[index][1]
        return left, left + self.size[1]

    def cut(self, images: Float[Tensor, "m c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """The crops of one image, or one of each of as many."""
        (h, w), each = self.size, torch.split(images, 1) if len(images) > 1 else [images] * len(self)
        pairs = zip(each, self.corners, strict=True)
        return torch.cat([image[:, :, top : top + h, left : left + w] for image, (top, left) in pairs])

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


def window(image: Float[Tensor, "b c h w"], size: Size, where: Float[Tensor, " 2"]) -> Float[Tensor, "b c h2 w2"]:
    """A window of (h, w) `size`, at a place that `where` in [0, 1) draws."""
    for axis, length, share in zip((2, 3), size, where, strict=True):
        if length < image.shape[axis]:
            image = narrowed(image, axis, (share.double() * (image.shape[axis] - length + 1)).long(), length)
    return image


def narrowed(image: Float[Tensor, "b c h w"], axis: int, first: Int[Tensor, ""], length: int) -> Tensor:
    """So many rows (`axis` 2) or columns (3) of `image` from `first` on, of which a GPU does not tell the host."""
    if first.device.type == "cpu":
        return image.narrow(axis, int(first), length)
    return image.index_select(axis, first + torch.arange(length, device=first.device))


def is_cropped(pixels: int, side: int) -> bool:
    """Whether of so many pixels crops are seen that together have those of a square of `side`."""
    return 0 < 2 * side**2 < pixels


def pieces_of(count: int, size: Size, side: int, patch: int, draw: Draw) -> Places | None:
    """Pieces of `count` pictures of (h, w) `size` that together have the pixels of a square of `side`.

    None where the pictures are small: where they have less than two such squares. Of one picture there are four, one in
    each quarter, of several one of each. Every patch of `patch` pixels a side is as likely to be in one as every other,
    those at the border, too: a picture's patches are divided into as many equal fields as there are pieces' worth in
    it, from one end or, as likely, from the other. (Where they do not divide, the fewer than a field that are left over
    at an end are half as likely.)
    """
    h, w = size
    if not is_cropped(count * h * w, side):
        return None
    across = ACROSS if count == 1 else 1
    # Of an oblong picture they are oblong.
    fields = max(across, round(across * (count * h * w) ** 0.5 / side))
    fields = min(fields, h - patch + 1, w - patch + 1)
    tops, lefts = ([_starts(full - patch + 1, fields, across, draw) for _ in range(count)] for full in size)
    corners = [(top, left) for rows, columns in zip(tops, lefts, strict=True) for top in rows for left in columns]
    height, width = ((full - patch + 1) // fields + patch - 1 for full in size)
    return Places(size, (height, width), tuple(corners))


def _starts(patches: int, fields: int, across: int, draw: Draw) -> list[int]:
    """Where along an axis of so many patches pieces begin, one in each of `across` parts."""
    own = patches // fields
    first = (patches - own * fields) * draw.below(2)
    lots = draw.scalars(across).tolist()
    return [first + int((part + lot) * fields / across) * own for part, lot in enumerate(lots)]
