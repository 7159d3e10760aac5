"""Optical flow between two frames: its estimate (with OpenCV), warping, and where it is reliable.

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
_CAMERA_SAMPLES = 3000
"""Number of pixels, about, that `camera_motion` looks at."""
_CAMERA_SHARE = 0.2
"""Least share of the sure pixels that move with the camera."""
_CAMERA_GAIN = 0.6
"""Squared error of the camera's motion over that of no motion, above which the camera rests."""


def _opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError:
        raise UserError("optical flow needs OpenCV: pip install opencv-python-headless") from None


def check_opencv() -> None:
    """Check that `estimate_flow` can run.

    Raises:
        UserError: OpenCV is not installed.
    """
    _opencv()


def estimate_flow(
    frame: Float[Tensor, "1 c h w"],
    other: Float[Tensor, "1 c h w"],
    initial: Float[Tensor, "1 2 h w"] | None = None,
    is_rough: bool = False,
) -> Float[Tensor, "1 2 h w"]:
    """The flow from `frame` to `other`, both in [-1, 1] (DIS flow, Kroeger et al., ECCV 2016).

    Args:
        initial: A flow to start from.
        is_rough: Stop at half of the resolution: with twice the error, in half of the time.

    Raises:
        UserError: OpenCV is not installed, or the frames have fewer than 16 pixels on a side.
    """
    if min(frame.shape[-2:]) < MIN_SIDE:
        raise UserError(
            f"frames of {frame.shape[-1]}x{frame.shape[-2]} pixels (width x height) are too small for optical flow; "
            f"give frames of {MIN_SIDE} pixels or more on each side"
        )
    # DIS reads 8-bit grey images. Its preset "medium" stops at half of the resolution: the last scale halves the error.
    cv2 = _opencv()
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(int(is_rough))
    method.setPatchStride(4)
    method.setGradientDescentIterations(16)
    grey = [np.ascontiguousarray(to_uint8(match_channels(image, 1))[..., 0]) for image in (frame, other)]
    start = None if initial is None else np.ascontiguousarray(initial[0].permute(1, 2, 0).cpu().numpy())
    flow = method.calc(*grey, start)
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


def global_shift(frame: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h w"]) -> tuple[float, float]:
    """(dx, dy) in pixels by which the content of `frame` lies elsewhere in `other`, if all of it moves alike.

    Kuglin and Hines, The phase correlation image alignment method, 1975.
    """
    cv2 = _opencv()
    grey = [match_channels(image, 1)[0, 0].cpu().numpy().astype(np.float64) for image in (frame, other)]
    window = cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_64F)
    (dx, dy), _ = cv2.phaseCorrelate(*grey, window)
    return float(dx), float(dy)


def camera_motion(
    flow: Float[Tensor, "1 2 h w"], is_sure: Bool[Tensor, "1 1 h w"], tolerance: float = 0.35
) -> Float[Tensor, "1 2 h w"]:
    """The flow of a camera that pans, turns, zooms or shears: the affine motion of most of the sure pixels.

    It is 0 where few pixels are sure or agree, and where a camera at rest explains about as many.

    Args:
        flow: The motion of each pixel.
        is_sure: Pixels whose motion counts.
        tolerance: Distance in pixels within which motions agree.
    """
    cv2 = _opencv()
    h, w = flow.shape[-2:]
    step = max(1, round((h * w / _CAMERA_SAMPLES) ** 0.5))
    is_used = is_sure[0, 0, ::step, ::step].flatten().cpu().numpy()
    if is_used.sum() < _CAMERA_SAMPLES / 60:
        return torch.zeros_like(flow)
    rows, columns = np.mgrid[:h:step, :w:step]
    here = np.stack([columns.ravel(), rows.ravel()], 1)[is_used].astype(np.float32)
    motion = flow[0, :, ::step, ::step].flatten(1).T.cpu().numpy()[is_used]
    matrix, agrees = cv2.estimateAffine2D(
        here, here + motion, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=500, confidence=0.999
    )
    if matrix is None or agrees.mean() < _CAMERA_SHARE:
        return torch.zeros_like(flow)
    # Squared errors of the camera's motion, and of no motion; those of other things count as outliers.
    errors = np.square(here @ matrix[:, :2].T + matrix[:, 2] - here - motion).sum(1), np.square(motion).sum(1)
    moving, resting = (np.minimum(error, 2 * tolerance**2).mean() for error in errors)
    if moving > _CAMERA_GAIN * resting:
        return torch.zeros_like(flow)
    affine = flow.new_tensor(matrix)
    y, x = torch.meshgrid(torch.arange(h, device=flow.device), torch.arange(w, device=flow.device), indexing="ij")
    position = torch.stack([x, y]).to(flow.dtype)
    return (torch.einsum("ij,jhw->ihw", affine[:, :2], position) + affine[:, 2, None, None] - position)[None]


