"""Tiny trainings of the default pair method, started, stopped and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model
from lonepair.train.loop import Interrupted
from tiny_settings import TINY, StopAfter, picture


def new_job(**settings: Any) -> Job:
    """A tiny training with `settings`."""
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    return Job.prepare(inputs, methods.DEFAULT, "standard", {**TINY, **settings})


def stopped_run(folder: Path, stop_after: int, **settings: Any) -> Job:
    """Train `stop_after` steps at `folder`, stop without saving, and return the job to resume it with."""
    job = new_job(**settings)
    with pytest.raises(Interrupted):
        job.run(job.folder(folder, False), callbacks=[StopAfter(stop_after)])
    return new_job(**settings)


def resume(job: Job, folder: Path) -> Model:
    """Continue the run at `folder` to its end."""
    return job.run(job.folder(folder, True), resume=True)


def reported_steps(folder: Path) -> list[tuple[int, int]]:
    """(stage, step) of every line of metrics.jsonl."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["stage"], row["step"]) for row in rows]
