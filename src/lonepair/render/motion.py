"""The motion from one frame of a clip to the next, and where it explains the frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.blur import gaussian_blur
from lonepair.ops.flow import MIN_SIDE, camera_motion, connected_areas, estimate_flow, global_shift, search_motion, warp
from lonepair.ops.resize import resize, resize_image
from lonepair.patches.config import SynthesisConfig

_MIN_AREA, _MAX_AREAS = 20, 24
"""Number of pixels of the smallest area that is searched for, and number of areas: they bound the time."""


@dataclass(frozen=True)
class Motion:
    """The motion of each pixel of a frame since the frame before."""

    flow: Float[Tensor, "1 2 h w"]
    """(dx, dy) in pixels of each pixel's position in the frame before, less its own."""
    is_unexplained: Bool[Tensor, "1 1 h w"]
    """Where the frame before has no such pixel: it was hidden, beyond the border, or it has changed."""

    @property
    def unexplained_share(self) -> float:
        """Share of the pixels that no motion explains, 0 to 1."""
        return float(self.is_unexplained.float().mean())


def measure_motion(before: Float[Tensor, "1 c h w"], now: Float[Tensor, "1 c h w"], config: SynthesisConfig) -> Motion:
    """The motion from the frame `before` to `now`, both in [-1, 1] at one size.

    Frames of fewer than `MIN_SIDE` pixels on a side are too small for optical flow: nothing moves in them.
    """
    size = (now.shape[-2], now.shape[-1])
    if min(size) < MIN_SIDE:
        flow, difference = now.new_zeros(1, 2, *size), _local(now - before, config.flow_window)
        return Motion(flow, difference > config.mismatch_threshold)
    factor = min(1.0, config.flow_side / max(size))
    if factor < 1:
        reduced = (round(size[0] * factor), round(size[1] * factor))
        before, now = resize_image(before, reduced), resize_image(now, reduced)
    flow, is_unexplained = _estimate(before, now, config)
    if float(is_unexplained.float().mean()) > config.fast_share:
        # A camera that moves fast: start from the motion of the frame as one.
        shift = flow.new_tensor(global_shift(now, before)).view(1, 2, 1, 1).expand_as(flow)
        other, is_other_unexplained = _estimate(before, now, config, shift)
        if is_other_unexplained.sum() < is_unexplained.sum():
            flow, is_unexplained = other, is_other_unexplained
    flow, is_unexplained = _with_small_objects(before, now, flow, is_unexplained, config)
    if factor < 1:
        scale = flow.new_tensor([size[1] / reduced[1], size[0] / reduced[0]]).view(1, 2, 1, 1)
        flow, is_unexplained = resize(flow, size) * scale, resize(is_unexplained.float(), size) > 0.5
    return Motion(flow, is_unexplained | _leads_outside(flow))


def _estimate(
    before: Tensor, now: Tensor, config: SynthesisConfig, initial: Tensor | None = None
) -> tuple[Float[Tensor, "1 2 h w"], Bool[Tensor, "1 1 h w"]]:
    """The motion of each pixel from a start, and where it explains nothing."""
    flow = _without_noise(estimate_flow(now, before, initial), before, now, config)
    back = estimate_flow(before, now, None if initial is None else -initial, is_rough=True)
    # What moves back to another place was hidden, unless the colors agree all the same: flat areas have no motion.
    error = (flow + warp(back, flow)).square().sum(1, keepdim=True).sqrt()
    difference = _difference(before, now, flow, config)
    is_hidden = (error > config.occlusion_threshold) & (difference > config.mismatch_threshold / 3)
    return flow, is_hidden | (difference > config.mismatch_threshold)


def _difference(before: Tensor, now: Tensor, flow: Tensor, config: SynthesisConfig) -> Float[Tensor, "1 1 h w"]:
    """The difference of colors along the motion, less that of the sensor's noise."""
    difference = _local(_smooth(now) - warp(_smooth(before), flow), config.flow_window)
    return difference - difference.median().clamp(max=config.mismatch_threshold)


