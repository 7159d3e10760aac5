"""Optical flow between two frames: its estimate (with OpenCV, the extra `flow`), warping, and where it is reliable.

A flow (1, 2, h, w) holds (dx, dy) in pixels for each pixel of a frame: the pixel's position in the other frame, less
its own.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.ops.arrays import to_uint8
from lonepair.ops.color import match_channels

MIN_SIDE = 16
"""Pixels on the shortest side that DIS flow needs."""


def _opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError:
        raise UserError("optical flow needs OpenCV: pip install 'lonepair[flow]', or any OpenCV for Python") from None


def check_opencv() -> None:
    """Check that `estimate_flow` can run.

    Raises:
        UserError: OpenCV is not installed.
    """
    _opencv()


def estimate_flow(frame: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 2 h w"]:
    """The flow from `frame` to `other`, both in [-1, 1] (DIS flow, Kroeger et al., ECCV 2016).

    Raises:
        UserError: OpenCV is not installed, or the frames have fewer than 16 pixels on a side.
    """
    if min(frame.shape[-2:]) < MIN_SIDE:
        raise UserError(
            f"frames of {frame.shape[-1]}x{frame.shape[-2]} pixels (width x height) are too small for optical flow; "
            f"give frames of {MIN_SIDE} pixels or more on each side"
        )
    # DIS reads 8-bit grey images. Its preset "medium" is the most exact of the three.
    cv2 = _opencv()
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [np.ascontiguousarray(to_uint8(match_channels(image, 1))[..., 0]) for image in (frame, other)]
    flow = method.calc(*grey, None)
    return torch.from_numpy(flow).permute(2, 0, 1)[None]


def warp(image: Float[Tensor, "1 c h w"], flow: Float[Tensor, "1 2 h w"]) -> Float[Tensor, "1 c h w"]:
    """`image` at the positions that the flow of each pixel points to, bilinear; outside, the nearest border pixel."""
    # grid_sample's coordinates, from -1 at the first pixel's center to 1 at the last's.
    h, w = image.shape[-2:]
    x = (torch.arange(w, device=image.device) + flow[0, 0]) * 2 / max(1, w - 1) - 1
    y = (torch.arange(h, device=image.device)[:, None] + flow[0, 1]) * 2 / max(1, h - 1) - 1
    return F.grid_sample(image, torch.stack([x, y], -1)[None], padding_mode="border", align_corners=True)


def reliable_mask(forward: Float[Tensor, "1 2 h w"], backward: Float[Tensor, "1 2 h w"]) -> Bool[Tensor, "1 1 h w"]:
    """Whether the flow `forward` is reliable at each pixel.

    It is not where the pixel is hidden in the other frame, at a motion boundary, and where it leaves the frame. The two
    tests are those of the temporal consistency loss of Ruder, Dosovitskiy, Brox, "Artistic style transfer for videos",
    2016; the first one is the forward-backward check of Sundaram et al., ECCV 2010, eq. 5.

    Args:
        forward: The flow w = (u, v) from a frame to another one.
        backward: The flow from the other frame to this one.
    """
    # ŵ: the backward flow at the position that w points to.
    back = warp(backward, forward)
    squared_length = forward.square().sum(1, keepdim=True)

    # Disocclusion (Sundaram et al., eq. 5): a pixel is hidden where |w + ŵ|² > 0.01·(|w|² + |ŵ|²) + 0.5.
    both = squared_length + back.square().sum(1, keepdim=True)
    hidden = (forward + back).square().sum(1, keepdim=True) > 0.01 * both + 0.5

    # Motion boundary (Ruder et al.), where the flow itself is inexact: |∇u|² + |∇v|² > 0.01·|w|² + 0.002.
    dy, dx = torch.gradient(forward, dim=(2, 3))
    boundary = (dy.square() + dx.square()).sum(1, keepdim=True) > 0.01 * squared_length + 0.002

    # Pixels that the flow moves out of the frame have no counterpart.
    h, w = forward.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    x, y = columns + forward[:, :1], rows + forward[:, 1:]
    return ~hidden & ~boundary & (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
