"""Interrupting a training with Ctrl-C or a time limit, and resuming it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from command_line import list_files, tiny_flags, translate
from lonepair.commands.main import main
from lonepair.media.stills.image import read_image
from lonepair.methods.base import Method
from lonepair.train.checkpoint import load_model
from lonepair.train.events import Report
from lonepair.train.run import RunFolder
from lonepair.train.watchers import MetricsFile
from warm_processes import start_module


def contents(folder: str | Path) -> dict[str, bytes]:
    """Path -> bytes of all files in `folder` and below."""
    return {name: Path(folder, name).read_bytes() for name in list_files(folder)}


def interrupt_at(
    monkeypatch: pytest.MonkeyPatch, step: int, times: int = 1, number: signal.Signals = signal.SIGINT
) -> None:
    """Send the signal `number`, `times` in a row, after `step` steps of the training."""
    count = 0
    original = MetricsFile.stepped

    def stepped(self: MetricsFile, method: Method, report: Report) -> None:
        nonlocal count
        count += 1
        original(self, method, report)
        if count == step:
            for _ in range(times):
                signal.raise_signal(number)
                time.sleep(0.01)  # two pending signals count as one

    monkeypatch.setattr(MetricsFile, "stepped", stepped)


@pytest.mark.parametrize("step", [2, 3, 4])  # within the first stage, at its end, and within the last
def test_a_run_resumed_after_ctrl_c_is_bitwise_equal(
    here: Path, pair_run: Path, step: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupt_at(monkeypatch, step)
    assert main(["translate", *tiny_flags(), "a.png", "b.png", "--run", "my"]) == 130
    monkeypatch.undo()
    monkeypatch.chdir(here)
    output = capsys.readouterr().err
    assert "stopping after this step; Ctrl-C again quits at once" in output
    assert output.splitlines()[-1] == (
        "lonepair: stopped; the same command with --resume --run my continues, my/model.safetensors can be used already"
    )
    assert signal.getsignal(signal.SIGINT) is before
    assert "ended by Interrupted" in Path("my/log.txt").read_text()
    assert not Path("a-as-b.png").exists()
    assert main(["translate", "a.png", "my/model.safetensors", "--no-synthesize", "-o", "early.png"]) == 0
    translate("a.png", "b.png", "--no-synthesize", "--run", "my", "--resume")
    assert Path("my/model.safetensors").read_bytes() == (pair_run / "model.safetensors").read_bytes()
    assert {"a-as-b.png", "a-as-b-sheet.png"} <= list_files()
    assert not Path("my-2").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_save_as_ctrl_c_does(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        interrupt_at(monkeypatch, 1, number=number)
        assert main(["train", *tiny_flags(), "a.png", "b.png", "--run", "my"]) == 128 + number
        output = capsys.readouterr().err
        assert "stopping after this step; a second signal quits at once" in output
        assert output.splitlines()[-1].startswith(
            "lonepair: stopped; the same command with --resume --run my continues"
        )
        with RunFolder(Path("my")).states.readable() as state:
            assert (state["stage"], state["step"]) == (0, 2)
        assert signal.getsignal(number) == signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN)  # as under nohup
        monkeypatch.undo()
        monkeypatch.chdir(here)
        interrupt_at(monkeypatch, 2, number=number)
        assert main(["train", *tiny_flags(), "a.png", "b.png", "--run", "my", "--resume"]) == 0
    finally:
        signal.signal(number, before)


def test_ctrl_c_twice_quits_at_once(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_at(monkeypatch, 2, times=2)
    # A shell's background job starts with the signal ignored, and Python then installs no handler for it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["translate", *tiny_flags(), "a.png", "b.png"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.splitlines()[-1] == "lonepair: interrupted"
    assert not Path("runs/a-to-b/state/state.pt").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_ends_a_process_with_a_usable_model(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    printed = tmp_path_factory.mktemp("printed") / "stderr"
    process = start_module(
        "lonepair", ["train", *tiny_flags(), "a.png", "b.png", "--steps", "100000"], printed, printed
    )
    while "structure" not in (output := printed.read_text() if printed.exists() else ""):  # the bar's first losses
        assert process.is_alive(), output
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 130
    output = printed.read_text()
    assert output.splitlines()[-1].startswith(
        "lonepair: stopped; the same command with --resume --run runs/a-to-b continues"
    )
    assert load_model("runs/a-to-b/model.safetensors")[0].stage == 0
    assert "Traceback" not in output


def test_resume_of_a_complete_run_only_translates(here: Path, pair_run: Path) -> None:
    shutil.copytree(pair_run, "runs/a-to-b")
    translate("a.png", "b.png", "--resume")
    assert Path("runs/a-to-b/model.safetensors").read_bytes() == (pair_run / "model.safetensors").read_bytes()
    assert Path("a-as-b.png").read_bytes() == (pair_run.parent / "out.png").read_bytes()
    assert [path.name for path in Path("runs").iterdir()] == ["a-to-b"]


def test_a_run_with_other_settings_is_refused_and_unchanged(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pair_run, "runs/a-to-b")
    before = contents("runs")
    capsys.readouterr()
    assert main(["train", *tiny_flags(), "a.png", "b.png", "--resume", "--steps", "4", "--seed", "3"]) == 2
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert "steps was 3, is now 4; seed was 0, is now 3" in output
    assert contents("runs") == before


def test_resume_continues_the_latest_run(here: Path, pair_run: Path) -> None:
    first, latest = Path("runs/a-to-b"), Path("runs/a-to-b-2")
    for path in (first, latest):
        shutil.copytree(pair_run, path)
    (latest / "model.safetensors").unlink()
    settings = json.loads((first / "config.json").read_text())
    assert RunFolder.latest(first, settings).path == latest
    before = contents(first)
    assert main(["train", *tiny_flags(), "a.png", "b.png", "--resume"]) == 0
    assert contents(first) == before
    assert "resumes at stage 2 after 3 steps" in (latest / "log.txt").read_text()


def test_max_minutes_ends_in_time_at_the_last_stage(here: Path) -> None:
    translate("a.png", "b.png", "--steps", "100000", "--finest-steps", "100000", "--max-minutes", "0.005")
    assert read_image("a-as-b.png").shape == (1, 3, 24, 20)
    method, _ = load_model("runs/a-to-b/model.safetensors")
    assert method.stage == method.plan.stages - 1
    seconds = [json.loads(line)["seconds"] for line in Path("runs/a-to-b/metrics.jsonl").read_text().splitlines()]
    assert seconds[-1] < 20  # of minutes without the limit; the machine may be busy
