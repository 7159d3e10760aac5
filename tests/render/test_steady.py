"""The motion that carried texture follows: trembling within the slack is not seen, motion in one direction is."""

import pytest
import torch
from torch import Tensor

from lonepair.render.steady import SteadyMotion

H, W, SLACK = 12, 20, 0.25


def _flow(dx: float, dy: float = 0.0) -> Tensor:
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, H, W)


def _path(steps: list[float], slack: float = SLACK) -> list[float]:
    """The position of the texture after each step of the source to the right."""
    steady, position, path = SteadyMotion((H, W), slack, torch.device("cpu")), 0.0, []
    for step in steps:
        position += float(steady.follow(_flow(step))[0, 0, H // 2, W // 2])
        path.append(position)
    return path


def test_trembling_within_the_slack_moves_nothing() -> None:
    assert _path([0.2, -0.4, 0.35, -0.15] * 5) == pytest.approx([0.0] * 20)


def test_texture_follows_a_motion_in_one_direction_at_the_slack() -> None:
    path = _path([0.1] * 30)
    assert path[-1] == pytest.approx(3.0 - SLACK, abs=1e-5)
    assert path[-1] - path[-2] == pytest.approx(0.1, abs=1e-5)


def test_texture_is_never_farther_from_the_source_than_the_slack() -> None:
    steady = SteadyMotion((H, W), SLACK, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        steady.follow(torch.randn(1, 2, H, W, generator=generator))
        assert float(steady.behind.norm(dim=1).max()) <= SLACK + 1e-5


def test_no_slack_is_the_motion_itself() -> None:
    flow = _flow(0.01, -0.3)
    assert torch.equal(SteadyMotion((H, W), 0.0, torch.device("cpu")).follow(flow), flow)
