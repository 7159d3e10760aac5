"""The closed-form denoiser of a target's patches: the optimal denoiser of a data set that can be listed.

The data set is all patches of one image (or of some frames of equal size). A noisy patch is x = alpha y + sigma n with
a patch y of the data set, each as probable as the others, and Gaussian noise n. The mean of y for a known x minimizes
the squared error, and it is a softmax over the data set: no network approximates it (Qiu, Kutulakos, Lindell, CVPR
2026). `methods.closed_form` makes pictures with it; its head says what is published and what is ours.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lonepair.patches.lattice import Lattice
from lonepair.patches.search import patches_of

TILE = 1024
"""Number of rows and columns of a table of products; on a CPU it fits the cache."""
BAND = 1 << 13
"""Number of an image's patches that are denoised at a time, about; at least those of one row. It bounds the memory."""
STORED = 1 << 25
"""Number of values up to which the target's patches are stored (128 MiB); beyond it they are cut out at every use."""
_LEAST_EXPONENT = -80.0
"""Exponents below it count as it. Their weights would be subnormal numbers, which take ten times as long."""
_BLOCK = 64
"""Number of neighboring patches whose best product is computed before the products themselves."""
_PER_BLOCK = 4
"""Number of wanted neighbors for each block that is searched. Fewer are more exact and slower."""
_MIN_BLOCKS = 2
"""Least number of blocks that are searched."""
_NEVER = 1e12
"""Squared length of a key that pads the last block: it is farther than any other."""
_SAMPLES = 16384
"""Approximate number of the target's patches from which principal components are computed."""


def denoise(
    image: Float[Tensor, "1 c h w"],
    target: Float[Tensor, "n c h2 w2"],
    sigma: float,
    patch_size: int = 11,
    *,
    alpha: float = 1.0,
    stride: int = 1,
    neighbors: int = 0,
    blend_rho: float = 0.2,
) -> Float[Tensor, "1 c h w"]:
    """`image`, taken for alpha x picture + sigma x noise, denoised into a picture of the target's patches.

    It creates a `ClosedFormDenoiser` and calls it once; create it yourself to denoise several images.
    """
    return ClosedFormDenoiser(target, patch_size, neighbors, blend_rho)(image, sigma, alpha, stride)


