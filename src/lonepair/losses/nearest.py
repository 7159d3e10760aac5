"""The nearest of a target's patches: what a distribution's projections cannot say is whether a patch is a real one."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

_DIRECTIONS = 32
"""Patches are compared along so many of the directions in which the target's vary most: 0.95 of photographs' variance
and more, for a fifth of the multiplications."""
_FAR = 1e6
"""The square, in a key, of a patch that is not to be taken."""
_BLOCK = 64
"""So many patches are searched at once for the nearest."""


def patches_of(image: Float[Tensor, "1 c h w"], side: int, step: int = 1) -> Float[Tensor, "n d"]:
    """All n patches of `side` x `side` pixels, row by row, or those at every `step`-th place; d = c·side²."""
    return F.unfold(image, side, stride=step)[0].T.contiguous()


def assemble(patches: Float[Tensor, "n d"], size: tuple[int, int], side: int) -> Float[Tensor, "1 c h w"]:
    """The image whose every pixel is the mean of what the patches that cover it say; (h, w) = `size`."""
    summed = F.fold(patches.T[None], size, side)
    covered = F.fold(torch.ones_like(patches.T[None, : side**2]), size, side)
    return summed / covered


class Nearest:
    """A target's patches, to be searched."""

    def __init__(self, patches: Float[Tensor, "n d"]) -> None:
        self.patches = patches
        self._mean = patches.mean(0)
        centred = patches - self._mean
        covariance = (centred.T @ centred / len(patches)).double()
        directions = torch.linalg.eigh(covariance)[1].flip(1)[:, :_DIRECTIONS].to(patches.dtype)
        self._directions = directions / patches.shape[1] ** 0.5  # so that squared distances are means over a patch
        keys = centred @ self._directions
        # The product of a key and a query, each with its square at its end, is the squared distance of the two.
        keys = torch.cat([-2 * keys, torch.ones_like(keys[:, :1]), keys.square().sum(1, keepdim=True)], 1)
        self._keys = F.pad(keys, [0, 0, 0, -len(keys) % _BLOCK])
        self._none = torch.arange(len(patches), len(self._keys), device=patches.device)

    @torch.no_grad()
    def __call__(
        self, queries: Float[Tensor, "m d"], completeness: float = 0.0, without: Int[Tensor, "k"] | None = None
    ) -> Int[Tensor, "m"]:
        """For each of `queries` the index of the nearest patch, by mean squared difference.

        With `completeness` alpha above 0 the distance to a patch is divided by alpha + the least distance of any query
        to it: a patch that nothing resembles yet is sooner taken (Granot et al., GPNN, CVPR 2022, eq. 2), and not all
        of a smooth image falls to the same few. The smaller alpha, the stronger. Those whose index is in `without` are
        not taken, unless there are no others. Exact, in m·n·32 multiplications, twice that for more than a tile of
        queries with completeness; in tiles, so that memory does not grow with m·n.
        """
        tile = 1024 if queries.device.type == "cpu" else 8192  # on a CPU a tile of distances stays in its cache
        ours = (queries - self._mean) @ self._directions
        ours = torch.cat([ours, ours.square().sum(1, keepdim=True), torch.ones_like(ours[:, :1])], 1)
        keys = self._keys.clone()
        keys[self._none, -1] = _FAR
        if without is not None:
            keys[without, -1] = _FAR
        if completeness > 0 and len(ours) > tile:
            least = torch.full_like(keys[:, 0], torch.inf)
            for rows in torch.split(ours, tile):
                parts = torch.split(keys, tile)
                least = torch.minimum(least, torch.cat([(rows @ part.T).amin(0) for part in parts]))
            keys, completeness = keys * _urgency(least, keys, completeness)[:, None], 0.0
        return torch.cat([_least(rows, keys, tile, completeness) for rows in torch.split(ours, tile)])


def _urgency(least: Float[Tensor, "n"], keys: Float[Tensor, "n d"], completeness: float) -> Float[Tensor, "n"]:
    """By what the distances to each of `keys` are multiplied, whose nearest query is at the distance `least`."""
    return torch.where(keys[:, -1] == _FAR, 1.0, 1 / (completeness + least.clamp(min=0)))


def _least(rows: Float[Tensor, "m d"], keys: Float[Tensor, "n d"], tile: int, completeness: float) -> Int[Tensor, "m"]:
    """With which of `keys`, a multiple of `_BLOCK`, each of `rows` has the least product.

    With `completeness`, `rows` are all there are, and products are weighed as `_urgency` says.
    """
    # First which block has it, then which of the block: to find a minimum is ten times as fast as to find its place.
    blocks, weighed = [], []
    for part in torch.split(keys, tile):
        table = rows @ part.T
        if completeness > 0:
            urgency = _urgency(table.amin(0), part, completeness)
            table *= urgency
            part = part * urgency[:, None]
        blocks.append(table.view(len(rows), -1, _BLOCK).amin(2))
        weighed.append(part)
    block = torch.cat(blocks, 1).argmin(1)
    products = torch.cat(weighed).view(-1, _BLOCK, keys.shape[1])[block] @ rows[:, :, None]
    return block * _BLOCK + products[:, :, 0].argmin(1)


def pieces(
    index: Int[Tensor, "n"], size: tuple[int, int], columns: int, run: int
) -> Bool[Tensor, "{size[0]} {size[1]}"]:
    """Which patches are part of a piece cut out of the target: `run` neighbours in the row have one shift, and likewise
    in the column.

    Args:
        index: Of each patch of an image, the target's patch it was taken from, or is nearest to.
        size: Patches in a column and in a row of the image.
        columns: Patches in a row of the target.
        run: So many neighbours of one shift are a piece.
    """
    h, w = size
    rows_apart = index // columns - torch.arange(h, device=index.device).repeat_interleave(w)
    columns_apart = index % columns - torch.arange(w, device=index.device).repeat(h)
    shifts = (rows_apart * 10_000 + columns_apart).view(h, w)
    return _in_long_runs(shifts, run) & _in_long_runs(shifts.T, run).T


def _in_long_runs(shifts: Int[Tensor, "h w"], run: int) -> Bool[Tensor, "h w"]:
    """Whether each patch is one of `run` neighbours in its row that have one shift."""
    if shifts.shape[1] < run:
        return torch.zeros_like(shifts, dtype=torch.bool)
    windows = shifts.unfold(1, run, 1)
    whole = (windows == windows[..., :1]).all(2).float()
    return F.max_pool1d(F.pad(whole, [run - 1, run - 1])[:, None], run, 1)[:, 0] > 0
