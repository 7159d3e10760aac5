"""Contract of every method: interrupting, resuming and saving a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from method_jobs import (
    assert_same,
    complete_run,
    every_method,
    every_trained_method,
    few_steps,
    has,
    job,
    killed_run,
    method_at_stage,
    trained,
    weights,
)

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import load
from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.train.checkpoint import load_model, save_model
from lonepair.train.events import Watcher
from lonepair.train.loop import Interrupted, Progress
from lonepair.train.run import RunFolder
from tiny_settings import picture, tiny

MEASURED = ("amplitudes", "reconstruction_", "exemplar")
"""Parts of the names of tensors that a stage computes from its data, whatever weights it starts from."""


@pytest.fixture
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the runs of all tests here. They only read them, or copy them first."""
    return tmp_path_factory.getbasetemp()


TRAINED = [n for n in methods.names() if methods.get_method(n).trains]


@pytest.mark.parametrize(
    ("name", "stop_after"),
    [(n, count) for n in TRAINED for count in ((1, 2, 3, 4, 5) if n == methods.DEFAULT else (2, 4))],
)
def test_resume_is_bitwise_equal(name: str, stop_after: int, runs: Path, tmp_path: Path) -> None:
    """Killed within a stage, after its last step and in the next stage; the job is a new one when it resumes."""
    run = shutil.copytree(killed_run(complete_run(name, runs), stop_after), tmp_path / "run")
    torch.manual_seed(99)  # the global random state must not matter
    again = job(name, checkpoint_minutes=0.0)
    resumed = again.run(again.folder(run, True), resume=True)
    assert_same(weights(trained(name)), weights(resumed))


@pytest.mark.usefixtures("full_previews")
@every_method
def test_previews_do_not_change_the_weights(name: str, tmp_path: Path) -> None:
    """The running averages of BatchNorm stay as well."""
    settings = {**few_steps(name), **({"normalization": "batch"} if has(name, "normalization") else {})}
    with_previews = job(name, **settings, preview_minutes=1e-9)
    model = with_previews.run(with_previews.folder(tmp_path / "run", False))
    without = job(name, **settings, preview_minutes=0.0).run()
    assert_same(weights(model), weights(without))
    assert (tmp_path / "run" / "previews" / "stage-1.png").exists()


@every_method
def test_resume_of_a_completed_run_keeps_the_weights(name: str, runs: Path, tmp_path: Path) -> None:
    run = shutil.copytree(complete_run(name, runs), tmp_path / "run")
    again = job(name)
    assert_same(weights(trained(name)), weights(again.run(again.folder(run, True), resume=True)))


@every_trained_method
def test_model_of_a_killed_run_can_be_used(name: str, runs: Path) -> None:
    """A model that has only its first stages samples and translates at every size."""
    folder = RunFolder(killed_run(complete_run(name, runs), 2))
    assert load_model(folder.model)[0].stage == 0
    early = load(folder.model, "cpu")
    assert early.sample(1, size=(24, 30))[0]["a"].shape == (1, 3, 24, 30)
    if "translate" in early.method.uses:
        assert early.translate(picture(24, 20)).image.shape == (1, 3, 24, 20)


@every_method
def test_saved_state_of_an_untrained_method_loads_unchanged(name: str, tmp_path: Path) -> None:
    method, _ = method_at_stage(name, 1)
    path = save_model(tmp_path / "m.safetensors", method, {})
    again, _ = load_model(path)
    assert_same(dict(method.model_state()), dict(again.model_state()))
    assert Progress().stage == -1


@every_trained_method
def test_warm_start_copies_the_weights_of_the_model(name: str, runs: Path) -> None:
    run, model = complete_run(name, runs), trained(name)
    initial: dict[str, torch.Tensor] = {}

    class RecordInitialWeights(Watcher):
        def stage_started(self, method: Method) -> None:
            if method.stage == 0:
                initial.update({k: v.clone() for k, v in method.nets.state_dict().items()})
                raise Interrupted

    domains = methods.get_method(name).domains
    inputs = {d: picture(24, 20, seed=i) for i, d in enumerate(domains, 1)}
    for start in (run, RunFolder(run).model):
        initial.clear()
        again = Job.prepare(inputs, name, "standard", tiny(name), warm_start=start)
        with pytest.raises(Interrupted):
            again.run(callbacks=[RecordInitialWeights()])
        expected = weights(model)
        if start.suffix:
            expected = {
                key: value for key, value in expected.items() if key.split(".")[0] in model.method.inference_nets
            }
        same = [key for key in initial if key in expected and not any(own in key for own in MEASURED)]
        assert len(same) > 4
        assert_same({key: expected[key] for key in same}, {key: initial[key] for key in same})


def test_warm_start_from_another_method_is_refused(tmp_path: Path) -> None:
    model = trained("consingan").save(tmp_path / "m.safetensors")
    with pytest.raises(UserError, match=r"'consingan'.*'singan'"):
        Job.prepare({"a": picture(24, 20)}, "singan", "standard", tiny("singan"), warm_start=model)
