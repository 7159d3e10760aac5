"""What the training loop promises whatever the method: the last good state, the clock's shares, a run that goes on."""

from __future__ import annotations

import json
import logging
import math
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair.methods as methods
from conftest import TINY, StopAfter, picture
from corrupt_files import Malicious
from lonepair.api.job import Job
from lonepair.api.model import load
from lonepair.compute.engine import choose_engine
from lonepair.errors import UserError
from lonepair.media.files import atomic_write
from lonepair.media.image import read_image, write_image
from lonepair.methods.base import Method
from lonepair.methods.types import Schedule, StepInputs
from lonepair.train import clock as clock_module
from lonepair.train.clock import Clock, stage_cost, step_cost
from lonepair.train.loop import Diverged, Interrupted
from lonepair.train.options import Options
from lonepair.train.run import RunFolder


def job(**settings: Any) -> Job:
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    return Job.prepare(inputs, methods.DEFAULT, "standard", {**TINY, **settings})


def stopped_run(folder: Path, after: int, **settings: Any) -> Job:
    """A run at `folder` that was killed, and the job to resume it with."""
    killed = job(**settings)
    with pytest.raises(Interrupted):
        killed.run(killed.folder(folder, False), callbacks=[StopAfter(after)])
    return job(**settings)


def resume(again: Job, folder: Path) -> Any:
    return again.run(again.folder(folder, True), resume=True)


# -- players that move at the same time -------------------------------------------------------------------------------


def test_who_moves_at_once_learns_what_is_learnt_in_turn() -> None:
    """On one thread in turn, on two at the same time: the same weights, to the bit."""
    found = []
    try:
        for threads in (1, 2):
            found.append(job(threads=threads).run().method.nets.state_dict())
    finally:
        torch.set_num_threads(1)
    for name, tensor in found[0].items():
        assert torch.equal(tensor, found[1][name]), name