def _with_small_objects(
    before: Tensor, now: Tensor, flow: Tensor, is_unexplained: Tensor, config: SynthesisConfig
) -> tuple[Float[Tensor, "1 2 h w"], Bool[Tensor, "1 1 h w"]]:
    """Search for what the motion does not explain, area by area, in the frame before.

    Optical flow goes from coarse to fine, and loses what is smaller than its own motion.
    """
    h, w = now.shape[-2:]
    reach = round(config.search_reach * max(h, w))
    limit = config.mismatch_threshold / 2
    smooth, smooth_before = _smooth(now), _smooth(before)
    contrast = _local(smooth - gaussian_blur(smooth, 2 * config.flow_window), config.flow_window)
    for area in connected_areas(is_unexplained, _MIN_AREA, max_area=h * w // 8, max_count=_MAX_AREAS):
        shift = search_motion(now, before, area, reach, limit)
        if shift is None:
            continue
        other = flow.new_tensor(shift).view(1, 2, 1, 1).expand_as(flow)
        old, new = (_local(smooth - warp(smooth_before, motion), config.flow_window / 2) for motion in (flow, other))
        is_object = area & (new < (0.5 * contrast).clamp(min=limit)) & (new < 0.7 * old)
        # What comes from where the object was, without being the object, was hidden behind it.
        footprint = warp(is_object.float(), -other)
        is_hidden = (warp(footprint, flow) > 0.5) & ~is_object
        flow = torch.where(is_object, other, flow)
        is_unexplained = (is_unexplained & ~is_object) | is_hidden
    return flow, is_unexplained


def _without_noise(flow: Tensor, before: Tensor, now: Tensor, config: SynthesisConfig) -> Float[Tensor, "1 2 h w"]:
    """`flow` where it explains the frames better than the camera's motion does, and that elsewhere.

    A sensor's noise and a codec's blocks move flat areas at random, and a texture that lies on them would tremble and
    tear.
    """
    window = config.flow_window
    after = _local(now - warp(before, flow), window)
    # Structure: gradients of the smoothed frame, less those of the noise that motion leaves. Noise of the variance v in
    # each of three channels has a mean absolute difference of 1.13·v^(1/2), and squared gradients of 0.027·v here.
    smooth = gaussian_blur(now.mean(1, keepdim=True), 1.0)
    dy, dx = torch.gradient(smooth, dim=(2, 3))
    noise = 0.02 * after.square()
    structure = (gaussian_blur(dy.square() + dx.square(), window) - 1.5 * noise).clamp(min=0)
    weight = (structure + 1e-9) / (structure + 2 * noise + 1e-9)
    # Where there is less of it, the motion of what is around.
    around = gaussian_blur(torch.cat([flow * (weight + 1e-4), weight + 1e-4], 1), 4 * window)
    flow = torch.lerp(around[:, :2] / around[:, 2:], flow, weight)
    # A motion of its own: what the camera's motion leaves, over what `flow` leaves.
    camera = camera_motion(flow, weight > 0.5)
    smooth_now, smooth_before = _smooth(now), _smooth(before)
    by_camera, by_flow = (
        gaussian_blur((smooth_now - warp(smooth_before, motion)).square().mean(1, keepdim=True), 2 * window)
        for motion in (camera, flow)
    )
    floor = by_flow.median() + 1e-6
    ratio = (by_camera + floor) / (by_flow + floor)
    return torch.lerp(camera, flow, (ratio - config.own_motion_ratio + 0.5).clamp(0, 1))


def _smooth(frame: Tensor) -> Tensor:
    """`frame` without the finest detail, which no interpolation moves exactly."""
    return gaussian_blur(frame, 1.0)


def _local(difference: Tensor, sigma: float) -> Float[Tensor, "1 1 h w"]:
    """The mean absolute `difference` around each pixel."""
    return gaussian_blur(difference.abs().mean(1, keepdim=True), sigma)


def _leads_outside(flow: Float[Tensor, "1 2 h w"]) -> Bool[Tensor, "1 1 h w"]:
    """Whether the position in the other frame is more than half a pixel beyond its border."""
    h, w = flow.shape[-2:]
    x = torch.arange(w, device=flow.device) + flow[:, :1]
    y = torch.arange(h, device=flow.device)[:, None] + flow[:, 1:]
    return (x < -0.5) | (x > w - 0.5) | (y < -0.5) | (y > h - 0.5)
