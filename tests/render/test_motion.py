"""Motion between the frames of a clip: what it finds, and what it does not explain."""

import pytest
import torch
from torch import Tensor

from lonepair.ops.blur import gaussian_blur
from lonepair.patches.config import SynthesisConfig
from lonepair.render.motion import measure_motion

CONFIG = SynthesisConfig()


def _scene(seed: int = 0) -> Tensor:
    noise = torch.rand(1, 3, 100, 140, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return (3 * gaussian_blur(noise, 2.0)).clamp(-1, 1)


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (-1, 2), (8, 4)])
def test_a_moving_camera_is_followed(dx: int, dy: int) -> None:
    scene = _scene()
    before, now = scene[..., 10:80, 10:110], scene[..., 10 + dy : 80 + dy, 10 + dx : 110 + dx]
    motion = measure_motion(before, now, CONFIG)
    error = (motion.flow - torch.tensor([dx, dy]).view(1, 2, 1, 1)).norm(dim=1)
    assert float(error[:, 10:-10, 10:-10].median()) < 0.1
    # What comes in at the border is not explained, and hardly anything else.
    assert motion.is_unexplained[..., 5:-5, -dx:].all() if dx > 0 else motion.is_unexplained[..., 5:-5, :-dx].all()
    assert float(motion.is_unexplained[..., 12:-12, 12:-12].float().mean()) < 0.05


def test_noise_of_the_sensor_is_no_motion() -> None:
    scene = _scene()[..., :96, :128]
    noise = torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(1)) * 4 / 127.5
    motion = measure_motion(scene + noise[:1], scene + noise[1:], CONFIG)
    assert float(motion.flow.norm(dim=1).median()) < 0.02
    assert motion.unexplained_share < 0.01


def test_another_scene_is_a_cut_and_light_that_changes_is_none() -> None:
    one, other = _scene()[..., :96, :128], _scene(5)[..., :96, :128]
    assert measure_motion(one, other, CONFIG).unexplained_share > CONFIG.cut_share
    assert measure_motion(one, (one + 0.05).clamp(-1, 1), CONFIG).unexplained_share < 0.05


def test_what_an_object_uncovers_is_not_explained() -> None:
    scene, ball = _scene()[..., :96, :128], 0.9 * torch.ones(1, 3, 24, 24) - _scene(3)[..., :24, :24] * 0.1
    frames = []
    for left in (40, 46):
        frame = scene.clone()
        frame[..., 36:60, left : left + 24] = ball
        frames.append(frame)
    unexplained = measure_motion(*frames, CONFIG).is_unexplained
    assert float(unexplained[..., 38:58, 41:45].float().mean()) > 0.6
    assert float(unexplained[..., :, 90:].float().mean()) < 0.02


def test_frames_too_small_for_optical_flow_stand_still() -> None:
    small = _scene()[..., :10, :12]
    assert not measure_motion(small, small, CONFIG).flow.any()


def test_flat_areas_move_with_the_camera_and_not_with_the_noise() -> None:
    scene = _scene()
    scene[..., 30:70, 60:100] = 0.2
    noise = torch.randn(2, 3, 70, 100, generator=torch.Generator().manual_seed(1)) * 2 / 127.5
    before, now = scene[..., 10:80, 10:110] + noise[:1], scene[..., 10:80, 12:112] + noise[1:]
    flow = measure_motion(before, now, CONFIG).flow[..., 28:52, 56:80]
    assert float((flow - torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)).norm(dim=1).max()) < 0.2
