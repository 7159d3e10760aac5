"""A second `translate` or `generate` with the same inputs and settings uses the run that exists."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import lonepair.methods as methods
from command_line import tiny_flags, translate
from lonepair.commands.main import main
from lonepair.media.stills.image import read_image, write_image
from tiny_models import untrained
from tiny_settings import picture


@pytest.fixture
def here_with_run(here: Path, pair_run: Path) -> Path:
    """The folder of `here`, with the run of `pair_run` as runs/a-to-b."""
    shutil.copytree(pair_run, "runs/a-to-b")
    return here


def run_names() -> list[str]:
    return sorted(path.name for path in Path("runs").iterdir())


def test_a_second_translation_of_a_pair_uses_its_run_and_says_so(
    here_with_run: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path("runs/a-to-b/model.safetensors").read_bytes()
    translate("a.png", "b.png")
    date = json.loads(Path("runs/a-to-b/completion.json").read_text())["date"]
    assert f"uses runs/a-to-b, trained on {date}; --retrain trains again" in capsys.readouterr().err
    assert Path("a-as-b.png").read_bytes() == (pair_run.parent / "out.png").read_bytes()
    assert run_names() == ["a-to-b"]
    assert Path("runs/a-to-b/model.safetensors").read_bytes() == model


@pytest.mark.parametrize("words", [["a.png", "b.png", "--reverse"], ["b.png", "a.png"]], ids=["reverse", "exchanged"])
def test_both_ways_to_ask_for_the_other_direction_use_the_run(
    here_with_run: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    translate(*words)
    assert run_names() == ["a-to-b"]
    assert ("(its other direction)" in capsys.readouterr().err) == ("--reverse" not in words)
    assert main(["translate", "b.png", "runs/a-to-b", "--reverse", "--dtype", "float32", "-o", "m.png"]) == 0
    assert read_image("b-as-a.png").equal(read_image("m.png"))


def test_reversed_and_exchanged_is_the_runs_own_direction(here_with_run: Path, pair_run: Path) -> None:
    translate("b.png", "a.png", "--reverse")
    assert run_names() == ["a-to-b"]
    assert read_image("a-as-b.png").equal(read_image(pair_run.parent / "out.png"))


def test_content_decides_and_not_the_name(here_with_run: Path) -> None:
    Path("a.png").rename("renamed.png")
    translate("renamed.png", "b.png")
    assert run_names() == ["a-to-b"]
    write_image("a.png", picture(24, 20, seed=9))
    translate("a.png", "b.png")
    assert run_names() == ["a-to-b", "a-to-b-2"]


@pytest.mark.parametrize(
    "flags",
    [
        ["--retrain"],
        ["--seed", "1"],
        ["--steps", "2"],
        ["--dtype", "bfloat16"],
        ["--max-minutes", "5"],
        ["--preset", "draft"],
        ["--run", "runs/other"],
    ],
    ids=lambda flags: flags[0],
)
def test_other_settings_and_retrain_train_in_a_new_folder(
    here_with_run: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert new_folder(capsys, *flags) == ("runs/other" if "--run" in flags else "runs/a-to-b-2")


def new_folder(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """The folder in which `translate` of a.png and b.png would train; "" where it uses a run."""
    capsys.readouterr()
    translate("a.png", "b.png", *flags, "--dry-run")
    output = capsys.readouterr().out
    folders = re.findall(r"writes  (runs/\S+)/", output)
    assert ("trains  lonepair" in output) == bool(folders)
    return folders[0] if folders else ""


def test_retrain_trains_in_the_new_folder(here_with_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a dry run names is what happens."""
    assert new_folder(capsys) == ""
    translate("a.png", "b.png", "--no-synthesize", "--retrain")
    assert run_names() == ["a-to-b", "a-to-b-2"]


@pytest.mark.parametrize("damage", ["no completion", "other pixels", "other model", "no model"])
def test_a_run_that_may_differ_is_not_used(
    here_with_run: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path("runs/a-to-b")
    if damage == "no completion":  # the training was stopped, or is of an older version
        (run / "completion.json").unlink()
    elif damage == "other pixels":  # decoded by another version
        record = json.loads((run / "completion.json").read_text())
        record["inputs"]["a"] = "0" * 64
        (run / "completion.json").write_text(json.dumps(record))
    elif damage == "other model":
        untrained(methods.DEFAULT, run / "model.safetensors")
    else:
        (run / "model.safetensors").unlink()
    assert new_folder(capsys) == "runs/a-to-b-2"


def test_run_names_the_folder_to_look_into(here_with_run: Path) -> None:
    translate("a.png", "b.png", "--run", "runs/a-to-b")
    assert run_names() == ["a-to-b"]


def test_a_time_limit_of_any_session_counts(here: Path) -> None:
    """A stage that a limit has shortened stays short when the run is resumed without the limit."""
    translate("a.png", "b.png", "--max-minutes", "5", "--no-synthesize")
    translate("a.png", "b.png", "--resume", "--no-synthesize")
    assert json.loads(Path("runs/a-to-b/completion.json").read_text())["max_minutes"] == 5
    translate("a.png", "b.png", "--no-synthesize")
    assert run_names() == ["a-to-b", "a-to-b-2"]


def test_generate_uses_the_run_of_the_same_image(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", *tiny_flags(methods.DEFAULT_SAMPLES), "a.png", "--count", "1"]
    assert main(words) == 0
    assert main(words) == 0
    assert "uses runs/a, trained on" in capsys.readouterr().err
    assert read_image("a-samples/000.png").equal(read_image("a-samples-2/000.png"))
    assert run_names() == ["a"]
