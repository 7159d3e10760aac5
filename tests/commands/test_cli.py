"""The command line from end to end, on tiny inputs: what it writes, what it says, how it stops and goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bad_inputs
import lonepair.methods as methods
from conftest import picture
from lonepair.commands import COMMANDS
from lonepair.commands.main import main, with_flags
from lonepair.media.frames import decode, probe
from lonepair.media.image import read_image, read_metadata, write_image
from lonepair.media.write import ClipWriter, read_clip_metadata
from lonepair.methods.base import Method
from lonepair.train.checkpoint import load_model
from lonepair.train.events import Report
from lonepair.train.run import RunFolder
from lonepair.train.watchers import MetricsFile

TINY = [*bad_inputs.TINY, "--threads", "1"]
TIMES = [Fraction(0), Fraction(1, 25), Fraction(1, 10), Fraction(1, 5), Fraction(1, 2)]
"""A variable frame rate."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with a source of 24x20 (height x width) and a target."""
    monkeypatch.chdir(tmp_path)
    write_image("a.png", picture(24, 20, seed=1))
    write_image("b.png", picture(20, 26, seed=2))
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a.png and b.png."""
    folder = tmp_path_factory.mktemp("trained")
    write_image(folder / "a.png", picture(24, 20, seed=1))
    write_image(folder / "b.png", picture(20, 26, seed=2))
    assert main(["train", *TINY, str(folder / "a.png"), str(folder / "b.png"), "--run", str(folder / "run")]) == 0
    return folder / "run" / "model.safetensors"


def write_clip(path: str, times: list[Fraction]) -> None:
    with ClipWriter(path, (20, 24), len(times) / (times[-1] + Fraction(1, 25))) as clip:
        for index, time in enumerate(times):
            clip.write(picture(20, 24, seed=index), time)


def names(folder: str | Path = ".") -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def translate(*words: str) -> None:
    assert main(["translate", *TINY, *words]) == 0


# -- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"], ["--version"]])
def test_top_level_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    said = capsys.readouterr().out
    if arguments == ["--version"]:
        assert re.fullmatch(r"lonepair \d+\.\d+\.\d+\n", said)
    else:
        assert all(f"\n  {name} " in said for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    said = capsys.readouterr()
    assert f"usage: lonepair {command}" in said.out
    assert not said.err
    assert "default: None" not in said.out
    assert "(default: )" not in said.out


def test_help_of_translate_shows_the_flags_of_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "--help"]) == 0
    said = capsys.readouterr().out
    titles = re.findall(r"^([A-Z][A-Za-z ]+):$", said, re.M)
    assert titles[:5] == ["Inputs", "Translation", "Output", "Run options", "Method settings"]
    assert said.count("  --start-stage ") == 1
    for flag in ("--no-synthesize", "--stage-sheet", "--steps", "--preset", "--seed"):
        assert f"  {flag}" in said
    assert "Do not replace patches" in said
    assert "For training only." in said


def test_help_shows_the_methods_settings_at_the_presets_values(capsys: pytest.CaptureFixture[str]) -> None:
    config = methods.get_method(methods.DEFAULT).config_class
    for preset in ("draft", "full"):
        main(["translate", "--help", "--preset", preset])
        said = re.sub(r"\s+", " ", capsys.readouterr().out)
        assert f"(default: {config.from_preset(preset).max_side})" in said
        assert "--lambda-structure" in said


@pytest.mark.parametrize("method", methods.names())
def test_help_shows_basic_settings_first_and_all_others_as_expert_settings(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--help", "--method", method]) == 0
    panels = dict(re.findall(r"^([A-Z][A-Za-z ]+):\n(.*?)(?=\n\n|\Z)", capsys.readouterr().out, re.M | re.S))
    config = methods.get_method(method).config_class
    names = {
        title: [flag.replace("-", "_") for flag in re.findall(r"^  (?:-\w, )?--(?:no-)?([\w-]+)", panels[title], re.M)]
        for title in ("Method settings", "Expert method settings")
    }
    basic = [name for name in config.basic if name in config.setting_names()]
    assert names["Method settings"] == basic
    assert set(names["Expert method settings"]) == set(config.setting_names()) - set(basic)


def test_help_of_a_switch_that_may_be_left_to_the_model_shows_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--help"]) == 0
    assert "--synthesis-clip-half-search {True,False}" in capsys.readouterr().out


def test_help_needs_no_torch() -> None:
    script = (
        "import sys\nfrom lonepair.commands.main import main\nfrom lonepair.commands import COMMANDS\n"
        "for words in (['--help'], *([name, '--help'] for name in COMMANDS)): assert main(words) == 0\n"
        "heavy = {'torch', 'numpy', 'PIL', 'av'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_methods(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    said = capsys.readouterr().out
    for name in methods.names():
        assert name in said
    assert "(default for a pair)" in said
    assert "presets: draft, standard, full" in said


def test_info(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(trained)]) == 0
    of_model = capsys.readouterr().out
    assert main(["info", str(trained.parent)]) == 0
    assert capsys.readouterr().out == of_model
    counts = {name: int(n.replace(",", "")) for name, n in re.findall(r"^  (g_.+?) +([\d,]+)$", of_model, re.M)}
    assert counts == load_model(trained)[0].parameter_counts()
    for part in (
        "trained to   stage 2 of 2",
        "input a      a.png",
        "stages a     15x18 17x20",
        "  width              8",
    ):
        assert part in of_model


def test_info_of_nothing_counts_a_methods_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    def total(*words: str) -> int:
        assert main(["info", *words]) == 0
        found = re.search(r"total +([\d,]+)", capsys.readouterr().out)
        assert found is not None
        return int(found[1].replace(",", ""))

    assert abs(total("--method", "representative") / 1.32e6 - 1) < 0.03  # the thesis' own count
    assert total() < 1.32e6


# -- one image --------------------------------------------------------------------------------------------------------


def test_an_image(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    translate("a.png", "b.png", "--seed", "5")
    said = capsys.readouterr()
    assert said.out == "out.png\nout-sheet.png\n"
    run = {"config.json", "environment.json", "log.txt", "metrics.jsonl", "model.safetensors"}
    run |= {"state/state.pt", "previews/stage-0.png", "previews/stage-1.png", "inputs/a.png", "inputs/b.png"}
    assert names("runs/a-to-b") == run
    assert names() == {"a.png", "b.png", "out.png", "out-sheet.png"} | {f"runs/a-to-b/{name}" for name in run}
    assert read_image("out.png").shape == (1, 3, 24, 20)
    assert "stages: 15x18, 17x20" in said.err
    log = Path("runs/a-to-b/log.txt").read_text()
    assert "lonepair (standard) on cpu, float32" in log
    assert "training is complete" in log
    rows = [json.loads(line) for line in Path("runs/a-to-b/metrics.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["step"]) for row in rows] == [(0, 3), (1, 3)]
    assert any(name.startswith("patch_distance_") for name in rows[0])
    environment = json.loads(Path("runs/a-to-b/environment.json").read_text())
    assert (environment["torch"], environment["threads"]) == (torch.__version__, 1)

    settings = json.loads(read_metadata("out.png")["lonepair"])
    config = json.loads(Path("runs/a-to-b/config.json").read_text())
    assert {key: settings[key] for key in config} == config
    assert (settings["seed"], settings["config"]["steps"], settings["direction"]) == (5, 3, "a_to_b")
    assert settings["inputs"]["a"]["name"] == "a.png"


def test_the_same_command_gives_the_same_files(here: Path) -> None:
    translate("a.png", "b.png")
    translate("a.png", "b.png")  # takes the next free names
    assert {"out.png", "out-2.png", "out-2-sheet.png"} <= names()
    assert Path("out.png").read_bytes() == Path("out-2.png").read_bytes()
    one, two = (Path("runs", name) for name in ("a-to-b", "a-to-b-2"))
    assert names(one) == names(two)
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    assert (one / "config.json").read_bytes() == (two / "config.json").read_bytes()


def test_outputs_are_replaced_only_when_asked(here: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(trained)
    assert main(["translate", "a.png", model, "-o", "o.png"]) == 0
    first = Path("o.png").read_bytes()
    assert main(["translate", "a.png", model, "-o", "o.png", "--seed", "1"]) == 2
    assert capsys.readouterr().err.endswith(
        "lonepair: o.png: the file exists already; give --overwrite to replace it, or another name\n"
    )
    assert Path("o.png").read_bytes() == first
    assert main(["translate", "a.png", model, "-o", "o.png", "--seed", "1", "--overwrite"]) == 0
    assert Path("o.png").read_bytes() != first
    assert names() == {"a.png", "b.png", "o.png", "o-sheet.png"}


def test_a_free_name_is_free_for_the_sheet_too(here: Path, trained: Path) -> None:
    Path("out-sheet.png").write_text("mine")
    assert main(["translate", "a.png", str(trained)]) == 0
    assert names() == {"a.png", "b.png", "out-sheet.png", "out-2.png", "out-2-sheet.png"}


def test_reverse_redraws_the_target(here: Path, trained: Path) -> None:
    translate("a.png", "b.png", "--reverse", "-o", "r.png")
    assert read_image("r.png").shape == (1, 3, 20, 26)
    assert json.loads(read_metadata("r.png")["lonepair"])["direction"] == "b_to_a"
    assert main(["translate", "b.png", str(trained), "--reverse", "--dtype", "float32", "-o", "m.png"]) == 0
    assert torch.equal(read_image("m.png"), read_image("r.png"))  # the same training


def test_a_model_takes_the_place_of_the_target(here: Path, trained: Path) -> None:
    translate("a.png", "b.png", "-o", "t.png")
    assert main(["translate", "a.png", str(trained), "--dtype", "float32", "-o", "m.png", "--start-stage", "0"]) == 0
    assert torch.equal(read_image("m.png"), read_image("t.png"))
    assert main(["translate", "b.png", str(trained), "-o", "n.jpg", "--size", "40x30", "--start-stage", "1"]) == 0
    assert read_image("n.jpg").shape == (1, 3, 30, 40)
    assert json.loads(read_metadata("n.jpg")["lonepair"])["start_stage"] == 1


@pytest.mark.parametrize(("size", "given"), [((24, 20), ""), ((48, 40), "48"), ((33, 47), "47x33"), ((9, 8), "8X9")])
def test_size_of_the_output(here: Path, trained: Path, size: tuple[int, int], given: str) -> None:
    assert main(["translate", "a.png", str(trained), "--size", given]) == 0
    assert read_image("out.png").shape[-2:] == size


def save_source(kind: str) -> tuple[str, tuple[int, int, int]]:
    """A source file of an odd kind; its name, and (channels, h, w) of what is made of it with an RGB target."""
    array = ((picture(33, 25, 4, seed=3)[0].permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8)
    image = Image.fromarray(array[..., :3])
    exif = Image.Exif()
    exif[0x112] = 6
    if kind == "grey":
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


@pytest.mark.parametrize("kind", ["grey", "RGBA", "16 bit", "palette", "rotated", "odd size"])
def test_images_of_every_kind(here: Path, kind: str) -> None:
    name, shape = save_source(kind)
    translate(name, "b.png")
    with Image.open("out.png") as out:
        assert (len(out.getbands()), out.height, out.width) == shape  # though all of it be opaque, as b.png is


def test_grey_meets_transparent(here: Path) -> None:
    name, _ = save_source("RGBA")
    Image.open(name).convert("L").save("grey.png")
    translate("grey.png", name)
    assert load_model("runs/grey-to-s/model.safetensors")[0].plan.channels == 4
    assert read_image("out.png").shape[-2:] == (33, 25)


def test_a_large_photo_is_reduced_for_training_and_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ramp = np.linspace(0, 255, 1400, dtype=np.uint8)
    Image.fromarray(np.broadcast_to(ramp[:1000, None, None], (1000, 1400, 3)).copy()).save("large.jpg")
    translate("large.jpg", "b.png", "-o", "o.jpg")
    assert "large.jpg: 1400x1000 is reduced to 20x15 for training" in capsys.readouterr().err
    assert read_image("o.jpg").shape == (1, 3, 1000, 1400)


# -- clips ------------------------------------------------------------------------------------------------------------


def test_a_clip(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip("clip.mp4", [Fraction(index, 25) for index in range(5)])
    translate("clip.mp4", "b.png", "--save-frames", "frames")
    assert capsys.readouterr().out == "out.mp4\nout-sheet.png\n"
    before, after = probe("clip.mp4"), probe("out.mp4")
    assert (after.size, after.rate, after.frame_count) == (before.size, before.rate, 5)
    assert names("frames") == {f"{index:06d}.png" for index in range(5)}
    frames = [frame.image for frame in decode("out.mp4")]
    for index, frame in enumerate(frames):
        # Sharp colors lose something to the codec.
        assert (frame - read_image(f"frames/{index:06d}.png")).abs().mean() < 0.09
    settings = json.loads(read_clip_metadata("out.mp4")["lonepair"])
    assert (settings["seed"], settings["config"]["width"], settings["inputs"]["b"]["name"]) == (0, 8, "b.png")


def test_a_variable_frame_rate_is_kept(here: Path, trained: Path) -> None:
    write_clip("clip.mp4", TIMES)
    assert main(["translate", "clip.mp4", str(trained)]) == 0
    assert [frame.time for frame in decode("out.mp4")] == TIMES


def test_a_clip_of_one_frame_is_a_clip(here: Path) -> None:
    write_clip("clip.mp4", [Fraction(0)])
    translate("clip.mp4", "b.png")
    assert [frame.time for frame in decode("out.mp4")] == [0]


def test_an_animated_gif(here: Path, trained: Path) -> None:
    write_clip("clip.gif", TIMES)
    assert main(["translate", "clip.gif", str(trained), "-o", "o.gif"]) == 0
    assert [frame.time for frame in decode("o.gif")] == TIMES
    assert read_clip_metadata("o.gif").keys() == {"lonepair"}
    assert main(["translate", "clip.gif", str(trained), "-o", "p.mkv", "--size", "30"]) == 0
    assert probe("p.mkv").size == (25, 30)


def test_a_folder_of_frames(here: Path) -> None:
    Path("shots").mkdir()
    for index in (1, 2, 10):
        write_image(f"shots/shot{index}.png", picture(20, 24, seed=index))
    translate("shots", "b.png", "--reverse", "-o", "r.png")
    translate("shots", "b.png", "--save-frames", "frames")
    assert probe("out.mp4").frame_count == 3
    assert names("frames") == {"000000.png", "000001.png", "000002.png"}
    assert read_image("r.png").shape == (1, 3, 20, 26)
    assert names("runs").isdisjoint({"r.png"})


# -- one image alone --------------------------------------------------------------------------------------------------


def tiny_of(method: str) -> list[str]:
    return [*bad_inputs.tiny_flags(method), "--threads", "1"]


@pytest.fixture(scope="module", params=["singan", "consingan"])
def single(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a.png of each method of one image."""
    folder = tmp_path_factory.mktemp("single")
    write_image(folder / "a.png", picture(24, 20, seed=1))
    words = ["train", "--method", request.param, *tiny_of(request.param), str(folder / "a.png")]
    assert main([*words, "--run", str(folder / "run")]) == 0
    return folder / "run"


