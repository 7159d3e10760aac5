"""What comes in at the border of a clip settles as a whole; renewed pixels fade in."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from lonepair.render.border import UnsettledBorder
from lonepair.render.fade import Fade

H, W, WIDTH = 60, 80, 20


def _flow(dx: float) -> Tensor:
    return torch.tensor([dx, 0.0]).view(1, 2, 1, 1).expand(1, 2, H, W)


def _strip(columns: int) -> Tensor:
    """Whether a pixel is one of the last `columns`."""
    return (torch.arange(W) >= W - columns).expand(1, 1, H, W)


def _settling(columns: int, frames: int, width: int = WIDTH) -> list[Tensor]:
    """The weights of what settles, of a camera that moves by `columns` a frame to the right."""
    border, weights = UnsettledBorder((H, W), width, torch.device("cpu")), []
    for _ in range(frames):
        border.move(_flow(columns))
        weights.append(border.settle(_strip(columns)))
    return weights


def test_strips_settle_as_a_whole_once_they_are_inside() -> None:
    weights = _settling(4, 12)
    events = [index for index, weight in enumerate(weights) if bool(weight.any())]
    assert events
    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(events))
    # On the side where the camera goes, as one area that is wider than a strip.
    first = weights[events[0]][0, 0, H // 2]
    assert not bool(first[: W - 2 * WIDTH].any())
    assert int((first > 0.9).sum()) > 2 * 4
    # All that has moved inside has settled.
    covered = torch.zeros(W, dtype=torch.bool)
    for index in events:
        covered |= (weights[index][0, 0, H // 2] > 0.9).roll(-4 * (11 - index))
    assert covered[W - 4 * 11 : W - WIDTH - 4].all()


@pytest.mark.parametrize(("columns", "width"), [(0, WIDTH), (WIDTH, WIDTH), (4, 0)])
def test_nothing_settles_without_strips(columns: int, width: int) -> None:
    """A camera that stands still, what comes in as wide areas after the first frame, and a width of 0."""
    assert not torch.stack(_settling(columns, 12, width)[1:]).any()


def test_new_pixels_fade_in_and_lost_ones_do_not() -> None:
    old, new, share = -torch.ones(1, 3, H, W), torch.ones(1, 3, H, W), _strip(40).float()
    fade = Fade(4, 1.5)
    fade.start(old, share, share > 0)
    shown = [fade.apply(new)]
    for _ in range(4):
        fade.move(_flow(0))
        shown.append(fade.apply(new))
    values = [float(frame[0, 0, 5, W - 5]) for frame in shown]
    assert values == pytest.approx([-0.5, 0, 0.5, 1, 1])
    assert all(bool((frame[..., :39] == 1).all()) for frame in shown)
    assert not fade.state()


def test_a_fade_moves_with_the_picture() -> None:
    fade = Fade(3, 1.5)
    old = torch.zeros(1, 1, H, W)
    old[..., 40:] = 1
    everything = torch.ones(1, 1, H, W)
    fade.start(old, everything, everything > 0)
    again = Fade(3, 1.5)
    again.restore(fade.state())
    again.move(_flow(10))
    assert float(again.apply(torch.zeros(1, 1, H, W))[0, 0, 5, 40]) == pytest.approx(1 / 3)
    assert float(again.apply(torch.zeros(1, 1, H, W))[0, 0, 5, 20]) == 0


def test_a_fade_ends_where_pixels_are_new_and_do_not_fade_in() -> None:
    fade, everything = Fade(4, 1.5), torch.ones(1, 1, H, W)
    fade.start(-torch.ones(1, 3, H, W), everything, everything > 0)
    fade.start(torch.ones(1, 3, H, W), 0 * everything, _strip(40))
    shown = fade.apply(torch.ones(1, 3, H, W))
    assert bool((shown[..., 40:] == 1).all())
    assert float(shown[..., :35].max()) < 0
