"""Where pieces of pictures lie: pieces that together are as good as the whole, every patch as likely as every other.

The host knows how large they are, and need not know where they lie: that is a tensor, which a GPU draws, and by which
it takes them. So a step that sees others each time is the same to the host, and can be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lonepair.ops.device import is_on_cpu
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resized_by, resizing

Size = tuple[int, int]
Seen = Callable[[Tensor, int, int, int], tuple[Tensor, int]]
"""Of so many values along an axis, from the given ones on, and the numbers of old and of new values: which of the old
ones they are made of, the first ones and how many at most."""

ACROSS = 2
"""So many crops lie side by side, and as many one below the other: one in each quarter of the picture."""
_FINE = 1 << 24
"""A share in [0, 1) is counted in such parts: to multiply whole numbers needs no float64, and never rounds up to 1."""


@dataclass(frozen=True, eq=False)
class Regions:
    """Where crops of one size lie in maps of one size."""

    of: Size
    """(h, w) of the maps."""
    size: Size
    """(h, w) of the crops."""
    corners: Int[Tensor, "n 2"]
    """(top, left) of each."""

    @classmethod
    def whole(cls, of: Size, device: torch.device) -> Regions:
        """All of one map."""
        return cls(of, of, torch.zeros(1, 2, dtype=torch.long, device=device))

    def __len__(self) -> int:
        return len(self.corners)

    @property
    def is_whole(self) -> bool:
        return self.size == self.of

    def only(self, index: Int[Tensor, ""]) -> Regions:
        """One of them."""
        return replace(self, corners=narrowed(self.corners, 0, index, 1))

    def cut(self, images: Float[Tensor, "m c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """The crops of one image, or one of each of as many."""
        return _cut(images, self.corners, self.size)

    def cut_from(self, crops: Float[Tensor, "n c h w"], theirs: Regions) -> Float[Tensor, "n c h2 w2"]:
        """The same of `crops` that lie at `theirs`, around these."""
        return _cut(crops, self.corners - theirs.corners, self.size)

    def around(self, crops: Float[Tensor, "n c h w"], theirs: Regions, by: int) -> Float[Tensor, "n c h2 w2"]:
        """The same with `by` more pixels around, of which `theirs` have all within the maps; zeros beyond."""
        size = (self.size[0] + 2 * by, self.size[1] + 2 * by)
        return _cut(F.pad(crops, [by] * 4), self.corners - theirs.corners, size)

    def enlarged(
        self, crops: Float[Tensor, "m c h w"], theirs: Regions, corners: bool, image: bool = False
    ) -> Float[Tensor, "n c h2 w2"]:
        """What enlarging maps to these maps' size gives here, of their `crops` at `theirs`, on which it hangs.

        By `resize_features`, with `corners` by `resize_corners`, `image` by `resize`.
        """
        one = len(crops) == 1
        lines = []
        for axis, (old, new) in enumerate(zip(theirs.of, self.of, strict=True)):
            matrix = resizing(old, new, image, corners, crops.device, crops.dtype)
            at = torch.stack([self.corners[:, axis], theirs.corners[:, axis].expand(len(self))], 1)
            lines.append(_cut(matrix[None, None], at, (self.size[axis], theirs.size[axis]))[:, 0])
        each = [crops] * len(self) if one else torch.split(crops, 1)
        return torch.cat([resized_by(*given) for given in zip(each, *lines, strict=True)])

    def enlarged_image(self, crops: Float[Tensor, "m c h w"], theirs: Regions) -> Float[Tensor, "n c h2 w2"]:
        """The same of images, [-1, 1] (see `resize_image`)."""
        with torch.autocast(crops.device.type, enabled=False):
            return self.enlarged(crops.float(), theirs, corners=False, image=True).clamp(-1, 1)

    def grown(self, by: int) -> Regions:
        """Those with `by` more pixels around, all of one size, as far as the maps reach."""
        return _within(self.of, [length + 2 * by for length in self.size], [at - by for at in self.corners.unbind(1)])

    def below(self, size: Size, seen: Seen) -> Regions:
        """What of maps of `size` these are made of, where `seen` says it for one axis."""
        axes = zip(self.corners.unbind(1), self.size, size, self.of, strict=True)
        firsts, lengths = zip(*(seen(*axis) for axis in axes), strict=True)
        return _within(size, lengths, firsts)


def _within(of: Size, lengths: Sequence[int], firsts: Sequence[Int[Tensor, " n"]]) -> Regions:
    """As large, and moved inside maps of size `of`, where those are larger."""
    h, w = map(min, lengths, of)
    moved = [first.clamp(0, full - own) for first, full, own in zip(firsts, of, (h, w), strict=True)]
    return Regions(of, (h, w), torch.stack(moved, 1))


def _cut(images: Float[Tensor, "m c h w"], corners: Int[Tensor, "n 2"], size: Size) -> Float[Tensor, "n c h2 w2"]:
    """Pieces of `size` with these (top, left) of one image, or one of each of as many.

    On a GPU the derivative adds up pieces of one image in no fixed order, where more than two overlap.
    """
    h, w = size
    if is_on_cpu(corners):
        each = torch.split(images, 1) if len(images) > 1 else [images] * len(corners)
        pairs = zip(each, corners.tolist(), strict=True)
        return torch.cat([image[:, :, top : top + h, left : left + w] for image, (top, left) in pairs])
    assert len(images) in (1, len(corners))
    rows, columns = (
        at[:, None] + torch.arange(length, device=at.device) for at, length in zip(corners.unbind(1), size, strict=True)
    )
    if len(images) > 1:
        rows = rows + images.shape[2] * torch.arange(len(images), device=rows.device)[:, None]
    pixels = rows[:, :, None] * images.shape[3] + columns[:, None, :]
    # Pixel by pixel, as channels last has them.
    found = images.permute(0, 2, 3, 1).flatten(0, 2).index_select(0, pixels.flatten())
    return found.view(*pixels.shape, images.shape[1]).permute(0, 3, 1, 2)


def window(image: Float[Tensor, "b c h w"], size: Size, where: Float[Tensor, " 2"]) -> Float[Tensor, "b c h2 w2"]:
    """A window of (h, w) `size`, at a place that `where` in [0, 1) draws."""
    for axis, length, share in zip((2, 3), size, where, strict=True):
        if length < image.shape[axis]:
            image = narrowed(image, axis, _parts(share) * (image.shape[axis] - length + 1) // _FINE, length)
    return image


def narrowed(values: Tensor, axis: int, first: Int[Tensor, ""], length: int) -> Tensor:
    """So many of `values` along an axis, such as an image's rows (2) or columns (3), from `first` on, of which a GPU
    does not tell the host."""
    if is_on_cpu(first):
        return values.narrow(axis, int(first), length)
    return values.index_select(axis, first + torch.arange(length, device=first.device))


def is_cropped(pixels: int, side: int) -> bool:
    """Whether of so many pixels crops are seen that together have those of a square of `side`."""
    return 0 < 2 * side**2 < pixels


def pieces_of(count: int, size: Size, side: int, patch: int, rng: RandomStream) -> Regions | None:
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
    tops, lefts = (_starts(count, full - patch + 1, fields, across, rng) for full in size)
    pairs = tops[:, :, None].expand(-1, -1, across), lefts[:, None, :].expand(-1, across, -1)
    height, width = ((full - patch + 1) // fields + patch - 1 for full in size)
    return Regions(size, (height, width), torch.stack(pairs, -1).flatten(0, 2))


def _starts(count: int, patches: int, fields: int, across: int, rng: RandomStream) -> Int[Tensor, "{count} {across}"]:
    """Where along an axis of so many patches pieces of each picture begin, one in each of `across` parts."""
    own = patches // fields
    ends, shares = zip(*((rng.integer(2), rng.uniform(across)) for _ in range(count)), strict=True)
    lots = _parts(torch.stack(shares))
    parts = _FINE * torch.arange(across, device=lots.device)
    return (patches - own * fields) * torch.stack(ends)[:, None] + (parts + lots) * fields // (across * _FINE) * own


def _parts(shares: Float[Tensor, "*d"]) -> Int[Tensor, "*d"]:
    """Shares in [0, 1), counted in `_FINE` parts."""
    return (shares * _FINE).long()
