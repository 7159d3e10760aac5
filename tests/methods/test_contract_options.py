"""Contract of every method: each option trains, resumes and loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from method_jobs import CopyAfter, assert_same, few_steps, has, job, killed_run, output, weights

import lonepair.methods as methods
from lonepair.api.model import load
from tiny_settings import picture

OPTIONS = [
    *[(n, {"as_released": True}) for n in methods.names() if has(n, "as_released") and n != "structural-analogy"],
    *[(n, {"task": task}) for n in ("singan", "consingan") for task in ("generation", "animation")],
    ("consingan", {"task": "retargeting", "normalization": "instance"}),
    ("consingan", {"task": "harmonization"}),
    ("consingan", {"task": "editing", "normalization": "batch", "pyramid_rule": "geometric"}),
    ("structural-analogy", {"square": True, "luminance_levels": 4, "start_stage": 0}),
    ("structural-analogy", {"lambda_self": 1.0, "as_released": True}),
    ("representative", {"cycle_channels": "colour", "border_padding": "reflect", "window_fraction": 1.0}),
    ("representative", {"pyramid_rule": "geometric", "start_stage": -1, "critic_steps": 2}),
]


@pytest.mark.parametrize(("name", "settings"), OPTIONS, ids=[f"{n}-{'-'.join(map(str, s))}" for n, s in OPTIONS])
def test_resume_with_option_is_bitwise_equal(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    settings = {**few_steps(name), **settings, "checkpoint_minutes": 0.0}
    complete = job(name, **settings)
    folder = complete.folder(tmp_path / "run", False)
    uninterrupted = complete.run(folder, callbacks=[CopyAfter(folder, [3])])
    again = job(name, **settings)
    resumed = again.run(again.folder(killed_run(folder.path, 3), True), resume=True)
    assert_same(weights(uninterrupted), weights(resumed))
    loaded = load(uninterrupted.save(tmp_path / "m.safetensors"), "cpu")
    image = picture(24, 20, seed=1)
    from_file = output(loaded, image)
    assert from_file.isfinite().all()
    assert torch.equal(from_file, output(resumed, image))