def search_motion(
    frame: Float[Tensor, "1 c h w"],
    other: Float[Tensor, "1 c h w"],
    area: Bool[Tensor, "1 1 h w"],
    reach: int,
    max_difference: float,
    side: int = 9,
    stride: int = 4,
) -> tuple[float, float] | None:
    """(dx, dy) in pixels by which most patches of an area of `frame` lie elsewhere in `other`; None without any.

    Each patch is compared with all that lie within `reach`, and those that find their like vote.

    Args:
        area: The pixels around which patches lie.
        reach: Largest distance in pixels along either axis.
        max_difference: Root mean square difference that any patch may have to its like; half of its contrast is
            allowed, too.
        side: Side of the patches in pixels, odd.
        stride: Distance in pixels between patches.
    """
    cv2 = _opencv()
    images = [np.ascontiguousarray(image[0].permute(1, 2, 0).cpu().numpy()) for image in (frame, other)]
    h, w = images[0].shape[:2]
    rows, columns = np.nonzero(area[0, 0].cpu().numpy()[::stride, ::stride])
    votes: list[tuple[float, float]] = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        top, left = row * stride - side // 2, column * stride - side // 2
        if top < 0 or left < 0 or top + side > h or left + side > w:
            continue
        patch = images[0][top : top + side, left : left + side]
        first_row, first_column = max(0, top - reach), max(0, left - reach)
        searched = images[1][first_row : top + side + reach, first_column : left + side + reach]
        errors = cv2.matchTemplate(searched, patch, cv2.TM_SQDIFF) / patch.size
        y, x = divmod(int(errors.argmin()), errors.shape[1])
        # Fine detail changes with the fraction of a pixel; a flat patch is like many others.
        contrast = patch.var((0, 1)).mean()
        if errors[y, x] < max(min(max_difference**2, contrast), 0.25 * contrast):
            dx, dy = x + _peak(errors[y], x), y + _peak(errors[:, x], y)
            votes.append((dx + first_column - left, dy + first_row - top))
    if not votes:
        return None
    shifts = np.array(votes)
    is_near = np.abs(shifts[:, None] - shifts).max(2) < 1
    most = is_near[int(is_near.sum(1).argmax())]
    mean = shifts[most].mean(0)
    return float(mean[0]), float(mean[1])


def _peak(errors: Any, index: int) -> float:
    """Distance from the least of `errors`, at `index`, to the vertex of the parabola through it and its neighbors."""
    if index in (0, len(errors) - 1):
        return 0.0
    before, least, after = (float(errors[index + offset]) for offset in (-1, 0, 1))
    curvature = before - 2 * least + after
    return 0.5 * (before - after) / curvature if curvature > 1e-12 else 0.0


def connected_areas(
    mask: Bool[Tensor, "1 1 h w"], min_area: int, max_area: int, max_count: int
) -> list[Bool[Tensor, "1 1 h w"]]:
    """The pixels of each connected area of `mask`, the largest first.

    Args:
        min_area: Smallest number of pixels.
        max_area: Largest number of pixels.
        max_count: Largest number of areas.
    """
    count, labels, stats, _ = _opencv().connectedComponentsWithStats(mask[0, 0].cpu().numpy().astype(np.uint8))
    sizes = [(int(stats[label][4]), label) for label in range(1, count)]
    chosen = sorted((size, label) for size, label in sizes if min_area <= size <= max_area)[::-1][:max_count]
    return [torch.from_numpy(labels == label)[None, None].to(mask.device) for _, label in chosen]
