"""Search for the nearest of a target's patches, by mean squared difference.

Patches are compared along their principal components. A search of all patches is a product of matrices in tiles; a
search that follows its neighbors' matches is PatchMatch.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lonepair.ops.device import cached

_EXCLUDED = 1e6
"""Squared length, in a key, of a patch that is excluded."""

# The rest trades memory for speed and changes no result.
_BLOCK = 64
"""Number of patches whose least distance is computed before its position."""
_GATHER_SIZE = 1 << 16
"""Number of queries whose keys are gathered at a time."""

Move = Callable[[Tensor], Tensor]
"""A function from rows and columns of a target's patches, (2, m), to those of other candidates."""


def rows_and_columns(index: Int[Tensor, "m"], columns: int) -> Int[Tensor, "2 m"]:
    """Rows and columns of the patches `index` of a target with `columns` patches in a row."""
    return torch.stack([index // columns, index % columns])


def flat_index(positions: Int[Tensor, "2 m"], columns: int) -> Int[Tensor, "m"]:
    """Indices of the patches at `positions`, the inverse of `rows_and_columns`."""
    return torch.add(positions[1], positions[0], alpha=columns)


def patches_of(image: Float[Tensor, "b c h w"], side: int, step: int = 1) -> Float[Tensor, "n d"]:
    """All n patches of `side` x `side` pixels, row by row, or those at every `step`-th position; d = c·side²."""
    return F.unfold(image, side, stride=step).transpose(1, 2).flatten(0, 1).contiguous()


class NearestPatches:
    """A target's patches, or those at every `step`-th position, row by row, for searches by index."""

    def __init__(
        self,
        target: Float[Tensor, "1 c h w"],
        side: int,
        step: int = 1,
        components: int = 32,
        component_samples: int = 16384,
        usable: Bool[Tensor, "n"] | None = None,
        row_weight: float = 0.0,
    ) -> None:
        """
        Args:
            side: Side of the patches in pixels.
            step: Distance in pixels between them.
            components: Number of principal components along which patches are compared. 32 hold 0.95 of the variance
                of photographs and more, for a fifth of the multiplications.
            component_samples: Approximate number of patches from which the components are computed; more hardly change
                them.
            usable: Which patches can be matched; None: all. One at least can.
            row_weight: Distance, 0 or more, between two equal patches of which one is in the first row and one in the
                last; it grows with the square of the difference of their heights.
        """
        rows, columns = ((n - side) // step + 1 for n in target.shape[-2:])
        self.side, self.columns, self._rows, self._step = side, columns, rows, step
        self._target, self._row_weight = target, row_weight
        # Principal components, from an evenly spaced subset of the patches.
        patches = patches_of(target, side, step * max(1, math.ceil((rows * columns / component_samples) ** 0.5)))
        mean = patches.mean(0)
        centered = patches - mean
        covariance = (centered.T @ centered / len(patches)).double()
        directions = torch.linalg.eigh(covariance)[1].flip(1)[:, :components].to(patches.dtype)
        directions = directions / patches.shape[1] ** 0.5  # so that squared distances are means over a patch
        self._filters = directions.T.reshape(-1, target.shape[1], side, side)
        self._offset = -(mean @ directions)
        # ‖q - k‖² = -2 q·k + ‖q‖² + ‖k‖²: with the squares appended, the product of a query and a key.
        keys = self._project(target, step, (0.0, 1.0))
        keys = torch.cat([-2 * keys, torch.ones_like(keys[:, :1]), keys.square().sum(1, keepdim=True)], 1)
        if usable is not None:
            keys[:, -1].masked_fill_(~usable, _EXCLUDED)
        self._keys = _in_blocks(keys)

    def _project(self, image: Tensor, step: int, rows: tuple[float, float]) -> Float[Tensor, "m d"]:
        """Patches of `image` along the principal components, and their rows where these have a weight."""
        components = F.conv2d(image, self._filters, self._offset, stride=step)
        if self._row_weight > 0:
            root = self._row_weight**0.5
            heights = torch.linspace(root * rows[0], root * rows[1], components.shape[2], device=image.device)
            heights = heights[:, None].expand(len(image), 1, *components.shape[2:])
            components = torch.cat([components, heights], 1)
        return components.permute(0, 2, 3, 1).flatten(0, 2).contiguous()

    @torch.no_grad()
    def queries(
        self, image: Float[Tensor, "b c h w"], step: int = 1, rows: tuple[float, float] = (0.0, 1.0)
    ) -> Float[Tensor, "m d"]:
        """The patches of `image`, or those at every `step`-th position, row by row, in the form that searches take.

        Args:
            rows: Height of the first and of the last row of patches, from 0 at the target's top to 1 at its bottom.
        """
        components = self._project(image, step, rows)
        squares = components.square().sum(1, keepdim=True)
        return torch.cat([components, squares, torch.ones_like(squares)], 1)

    def patches(self, index: Int[Tensor, "m"]) -> Float[Tensor, "m d"]:
        """The target's patches `index`; d = c·side² as in `patches_of`."""
        offset = torch.arange(self.side, device=index.device)
        rows = (self._step * (index // self.columns))[:, None, None] + offset[:, None]
        columns = (self._step * (index % self.columns))[:, None, None] + offset
        return self._target[0][:, rows, columns].permute(1, 0, 2, 3).flatten(1)

    def distances(self, queries: Float[Tensor, "m d"], index: Int[Tensor, "m"]) -> Float[Tensor, "m"]:
        """Mean squared difference of each query to the target's patch of that `index`."""
        return _products(queries, self._keys, index).clamp(min=0)

    @torch.no_grad()
    def __call__(
        self,
        queries: Float[Tensor, "m d"],
        completeness: float = 0.0,
        excluded: Bool[Tensor, "n"] | None = None,
    ) -> Int[Tensor, "m"]:
        """For each query the index of the nearest patch.

        Exact, in m·n·d multiplications, twice that for more than a tile of queries with completeness. It works in
        tiles, so that memory does not grow with m·n.

        Args:
            completeness: Alpha above 0 divides the distance to a patch by alpha + the least distance of any query to it
                (Granot et al., GPNN, CVPR 2022, eq. 2). A patch that resembles no query yet is preferred, so that the
                queries of a smooth image do not share a few patches. A smaller alpha has more effect.
            excluded: Patches that are not to be matched, unless there are no others.
        """
        tile = _tile(queries)
        keys = self._keys
        if excluded is not None:
            keys = keys.clone()
            keys[: len(excluded), -1].masked_fill_(excluded, _EXCLUDED)
        if completeness > 0 and len(queries) > tile:
            keys, completeness = keys * _completeness_weights(_least_of(queries, keys), completeness)[:, None], 0.0
        return torch.cat([_argmin(rows, keys, tile, completeness) for rows in torch.split(queries, tile)])

    @torch.no_grad()
    def follow(
        self,
        queries: Float[Tensor, "m d"],
        matches: Int[Tensor, "m"],
        moves: Iterable[Move],
        completeness: float,
        samples: int,
    ) -> Int[Tensor, "m"]:
        """Better matches of `queries`, from candidates that `moves` suggest.

        Neighbors in the image are neighbors in the target, too, so that few moves replace a search of all patches
        (Barnes et al., PatchMatch, SIGGRAPH 2009). The time grows with m rather than with m·n.

        Args:
            matches: The matches to start from.
            moves: Functions from the matches' rows and columns to candidates, tried in this order.
            completeness: As in a call. The least distances come from `samples` of the queries, evenly spread.
        """
        # The least distance of each of the target's patches to a sample of the queries, or to a query that it matches.
        subset = _spread(min(samples, len(queries)), len(queries), queries.device)
        least = _least_of(queries[subset], self._keys)[: self._rows * self.columns]
        least = least.scatter_reduce(0, matches, self.distances(queries, matches), "amin")
        weights = _completeness_weights(least, completeness)

        def weighted(index: Tensor) -> Tensor:
            return _products(queries, self._keys, index) * weights.index_select(0, index)

        # Propagation: a candidate replaces a match where it is nearer.
        positions, best = rows_and_columns(matches, self.columns), weighted(matches)
        for move in moves:
            candidates = move(positions)
            distances = weighted(flat_index(candidates, self.columns))
            nearer = distances < best
            positions, best = torch.where(nearer, candidates, positions), torch.where(nearer, distances, best)
        return flat_index(positions, self.columns)


def _tile(queries: Tensor) -> int:
    """Number of rows and columns of a tile of distances; on a CPU the tile fits its cache."""
    return 1024 if queries.device.type == "cpu" else 8192


def _products(queries: Float[Tensor, "m d"], keys: Float[Tensor, "n d"], index: Int[Tensor, "m"]) -> Float[Tensor, "m"]:
    """The product of each query with the key of its `index`."""
    if len(queries) <= _GATHER_SIZE:
        return (queries * keys.index_select(0, index)).sum(1)
    parts = zip(torch.split(queries, _GATHER_SIZE), torch.split(index, _GATHER_SIZE), strict=True)
    # `index_select`: indexing with brackets takes four times as long.
    return torch.cat([(rows * keys.index_select(0, numbers)).sum(1) for rows, numbers in parts])


def _least_of(queries: Float[Tensor, "m d"], keys: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
    """The distance of each of `keys` to the nearest of `queries`."""
    least = torch.full_like(keys[:, 0], torch.inf)
    for rows in torch.split(queries, _tile(queries)):
        parts = torch.split(keys, _tile(queries))
        least = torch.minimum(least, torch.cat([(rows @ part.T).amin(0) for part in parts]))
    return least


@cached(32)
def _spread(count: int, bound: int, device: torch.device) -> Int[Tensor, "count"]:
    """`count` integers below `bound`, evenly spread (golden ratio), without a pattern that rows could align with."""
    if count == bound:
        return torch.arange(bound).to(device)
    golden = 0.5 * (5**0.5 - 1)
    return (torch.arange(count, dtype=torch.float64) * golden % 1 * bound).long().to(device)


def _in_blocks(keys: Float[Tensor, "n d"]) -> Float[Tensor, "n2 d"]:
    """`keys`, padded to a multiple of `_BLOCK` with keys that never match."""
    blocks = F.pad(keys, [0, 0, 0, -len(keys) % _BLOCK])
    blocks[len(keys) :, -1] = 4 * _EXCLUDED  # farther than excluded patches, which match where there are no others
    return blocks


def _completeness_weights(least: Float[Tensor, "n"], completeness: float) -> Float[Tensor, "n"]:
    """Factors on the distances to patches whose nearest query is at the distance `least` (GPNN, eq. 2)."""
    # Excluded patches stay as far as they are.
    return torch.where(least > _EXCLUDED / 2, 1.0, 1 / (completeness + least.clamp(min=0)))


def _argmin(rows: Float[Tensor, "m d"], keys: Float[Tensor, "n d"], tile: int, completeness: float) -> Int[Tensor, "m"]:
    """For each of `rows` the key, of a multiple of `_BLOCK`, with the least product.

    With `completeness`, `rows` are all queries, and products have `_completeness_weights`.
    """
    # First the block that holds the key, then its position there: a minimum takes a tenth of the time of an argmin.
    minima, weighted = [], []
    for part in torch.split(keys, tile):
        table = rows @ part.T
        if completeness > 0:
            weights = _completeness_weights(table.amin(0), completeness)
            table *= weights
            part = part * weights[:, None]
        minima.append(table.view(len(rows), -1, _BLOCK).amin(2))
        weighted.append(part)
    block = torch.cat(minima, 1).argmin(1)
    products = torch.cat(weighted).view(-1, _BLOCK, keys.shape[1]).index_select(0, block) @ rows[:, :, None]
    return block * _BLOCK + products[:, :, 0].argmin(1)


def copied_regions(
    index: Int[Tensor, "n"], size: tuple[int, int], columns: int, run: int, step: int = 1
) -> Bool[Tensor, "{size[0]} {size[1]}"]:
    """Whether each patch is part of a region copied out of the target.

    A region is `run` neighbors with one shift in a row, and as many in a column.

    Args:
        index: Of each patch of an image, the target's patch that it was copied from, or is nearest to.
        size: Number of the image's patches in a column and in a row.
        columns: Number of the target's patches in a row.
        run: Side of the smallest region, in patches.
        step: Distance in pixels between neighbors.
    """
    h, w = size
    # One number for each shift; a target has fewer than 10,000 patches in a row.
    row_shift = index // columns - step * torch.arange(h, device=index.device).repeat_interleave(w)
    column_shift = index % columns - step * torch.arange(w, device=index.device).repeat(h)
    shifts = (row_shift * 10_000 + column_shift).view(h, w)
    return _in_long_runs(shifts, run) & _in_long_runs(shifts.T, run).T


def _in_long_runs(shifts: Int[Tensor, "h w"], run: int) -> Bool[Tensor, "h w"]:
    """Whether each patch is one of `run` neighbors in its row that have one shift."""
    if shifts.shape[1] < run:
        return torch.zeros_like(shifts, dtype=torch.bool)
    # Runs of equal values, counted by a cumulative sum: `run` of them have `run` - 1 equal neighbors in a row.
    is_equal = (shifts[:, 1:] == shifts[:, :-1]).to(torch.int32)
    total = F.pad(is_equal.cumsum(1, dtype=torch.int32), [1, 0])
    is_run = (total[:, run - 1 :] - total[:, : total.shape[1] - run + 1] == run - 1).float()
    return F.max_pool1d(F.pad(is_run, [run - 1, run - 1])[:, None], run, 1)[:, 0] > 0
