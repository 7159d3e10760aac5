"""Several trainings in one call: results and errors side by side, and stopping."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

import lonepair
from lonepair.api.job import Job
from lonepair.methods.base import Method
from tiny_settings import TINY, StopAfter, picture


def fit(seed: int, **settings: Any) -> lonepair.Model:
    return lonepair.fit_pair(picture(24, 20, seed=1), picture(20, 26, seed=2), **{**TINY, "seed": seed, **settings})


def test_fit_many_equals_separate_fits_and_a_failure_stops_no_other(tmp_path: Path) -> None:
    fits = [functools.partial(fit, seed, out=tmp_path / str(seed)) for seed in range(2)]
    failure, *results = lonepair.fit_many([functools.partial(fit, 0, lambda_rec=1.0), *fits])
    assert isinstance(failure, lonepair.UserError)
    assert "lambda_rec: no such setting" in str(failure)
    for seed, model in enumerate(results):
        assert isinstance(model, lonepair.Model)
        expected = fit(seed).method.nets.state_dict()
        for name, tensor in model.method.nets.state_dict().items():
            assert torch.equal(tensor, expected[name]), name
        log = (tmp_path / str(seed) / "log.txt").read_text()
        assert log.count("training is complete") == 1
        assert log.count("run: ") == 1


class StopJob(lonepair.Watcher):
    """Stops a job at its first step, from another thread."""

    job: Job

    def stepped(self, method: Method, report: lonepair.Report) -> None:
        thread = threading.Thread(target=self.job.stop)
        thread.start()
        thread.join()


def job() -> Job:
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    return Job.prepare(inputs, "lonepair", "standard", TINY)


def test_stopped_job_is_saved_and_others_continue(tmp_path: Path) -> None:
    stopped, other, watcher = job(), job(), StopJob()
    watcher.job = stopped
    folder = stopped.folder(tmp_path / "run", False)
    results = lonepair.fit_many([lambda: stopped.run(folder, callbacks=[watcher]), other.run])
    assert isinstance(results[0], lonepair.Interrupted)
    assert str(results[0]) == f"stopped and saved in {folder.path}"
    assert isinstance(results[1], lonepair.Model)
    resumed = job().run(folder, resume=True).method.nets.state_dict()
    for name, tensor in results[1].method.nets.state_dict().items():
        assert torch.equal(tensor, resumed[name]), name


def test_ctrl_c_stops_all_trainings_and_saves(tmp_path: Path) -> None:
    class CtrlC(lonepair.Watcher):
        def stepped(self, method: Method, report: lonepair.Report) -> None:
            if report.step == 1:
                import signal

                signal.raise_signal(signal.SIGINT)

    results = lonepair.fit_many(
        [functools.partial(fit, 0, out=tmp_path / "run", callbacks=[CtrlC()]), functools.partial(fit, 1)]
    )
    assert [type(result) for result in results] == [lonepair.Interrupted, lonepair.Interrupted]
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_exception_of_a_watcher_is_returned() -> None:
    results = lonepair.fit_many([functools.partial(fit, 0, callbacks=[StopAfter(1)])])
    assert isinstance(results[0], lonepair.Interrupted)


def test_resume_without_folder_names_the_argument() -> None:
    with pytest.raises(lonepair.UserError, match="give `out`"):
        fit(0, resume=True)
