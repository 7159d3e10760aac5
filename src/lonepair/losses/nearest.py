"""The nearest of a target's patches: what a distribution's projections cannot say is whether a patch is a real one."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

_DIRECTIONS = 32
"""Patches are compared along so many of the directions in which the target's vary most: 0.95 of photographs' variance
and more, for a fifth of the multiplications."""


def patches_of(image: Float[Tensor, "1 c h w"], side: int) -> Float[Tensor, "n d"]:
    """All n patches of `side` x `side` pixels, row by row; d = c·side²."""
    return F.unfold(image, side)[0].T.contiguous()


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
        self._keys = centred @ self._directions

    def __call__(
        self, queries: Float[Tensor, "m d"], completeness: float = 0.0, without: Int[Tensor, "k"] | None = None
    ) -> Int[Tensor, "m"]:
        """For each of `queries` the index of the nearest patch, by mean squared difference.

        With `completeness` alpha above 0 the distance to a patch is divided by alpha + the least distance of any query
        to it: a patch that nothing resembles yet is sooner taken (Granot et al., GPNN, CVPR 2022, eq. 2), and not all
        of a smooth image falls to the same few. The smaller alpha, the stronger. Those whose index is in `without` are
        not taken, unless there are no others. Exact, in m·n·32 multiplications, and in tiles, so that memory does not
        grow with m·n.
        """
        tile = 1024 if queries.device.type == "cpu" else 8192  # on a CPU a tile of distances stays in its cache
        with torch.no_grad():
            ours = (queries - self._mean) @ self._directions
            ours = torch.cat([ours, ours.square().sum(1, keepdim=True), torch.ones_like(ours[:, :1])], 1)
            keys = self._keys
            keys = torch.cat([-2 * keys, torch.ones_like(keys[:, :1]), keys.square().sum(1, keepdim=True)], 1)
            if completeness > 0:
                keys = keys / (completeness + _least(keys, ours, tile)[0].clamp(min=0))[:, None]
            if without is not None:
                keys[without, -1] += 1e6  # the key's own square: far from every query
            return _least(ours, keys, tile)[1]


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


def _least(
    one: Float[Tensor, "m d"], other: Float[Tensor, "n d"], tile: int
) -> tuple[Float[Tensor, "m"], Int[Tensor, "m"]]:
    """The least product of each row of `one` with any of `other`, and whose it is."""
    values, places = [], []
    for rows in torch.split(one, tile):
        found = [(rows @ part.T).min(1) for part in torch.split(other, tile)]
        least, part = torch.stack([each.values for each in found]).min(0)
        index = torch.stack([each.indices for each in found]).gather(0, part[None])[0]
        values.append(least)
        places.append(part * tile + index)
    return torch.cat(values), torch.cat(places)
