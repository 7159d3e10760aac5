"""Steps: frames of a clip, and players that are updated in parallel."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from lonepair.api.job import Job
from lonepair.ops.noise import seed_global
from lonepair.train.loop import Interrupted, add_stage
from lonepair.train.step import Steps
from tiny_runs import new_job
from tiny_settings import StopAfter, picture, tiny


def clip_job(method: str, **settings: Any) -> Job:
    """A tiny training on a clip of five equal frames and a sixth that differs from them."""
    clip = torch.cat([picture(24, 20, seed=1)] * 5 + [picture(24, 20, seed=3)])
    inputs = {"a": clip, "b": picture(20, 26, seed=2)}
    return Job.prepare(inputs, method, "standard", tiny(method, threads=1, **settings))


def drawn_frames(job: Job, count: int = 300) -> Counter[bool]:
    """How many of `count` steps draw the clip's last frame (True), and another one (False)."""
    with seed_global(0):
        method = job.method_class(job.config, job.plan)
    levels = job.levels()
    add_stage(method, levels, job.engine, 0, {})
    steps = Steps(method, levels, job.engine, 0)
    return Counter(torch.equal(steps.frames(number)["a"][0], levels["a"][0][-1:]) for number in range(count))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1 / 6), (0.5, 1 / 3), (1.0, 1 / 2)])
def test_rare_frames_are_drawn_more_often(share: float, expected: float) -> None:
    counts = drawn_frames(clip_job("lonepair", change_share=share))
    assert abs(counts[True] / counts.total() - expected) < 0.08


def test_published_methods_draw_frames_evenly() -> None:
    counts = drawn_frames(clip_job("representative"))
    assert abs(counts[True] / counts.total() - 1 / 6) < 0.08


def test_resume_with_weighted_and_moved_frames_is_bitwise_equal(tmp_path: Path) -> None:
    settings = {"equivariance_probability": 1.0}
    expected = clip_job("lonepair", **settings).run().method.nets.state_dict()
    job = clip_job("lonepair", **settings, checkpoint_minutes=0.0)
    with pytest.raises(Interrupted):
        job.run(job.folder(tmp_path / "run", False), callbacks=[StopAfter(3)])
    again = clip_job("lonepair", **settings, checkpoint_minutes=0.0)
    resumed = again.run(again.folder(tmp_path / "run", True), resume=True).method.nets.state_dict()
    for name, tensor in expected.items():
        assert torch.equal(tensor, resumed[name]), name


def test_a_pair_of_stills_is_trained_without_the_equivariance_term() -> None:
    weights = [new_job(lambda_equivariance=weight).run().method.nets.state_dict() for weight in (0.0, 4.0)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_players_in_parallel_are_bitwise_equal_to_players_in_turn() -> None:
    weights = []
    try:
        for threads in (1, 2):
            weights.append(new_job(threads=threads).run().method.nets.state_dict())
    finally:
        torch.set_num_threads(1)
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name
