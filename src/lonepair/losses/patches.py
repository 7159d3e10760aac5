"""Distances between the patch distributions of two images: how alike their materials are, wherever things stand."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.noise import Draw


def random_filters(count: int, channels: int, patch: int, draw: Draw) -> Float[Tensor, "{count} {channels} p p"]:
    """`count` directions, uniform on the unit sphere, in the space of patches of `patch` x `patch` pixels."""
    filters = draw.normal(count, channels, patch, patch)
    unit: Tensor = filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return unit


def sliced_wasserstein(
    one: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h2 w2"], filters: Float[Tensor, "f c p p"]
) -> Float[Tensor, ""]:
    """Sliced Wasserstein-1 distance between all patches of `one` and all patches of `other`.

    Each filter projects every patch to a number; the distance of two sets of numbers is the mean difference of their
    sorted values (Rabin et al. 2011), averaged over filters. Images need not be of one size: the longer list is read
    at the shorter one's quantiles, interpolated. Elnekave and Weiss (GPDM, CVPR 2022) generate images by descending it.
    """
    a, b = _sorted_projections(one, filters), _sorted_projections(other, filters)
    if a.shape[1] > b.shape[1]:
        a, b = b, a
    return (a - _at_quantiles(b, a.shape[1])).abs().mean()


def _sorted_projections(image: Tensor, filters: Tensor) -> Float[Tensor, "f n"]:
    return F.conv2d(image, filters)[0].flatten(1).float().sort(dim=1).values


def _at_quantiles(values: Float[Tensor, "f n"], count: int) -> Float[Tensor, "f {count}"]:
    """Sorted `values` at `count` quantiles, evenly spaced."""
    if values.shape[1] == count:
        return values
    return F.interpolate(values[None], size=count, mode="linear", align_corners=True)[0]
