"""`--dry-run`, the last lines of `translate`, and the warning about a model whose training has not ended."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

import lonepair.methods as methods
from command_line import list_files, tiny_flags, translate
from lonepair.api.model import load
from lonepair.commands.advice import proposals
from lonepair.commands.main import main
from lonepair.media.stills.image import write_image
from lonepair.train.loop import Interrupted
from tiny_runs import new_job
from tiny_settings import StopAfter, picture

SINGLE = tiny_flags(methods.DEFAULT_SAMPLES)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["translate", *tiny_flags(), "a.png", "b.png"],
            ["reads   a.png (20x24 pixels)", "15x18 17x20", "writes  runs/a-to-b/", "writes  a-as-b-sheet.png"],
        ),
        (["train", *tiny_flags(), "a.png", "b.png"], ["trains  lonepair, preset standard", "writes  runs/a-to-b/"]),
        (["generate", *SINGLE, "a.png"], ["trains  lonepair-single", "writes  runs/a/", "writes  a-samples"]),
        (["translate", "a.png", "RUN"], ["reads   a.png (20x24 pixels)", "uses    RUN", "writes  a-as-b.png"]),
        (["translate", "a.png", "b.png", "RUN"], ["reads   b.png", "uses    RUN", "writes  batch-as-b/"]),
    ],
    ids=["translate", "train", "generate", "translate with a model", "batch"],
)
def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    here: Path, pair_run: Path, words: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*(str(pair_run) if word == "RUN" else word for word in words), "--dry-run"]) == 0
    output = capsys.readouterr().out
    for text in expected:
        assert text.replace("RUN", str(pair_run)) in output
    assert list_files() == {"a.png", "b.png"}


def test_a_dry_run_names_the_run_that_would_be_used(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pair_run, "runs/a-to-b")
    assert main(["translate", *tiny_flags(), "a.png", "b.png", "--reverse", "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "uses runs/a-to-b, trained on" in output
    assert "writes  b-as-a.png" in output
    assert "trains" not in output.replace("--retrain trains again", "")


def test_the_commands_at_the_end_work_with_spaces_in_paths(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("my pictures").mkdir()
    for name, size in (("the eggs.png", (24, 20)), ("bowls.png", (20, 26))):
        write_image(f"my pictures/{name}", picture(*size))
    translate("my pictures/the eggs.png", "my pictures/bowls.png")
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("lonepair translate ")]
    assert len(commands) >= 2
    assert ["lonepair", "translate", "my pictures/bowls.png", "runs/the_eggs-to-bowls", "--reverse"] in commands
    for _, *words in commands:
        assert main(words) == 0
    assert Path("bowls-as-the_eggs.png").exists()


def test_proposals_keep_the_direction_of_the_translation() -> None:
    lines = proposals(Path("b.png"), Path("run"), reverse=True, other=Path("a.png"))
    commands = [line.strip() for line in lines[1::2]]
    assert "lonepair translate a.png run" in commands
    assert all("--reverse" in command for command in commands if " b.png " in command)


def test_a_model_whose_training_has_not_ended_is_used_with_a_warning(
    here: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    job = new_job(checkpoint_minutes=0.0, steps=9)
    with pytest.raises(Interrupted):
        job.run(job.folder(Path("run"), False), callbacks=[StopAfter(5)])
    assert main(["translate", "a.png", "run", "--no-synthesize"]) == 0
    text = "run: its training has not ended (stage 1 of 2, step 4 of 9), so that pictures are coarser; to finish it,"
    assert capsys.readouterr().err.startswith(text)
    caplog.clear()
    again = new_job(checkpoint_minutes=0.0, steps=9)
    again.run(again.folder(Path("run"), True), resume=True)
    model = load("run")
    assert "progress" not in model.settings
    assert not [record for record in caplog.records if "has not ended" in record.message]


@pytest.mark.parametrize("count", [1, 3])
def test_sampling_shows_its_progress(
    here: Path, pair_run: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(pair_run), "--count", str(count), "--dtype", "float32"]) == 0
    assert f"| {2 * count}/{2 * count} " in capsys.readouterr().err
