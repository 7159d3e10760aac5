"""Optical flow of a clip: estimated (with the extra `flow`, OpenCV), followed, and tested for what it cannot know."""

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


def _opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError:
        raise UserError("optical flow needs OpenCV: pip install 'lonepair[flow]', or any OpenCV for Python") from None


def check_opencv() -> None:
    """Refuse to begin what `estimate_flow` could not go on with.

    Raises:
        UserError: where OpenCV is not installed.
    """
    _opencv()


def estimate_flow(frame: Float[Tensor, "1 c h w"], to: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 2 h w"]:
    """(dx, dy) in pixels of `frame`: where each of its pixels is in `to` (DIS flow, Kroeger et al., ECCV 2016).

    Raises:
        UserError: where OpenCV is not installed, or the frames have fewer than 16 pixels a side.
    """
    if min(frame.shape[-2:]) < 16:
        raise UserError(f"frames of {frame.shape[-1]}x{frame.shape[-2]} pixels are too small for flow: 16 are needed")
    cv2 = _opencv()
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [np.ascontiguousarray(to_uint8(match_channels(image, 1))[..., 0]) for image in (frame, to)]
    flow = method.calc(*grey, None)
    return torch.from_numpy(flow).permute(2, 0, 1)[None]


def warp(image: Float[Tensor, "1 c h w"], flow: Float[Tensor, "1 2 h w"]) -> Float[Tensor, "1 c h w"]:
    """What each pixel's `flow` points to in `image`, bilinear; beyond the border, the border."""
    h, w = image.shape[-2:]
    x = (torch.arange(w, device=image.device) + flow[0, 0]) * 2 / max(1, w - 1) - 1
    y = (torch.arange(h, device=image.device)[:, None] + flow[0, 1]) * 2 / max(1, h - 1) - 1
    return F.grid_sample(image, torch.stack([x, y], -1)[None], padding_mode="border", align_corners=True)


def reliable_mask(forward: Float[Tensor, "1 2 h w"], backward: Float[Tensor, "1 2 h w"]) -> Bool[Tensor, "1 1 h w"]:
    """Where `forward` may be followed: neither hidden in the other frame, nor at a motion boundary, nor outside.

    Ruder, Dosovitskiy, Brox, "Artistic style transfer for videos" (2016), after Sundaram et al. (ECCV 2010): with ŵ the
    backward flow at the place that w points to, a pixel is hidden where |w + ŵ|² > 0.01·(|w|² + |ŵ|²) + 0.5, and on a
    boundary where |∇u|² + |∇v|² > 0.01·|w|² + 0.002.
    """
    back = warp(backward, forward)
    size = forward.square().sum(1, keepdim=True)
    hidden = (forward + back).square().sum(1, keepdim=True) > 0.01 * (size + back.square().sum(1, keepdim=True)) + 0.5
    dy, dx = torch.gradient(forward, dim=(2, 3))
    boundary = (dy.square() + dx.square()).sum(1, keepdim=True) > 0.01 * size + 0.002
    h, w = forward.shape[-2:]
    ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    x, y = xs + forward[:, :1], ys + forward[:, 1:]
    return ~hidden & ~boundary & (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
