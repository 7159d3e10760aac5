"""Reduce a painting to a few colors of another image, as SinGAN's released code does, and lose no object of it."""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from lonepair.ops.arrays import to_pil
from lonepair.ops.color import match_channels

logger = logging.getLogger("lonepair")

ITERATIONS = 50
"""Largest number of iterations of k-means."""
SAMPLES = 1 << 16
"""Largest number of pixels from which the painting's clusters are computed."""
MAX_COLORS = 256
EDGE = 0.4
"""Euclidean distance of two colors, in [-1, 1], above which a viewer sees an edge: about 50 gray levels."""
FLAT_SIDE = 3
"""Side in pixels of the smallest square of one color that counts as part of an object."""
LEVELS = 16
"""Gray levels that count as one color of a drawing: JPEG changes colors by a few."""


def quantize_to_palette(
    painting: Float[Tensor, "1 c h w"], palette: Float[Tensor, "1 c2 h2 w2"], colors: int
) -> Float[Tensor, "1 c h w"]:
    """`painting` in `colors` colors of `palette`; an alpha channel stays.

    As published (SinGAN's released code): k-means finds the centers of the palette's colors. The k-means of the
    painting begins at these centers, and each of its clusters takes the color of the center where it began.

    Our addition: where that gives a flat area of the painting the color of its surroundings, the area gets a color of
    its own from the palette. There are then more colors.

    Args:
        painting: In [-1, 1].
        palette: In [-1, 1].
        colors: 2 to 256.
    """
    flat = match_channels(painting, 3)
    centers = palette_colors(palette, colors)
    means = _kmeans(_sample(flat), centers)
    labels = _nearest(flat, means)
    # Colors of their own for objects that would vanish.
    areas, added = _flat_areas(flat), 0
    while len(centers) < MAX_COLORS and (lost := _lost_color(flat, areas, labels, means)) is not None:
        centers = torch.cat([centers, _free_color(lost, centers, palette_colors(palette, 64))])
        means = torch.cat([means, lost[None]])
        labels, added = _nearest(flat, means), added + 1
    if added:
        logger.info("%d colors do not show every object of the painting: %d colors are added", colors, added)
    reduced = match_channels(centers[labels].permute(2, 0, 1)[None], painting.shape[1])
    return torch.cat([reduced[:, :3], painting[:, 3:]], 1) if painting.shape[1] == 4 else reduced


def palette_colors(image: Float[Tensor, "1 c h w"], count: int) -> Float[Tensor, "k 3"]:
    """The centers of `count` clusters of the colors of `image` (k-means), fewer where it has fewer colors."""
    reduced = to_pil(match_channels(image, 3)).quantize(count, Image.Quantize.MEDIANCUT, kmeans=20)
    used = [index for _, index in reduced.getcolors() or []]
    values = torch.tensor(reduced.getpalette(), dtype=torch.float32).view(-1, 3)
    return values[sorted(used)] / 127.5 - 1


