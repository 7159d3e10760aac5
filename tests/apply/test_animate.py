"""Animation: SinGAN's walk, its closed form, and the clips that it gives."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair.methods as methods
from lonepair.errors import UserError
from lonepair.media.clips.container import Frame
from lonepair.media.source import open_source
from lonepair.render.animation import closed_walk, random_walk, walk_spread
from tiny_models import methods_that, model_of
from tiny_settings import picture


def _noise(index: int) -> list[Tensor]:
    return [torch.randn(200, 200, generator=torch.Generator().manual_seed(index), dtype=torch.float64)]


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.9), (0.1, 0.8), (0.3, 0.5), (0.05, 0.95)])
def test_walk_converges_to_its_spread(alpha: float, beta: float) -> None:
    """SinGAN's walk, simulated at 40,000 pixels, against the autoregression's closed form."""
    fixed = [torch.full((200, 200), 2.0, dtype=torch.float64)]
    *_, last = random_walk(fixed, 300, alpha, beta, _noise)
    assert float(last[0].mean()) == pytest.approx(2, abs=0.02)
    assert float(last[0].std()) == pytest.approx(walk_spread(alpha, beta), rel=0.03)


@pytest.mark.parametrize(("name", "start"), [("singan", 0.05), ("consingan", 0.01)])
def test_first_steps_of_the_walk_are_those_of_the_released_code(name: str, start: float) -> None:
    """z₁ = 0.95·z* + 0.05·r for SinGAN, 0.99·z* + 0.01·r for ConSinGAN."""
    assert methods.get_method(name).walk_start == start  # type: ignore[attr-defined]
    fixed, alpha, beta = [torch.randn(3, 3, dtype=torch.float64)], 0.1, 0.9
    noises = [[torch.randn(3, 3, dtype=torch.float64)] for _ in range(4)]
    walk = [maps[0] for maps in random_walk(fixed, 3, alpha, beta, lambda index: noises[index], start)]
    star, (r0,), (r1,), (r2,), _ = fixed[0], *noises
    first = (1 - start) * star + start * r0
    second = alpha * star + (1 - alpha) * (first + beta * (first - star) + (1 - beta) * r1)
    third = alpha * star + (1 - alpha) * (second + beta * (second - first) + (1 - beta) * r2)
    assert all(torch.allclose(step, expected) for step, expected in zip(walk, (first, second, third), strict=True))


def test_closed_walk_has_the_spread_of_the_open_walk_and_no_seam() -> None:
    fixed, count = [torch.zeros(200, 200, dtype=torch.float64)], 24
    frames = [maps[0] for maps in closed_walk(fixed, count, 0.1, 0.9, _noise)]
    assert all(float(frame.std()) == pytest.approx(walk_spread(0.1, 0.9), rel=0.03) for frame in frames)
    steps = [float((frames[i] - frames[i - 1]).square().mean().sqrt()) for i in range(count)]  # the seam is i = 0
    assert max(steps) < 1.05 * min(steps)


@methods_that("animate")
def test_frames_have_their_times_and_are_repeatable(name: str) -> None:
    model = model_of(name)
    animation = model.animate(frames=5, rate=12.5, start_stage=0)
    frames = list(animation.frames())
    assert [frame.time for frame in frames] == [Fraction(i) / Fraction(25, 2) for i in range(5)]
    assert {tuple(frame.image.shape) for frame in frames} == {(1, 3, *model.method.sizes["a"][-1])}
    assert not torch.equal(frames[0].image, frames[4].image)
    again = list(model.animate(frames=5, rate=12.5, start_stage=0).frames())
    assert all(torch.equal(one.image, other.image) for one, other in zip(frames, again, strict=True))


@methods_that("animate")
def test_loop_has_no_seam(name: str) -> None:
    model = model_of(name)
    frames = [frame.image for frame in model.animate(frames=12, loop=True, start_stage=0).frames()]
    steps = [float((frames[i] - frames[i - 1]).square().mean()) for i in range(12)]
    assert steps[0] <= 2 * max(steps[1:])


@methods_that("animate")
@pytest.mark.parametrize("suffix", ["gif", "png", "mp4"])
def test_animation_is_written_as_a_clip(name: str, suffix: str, tmp_path: Path) -> None:
    model = model_of(name)
    animation = model.animate(frames=4, size=(32, 28))
    # A model of three steps hardly moves, and a writer merges equal frames: other pictures are written here.
    distinct = [Frame(frame.time, picture(32, 28, seed=i)) for i, frame in enumerate(animation.frames())]
    path = animation.save(tmp_path / f"out.{suffix}", progress=lambda _: distinct)
    source = open_source(path)
    assert (source.is_clip, source.size, len(list(source.frames()))) == (True, (32, 28), 4)
    with pytest.raises(UserError, match="overwrite"):
        model.animate(frames=4).save(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, "frames is 0"),
        ({"rate": 0}, "rate is 0"),
        ({"alpha": 1.0}, r"alpha is 1\.0"),
        ({"beta": 0.0}, r"beta is 0\.0"),
        ({"start_stage": 9}, "start_stage is 9"),
        ({"seed": 2**32}, "seed is"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of("consingan").animate(**settings)
