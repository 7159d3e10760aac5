"""Equivariance: what moves with the image costs nothing, what stays on the screen does."""

from __future__ import annotations

import torch

from lonepair.losses import SmoothWarp, equivariance_distance
from lonepair.losses.equivariance import MAX_MOTION
from lonepair.ops.noise import RandomStream
from tiny_settings import picture

SIZE = (36, 48)


def warps(count: int = 5) -> list[SmoothWarp]:
    return [SmoothWarp.sample(SIZE, RandomStream(number)) for number in range(count)]


def test_a_function_of_each_pixel_is_equivariant() -> None:
    image = picture(*SIZE)
    for warp in warps():
        assert equivariance_distance(0.5 - warp(image), 0.5 - image, warp) < 1e-3


def test_texture_fixed_to_the_screen_is_not_equivariant() -> None:
    image, texture = picture(*SIZE), torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    for warp in warps():
        assert equivariance_distance(warp(image) + texture, image + texture, warp) > 1


def test_pixels_from_beyond_the_border_do_not_count() -> None:
    image, shares = picture(*SIZE), []
    for warp in warps():
        shares.append(float(warp.inside.float().mean()))
        changed = torch.where(warp.inside, warp(image), 5.0)
        assert equivariance_distance(changed, image, warp) < 1e-3
    assert 0.5 < min(shares) < 1


def test_motions_are_small_and_smooth_and_differ() -> None:
    still = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 1, *SIZE], align_corners=False)
    positions = torch.cat([warp.positions for warp in warps()])
    moves = positions - still
    # Zoom, rotation, translation and bending add up at the corners.
    assert moves.abs().amax((1, 2, 3)).min() > MAX_MOTION / 10
    assert moves.abs().max() < 5 * MAX_MOTION
    # Neighbors move nearly alike: nothing is folded.
    steps = positions[:, :, 1:, 0] - positions[:, :, :-1, 0]
    assert (steps > 0).all()
    assert not torch.equal(moves[0], moves[1])


def test_equal_random_numbers_give_equal_motions() -> None:
    assert torch.equal(*(SmoothWarp.sample(SIZE, RandomStream(7)).positions for _ in range(2)))


def test_the_distance_reaches_both_outputs_gradients() -> None:
    outputs = [picture(*SIZE, seed=seed).requires_grad_() for seed in (0, 1)]
    equivariance_distance(*outputs, warps(1)[0]).backward()
    assert all(output.grad is not None and output.grad.abs().sum() > 0 for output in outputs)
