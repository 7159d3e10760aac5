"""Names of outputs: made from the inputs' names, and numbered when they are written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from command_line import list_files, translate, write_clip
from lonepair.commands.main import main
from lonepair.commands.outputs import input_name, model_name, plain_name, write_result
from lonepair.media.stills.image import read_image, write_image
from tiny_settings import picture
from warm_processes import start_module


@pytest.mark.parametrize(
    ("text", "name"),
    [("eggs", "eggs"), ("my photo (1)", "my_photo_1_"), ("-x", "x"), (".hidden", "hidden"), ("?", "_"), ("", "image")],
)
def test_a_name_has_no_character_that_a_shell_reads(text: str, name: str) -> None:
    assert plain_name(text) == name
    assert len(plain_name(text * 99)) <= 80


def test_a_folders_name_keeps_its_dots(here: Path) -> None:
    Path("shots.v2").mkdir()
    assert input_name(Path("shots.v2")) == "shots.v2"
    assert input_name(Path("some/photo.v2.jpg")) == "photo.v2"
    assert input_name(Path()) == here.name


def test_a_model_is_named_for_what_it_learned_from_else_for_its_file(tmp_path: Path) -> None:
    settings = {"inputs": {"a": {"name": "my eggs.png"}, "b": {"name": "bowls.jpg"}}}
    assert model_name(settings, tmp_path) == "my_eggs-to-bowls"
    assert (model_name(settings, tmp_path, "a"), model_name(settings, tmp_path, "b")) == ("my_eggs", "bowls")
    (tmp_path / "run").mkdir()
    assert model_name({}, tmp_path / "run", "b") == "run"
    assert model_name({}, tmp_path / "run" / "model.safetensors", "b") == "run"
    assert model_name({}, tmp_path / "volcano.safetensors") == "volcano"


def test_a_translation_with_a_model_is_named_for_its_target(here: Path, pair_run: Path) -> None:
    write_image("my photo.png", picture(24, 20))
    assert main(["translate", "my photo.png", str(pair_run)]) == 0
    assert main(["translate", "my photo.png", str(pair_run), "--reverse"]) == 0
    assert {"my_photo-as-b.png", "my_photo-as-b-sheet.png", "my_photo-as-a.png"} <= list_files()


def test_an_existing_folder_receives_the_named_file(here: Path, pair_run: Path) -> None:
    Path("results").mkdir()
    assert main(["translate", "a.png", str(pair_run), "-o", "results"]) == 0
    assert list_files("results") == {"a-as-b.png", "a-as-b-sheet.png"}


def test_commands_that_run_at_once_keep_all_results(
    here: Path, pair_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    printed = tmp_path_factory.mktemp("printed")
    words = ["translate", "a.png", str(pair_run), "--threads", "1"]
    runs = [
        start_module("lonepair", [*words, "--seed", str(seed)], printed / f"{seed}", printed / "stderr")
        for seed in range(2)
    ]
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    lines = [(printed / f"{seed}").read_text().split() for seed in range(2)]
    stems = ("a-as-b", "a-as-b-2")
    assert sorted(lines) == sorted([f"{stem}.png", f"{stem}-sheet.png"] for stem in stems)
    assert list_files() == {"a.png", "b.png"} | {name for names in lines for name in names}
    # Each printed name is that process's own picture.
    for seed, names in enumerate(lines):
        assert main(["translate", "a.png", str(pair_run), "--seed", str(seed), "-o", f"{seed}.png"]) == 0
        assert read_image(f"{seed}.png").equal(read_image(names[0]))


def test_a_name_that_is_taken_during_the_work_gets_a_number(here: Path) -> None:
    def write(path: Path) -> None:
        Path("o-sheet.png").write_text("of another process")
        path.write_text("picture")
        path.with_name("o-sheet.png").write_text("sheet")

    assert write_result(Path("o.png"), False, write) == [Path("o-2.png"), Path("o-2-sheet.png")]
    assert Path("o-sheet.png").read_text() == "of another process"
    assert not Path("o.png").exists()
    assert write_result(Path("o.png"), True, write) == [Path("o.png"), Path("o-sheet.png")]
    assert Path("o-sheet.png").read_text() == "sheet"


def test_stdout_has_only_names_of_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    translate("a.png", "b.png")
    captured = capsys.readouterr()
    assert captured.out == "a-as-b.png\na-as-b-sheet.png\n"
    assert "wrote a-as-b.png and a-as-b-sheet.png (training 0:" in captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a.png --workers 2", "a.png: is an image, which one process translates; leave out --workers"),
        ("clip.mp4 --workers 2 --run-in 4", "--run-in is 4, and only segments have a run-in: give --segment-frames"),
    ],
)
def test_flags_of_workers_without_effect_are_refused(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    write_clip("clip.mp4", [Fraction(0), Fraction(1, 10)])
    source, *flags = words.split()
    assert main(["translate", source, str(pair_run), *flags]) == 2
    assert message in capsys.readouterr().err
