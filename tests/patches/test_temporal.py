"""Motion between the frames of a clip."""

import pytest
import torch

from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.temporal import estimate_flow, frame_difference, move_along

CONFIG = SynthesisConfig()


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.0, -2.0), (-0.6, 0.3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_flow_of_a_shifted_image_is_its_shift(shift: tuple[float, float], channels: int) -> None:
    coarse = torch.rand(1, channels, 15, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before = resize_image(coarse, (60, 80))
    flow = torch.tensor(shift).view(1, 2, 1, 1).expand(1, 2, 60, 80)
    estimate = estimate_flow(before, move_along(before, flow), CONFIG)[..., 8:-8, 8:-8]
    assert (estimate - flow[..., 8:-8, 8:-8]).abs().max() < (0.3 if any(shift) else 1e-6)


def test_flat_image_has_no_flow_and_another_scene_is_a_cut() -> None:
    flat, other = torch.full((1, 3, 20, 30), -0.4), torch.full((1, 3, 20, 30), 0.4)
    assert float(estimate_flow(flat, other, CONFIG).abs().max()) < 1e-6
    assert frame_difference(flat, other, estimate_flow(flat, other, CONFIG)) > CONFIG.cut_threshold
    assert frame_difference(flat, flat + 0.1, estimate_flow(flat, flat + 0.1, CONFIG)) < CONFIG.cut_threshold
