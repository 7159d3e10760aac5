"""Motion from one frame of a clip to the next, so that what patch synthesis added moves with the source."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.device import cached
from lonepair.ops.flow import warp
from lonepair.patches.config import SynthesisConfig


def estimate_flow(
    before: Float[Tensor, "1 c h w"], now: Float[Tensor, "1 c h w"], config: SynthesisConfig
) -> Float[Tensor, "1 2 h w"]:
    """(dx, dy) in pixels by which the content of each pixel of `now` has moved since `before`.

    Lucas and Kanade, An iterative image registration technique, IJCAI 1981: least squares over a square around each
    pixel, `flow_iterations` times. It suits motions of a few pixels, which is what frames have at the networks'
    resolution. Squares without contrast stand still (`flow_damping`).
    """
    flow = now.new_zeros(1, 2, *now.shape[-2:])
    for _ in range(config.flow_iterations):
        warped = move_along(before, flow)
        dy, dx = torch.gradient(warped, dim=(2, 3))
        difference = now - warped
        # The normal equations of (Lucas and Kanade 1981, eq. 10), summed over each square; the damping keeps their
        # determinant above 0.
        products = torch.cat([dy * dy, dx * dx, dy * dx, dy * difference, dx * difference])
        yy, xx, yx, yt, xt = _mean_around(products, config.flow_window)
        yy, xx = yy + config.flow_damping, xx + config.flow_damping
        flow = flow - torch.stack([yy * xt - yx * yt, xx * yt - yx * xt]) / (yy * xx - yx * yx)
    # Beyond a quarter of the square the estimate is unreliable.
    return flow.clamp(-config.flow_window / 4, config.flow_window / 4)


def frame_difference(
    before: Float[Tensor, "1 c h w"], now: Float[Tensor, "1 c h w"], flow: Float[Tensor, "1 2 h w"]
) -> Float[Tensor, ""]:
    """Mean absolute difference of `now` and `before` moved by `flow`; above `cut_threshold` a cut lies between them."""
    return (now - move_along(before, flow)).abs().mean()


def move_along(image: Float[Tensor, "1 c h w"], flow: Float[Tensor, "1 2 h w"]) -> Float[Tensor, "1 c h w"]:
    """`image` moved by `flow`, bilinear; beyond its border the border repeats."""
    return warp(image, -flow)


def _mean_around(values: Float[Tensor, "b c h w"], window: int) -> Float[Tensor, "b h w"]:
    """The mean over channels and over the square of side `window` around each pixel."""
    down, across = (_window_matrix(n, window, values.device) for n in values.shape[-2:])
    return down @ values.mean(1) @ across.T


@cached(8)
def _window_matrix(size: int, window: int, device: torch.device) -> Float[Tensor, "{size} {size}"]:
    """The matrix that takes the mean around each of `size` values: a CPU is slow at sliding windows."""
    position = torch.arange(size)
    is_near = ((position[:, None] - position).abs() <= window // 2).float()
    return (is_near / is_near.sum(1, keepdim=True)).to(device)
