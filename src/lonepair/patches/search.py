"""The nearest of a target's patches: what a distribution's projections cannot say is whether a patch is a real one."""

import functools
import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lonepair.ops.device import cached

_DIRECTIONS = 32
"""Patches are compared along so many of the directions in which the target's vary most: 0.95 of photographs' variance
and more, for a fifth of the multiplications."""
_FAR = 1e6
"""The square, in a key, of a patch that is not to be taken."""
_BLOCK = 64
"""So many patches are searched at once for the nearest."""
_LEARNT = 16384
"""Of about so many patches directions are learnt."""
_GATHERED = 1 << 16
"""Of so many patches at once keys are gathered, so that memory does not grow."""

Move = Callable[[Tensor], Tensor]
"""Rows and columns of a target's patches, (2, m), in place of others."""


def rows_and_columns(index: Int[Tensor, "m"], columns: int) -> Int[Tensor, "2 m"]:
    """Rows and columns of the patches `index` of a target that has so many `columns`."""
    return torch.stack([index // columns, index % columns])


def flat_index(places: Int[Tensor, "2 m"], columns: int) -> Int[Tensor, "m"]:
    """The other way round."""
    return torch.add(places[1], places[0], alpha=columns)


def patches_of(image: Float[Tensor, "b c h w"], side: int, step: int = 1) -> Float[Tensor, "n d"]:
    """All n patches of `side` x `side` pixels, row by row, or those at every `step`-th place; d = c·side²."""
    return F.unfold(image, side, stride=step).transpose(1, 2).flatten(0, 1).contiguous()


class NearestPatches:
    """A target's patches, or those at every `step`-th place, to be searched: row by row, an index each."""

    def __init__(self, target: Float[Tensor, "1 c h w"], side: int, step: int = 1) -> None:
        rows, columns = ((n - side) // step + 1 for n in target.shape[-2:])
        self.side, self.columns, self._rows, self._step = side, columns, rows, step
        self._target = target
        patches = patches_of(target, side, step * max(1, math.ceil((rows * columns / _LEARNT) ** 0.5)))
        mean = patches.mean(0)
        centred = patches - mean
        covariance = (centred.T @ centred / len(patches)).double()
        directions = torch.linalg.eigh(covariance)[1].flip(1)[:, :_DIRECTIONS].to(patches.dtype)
        directions = directions / patches.shape[1] ** 0.5  # so that squared distances are means over a patch
        self._filters = directions.T.reshape(-1, target.shape[1], side, side)
        self._offset = -(mean @ directions)
        keys = self._along(target, step)
        # The product of a key and a query, each with its square at its end, is the squared distance of the two.
        keys = torch.cat([-2 * keys, torch.ones_like(keys[:, :1]), keys.square().sum(1, keepdim=True)], 1)
        self._keys = _in_blocks(keys)

    def _along(self, image: Tensor, step: int) -> Float[Tensor, "m d"]:
        """Patches of `image` along the directions."""
        return F.conv2d(image, self._filters, self._offset, stride=step).permute(0, 2, 3, 1).flatten(0, 2).contiguous()

    @torch.no_grad()
    def queries(self, image: Float[Tensor, "b c h w"], step: int = 1) -> Float[Tensor, "m d"]:
        """The patches of `image`, or those at every `step`-th place, row by row, as they are searched for."""
        ours = self._along(image, step)
        return torch.cat([ours, ours.square().sum(1, keepdim=True), torch.ones_like(ours[:, :1])], 1)

    def patches(self, index: Int[Tensor, "m"]) -> Float[Tensor, "m d"]:
        """The target's patches `index`, d = c·side² as of `patches_of`."""
        near = torch.arange(self.side, device=index.device)
        rows = (self._step * (index // self.columns))[:, None, None] + near[:, None]
        columns = (self._step * (index % self.columns))[:, None, None] + near
        return self._target[0][:, rows, columns].permute(1, 0, 2, 3).flatten(1)

    def apart(self, queries: Float[Tensor, "m d"], index: Int[Tensor, "m"]) -> Float[Tensor, "m"]:
        """Mean squared difference of each of `queries` to the target's patch `index`."""
        return _products(queries, self._keys, index).clamp(min=0)

    @functools.cached_property
    def _every(self) -> tuple[Float[Tensor, "n2 d"], Int[Tensor, "n"], Int[Tensor, "n"]]:
        """All keys, as `_few`."""
        every = torch.arange(self._rows * self.columns, device=self._keys.device)
        return self._keys, every, every

    @functools.cached_property
    def _few(self) -> tuple[Float[Tensor, "n2 d"], Int[Tensor, "n3"], Int[Tensor, "n"]]:
        """Keys of every second patch in a row and in a column, which they are, and which of them is next to each."""
        device = self._keys.device
        rows, columns = (torch.arange(n, device=device) for n in (self._rows, self.columns))
        index = (rows[::2, None] * self.columns + columns[::2]).flatten()
        place = (rows[:, None] // 2 * len(columns[::2]) + columns // 2).flatten()
        return _in_blocks(self._keys.index_select(0, index)), index, place

    @torch.no_grad()
    def __call__(
        self,
        queries: Float[Tensor, "m d"],
        completeness: float = 0.0,
        without: Bool[Tensor, "n"] | None = None,
        roughly: bool = False,
    ) -> Int[Tensor, "m"]:
        """For each of `queries` the index of the nearest patch, by mean squared difference.

        With `completeness` alpha above 0 the distance to a patch is divided by alpha + the least distance of any query
        to it: a patch that nothing resembles yet is sooner taken (Granot et al., GPNN, CVPR 2022, eq. 2), and not all
        of a smooth image falls to the same few. The smaller alpha, the stronger. Those that `without` says are
        not taken, unless there are no others. Exact, in m·n·32 multiplications, twice that for more than a tile of
        queries with completeness; in tiles, so that memory does not grow with m·n. `roughly` looks at every second
        patch in a row and in a column alone, in a quarter of the time.
        """
        tile = _tile(queries)
        keys, index, _ = self._few if roughly else self._every
        if without is not None:
            keys = keys.clone()
            keys[: len(index), -1].masked_fill_(without.index_select(0, index), _FAR)
        if completeness > 0 and len(queries) > tile:
            keys, completeness = keys * _urgency(_least_of(queries, keys), completeness)[:, None], 0.0
        found = torch.cat([_least(rows, keys, tile, completeness) for rows in torch.split(queries, tile)])
        return index.index_select(0, found)

    @torch.no_grad()
    def follow(
        self,
        queries: Float[Tensor, "m d"],
        found: Int[Tensor, "m"],
        moves: Iterable[Move],
        completeness: float,
        some: int,
        fresh: bool = False,
        roughly: bool = False,
    ) -> Int[Tensor, "m"]:
        """`found`, or what `moves` make of it one after the other, each time whichever is nearer.

        Neighbours belong together in the target, too, so that few moves do what a search of all does (Barnes et al.,
        PatchMatch, SIGGRAPH 2009), in a time that grows with m rather than m·n. What nothing resembles yet is told by
        `some` of the queries, which with `fresh` are searched for among all as well, `roughly` as in a call.
        """
        chosen = _spread(min(some, len(queries)), len(queries), queries.device)
        keys, index, place = self._few if roughly else self._every
        least = _least_of(queries[chosen], keys).index_select(0, place)
        least = least.scatter_reduce(0, found, self.apart(queries, found), "amin")
        urgency = _urgency(least, completeness)

        def distances(index: Tensor) -> Tensor:
            return _products(queries, self._keys, index) * urgency.index_select(0, index)

        if fresh:
            weighed = keys[: len(index)] * urgency.index_select(0, index)[:, None]
            likely = index.index_select(0, _least(queries[chosen], _in_blocks(weighed), _tile(queries), 0.0))
            moves = [*moves, lambda places: places.index_copy(1, chosen, rows_and_columns(likely, self.columns))]
        places, best = rows_and_columns(found, self.columns), distances(found)
        for move in moves:
            other = move(places)
            apart = distances(flat_index(other, self.columns))
            nearer = apart < best
            places, best = torch.where(nearer, other, places), torch.where(nearer, apart, best)
        return flat_index(places, self.columns)


def _tile(queries: Tensor) -> int:
    return 1024 if queries.device.type == "cpu" else 8192  # on a CPU a tile of distances stays in its cache


def _products(queries: Float[Tensor, "m d"], keys: Float[Tensor, "n d"], index: Int[Tensor, "m"]) -> Float[Tensor, "m"]:
    if len(queries) <= _GATHERED:
        return (queries * keys.index_select(0, index)).sum(1)
    parts = zip(torch.split(queries, _GATHERED), torch.split(index, _GATHERED), strict=True)
    # `index_select`: indexing with brackets takes four times as long.
    return torch.cat([(ours * keys.index_select(0, theirs)).sum(1) for ours, theirs in parts])


def _least_of(queries: Float[Tensor, "m d"], keys: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
    """The distance of each of `keys` to the nearest of `queries`."""
    least = torch.full_like(keys[:, 0], torch.inf)
    for rows in torch.split(queries, _tile(queries)):
        parts = torch.split(keys, _tile(queries))
        least = torch.minimum(least, torch.cat([(rows @ part.T).amin(0) for part in parts]))
    return least


@cached(32)
def _spread(count: int, bound: int, device: torch.device) -> Int[Tensor, "count"]:
    """`count` integers below `bound`, spread evenly without a pattern that rows of an image could fall into."""
    if count == bound:
        return torch.arange(bound).to(device)
    golden = 0.5 * (5**0.5 - 1)
    return (torch.arange(count, dtype=torch.float64) * golden % 1 * bound).long().to(device)


def _in_blocks(keys: Float[Tensor, "n d"]) -> Float[Tensor, "n2 d"]:
    """`keys`, and such as are never taken, to a multiple of `_BLOCK`."""
    blocks = F.pad(keys, [0, 0, 0, -len(keys) % _BLOCK])
    blocks[len(keys) :, -1] = 4 * _FAR  # further than those that are taken where there are no others
    return blocks


def _urgency(least: Float[Tensor, "n"], completeness: float) -> Float[Tensor, "n"]:
    """By what the distances to patches are multiplied whose nearest query is at the distance `least`."""
    # What is not to be taken stays as far as it is.
    return torch.where(least > _FAR / 2, 1.0, 1 / (completeness + least.clamp(min=0)))


def _least(rows: Float[Tensor, "m d"], keys: Float[Tensor, "n d"], tile: int, completeness: float) -> Int[Tensor, "m"]:
    """With which of `keys`, a multiple of `_BLOCK`, each of `rows` has the least product.

    With `completeness`, `rows` are all there are, and products are weighed as `_urgency` says.
    """
    # First which block has it, then which of the block: to find a minimum is ten times as fast as to find its place.
    blocks, weighed = [], []
    for part in torch.split(keys, tile):
        table = rows @ part.T
        if completeness > 0:
            urgency = _urgency(table.amin(0), completeness)
            table *= urgency
            part = part * urgency[:, None]
        blocks.append(table.view(len(rows), -1, _BLOCK).amin(2))
        weighed.append(part)
    block = torch.cat(blocks, 1).argmin(1)
    products = torch.cat(weighed).view(-1, _BLOCK, keys.shape[1]).index_select(0, block) @ rows[:, :, None]
    return block * _BLOCK + products[:, :, 0].argmin(1)


def copied_regions(
    index: Int[Tensor, "n"], size: tuple[int, int], columns: int, run: int, step: int = 1
) -> Bool[Tensor, "{size[0]} {size[1]}"]:
    """Which patches are part of a piece cut out of the target: `run` neighbours in the row have one shift, and likewise
    in the column.

    Args:
        index: Of each patch of an image, the target's patch it was taken from, or is nearest to.
        size: Patches in a column and in a row of the image.
        columns: Patches in a row of the target.
        run: So many neighbours of one shift are a piece.
        step: Pixels between neighbours.
    """
    h, w = size
    rows_apart = index // columns - step * torch.arange(h, device=index.device).repeat_interleave(w)
    columns_apart = index % columns - step * torch.arange(w, device=index.device).repeat(h)
    shifts = (rows_apart * 10_000 + columns_apart).view(h, w)
    return _in_long_runs(shifts, run) & _in_long_runs(shifts.T, run).T


def _in_long_runs(shifts: Int[Tensor, "h w"], run: int) -> Bool[Tensor, "h w"]:
    """Whether each patch is one of `run` neighbours in its row that have one shift."""
    if shifts.shape[1] < run:
        return torch.zeros_like(shifts, dtype=torch.bool)
    windows = shifts.unfold(1, run, 1)
    whole = (windows == windows[..., :1]).all(2).float()
    return F.max_pool1d(F.pad(whole, [run - 1, run - 1])[:, None], run, 1)[:, 0] > 0
