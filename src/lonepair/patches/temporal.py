"""How a clip moves from one frame to the next, so that what finishing added moves with it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.device import cached
from lonepair.ops.flow import warp

WINDOW = 25
"""Side, in pixels, of the squares that are taken to move as one."""
TIMES = 3
"""Each time what is left of the motion is estimated."""
CUT = 0.3
"""Mean difference of two frames in [-1, 1], beside motion, beyond which they are of two scenes (`apart`)."""
STILL = 5e-3
"""Squared contrast, per pixel, below which a square is taken to stand still rather than to follow its noise."""


def motion(before: Float[Tensor, "1 c h w"], now: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 2 h w"]:
    """(dx, dy) in pixels by which what stands at each place of `now` has moved since `before`.

    Lucas and Kanade, An iterative image registration technique, IJCAI 1981: least squares over a square around each
    pixel. For motions of a few pixels, as they are between frames that are reduced to what networks see; what has no
    contrast stands still.
    """
    flow = now.new_zeros(1, 2, *now.shape[-2:])
    for _ in range(TIMES):
        was = carried(before, flow)
        dy, dx = torch.gradient(was, dim=(2, 3))
        left = now - was
        yy, xx, yx, ty, tx = _around(torch.cat([dy * dy, dx * dx, dy * dx, dy * left, dx * left]))
        yy, xx = yy + STILL, xx + STILL
        flow = flow - torch.stack([yy * tx - yx * ty, xx * ty - yx * tx]) / (yy * xx - yx * yx)
    return flow.clamp(-WINDOW / 4, WINDOW / 4)


def apart(
    before: Float[Tensor, "1 c h w"], now: Float[Tensor, "1 c h w"], flow: Float[Tensor, "1 2 h w"]
) -> Float[Tensor, ""]:
    """Mean difference of `now` to `before`, moved by `flow`: above `CUT` it is another inputs."""
    return (now - carried(before, flow)).abs().mean()


def _around(values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    """The mean over channels and the square around each pixel."""
    down, across = (_window(n, values.device) for n in values.shape[-2:])
    return down @ values.mean(1) @ across.T


@cached(8)
def _window(size: int, device: torch.device) -> Float[Tensor, "{size} {size}"]:
    """What takes the mean of the pixels around each of a row: a product, as sliding windows are slow on a CPU."""
    at = torch.arange(size)
    near = ((at[:, None] - at).abs() <= WINDOW // 2).float()
    return (near / near.sum(1, keepdim=True)).to(device)


def carried(image: Float[Tensor, "1 c h w"], flow: Float[Tensor, "1 2 h w"]) -> Float[Tensor, "1 c h w"]:
    """`image` after it moved by `flow`, bilinear; what comes in from beyond the border is the border."""
    return warp(image, -flow)