class ClosedFormDenoiser:
    """The closed-form denoiser of the patches of one target."""

    def __init__(
        self,
        target: Float[Tensor, "n c h w"],
        patch_size: int = 11,
        neighbors: int = 0,
        blend_rho: float = 0.2,
        components: int = 32,
    ) -> None:
        """
        Args:
            target: An image, or frames of equal size, in [-1, 1]. One smaller than a patch is extended by its border.
            patch_size: Side of the patches in pixels, an odd number.
            neighbors: Number of nearest patches in the softmax; 0: all patches, which is exact. Few are faster and
                sharper where the noise is strong.
            blend_rho: Standard deviation, as a fraction of `patch_size`, of the Gaussian patch weights where patches
                overlap. Smaller is sharper.
            components: Number of principal components along which the nearest patches are searched.
        """
        self.patch_size, self.neighbors = patch_size, neighbors
        self._sigma = blend_rho * patch_size
        # Centered values are smaller, and so are the rounding errors of their products.
        self._mean = target.mean((0, 2, 3), keepdim=True)
        centered = _extended(target, patch_size) - self._mean
        self._patches = _Patches(centered, patch_size)
        self._search = _Search(centered, patch_size, components) if neighbors else None

    @torch.no_grad()
    def __call__(
        self, noisy: Float[Tensor, "1 c h w"], sigma: float, alpha: float = 1.0, stride: int = 1
    ) -> Float[Tensor, "1 c h w"]:
        """The picture in `noisy`, which is taken for alpha x picture + sigma x noise.

        Every patch of `noisy` is denoised, and overlapping results are blended. The patches of some rows are denoised
        at a time, so that memory does not grow with the height of the image.

        Args:
            noisy: An image of any size.
            sigma: Standard deviation of the noise, above 0.
            alpha: Factor on the picture, 0 or more.
            stride: Distance in pixels between the patches to denoise, 1 to `patch_size`; 1 is published. A larger value
                is faster and leaves visible borders of patches.
        """
        assert sigma > 0, f"sigma is {sigma}: choose a value above 0"
        side, centered = self.patch_size, _extended(noisy - alpha * self._mean, self.patch_size)
        lattice = Lattice((centered.shape[-2], centered.shape[-1]), side, stride)
        (rows, columns), padded = lattice.shape, lattice.pad(centered)
        total = torch.zeros_like(padded)
        weights = gaussian_weights(side, self._sigma)
        window = torch.tensor(weights, device=noisy.device)
        window = torch.outer(window, window).flatten().repeat(noisy.shape[1])
        band = max(1, BAND // columns)
        for first in range(0, rows, band):
            # The pixels that the patches of these rows cover.
            last = min(first + band, rows)
            strip = slice(first * stride, (last - 1) * stride + side)
            patches = patches_of(padded[:, :, strip], side, stride)
            means = torch.cat([self._means(part, sigma, alpha) for part in torch.split(patches, TILE)])
            size = (strip.stop - strip.start, padded.shape[-1])
            total[:, :, strip] += F.fold((means * window).T[None], size, side, stride=stride)
        area = torch.outer(*(lattice.total_weight(weights, axis) for axis in (0, 1))).to(total)
        clean = total[:, :, : centered.shape[-2], : centered.shape[-1]] / area + self._mean
        return clean[:, :, : noisy.shape[-2], : noisy.shape[-1]]

    def _means(self, patches: Float[Tensor, "m d"], sigma: float, alpha: float) -> Float[Tensor, "m d"]:
        """The mean clean patch of each noisy one."""
        if alpha == 0:  # pure noise: all patches are equally probable
            return self._patches.mean.expand_as(patches)
        if self._search is not None:
            return self._means_of_nearest(patches, self._search(patches, alpha, self.neighbors), sigma, alpha)
        # The mean is sum_i w_i y_i / sum_i w_i with w_i = exp(-|x - alpha y_i|² / (2 sigma²)), where |x|² cancels.
        # The largest exponent so far is subtracted before exp: FlashAttention (Dao et al., NeurIPS 2022, sec. 3.1).
        top = torch.full_like(patches[:, :1], -torch.inf)
        total, mean = torch.zeros_like(top), torch.zeros_like(patches)
        for keys in self._patches.tiles():
            bias = keys.square().sum(1) * (-(alpha**2) / (2 * sigma**2))
            exponents = torch.addmm(bias, patches, keys.T, alpha=alpha / sigma**2)
            new_top = torch.maximum(top, exponents.amax(1, keepdim=True))
            scale, weights = (top - new_top).exp(), exponents.sub_(new_top).clamp_(min=_LEAST_EXPONENT).exp_()
            total = total * scale + weights.sum(1, keepdim=True)
            mean = torch.addmm(mean * scale, weights, keys)
            top = new_top
        return mean / total

    def _means_of_nearest(
        self, patches: Float[Tensor, "m d"], nearest: Int[Tensor, "m k"], sigma: float, alpha: float
    ) -> Float[Tensor, "m d"]:
        """The mean clean patch of each noisy one over the target's patches `nearest` alone."""
        keys = self._patches[nearest.flatten()].view(*nearest.shape, -1)
        products = alpha * (keys @ patches[:, :, None])[:, :, 0] - alpha**2 / 2 * keys.square().sum(2)
        return ((products / sigma**2).softmax(1)[:, None] @ keys)[:, 0]


class _Patches:
    """All patches of a target, frame by frame and row by row; large ones are cut out when they are read."""

    def __init__(self, target: Float[Tensor, "n c h w"], side: int) -> None:
        self._target, self._side = target, side
        n, c, h, w = target.shape
        self._rows, self._columns = h - side + 1, w - side + 1
        size = n * self._rows * self._columns * c * side**2
        self._stored = patches_of(target, side) if size <= STORED else None

    @functools.cached_property
    def mean(self) -> Float[Tensor, "1 d"]:
        """The mean patch."""
        count = len(self._target) * self._rows * self._columns
        return torch.stack([tile.sum(0) for tile in self.tiles()]).sum(0, keepdim=True) / count

    def tiles(self) -> Iterator[Float[Tensor, "t d"]]:
        """The patches, at most `TILE` at a time."""
        if self._stored is not None:
            yield from torch.split(self._stored, TILE)
            return
        for frame in torch.split(self._target, 1):
            for row in range(self._rows):
                yield from torch.split(patches_of(frame[:, :, row : row + self._side], self._side), TILE)

    def __getitem__(self, index: Int[Tensor, m]) -> Float[Tensor, "m d"]:
        """The patches `index`."""
        if self._stored is not None:
            return self._stored.index_select(0, index)
        offset = torch.arange(self._side, device=index.device)
        frame = (index // (self._rows * self._columns))[:, None, None]
        row = (index // self._columns % self._rows)[:, None, None] + offset[:, None]
        column = (index % self._columns)[:, None, None] + offset
        return self._target.permute(0, 2, 3, 1)[frame, row, column].permute(0, 3, 1, 2).flatten(1)


class _Search:
    """Search for the nearest of a target's patches, along their principal components."""

    def __init__(self, target: Float[Tensor, "n c h w"], side: int, components: int) -> None:
        # Principal components, from evenly spaced patches; those of the centered target.
        count = len(target) * (target.shape[2] - side + 1) * (target.shape[3] - side + 1)
        some = patches_of(target, side, max(1, math.ceil((count / _SAMPLES) ** 0.5)))
        covariance = (some.T @ some / len(some)).double()
        self._directions = torch.linalg.eigh(covariance)[1].flip(1)[:, :components].to(target.dtype)
        filters = self._directions.T.reshape(-1, target.shape[1], side, side)
        keys = F.conv2d(target, filters).permute(0, 2, 3, 1).flatten(0, 2)
        # x·y - alpha |y|²/2 is largest where |x - alpha y| is least: with |y|²/2 appended, the product of x and y.
        keys = torch.cat([keys, keys.square().sum(1, keepdim=True) / 2], 1)
        self._count = len(keys)
        self._keys = F.pad(keys, [0, 0, 0, -len(keys) % _BLOCK])
        self._keys[len(keys) :, -1] = _NEVER

    def __call__(self, patches: Float[Tensor, "m d"], alpha: float, count: int) -> Int[Tensor, "m k"]:
        """The indices of `count` patches y, or all where there are fewer, with the least |x - alpha y| for each x.

        They are the nearest in a few blocks of neighbors, those that hold the nearest patches of all.
        """
        queries = patches @ self._directions
        queries = F.pad(queries, [0, 1], value=-alpha)
        # First the blocks: a maximum over each is enough.
        keys = torch.split(self._keys, TILE)
        best = torch.cat([(queries @ part.T).view(len(queries), -1, _BLOCK).amax(2) for part in keys], 1)
        wanted = max(_MIN_BLOCKS, math.ceil(count / _PER_BLOCK))
        blocks = best.topk(min(wanted, best.shape[1]), 1).indices
        # Then the patches in them. `index_select`: indexing with brackets takes four times as long.
        near = self._keys.view(-1, _BLOCK * self._keys.shape[1]).index_select(0, blocks.flatten())
        products = (near.view(len(queries), -1, self._keys.shape[1]) @ queries[:, :, None])[:, :, 0]
        chosen = products.topk(min(count, self._count, products.shape[1]), 1).indices
        members = blocks[:, :, None] * _BLOCK + torch.arange(_BLOCK, device=blocks.device)
        return members.flatten(1).gather(1, chosen)


def _extended(image: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n c h2 w2"]:
    """`image` with its last row and column repeated up to `side` pixels, where it has fewer."""
    h, w = image.shape[-2:]
    return F.pad(image, [0, max(0, side - w), 0, max(0, side - h)], mode="replicate")


def gaussian_weights(side: int, sigma: float) -> list[float]:
    """Gaussian weights of a patch's pixels along an axis, 1 at its center."""
    return [math.exp(-((at - side // 2) ** 2) / (2 * sigma**2)) for at in range(side)]
