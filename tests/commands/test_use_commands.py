"""Commands that train on one image and commands that use a trained model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import lonepair.methods as methods
from command_line import list_files, tiny_flags
from lonepair.commands.main import main
from lonepair.media.clips.frames import decode
from lonepair.media.clips.write import read_clip_metadata
from lonepair.media.stills.image import read_image, read_metadata, write_image
from lonepair.train.checkpoint import load_model
from tiny_settings import picture


@pytest.fixture(scope="session", params=["singan", "consingan"])
def single_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on a.png, for each published method of one image."""
    folder = tmp_path_factory.mktemp("single")
    write_image(folder / "a.png", picture(24, 20, seed=1))
    words = ["train", "--method", request.param, *tiny_flags(request.param), str(folder / "a.png")]
    assert main([*words, "--run", str(folder / "run")]) == 0
    return folder / "run"


def test_generate_gives_the_samples_of_its_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", *tiny_flags(methods.DEFAULT_SAMPLES), "a.png", "--count", "3", "--seed", "4"]) == 0
    assert capsys.readouterr().out == "a-samples/sheet.png\n"
    assert list_files("a-samples") == {"000.png", "001.png", "002.png", "sheet.png"}
    assert f'"method": "{methods.DEFAULT_SAMPLES}"' in Path("runs/a/config.json").read_text()
    assert main(["sample", "runs/a", "--count", "1", "--seed", "4", "--dtype", "float32"]) == 0
    assert torch.equal(read_image("a-samples/000.png"), read_image("a-samples-2/000.png"))


def test_train_takes_its_method_from_the_number_of_inputs(here: Path) -> None:
    assert main(["train", *tiny_flags(methods.DEFAULT_SINGLE), "a.png"]) == 0
    assert main(["train", *tiny_flags(), "a.png", "b.png"]) == 0
    assert load_model("runs/a/model.safetensors")[0].name == methods.DEFAULT_SINGLE
    assert load_model("runs/a-to-b/model.safetensors")[0].name == methods.DEFAULT


def test_sample_writes_samples_of_a_size_and_a_stage_sheet(here: Path, single_run: Path) -> None:
    assert main(["sample", str(single_run), "--count", "2", "--size", "31x19", "--stage-sheet", "-o", "s"]) == 0
    assert list_files("s") == {"000.png", "001.png", "sheet.png", "stage-sheet.png"}
    assert read_image("s/001.png").shape == (1, 3, 19, 31)
    assert main(["sample", str(single_run), "-o", "s"]) == 2
    assert main(["sample", str(single_run), "--count", "1", "-o", "s", "--overwrite"]) == 0


def test_sample_writes_both_images_of_a_pair(here: Path, pair_run: Path) -> None:
    assert main(["sample", str(pair_run), "--count", "2"]) == 0
    assert list_files("a-to-b-samples") == {"000-a.png", "000-b.png", "001-a.png", "001-b.png", "sheet.png"}


def test_retarget_takes_both_sides_or_the_longest(
    here: Path, single_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retarget", str(single_run), "--size", "40x17"]) == 0
    assert capsys.readouterr().out == "a-retarget.png\n"
    assert read_image("a-retarget.png").shape == (1, 3, 17, 40)
    assert main(["retarget", str(single_run), "--size", "34", "-o", "o.jpg", "--start-stage", "1"]) == 0
    assert read_image("o.jpg").shape[-2:] == (34, 29)  # 20x17 as trained


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.png", "out.webp"])
def test_animate_writes_every_format(here: Path, single_run: Path, name: str) -> None:
    assert (
        main(["animate", str(single_run), "-o", name, "--frames", "4", "--rate", "5", "--loop", "--size", "40x32"]) == 0
    )
    frames = list(decode(name))
    assert {float(frame.time) for frame in frames} <= {0.0, 0.2, 0.4, 0.6}  # equal frames become one
    assert frames[0].image.shape[-2:] == (32, 40)
    assert json.loads(read_clip_metadata(name)["lonepair"])["use"]["loop"] is True


@pytest.mark.parametrize("command", ["edit", "harmonize"])
def test_edits_change_only_the_masked_region(here: Path, single_run: Path, command: str) -> None:
    mask = torch.full((1, 1, 24, 20), -1.0)
    mask[..., :6, :6] = 1
    write_image("m.png", mask)
    write_image("e.png", picture(24, 20, seed=7))
    words = [command, str(single_run), "e.png", "--dilate", "1", "--feather", "0"]
    assert main([*words, "--mask", "m.png", "--original", "a.png"]) == 0
    out, original = read_image(f"e-{command}.png"), read_image("a.png")
    assert torch.equal(out[..., 8:, :], original[..., 8:, :])
    assert not torch.equal(out[..., :6, :6], original[..., :6, :6])
    assert main([*words, "--original", "a.png", "-o", "p.png"]) == 0
    assert json.loads(read_metadata("p.png")["lonepair"])["use"]["name"] == command


@pytest.mark.parametrize(
    "words", [["paint", "--colors", "3", "--palette", "a.png"], ["refine", "--start-stage", "1"]], ids=lambda w: w[0]
)
def test_paint_and_refine_keep_the_size_of_their_input(here: Path, single_run: Path, words: list[str]) -> None:
    command, *flags = words
    assert main([command, str(single_run), "b.png", *flags]) == 0
    assert read_image(f"b-{command}.png").shape == (1, 3, 20, 26)


def test_superresolve_enlarges_if_the_method_supports_it(here: Path, single_run: Path) -> None:
    has_support = "superresolve" in load_model(single_run / "model.safetensors")[0].uses
    words = ["superresolve", str(single_run), "b.png", "--factor", "1.5", "-o", "s.png"]
    assert main(words) == (0 if has_support else 2)
    assert not has_support or read_image("s.png").shape == (1, 3, 30, 39)


def test_train_continues_from_a_warm_start_on_a_composite(here: Path) -> None:
    words = ["train", *tiny_flags("consingan"), "a.png", "--preset", "harmonization", "--stages", "2"]
    words += ["--fine-tuning-steps", "2"]
    write_image("c.png", picture(24, 20, seed=8))
    assert main([*words, "--run", "first"]) == 0
    assert main([*words, "--run", "tuned", "--composite", "c.png", "--warm-start", "first"]) == 0
    assert main(["harmonize", "tuned", "c.png", "--original", "a.png", "-o", "h.png"]) == 0
    config = json.loads(Path("tuned/config.json").read_text())
    assert config["inputs"]["composite"]["name"] == "c.png"
    assert list_files("tuned/inputs") == {"a.png", "composite.png"}
    assert config["warm_start"]["name"] == "first"


def test_generate_learns_from_several_images(here: Path) -> None:
    Path("many").mkdir()
    for index in range(3):
        write_image(f"many/{index}.png", picture(24, 20, seed=index))
    assert main(["generate", "--method", "consingan", *tiny_flags("consingan"), "many", "--count", "1"]) == 0
    assert list_files("many-samples") == {"000.png", "sheet.png"}