def test_generate_trains_and_draws(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", *tiny_of(methods.DEFAULT_SAMPLES), "a.png", "--count", "3", "--seed", "4"]) == 0
    assert capsys.readouterr().out == "samples/sheet.png\n"
    assert names("samples") == {"000.png", "001.png", "002.png", "sheet.png"}
    assert f'"method": "{methods.DEFAULT_SAMPLES}"' in Path("runs/a/config.json").read_text()
    assert main(["sample", "runs/a", "--count", "1", "--seed", "4", "--dtype", "float32"]) == 0
    assert Path("samples/000.png").read_bytes() == Path("samples-2/000.png").read_bytes()


def test_train_takes_its_method_from_the_number_of_inputs(here: Path) -> None:
    assert main(["train", *tiny_of(methods.DEFAULT_SINGLE), "a.png"]) == 0
    assert main(["train", *TINY, "a.png", "b.png"]) == 0
    assert load_model("runs/a/model.safetensors")[0].name == methods.DEFAULT_SINGLE
    assert load_model("runs/a-to-b/model.safetensors")[0].name == methods.DEFAULT


def test_samples_of_a_size_and_all_start_stages(here: Path, single: Path) -> None:
    assert main(["sample", str(single), "--count", "2", "--size", "31x19", "--stage-sheet", "-o", "s"]) == 0
    assert names("s") == {"000.png", "001.png", "sheet.png", "stage-sheet.png"}
    assert read_image("s/001.png").shape == (1, 3, 19, 31)
    assert main(["sample", str(single), "-o", "s"]) == 2
    assert main(["sample", str(single), "--count", "1", "-o", "s", "--overwrite"]) == 0


def test_samples_of_a_pair(here: Path, trained: Path) -> None:
    assert main(["sample", str(trained), "--count", "2"]) == 0
    assert names("samples") == {"000-a.png", "000-b.png", "001-a.png", "001-b.png", "sheet.png"}


def test_retarget(here: Path, single: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retarget", str(single), "--size", "40x17"]) == 0
    assert capsys.readouterr().out == "out.png\n"
    assert read_image("out.png").shape == (1, 3, 17, 40)
    assert main(["retarget", str(single), "--size", "34", "-o", "o.jpg", "--start-stage", "1"]) == 0
    assert read_image("o.jpg").shape[-2:] == (34, 29)  # 20x17 as trained


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.png", "out.webp"])
def test_animate(here: Path, single: Path, name: str) -> None:
    assert main(["animate", str(single), "-o", name, "--frames", "4", "--rate", "5", "--loop", "--size", "40x32"]) == 0
    frames = list(decode(name))
    assert {float(frame.time) for frame in frames} <= {0.0, 0.2, 0.4, 0.6}  # frames that are equal become one
    assert frames[0].image.shape[-2:] == (32, 40)
    assert json.loads(read_clip_metadata(name)["lonepair"])["use"]["loop"] is True


@pytest.mark.parametrize("command", ["edit", "harmonize"])
def test_edits_keep_what_is_outside_the_mask(here: Path, single: Path, command: str) -> None:
    mask = torch.full((1, 1, 24, 20), -1.0)
    mask[..., :6, :6] = 1
    write_image("m.png", mask)
    write_image("e.png", picture(24, 20, seed=7))
    words = [command, str(single), "e.png", "--dilate", "1", "--feather", "0"]
    assert main([*words, "--mask", "m.png", "--original", "a.png"]) == 0
    out, original = read_image("out.png"), read_image("a.png")
    assert torch.equal(out[..., 8:, :], original[..., 8:, :])
    assert not torch.equal(out[..., :6, :6], original[..., :6, :6])
    assert main([*words, "--original", "a.png", "-o", "p.png"]) == 0
    assert json.loads(read_metadata("p.png")["lonepair"])["use"] == command


def test_paint_refine_and_superres(here: Path, single: Path) -> None:
    assert main(["paint", str(single), "b.png", "--colors", "3", "--palette", "a.png"]) == 0
    assert read_image("out.png").shape == (1, 3, 20, 26)
    assert main(["refine", str(single), "b.png", "--start-stage", "1"]) == 0
    assert read_image("out-2.png").shape == (1, 3, 20, 26)
    able = "superresolve" in load_model(single / "model.safetensors")[0].uses
    assert main(["superresolve", str(single), "b.png", "--factor", "1.5", "-o", "s.png"]) == (0 if able else 2)
    assert not able or read_image("s.png").shape == (1, 3, 30, 39)


def test_fine_tuning_on_a_composite(here: Path) -> None:
    words = ["train", *tiny_of("consingan"), "a.png", "--preset", "harmonization", "--stages", "2"]
    write_image("c.png", picture(24, 20, seed=8))
    assert main([*words, "--run", "first"]) == 0
    assert main([*words, "--run", "tuned", "--composite", "c.png", "--warm-start", "first"]) == 0
    assert main(["harmonize", "tuned", "c.png", "--original", "a.png", "-o", "h.png"]) == 0
    config = json.loads(Path("tuned/config.json").read_text())
    assert config["inputs"]["composite"]["name"] == "c.png"
    assert names("tuned/inputs") == {"a.png", "composite.png"}
    assert config["warm_start"]["name"] == "first"


def test_several_images_as_one_domain(here: Path) -> None:
    Path("many").mkdir()
    for index in range(3):
        write_image(f"many/{index}.png", picture(24, 20, seed=index))
    assert main(["generate", "--method", "consingan", *tiny_of("consingan"), "many", "--count", "1"]) == 0
    assert names("samples") == {"000.png", "sheet.png"}


# -- stopping, and going on -------------------------------------------------------------------------------------------


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, times: int = 1) -> None:
    """Ctrl-C, `times` in a row, when the training has taken `step` steps."""
    taken = 0
    own = MetricsFile.stepped

    def stepped(self: MetricsFile, method: Method, report: Report) -> None:
        nonlocal taken
        taken += 1
        own(self, method, report)
        if taken == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.01)  # until it is handled: two that wait together are one

    monkeypatch.setattr(MetricsFile, "stepped", stepped)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_ctrl_c_saves_and_the_run_goes_on_as_if_nothing_had_been(
    here: Path, trained: Path, step: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupt_at(monkeypatch, step)
    assert main(["translate", *TINY, "a.png", "b.png", "--run", "my"]) == 130
    monkeypatch.undo()
    monkeypatch.chdir(here)
    said = capsys.readouterr().err
    assert "stopping after this step; Ctrl-C again quits at once" in said
    assert said.splitlines()[-1] == (
        "lonepair: stopped; the same command with --resume --run my continues, my/model.safetensors can be used already"
    )
    assert signal.getsignal(signal.SIGINT) is before
    assert "ended by Interrupted" in Path("my/log.txt").read_text()
    assert not Path("out.png").exists()
    assert main(["translate", "a.png", "my/model.safetensors", "-o", "early.png"]) == 0
    translate("a.png", "b.png", "--run", "my", "--resume")
    assert Path("my/model.safetensors").read_bytes() == trained.read_bytes()
    assert {"out.png", "out-sheet.png"} <= names()
    assert not Path("my-2").exists()


def test_ctrl_c_twice_quits_at_once(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_at(monkeypatch, 2, times=2)
    # A shell's background job starts with the signal ignored, and would never know of the second.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["translate", *TINY, "a.png", "b.png"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.splitlines()[-1] == "lonepair: interrupted"
    assert not Path("runs/a-to-b/state/state.pt").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_real_ctrl_c(here: Path) -> None:
    command = [sys.executable, "-m", "lonepair", "train", *TINY, "a.png", "b.png", "--steps", "100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while "structure" not in said:  # the progress bar's first losses
            letter = process.stderr.read(1)
            assert letter, said
            said += letter
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith(
        "lonepair: stopped; the same command with --resume --run runs/a-to-b continues"
    )
    assert load_model("runs/a-to-b/model.safetensors")[0].stage == 0
    assert "Traceback" not in said


def test_a_finished_run_is_resumed_to_redraw_again(here: Path) -> None:
    translate("a.png", "b.png")
    model = Path("runs/a-to-b/model.safetensors").read_bytes()
    translate("a.png", "b.png", "--resume")
    assert Path("runs/a-to-b/model.safetensors").read_bytes() == model
    assert Path("out.png").read_bytes() == Path("out-2.png").read_bytes()
    assert [path.name for path in Path("runs").iterdir()] == ["a-to-b"]


def test_a_model_redraws_unfinished_and_shows_every_entry(here: Path) -> None:
    translate("a.png", "b.png")
    assert main(["translate", "a.png", "runs/a-to-b", "--no-synthesize", "--stage-sheet", "-o", "rough.png"]) == 0
    assert not torch.equal(read_image("rough.png"), read_image("out.png"))
    assert json.loads(read_metadata("rough-sheet.png")["lonepair"])["use"]["name"] == "translate_stage_sheet"


def test_other_settings_do_not_resume(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY, "a.png", "b.png"]) == 0
    before = {name: Path("runs", name).read_bytes() for name in names("runs")}
    capsys.readouterr()
    assert main(["train", *TINY, "a.png", "b.png", "--resume", "--steps", "4", "--seed", "3"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "steps was 3, is now 4; seed was 0, is now 3" in said
    assert {name: Path("runs", name).read_bytes() for name in names("runs")} == before


def test_resume_takes_the_latest_run(here: Path) -> None:
    for _ in range(2):
        assert main(["train", *TINY, "a.png", "b.png"]) == 0
    Path("runs/a-to-b-2/model.safetensors").unlink()
    settings = json.loads(Path("runs/a-to-b/config.json").read_text())
    assert RunFolder.latest(Path("runs/a-to-b"), settings).path == Path("runs/a-to-b-2")
    log = Path("runs/a-to-b/log.txt").read_text()
    assert main(["train", *TINY, "a.png", "b.png", "--resume"]) == 0
    assert Path("runs/a-to-b/log.txt").read_text() == log
    assert "resumes at stage 2 after 3 steps" in Path("runs/a-to-b-2/log.txt").read_text()


def test_max_minutes_ends_in_time_at_the_full_size(here: Path) -> None:
    translate("a.png", "b.png", "--steps", "100000", "--finest-steps", "100000", "--max-minutes", "0.005")
    assert read_image("out.png").shape == (1, 3, 24, 20)
    method, _ = load_model("runs/a-to-b/model.safetensors")
    assert method.stage == method.plan.stages - 1
    seconds = [json.loads(line)["seconds"] for line in Path("runs/a-to-b/metrics.jsonl").read_text().splitlines()]
    assert seconds[-1] < 3


# -- mistakes ---------------------------------------------------------------------------------------------------------


def test_debug_shows_where(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "none.png", "b.png", "--debug"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert "lonepair: none.png: no such file" in said


def test_only_an_error_of_this_package_is_called_a_bug(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(value: object) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr("lonepair.media.source.open_source", broken)
    assert main(["translate", "a.png", "b.png"]) == 1
    assert capsys.readouterr().err == (
        "lonepair: unexpected ZeroDivisionError: first line\n"
        f"lonepair: raised by {__name__}; the same command with --debug shows where\n"
    )
    with pytest.raises(ZeroDivisionError):
        main(["translate", "a.png", "b.png", "--debug"])
    monkeypatch.setattr("lonepair.media.source.open_source", None)
    assert main(["translate", "a.png", "b.png"]) == 1
    assert "lonepair: this is a bug in lonepair; the same command with --debug" in capsys.readouterr().err


def test_training_flags_are_refused_beside_a_model(
    here: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", "a.png", str(trained), "--steps", "3"]) == 2
    assert f"--steps is for training, and {trained} is a trained model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("start_stage is 9, the model has 2 stages", "--start-stage is 9, the model has 2 stages"),
        ("mask and original are both missing", "--mask and --original are both missing"),
        ("seed is 1; dilate is 300: choose 0 to 200", "--seed is 1; --dilate is 300: choose 0 to 200"),
        ("o.png exists; give overwrite=True", "o.png exists; give --overwrite"),
        ("the image has 5x5 pixels", "the image has 5x5 pixels"),
    ],
)
def test_messages_name_flags_instead_of_settings(message: str, expected: str) -> None:
    assert with_flags(message, COMMANDS["edit"].form([])) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--synthesis-rounds", "0"], "--synthesis-rounds is 0: choose 1 or more"),
        (["--synthesis-patch-size", "4"], "--synthesis-patch-size is 4: choose an odd number from 3 to 31"),
        (
            ["--synthesis-patch-stride", "8"],
            "--synthesis-patch-stride is 8: choose at most --synthesis-patch-size, 7: larger ones leave gaps",
        ),
    ],
)
def test_wrong_settings_of_patch_synthesis_are_named_by_their_flags_before_a_training(
    here: Path, trained: Path, flags: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(trained), *flags]) == 2
    assert capsys.readouterr().err == f"lonepair: {expected}\n"
    assert main(["translate", *TINY, "a.png", "b.png", *flags]) == 2
    assert capsys.readouterr().err == f"lonepair: {expected}\n"
    assert names() == {"a.png", "b.png"}
