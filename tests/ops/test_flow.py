"""Optical flow: direction, warping and the mask of reliable pixels."""

import pytest
import torch

from lonepair.errors import UserError
from lonepair.ops.flow import camera_motion, estimate_flow, reliable_mask, warp
from synthetic_images import add_noise, blobs


def test_zero_flow_is_the_identity_and_reliable() -> None:
    image, flow = blobs(30, 41), torch.zeros(1, 2, 30, 41)
    assert torch.allclose(warp(image, flow), image, atol=1e-5)
    assert bool(reliable_mask(flow, flow).all())


def test_flow_points_to_a_pixels_position_in_the_other_frame() -> None:
    panorama = add_noise(blobs(48, 96), 0.05)
    first, second = panorama[..., :60], panorama[..., 2:62]
    flow = estimate_flow(first, second)
    interior = (..., slice(10, -10), slice(10, -10))
    assert float(flow[0, 0][interior].median()) == pytest.approx(-2, abs=0.2)
    assert float(flow[0, 1][interior].median()) == pytest.approx(0, abs=0.2)
    assert float((warp(second, flow) - first)[interior].abs().mean()) < 0.05


def test_flow_that_leaves_the_frame_is_unreliable() -> None:
    flow = torch.zeros(1, 2, 20, 30)
    flow[:, 0] = -4
    mask = reliable_mask(flow, -flow)
    assert not mask[..., :4].any()
    assert mask[..., 4:].all()


def test_flow_that_the_backward_flow_contradicts_is_unreliable() -> None:
    flow = torch.zeros(1, 2, 20, 30)
    flow[:, 0] = -4
    assert not reliable_mask(flow, flow)[..., 4:-4].any()


def test_flow_is_unreliable_at_a_motion_boundary() -> None:
    flow = torch.zeros(1, 2, 20, 30)
    flow[..., 10:, :] = 0.5
    mask = reliable_mask(flow, torch.zeros_like(flow))
    assert not mask[..., 9:11, :].any()
    assert mask[..., :8, :].all()


def test_flow_of_small_frames_is_refused_with_a_remedy() -> None:
    frame = torch.zeros(1, 3, 20, 15)
    with pytest.raises(UserError, match=r"15x20 pixels .*16 pixels or more"):
        estimate_flow(frame, frame)


def _turning(degrees: float) -> torch.Tensor:
    """The flow of a camera that turns around the middle of a frame of 60x80 pixels."""
    y, x = torch.meshgrid(torch.arange(60) - 30.0, torch.arange(80) - 40.0, indexing="ij")
    angle = torch.tensor(degrees).deg2rad()
    return torch.stack([angle.cos() * x - angle.sin() * y - x, angle.sin() * x + angle.cos() * y - y])[None]


def test_camera_motion_is_that_of_most_pixels_and_ignores_noise() -> None:
    truth, is_sure = _turning(1.0), torch.ones(1, 1, 60, 80, dtype=torch.bool)
    flow = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    flow[..., 20:40, 10:40] = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1)  # an object with a motion of its own
    assert float((camera_motion(flow, is_sure) - truth).norm(dim=1).max()) < 0.05


def test_camera_rests_where_only_objects_move_and_where_nothing_is_sure() -> None:
    flow, is_sure = torch.zeros(1, 2, 60, 80), torch.ones(1, 1, 60, 80, dtype=torch.bool)
    flow[..., 10:30, 10:60] = 1.5
    assert not camera_motion(flow, is_sure).any()
    assert not camera_motion(_turning(1.0), ~is_sure).any()
