"""The command `translate` with images: its files, the size and channels of its output, and trained models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from command_line import list_files, translate
from lonepair.commands.main import main
from lonepair.media.stills.image import read_image, read_metadata
from lonepair.train.checkpoint import load_model
from tiny_settings import picture


def use_of(path: str | Path) -> dict[str, object]:
    """The name and settings of the use that wrote the image at `path`."""
    use: dict[str, object] = json.loads(read_metadata(path)["lonepair"])["use"]
    return use


# -- training and translating -----------------------------------------------------------------------------------------


def test_translate_writes_an_image_a_sheet_and_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    translate("a.png", "b.png", "--seed", "5")
    captured = capsys.readouterr()
    assert captured.out == "a-as-b.png\na-as-b-sheet.png\n"
    run = {"completion.json", "config.json", "environment.json", "log.txt", "metrics.jsonl", "model.safetensors"}
    run |= {"state/state.pt", "state/previous.pt", "state/lock"}
    run |= {"previews/stage-0.png", "previews/stage-1.png", "inputs/a.png", "inputs/b.png"}
    assert list_files("runs/a-to-b") == run
    outputs = {"a-as-b.png", "a-as-b-sheet.png"}
    assert list_files() == {"a.png", "b.png"} | outputs | {f"runs/a-to-b/{name}" for name in run}
    assert read_image("a-as-b.png").shape == (1, 3, 24, 20)
    assert "stages: 15x18, 17x20" in captured.err
    log = Path("runs/a-to-b/log.txt").read_text()
    assert "lonepair (standard) on cpu, float32" in log
    assert "training is complete" in log

    # Metrics, environment and metadata say how the image was made.
    rows = [json.loads(line) for line in Path("runs/a-to-b/metrics.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["step"]) for row in rows] == [(0, 3), (1, 3)]
    assert any(name.startswith("patch_distance_") for name in rows[0])
    environment = json.loads(Path("runs/a-to-b/environment.json").read_text())
    assert (environment["torch"], environment["threads"]) == (torch.__version__, 1)
    settings = json.loads(read_metadata("a-as-b.png")["lonepair"])
    config = json.loads(Path("runs/a-to-b/config.json").read_text())
    assert {key: settings[key] for key in config} == config
    assert (settings["seed"], settings["config"]["steps"]) == (5, 3)
    assert settings["inputs"]["a"]["name"] == "a.png"
    assert (settings["use"]["name"], settings["use"]["direction"]) == ("translate", "a_to_b")


def test_the_same_command_gives_the_same_files_under_free_names(here: Path, pair_run: Path) -> None:
    Path("a-as-b.png").write_text("mine")
    translate("a.png", "b.png")
    assert Path("a-as-b.png").read_text() == "mine"
    assert {"a-as-b-2.png", "a-as-b-2-sheet.png"} <= list_files()
    assert Path("a-as-b-2.png").read_bytes() == (pair_run.parent / "out.png").read_bytes()
    run = Path("runs/a-to-b")
    assert list_files(run) == list_files(pair_run)
    for name in ("model.safetensors", "config.json"):
        assert (run / name).read_bytes() == (pair_run / name).read_bytes()


def test_a_large_photo_is_reduced_for_training_with_a_message(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ramp = np.linspace(0, 255, 1200, dtype=np.uint8)  # more pixels than are computed at once
    Image.fromarray(np.broadcast_to(ramp[:900, None, None], (900, 1200, 3)).copy()).save("large.jpg")
    translate("large.jpg", "b.png", "-o", "o.jpg", "--no-synthesize")
    assert "large.jpg: 1200x900 is reduced to 20x15 for training" in capsys.readouterr().err
    assert read_image("o.jpg").shape == (1, 3, 900, 1200)


def save_source(kind: str) -> tuple[str, tuple[int, int, int]]:
    """Save a source of an unusual kind; returns its name, and (c, h, w) of its translation with an RGB target."""
    array = ((picture(33, 25, 4, seed=3)[0].permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8)
    image = Image.fromarray(array[..., :3])
    exif = Image.Exif()
    exif[0x112] = 6  # rotated by 90 degrees
    if kind == "gray":
        image.convert("L").save("s.png")
    elif kind == "RGBA":
        Image.fromarray(array).save("s.png")
        return "s.png", (4, 33, 25)
    elif kind == "16 bit":
        Image.fromarray(array[..., 0].astype(np.uint16) * 257).save("s.png")
    elif kind == "palette":
        image.quantize(8).save("s.png")
    elif kind == "rotated":
        image.save("s.jpg", exif=exif)
        return "s.jpg", (3, 25, 33)
    else:
        image.save("s.webp", lossless=True)
        return "s.webp", (3, 33, 25)
    return "s.png", (3, 33, 25)


@pytest.mark.parametrize("kind", ["gray", "RGBA"])
def test_training_takes_gray_and_transparent_images(here: Path, kind: str) -> None:
    name, shape = save_source(kind)
    translate(name, "b.png")
    with Image.open("s-as-b.png") as out:
        # An alpha channel is kept even where the translation is opaque, as b.png is.
        assert (len(out.getbands()), out.height, out.width) == shape


@pytest.mark.parametrize("kind", ["gray", "16 bit", "palette", "rotated", "odd size"])
def test_a_model_takes_images_of_every_kind(here: Path, pair_run: Path, kind: str) -> None:
    name, shape = save_source(kind)
    assert main(["translate", name, str(pair_run)]) == 0
    with Image.open("s-as-b.png") as out:
        assert (len(out.getbands()), out.height, out.width) == shape


def test_a_gray_source_gets_the_targets_transparency(here: Path) -> None:
    name, _ = save_source("RGBA")
    Image.open(name).convert("L").save("gray.png")
    translate("gray.png", name)
    assert load_model("runs/gray-to-s/model.safetensors")[0].plan.channels == 4
    assert read_image("gray-as-s.png").shape[-2:] == (33, 25)


# -- a trained model --------------------------------------------------------------------------------------------------


def test_a_model_gives_the_image_that_its_training_gave(here: Path, pair_run: Path) -> None:
    assert main(["translate", "a.png", str(pair_run), "--dtype", "float32", "-o", "m.png", "--start-stage", "0"]) == 0
    assert torch.equal(read_image("m.png"), read_image(pair_run.parent / "out.png"))
    assert use_of("m.png")["start_stage"] == 0


def test_reverse_translates_in_the_other_direction(here: Path, pair_run: Path) -> None:
    translate("a.png", "b.png", "--reverse", "-o", "r.png")
    assert read_image("r.png").shape == (1, 3, 20, 26)
    assert use_of("r.png")["direction"] == "b_to_a"
    # The model of the same training gives the same image.
    assert main(["translate", "b.png", str(pair_run), "--reverse", "--dtype", "float32", "-o", "m.png"]) == 0
    assert torch.equal(read_image("m.png"), read_image("r.png"))


def test_translate_without_synthesis_gives_another_image_and_a_stage_sheet(here: Path, pair_run: Path) -> None:
    words = ["--dtype", "float32", "--no-synthesize", "--stage-sheet", "-o", "plain.png"]
    assert main(["translate", "a.png", str(pair_run), *words]) == 0
    assert not torch.equal(read_image("plain.png"), read_image(pair_run.parent / "out.png"))
    assert use_of("plain.png")["synthesize"] is False
    assert use_of("plain-sheet.png")["name"] == "translate_stage_sheet"


def test_outputs_are_replaced_only_with_overwrite(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", "a.png", str(pair_run), "-o", "o.png"]
    assert main(words) == 0
    first = Path("o.png").read_bytes()
    assert main([*words, "--seed", "1"]) == 2
    assert capsys.readouterr().err.endswith(
        "lonepair: o.png: the file exists already; give --overwrite to replace it, or another name\n"
    )
    assert Path("o.png").read_bytes() == first
    assert main([*words, "--seed", "1", "--overwrite"]) == 0
    assert Path("o.png").read_bytes() != first
    assert list_files() == {"a.png", "b.png", "o.png", "o-sheet.png"}


def test_a_free_name_is_free_for_the_sheet_too(here: Path, pair_run: Path) -> None:
    Path("a-as-b-sheet.png").write_text("mine")
    assert main(["translate", "a.png", str(pair_run)]) == 0
    assert list_files() == {"a.png", "b.png", "a-as-b-sheet.png", "a-as-b-2.png", "a-as-b-2-sheet.png"}
    assert Path("a-as-b-sheet.png").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "size"), [("", (24, 20)), ("48", (48, 40)), ("47x33", (33, 47)), ("8X9", (9, 8)), ("40x30", (30, 40))]
)
def test_size_sets_the_size_of_the_output(here: Path, pair_run: Path, text: str, size: tuple[int, int]) -> None:
    assert main(["translate", "a.png", str(pair_run), "--size", text, "-o", "out.jpg", "--start-stage", "1"]) == 0
    assert read_image("out.jpg").shape == (1, 3, *size)
    assert use_of("out.jpg")["start_stage"] == 1


def test_training_flags_are_refused_beside_a_model(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", "a.png", str(pair_run), "--steps", "3"]) == 2
    assert f"--steps is for training, and {pair_run} is a trained model" in capsys.readouterr().err