def test_calls_at_once_give_what_they_give_in_order_and_an_error_is_not_lost() -> None:
    torch.set_num_threads(2)
    try:
        engine = choose_engine("cpu")
        assert engine.run_parallel([lambda n=n: (n, torch.get_num_threads()) for n in range(3)]) == [
            (0, 1),
            (1, 1),
            (2, 1),
        ]
        with pytest.raises(ZeroDivisionError):
            engine.run_parallel([lambda: 1, lambda: 1 // 0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("processor", "dtype", "engine", "expected"),
    [
        ("AVX2", "float32", "auto", torch.contiguous_format),
        ("AVX2", "bfloat16", "auto", torch.channels_last),
        ("AVX512", "float32", "auto", torch.channels_last),
        ("AVX512", "float32", "plain", torch.contiguous_format),
    ],
)
def test_networks_learn_in_the_processors_layout_and_draw_channels_last(
    monkeypatch: pytest.MonkeyPatch, processor: str, dtype: str, engine: str, expected: torch.memory_format
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
    chosen, net = choose_engine("cpu", dtype, engine=engine), torch.nn.Conv2d(4, 5, 3)
    for own, layout in ((chosen, expected), (chosen.for_inference, expected if chosen.plain else torch.channels_last)):
        own.move(net)
        assert net.weight.is_contiguous(memory_format=layout)
        assert own.to_device(torch.zeros(1, 3, 4, 5)).is_contiguous(memory_format=layout)


# -- a training that diverges -----------------------------------------------------------------------------------------


def ruined(monkeypatch: pytest.MonkeyPatch, at: int, ruin: Callable[[Tensor, Tensor], Tensor]) -> None:
    """From the generator's `at`-th update on (counting from 0) its losses are what `ruin(loss, parameter)` makes."""
    method = methods.get_method(methods.DEFAULT)
    own = method.losses
    updates = 0

    def losses(self: Method, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        nonlocal updates
        found = own(self, player, inputs)
        if player == "g_a":
            updates += 1
            if updates > at:
                parameter = self.players()[player].groups[0]["params"][0]
                first = next(iter(found))
                found[first] = ruin(found[first], parameter)
        return found

    monkeypatch.setattr(method, "losses", losses)


RUINS = {
    "NaN": (lambda loss, _: loss * math.nan, r"patch_distance_\w+ is nan"),
    "explosion": (lambda loss, _: loss * 1e6, r"patch_distance_\w+ is \d"),
    "finite loss with a gradient that is not": (lambda loss, p: loss + (p[:1] * 0).sqrt().sum(), "is not finite"),
}


@pytest.mark.parametrize("kind", RUINS)
def test_divergence_is_noticed_and_the_last_good_state_kept(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruin, says = RUINS[kind]
    reference = job(checkpoint_minutes=0.0, stages=3)
    good = reference.folder(tmp_path / "good", False)
    with pytest.raises(Interrupted):
        reference.run(good, callbacks=[StopAfter(5)])

    ruined(monkeypatch, 4, ruin)
    bad = job(checkpoint_minutes=0.0, stages=3)
    folder = bad.folder(tmp_path / "bad", False)
    with pytest.raises(Diverged, match=rf"diverged at stage 1, step 2: .*{says}.*halve the learning rates.*bad/model"):
        bad.run(folder)
    monkeypatch.undo()
    assert folder.model.read_bytes() == good.model.read_bytes()  # of step 4, the last one before it went wrong
    assert load(folder.model, "cpu").translate(picture(24, 20)).image.isfinite().all()
    assert "ended by Diverged: training diverged" in folder.log.read_text()

    whole = job(stages=3).run()
    again = job(stages=3).run(folder, resume=True)
    for name, tensor in whole.method.nets.state_dict().items():
        assert torch.equal(tensor, again.method.nets.state_dict()[name]), name


def test_a_training_that_diverges_at_once_promises_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ruined(monkeypatch, 0, RUINS["NaN"][0])
    bad = job()
    folder = bad.folder(tmp_path / "run", False)
    with pytest.raises(Diverged, match=r"dtype float32$"):
        bad.run(folder)
    assert not folder.model.exists()


# -- time -------------------------------------------------------------------------------------------------------------


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    fake = Time()
    monkeypatch.setattr(clock_module, "time", fake)
    return fake


def grown(stage: int = 0) -> Method:
    ready = job(stages=3, steps=40, finest_steps=10)
    method = ready.method_class(ready.config, ready.plan)
    for _ in range(stage + 1):
        method.add_stage()
    return method


def test_a_step_costs_the_pixels_of_its_stages() -> None:
    method = grown()
    pixels = [sum(h * w for h, w in method.plan.sizes(full)[:2]) for full in method.plan.full_sizes.values()]
    assert (
        step_cost(method, 1) == 2000 + sum(pixels) / 4
    )  # a pass of each generator, a quarter of what a pair with critics costs
    assert stage_cost(method, 1) == 20 * step_cost(method, 1)  # 20 lies between 40 and 10 on a geometric line


def test_a_time_limit_is_shared_by_cost(time: Time) -> None:
    method = grown()
    costs = [stage_cost(method, stage) for stage in range(3)]
    clock = Clock(method, 0.0, 100.0)
    clock.start_stage(0)
    share = 100 * costs[0] / sum(costs)
    time.now += share / 2
    assert clock.share_used() == pytest.approx(0.5)
    time.now += share / 2
    assert clock.share_used() == pytest.approx(1.0)
    method.add_stage()
    time.now += 10  # a stage that ran over leaves less for those after it
    left = 100 - share - 10
    clock.start_stage(0)
    time.now += left * costs[1] / (costs[1] + costs[2])
    assert clock.share_used() == pytest.approx(1.0)
    method.add_stage()
    clock.start_stage(0)
    time.now += clock._max_seconds - clock.seconds()
    assert clock.share_used() == pytest.approx(1.0)


def test_a_stage_that_goes_on_gets_the_share_of_its_remaining_steps(time: Time) -> None:
    method = grown()
    clock = Clock(method, 30.0, 100.0)
    assert clock.seconds() == 30
    clock.start_stage(30)  # of 40
    this, later = stage_cost(method, 0) / 4, stage_cost(method, 1) + stage_cost(method, 2)
    time.now += 70 * this / (this + later)
    assert clock.share_used() == pytest.approx(1.0)


def test_without_a_limit_no_share_is_ever_used(time: Time) -> None:
    clock = Clock(grown(), 0.0, math.inf)
    clock.start_stage(0)
    time.now += 1e9
    assert clock.share_used() == 0


def test_with_no_time_left_a_stage_is_over_at_its_first_step(time: Time) -> None:
    clock = Clock(grown(), 200.0, 100.0)
    clock.start_stage(0)
    time.now += 0.1
    assert clock.share_used() >= 1
    assert clock.eta(1) == 0


def test_eta_scales_the_measured_step_by_cost(time: Time) -> None:
    method = grown()
    clock = Clock(method, 0.0, math.inf)
    clock.start_stage(10)
    time.now += 6  # 3 steps of 2 s
    later = 2 * (stage_cost(method, 1) + stage_cost(method, 2)) / step_cost(method, 0)
    assert clock.eta(13) == pytest.approx(2 * 27 + later)
    limited = Clock(method, 0.0, 50.0)
    limited.start_stage(0)
    time.now += 6
    assert limited.eta(1) == pytest.approx(44)


def test_saving_starts_the_interval_anew(time: Time) -> None:
    clock = Clock(grown(), 0.0, math.inf)
    time.now += 5
    assert clock.seconds_since_save() == 5
    clock.saved()
    assert clock.seconds_since_save() == 0


@pytest.mark.parametrize(("share", "rate"), [(0.0, 1.0), (0.79, 1.0), (0.8, 0.1), (1.0, 0.1), (3.0, 0.1)])
def test_rates_drop_once(share: float, rate: float) -> None:
    assert Schedule(10, ["g"], 1.0, 0.8, 0.1).rate(share) == rate
    assert Schedule(10, ["g"], 1.0).rate(share) == 1


def test_a_time_limit_cuts_every_stage_and_ends_at_full_size(tmp_path: Path) -> None:
    short = job(max_minutes=1e-5, steps=5000, finest_steps=5000, stages=3)
    folder = short.folder(tmp_path / "run", False)
    short.run(folder)
    rows = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert [row["stage"] for row in rows] == [0, 1, 2]
    assert max(row["step"] for row in rows) < 50
    pair = load(folder.model, "cpu")
    assert pair.method.stage == 2
    assert pair.translate(picture(24, 20)).image.shape == (1, 3, 24, 20)


# -- the run's folder -------------------------------------------------------------------------------------------------


def steps_in(folder: Path) -> list[tuple[int, int]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["stage"], row["step"]) for row in rows]


def test_a_run_keeps_what_it_learns_from(tmp_path: Path) -> None:
    again = stopped_run(tmp_path / "run", 4)
    kept = tmp_path / "run" / "inputs"
    for domain, stages in again.levels().items():
        assert (read_image(kept / f"{domain}.png") - stages[-1].clamp(-1, 1)).abs().max() < 1 / 255 + 1e-6
    Path(kept / "a.png").write_bytes(b"mine")
    Path(kept / "b.png").unlink()
    resume(again, tmp_path / "run")
    assert (kept / "a.png").read_bytes() == b"mine"  # never rewritten
    assert (kept / "b.png").exists()  # a run of an earlier version has none


def test_metrics_of_a_resumed_run_hold_every_step_once(tmp_path: Path) -> None:
    """Killed in the second stage after step 17: 10 are reported there, and none of them is saved."""
    settings = {"steps": 10, "finest_steps": 20, "checkpoint_minutes": 60.0, "width": 2}
    run = tmp_path / "run"
    again = stopped_run(run, 27, **settings)
    assert steps_in(run)[-1] == (1, 10)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"stage": 1, "st')  # cut off in the middle of a line
    resume(again, run)
    assert steps_in(run) == [(0, 10), (1, 10), (1, 20)]


def test_a_run_killed_before_its_first_checkpoint_starts_over(tmp_path: Path) -> None:
    settings = {"steps": 20, "finest_steps": 10, "checkpoint_minutes": 60.0, "width": 2}
    again = stopped_run(tmp_path / "run", 15, **settings)
    assert steps_in(tmp_path / "run") == [(0, 10)]
    resume(again, tmp_path / "run")
    assert steps_in(tmp_path / "run") == [(0, 10), (0, 20), (1, 10)]


def test_a_state_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    again = stopped_run(tmp_path / "run", 4, checkpoint_minutes=0.0)
    torch.save({"stage": Malicious()}, tmp_path / "run" / "state" / "state.pt")
    with pytest.raises(UserError, match=r"state\.pt: cannot read the state \(.*more than numbers\)"):
        resume(again, tmp_path / "run")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"hello",
        lambda data: data[: len(data) * 2 // 3],
        lambda data: data[: len(data) // 3] + bytes(len(data) // 3) + data[len(data) * 2 // 3 :],
    ],
)
def test_a_damaged_state_is_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    again = stopped_run(tmp_path / "run", 4, checkpoint_minutes=0.0)
    state = tmp_path / "run" / "state" / "state.pt"
    state.write_bytes(damage(state.read_bytes()))
    with pytest.raises(UserError, match=r"state\.pt: cannot read the state \(.*start a new run") as caught:
        resume(again, tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_other_settings_are_refused_with_both_values(tmp_path: Path) -> None:
    stopped_run(tmp_path / "run", 4, checkpoint_minutes=0.0)
    with pytest.raises(UserError, match=r"steps was 3, is now 5; width was 8, is now 6"):
        resume(job(steps=5, width=6), tmp_path / "run")
    with pytest.raises(UserError, match=r"seed was 0, is now 1"):
        resume(job(seed=1), tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"no readable config\.json"):
        resume(job(), tmp_path / "run")


def test_latest_is_the_last_with_the_same_settings(tmp_path: Path) -> None:
    def settings(seed: int, name: str = "a.png") -> dict[str, Any]:
        return {"config": {"seed": seed, "sizes": (1, 2)}, "inputs": {"a": {"name": name, "sha256": "00"}}}

    def latest(name: str, seed: int) -> str:
        return RunFolder.latest(tmp_path / name, settings(seed, "renamed.png")).path.name

    seeds = {"run": 0, "run-2": 1, "run-9": 0, "run-10": 2, "run-11": 3, "run-x": 1, "run-1": 1, "runs": 1, "[a]": 0}
    for name, seed in seeds.items():
        (tmp_path / name).mkdir()
        RunFolder(tmp_path / name).write_config(settings(seed))
    (tmp_path / "run-11" / "config.json").write_text("{")
    (tmp_path / "run-12").mkdir()
    (tmp_path / "run-77").touch()
    assert [latest("run", seed) for seed in range(3)] == ["run-9", "run-2", "run-10"]
    assert latest("run", 5) == "run"
    assert latest("[a]", 0) == latest("[a]", 1) == "[a]"
    # A name that ends in a number is first of all its own.
    RunFolder.create(tmp_path / "run-9").write_config(settings(0))
    assert (tmp_path / "run-9-2").is_dir()
    assert [latest("run-9", seed) for seed in (0, 1)] == ["run-9", "run-9"]
    RunFolder(tmp_path / "run-9-2").write_config(settings(4))
    assert latest("run-9", 4) == "run-9-2"
    # Where the first is gone, the last one says what differs.
    shutil.rmtree(tmp_path / "run")
    assert (latest("run", 0), latest("run", 5)) == ("run-9", "run-11")
    with pytest.raises(UserError, match="no run to resume there"):
        latest("other", 0)


def test_runs_at_the_same_time_keep_a_log_each_to_the_end(tmp_path: Path) -> None:
    logger = logging.getLogger("lonepair")
    before = (logger.level, list(logger.handlers))
    inside, over = threading.Barrier(2), threading.Event()

    def run(name: str) -> None:
        folder = RunFolder.create(tmp_path / name)
        with folder.logged():
            inside.wait(10)
            if name == "last":
                assert over.wait(10)
            logger.info("%s is at work", name)
        if name == "first":
            over.set()

    with ThreadPoolExecutor(2) as crew:
        for done in [crew.submit(run, name) for name in ("first", "last")]:
            done.result()
    for name in ("first", "last"):
        lines = (tmp_path / name / "log.txt").read_text().splitlines()
        assert [line.split(" ", 2)[2] for line in lines] == [f"{name} is at work", "training is complete"]
    assert (logger.level, list(logger.handlers)) == before


def test_metrics_are_cut_and_never_grow(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.metrics.write_bytes(b"12345\n")
    folder._truncate_metrics(100)
    assert folder.metrics.read_bytes() == b"12345\n"
    folder._truncate_metrics(2)
    assert folder.metrics.read_bytes() == b"12"


def test_log_holds_what_was_said_and_how_it_ended(tmp_path: Path) -> None:
    logger = logging.getLogger("lonepair")
    before = (logger.level, list(logger.handlers))
    ready = job()
    folder = ready.folder(tmp_path / "run", False)
    ready.run(folder)
    text = folder.log.read_text()
    for part in ("lonepair (standard) on cpu", "stages: 15x18, 17x20", "is reduced to", "training is complete"):
        assert part in text
    assert (logger.level, logger.handlers) == before
    resume(job(), tmp_path / "run")
    assert folder.log.read_text().startswith(text)
    assert "resumes at stage 2 after 3 steps" in folder.log.read_text()


def test_a_log_that_cannot_be_written_does_not_stop_the_training(tmp_path: Path) -> None:
    ready = job()
    folder = ready.folder(tmp_path / "run", False)
    folder.log.mkdir()
    ready.run(folder)
    assert folder.model.exists()


def test_an_input_that_fails_late_leaves_no_run(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for index in range(2):
        write_image(tmp_path / "clip" / f"{index}.jpg", picture(40, 40))
    data = (tmp_path / "clip" / "1.jpg").read_bytes()
    (tmp_path / "clip" / "1.jpg").write_bytes(data[: len(data) // 2])
    ready = Job.prepare({"a": tmp_path / "clip", "b": picture(20, 26)}, methods.DEFAULT, "standard", TINY)
    with pytest.raises(UserError, match=r"1\.jpg: the image cannot be decoded"):
        ready.run(ready.folder(tmp_path / "run", False))
    assert not (tmp_path / "run").exists()


def test_saving_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = stopped_run(tmp_path / "run", 4, checkpoint_minutes=0.0)
    state = tmp_path / "run" / "state" / "state.pt"
    before = state.read_bytes()

    def full(path: Path) -> Any:
        if path.name == "state.pt":
            raise UserError("full")
        return atomic_write(path)

    monkeypatch.setattr("lonepair.train.run.atomic_write", full)
    with pytest.raises(UserError, match="full"):
        resume(again, tmp_path / "run")
    assert state.read_bytes() == before
    assert [path.name for path in state.parent.iterdir()] == ["state.pt"]


# -- options ----------------------------------------------------------------------------------------------------------


def test_engines() -> None:
    assert str(choose_engine("cpu", "float32")) == "cpu, float32"
    assert str(choose_engine("cpu", "bfloat16")) == "cpu, bfloat16"
    with pytest.raises(UserError, match="device 'tpu' is not available; this machine has: cpu"):
        choose_engine("tpu")
    with pytest.raises(UserError, match="dtype is 'half': choose one of auto, float32, bfloat16"):
        choose_engine("cpu", "half")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("threads", -1),
        ("max_minutes", -0.5),
        ("max_minutes", math.nan),
        ("checkpoint_minutes", -1.0),
        ("preview_minutes", -1.0),
    ],
)
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"^{field} is {value}: choose 0"):
        Options(**{field: value})


def test_every_wrong_option_is_named_at_once() -> None:
    with pytest.raises(UserError, match=r"seed is -1: .*; threads is -2: "):
        Options(seed=-1, threads=-2)
