"""Frames of a clip are weighted by their change."""

from __future__ import annotations

import torch

from lonepair.ops.changes import frame_changes, mix_with_even


def gray(*levels: float) -> torch.Tensor:
    """Frames of one gray level each."""
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 4, 5)


def test_a_frame_stands_for_half_the_way_to_each_neighbor() -> None:
    torch.testing.assert_close(frame_changes(gray(0.0, 0.2, 0.6, 0.6)), torch.tensor([0.1, 0.3, 0.2, 0.0]))


def test_changes_of_one_frame_and_of_a_still_shot_are_zero() -> None:
    assert frame_changes(gray(0.3)).tolist() == [0.0]
    assert frame_changes(gray(0.3, 0.3, 0.3)).tolist() == [0.0] * 3


def test_a_still_shot_counts_the_same_however_long_it_is() -> None:
    short, long = (frame_changes(gray(*[0.0] * count, 0.5, 1.0)) for count in (1, 50))
    torch.testing.assert_close(short[0], long[:50].sum())
    torch.testing.assert_close(short[1:], long[50:])


def test_share_goes_from_even_to_proportional() -> None:
    weights = torch.tensor([1.0, 3.0, 0.0, 0.0])
    torch.testing.assert_close(mix_with_even(weights, 0.0), torch.full((4,), 0.25))
    torch.testing.assert_close(mix_with_even(weights, 1.0), torch.tensor([0.25, 0.75, 0.0, 0.0]))
    torch.testing.assert_close(mix_with_even(weights, 0.5), torch.tensor([0.25, 0.5, 0.125, 0.125]))


def test_without_change_frames_are_even() -> None:
    torch.testing.assert_close(mix_with_even(torch.zeros(4), 1.0), torch.full((4,), 0.25))