def _sample(image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "n 3"]:
    """The pixels of `image`, or an evenly spaced part of them."""
    pixels = image[0].flatten(1).T
    return pixels[:: -(-len(pixels) // SAMPLES)]


def _kmeans(pixels: Float[Tensor, "n 3"], centers: Float[Tensor, "k 3"]) -> Float[Tensor, "k 3"]:
    """Means of the clusters of `pixels`, from `centers` on (Lloyd). An empty cluster moves to the farthest pixel."""
    means = centers.clone()
    for _ in range(ITERATIONS):
        distances = torch.cdist(pixels, means)
        nearest, labels = distances.min(1)
        before = means.clone()
        for number in range(len(means)):
            members = pixels[labels == number]
            if len(members):
                means[number] = members.mean(0)
            else:
                farthest = int(nearest.argmax())
                means[number], nearest[farthest] = pixels[farthest], 0.0
        if torch.equal(means, before):
            break
    return means


def _nearest(image: Float[Tensor, "1 3 h w"], means: Float[Tensor, "k 3"]) -> Int[Tensor, "h w"]:
    """For each pixel the index of the nearest of `means`."""
    pixels = image[0].flatten(1).T
    labels = torch.cat([torch.cdist(part, means).argmin(1) for part in torch.split(pixels, SAMPLES)])
    return labels.view(image.shape[-2:])


# -- objects ----------------------------------------------------------------------------------------------------------


def _flat_areas(image: Float[Tensor, "1 3 h w"]) -> list[Int[Tensor, "h w"]]:
    """Numbers of the flat colors of a drawing at each pixel, -1 elsewhere, for two ways to round colors.

    A color is flat where most of its pixels lie in squares of that color: photographs hardly have any. A color at the
    limit of two rounded ones is within one of the other way.
    """
    maps = []
    levels = ((image[0] + 1) * 127.5).round()
    for offset in (0, LEVELS // 2):
        rounded = ((levels + offset) // LEVELS).long()
        codes = (rounded[0] * 32 + rounded[1]) * 32 + rounded[2]
        _, numbers, counts = torch.unique(codes, return_inverse=True, return_counts=True)
        values = numbers[None].float()
        largest = F.max_pool2d(values, FLAT_SIDE, stride=1)
        smallest = -F.max_pool2d(-values, FLAT_SIDE, stride=1)
        squares = F.pad((largest == smallest).float(), [FLAT_SIDE - 1] * 4)
        in_square = F.max_pool2d(squares, FLAT_SIDE, stride=1)[0] > 0
        flat_counts = torch.bincount(numbers[in_square], minlength=len(counts))
        maps.append(torch.where((2 * flat_counts >= counts)[numbers], numbers, -1))
    return maps


def _lost_color(
    image: Float[Tensor, "1 3 h w"],
    areas: list[Int[Tensor, "h w"]],
    labels: Int[Tensor, "h w"],
    means: Float[Tensor, "k 3"],
) -> Float[Tensor, 3] | None:
    """The flat color, of those that vanish, that is farthest from its cluster's mean; None where none vanishes.

    A color vanishes where most of its edges in `image` separate pixels of one label.
    """
    lost, farthest = None, EDGE / 2  # of two colors with an edge between them one at least is as far as that
    for numbers in areas:
        count = int(numbers.max()) + 1
        edges, hidden = torch.zeros(count + 1), torch.zeros(count + 1)
        for axis in (0, 1):
            # Pixels 2 apart: those on an edge have a mixture of both colors.
            n = labels.shape[axis] - 2
            color, label, area = (
                (t.narrow(dim, 0, n), t.narrow(dim, 2, n))
                for t, dim in ((image[0], axis + 1), (labels, axis), (numbers + 1, axis))
            )
            is_edge = (color[0] - color[1]).square().sum(0) > EDGE**2
            for side in area:
                edges += torch.bincount(side[is_edge], minlength=count + 1)
                hidden += torch.bincount(side[is_edge & (label[0] == label[1])], minlength=count + 1)
        for number in (2 * hidden > edges).nonzero()[:, 0].tolist():
            mean = image[0][:, numbers == number - 1].mean(1)
            distance = float((means - mean).norm(dim=1).min())
            if number > 0 and distance > farthest:
                lost, farthest = mean, distance
    return lost


def _free_color(
    color: Float[Tensor, 3], centers: Float[Tensor, "k 3"], candidates: Float[Tensor, "n 3"]
) -> Float[Tensor, "1 3"]:
    """The one of `candidates` nearest to `color` that an edge separates from all `centers`, else the farthest one."""
    gaps = torch.cdist(candidates, centers).amin(1)
    distances = (candidates - color).norm(dim=1)
    distances = torch.where(gaps > EDGE, distances, torch.inf)
    best = distances.argmin() if bool(distances.isfinite().any()) else gaps.argmax()
    return candidates[best][None]
