"""The training loop: divergence, the last good state, time limits."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model, load
from lonepair.methods.base import Method
from lonepair.methods.types import StepInputs
from lonepair.train.loop import Diverged, Interrupted
from lonepair.train.run import RunFolder
from tiny_runs import new_job
from tiny_settings import StopAfter, picture, tiny


def corrupt_losses(monkeypatch: pytest.MonkeyPatch, updates: int, corrupt: Callable[[Tensor, Tensor], Tensor]) -> None:
    """After `updates` updates of the generator g_a, replace its first loss by `corrupt(loss, parameter)`."""
    method = methods.get_method(methods.DEFAULT)
    compute_losses = method.losses
    count = 0

    def losses(self: Method, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        nonlocal count
        values = compute_losses(self, player, inputs)
        if player == "g_a":
            count += 1
            if count > updates:
                parameter = self.players()[player].groups[0]["params"][0]
                first = next(iter(values))
                values[first] = corrupt(values[first], parameter)
        return values

    monkeypatch.setattr(method, "losses", losses)


@functools.cache
def uninterrupted() -> Model:
    """The model of a training of three stages. Do not change it."""
    return new_job(stages=3).run()


@functools.cache
def stopped_after_5(base: Path) -> RunFolder:
    """A run of three stages in `base` that ended after 5 steps; the last state is that of step 4. Only read it."""
    job = new_job(checkpoint_minutes=0.0, stages=3)
    folder = job.folder(base / "good", False)
    with pytest.raises(Interrupted):
        job.run(folder, callbacks=[StopAfter(5)])
    return folder


CORRUPTIONS = {
    "NaN": (lambda loss, _: loss * math.nan, r"patch_distance_\w+ is nan"),
    "explosion": (lambda loss, _: loss * 1e6, r"patch_distance_\w+ is \d"),
    "infinite gradient of a finite loss": (lambda loss, p: loss + (p[:1] * 0).sqrt().sum(), "is not finite"),
}


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_divergence_leaves_the_last_good_state(
    kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt, message = CORRUPTIONS[kind]
    good = stopped_after_5(tmp_path_factory.getbasetemp())
    corrupt_losses(monkeypatch, 4, corrupt)
    job = new_job(checkpoint_minutes=0.0, stages=3)
    folder = job.folder(tmp_path / "bad", False)
    expected = rf"diverged at stage 1, step 2: .*{message}.*halve the learning rates.*bad/model"
    with pytest.raises(Diverged, match=expected):
        job.run(folder)
    monkeypatch.undo()
    # The state of step 4, the last one before the corruption, is saved and can be used.
    assert folder.model.read_bytes() == good.model.read_bytes()
    assert load(folder.model, "cpu").translate(picture(24, 20)).image.isfinite().all()
    assert "ended by Diverged: training diverged" in folder.log.read_text()

    # It can be resumed, and the end is that of an uninterrupted training.
    resumed = new_job(stages=3).run(folder, resume=True)
    for name, tensor in uninterrupted().method.nets.state_dict().items():
        assert torch.equal(tensor, resumed.method.nets.state_dict()[name]), name


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (methods.DEFAULT, {"lr": 0.9, "steps": 60, "finest_steps": 60}, r"has grown to .*halve the learning rates"),
        ("singan", {"noise_scale": 1e6}, r"amplitude of the noise is .*lower the noise"),
        (methods.DEFAULT, {"noise_amplitude": 1e6, "coarse_stages": 1}, r"amplitude of the noise is .*lower the noise"),
    ],
    ids=["learning rate", "noise", "noise of the default"],
)
def test_divergence_with_finite_losses_is_noticed(method: str, settings: dict[str, float], message: str) -> None:
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    domains = methods.get_method(method).domains
    job = Job.prepare({name: inputs[name] for name in domains}, method, "standard", tiny(method, **settings))
    with pytest.raises(Diverged, match=message):
        job.run()


def test_divergence_before_any_save_names_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corrupt_losses(monkeypatch, 0, CORRUPTIONS["NaN"][0])
    job = new_job()
    folder = job.folder(tmp_path / "run", False)
    with pytest.raises(Diverged, match=r"dtype float32$"):
        job.run(folder)
    assert not folder.model.exists()


def test_time_limit_shortens_every_stage_and_reaches_full_size(tmp_path: Path) -> None:
    job = new_job(max_minutes=1e-5, steps=5000, finest_steps=5000, stages=3)
    folder = job.folder(tmp_path / "run", False)
    job.run(folder)
    rows = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert [row["stage"] for row in rows] == [0, 1, 2]
    assert max(row["step"] for row in rows) < 50
    pair = load(folder.model, "cpu")
    assert pair.method.stage == 2
    assert pair.translate(picture(24, 20)).image.shape == (1, 3, 24, 20)
