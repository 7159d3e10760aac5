"""`lonepair eval`: it reports the values of the metrics, its page shows them, and it refuses unusable inputs."""

from __future__ import annotations

import importlib
import json
import math
import re
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import lonepair.methods as methods
from command_line import tiny_flags
from lonepair.api.model import load
from lonepair.commands.main import main
from lonepair.evaluate import Run, open_run
from lonepair.evaluate.curves import loss_charts
from lonepair.evaluate.measure import overlay_copies
from lonepair.media.clips.write import ClipWriter
from lonepair.media.source import open_source
from lonepair.media.stills.image import read_image, write_image
from lonepair.metrics import clip_metrics, copying, diversity, look, look_distance, psnr, sifid, ssim, structure
from lonepair.ops.resize import resize
from lonepair.render.sampling import reconstruction
from synthetic_images import save_inception_weights
from tiny_settings import picture

CPU = ["--device", "cpu", "--dtype", "float32", "--threads", "1"]
SINGAN = ["singan", *tiny_flags("singan")]


@pytest.fixture(scope="module")
def trained_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a pair into the folder `pair` and a single image into `one`, once for all tests."""
    folder = tmp_path_factory.mktemp("runs")
    write_image(folder / "a.png", picture(34, 30, seed=1))
    write_image(folder / "b.png", picture(20, 26, seed=2))
    pair = ["train", *tiny_flags(), str(folder / "a.png"), str(folder / "b.png")]
    assert main([*pair, "--run", str(folder / "pair")]) == 0
    one = ["train", "--method", *SINGAN, str(folder / "a.png"), "--max-side", "34"]
    assert main([*one, "--run", str(folder / "one")]) == 0
    return folder


@pytest.fixture(autouse=True)
def _coarse_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare layouts at 24 pixels: these tests are about what is measured and reported, not about the metric."""
    monkeypatch.setattr(importlib.import_module("lonepair.metrics.structure"), "GRID", 24)


@pytest.fixture
def workdir(trained_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained_runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def weights(workdir: Path) -> str:
    """Write random Inception weights of the right shapes."""
    save_inception_weights(Path("inception.safetensors"))
    return "inception.safetensors"


def evaluate(*words: str) -> dict[str, Any]:
    """Run the command, and return the first run's entry in results.json."""
    assert main(["eval", *words, *CPU]) == 0
    result: dict[str, Any] = json.loads(Path("eval/results.json").read_text())["runs"][0]
    return result


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command, which must fail without writing files, and return its one line of text."""
    before = sorted(Path().rglob("*"))
    assert main(["eval", *words]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert sorted(Path().rglob("*")) == before
    return message


# -- metrics -------------------------------------------------------------------------------------------------


def test_pair_is_measured_in_both_directions(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = evaluate("pair", "--seed", "3")
    output_text = capsys.readouterr().out
    model = load("pair/model.safetensors", "cpu", "float32", 1)
    inputs = open_run(Path("pair")).inputs
    assert {domain: tuple(image.shape[-2:]) for domain, image in inputs.items()} == {"a": (34, 30), "b": (20, 26)}
    for name, source, target in (("a_to_b", inputs["a"], inputs["b"]), ("b_to_a", inputs["b"], inputs["a"])):
        rows = result["measured"][name]
        output = model.translate(source, reverse=name == "b_to_a", seed=3).image
        assert output.shape == source.shape
        assert rows["output"] == pytest.approx(
            {
                "look": look(output, target, source),
                "structure": structure(output, source),
                "copying": copying(output, target),
            }
        )
        assert rows["source"] == pytest.approx(
            {"look": 1, "structure": 1, "copying": copying(source, target)}, abs=1e-4
        )
        assert rows["target"]["look"] == 0
        assert rows["target"]["structure"] == pytest.approx(structure(target, source))
        assert f"{rows['output']['look']:.3f}" in output_text
        assert set(rows) == {"source", "target", "output"}
    assert output_text.endswith("eval/report.html\n")
    assert (result["method"], result["seed"], result["steps"]) == (methods.DEFAULT, 0, [3, 3])
    assert result["training_seconds"] > 0
    assert sum(result["parameters"].values()) > 0


def test_published_picture_is_measured_at_its_own_size(workdir: Path) -> None:
    write_image("p.png", picture(12, 12, seed=5))
    rows = evaluate("pair", "--published", "p.png")["measured"]["a_to_b"]
    source, target = open_run(Path("pair")).inputs.values()  # 34x30 and 20x26 (height x width), networks' 20x18, 16x20
    output = load("pair/model.safetensors", "cpu", "float32", 1).translate(source).image
    small, ours, aim = resize(source, (12, 11)), resize(output, (12, 11)), resize(target, (7, 9))
    assert rows["output, 12 px"]["look"] == pytest.approx(look(ours, aim, small))
    assert rows["output, 12 px"]["structure"] == pytest.approx(structure(ours, small))
    published = read_image("p.png")
    assert rows["published, 12 px"]["look"] == pytest.approx(look(published, aim, resize(source, (12, 12))))
    assert rows["source, 12 px"]["look"] == pytest.approx(1)
    assert "published, 12 px" not in json.loads(Path("eval/results.json").read_text())["runs"][0]["measured"]["b_to_a"]


def test_single_image_run_reports_samples_and_reconstruction(workdir: Path, weights: str) -> None:
    rows = evaluate("one", "--samples", "3", "--seed", "2", "--weights", weights)["measured"]["samples"]
    model, image = load("one/model.safetensors", "cpu", "float32", 1), read_image("one/inputs/a.png")
    samples = model.sample(3, seed=2).images["a"]
    each = [samples[i : i + 1] for i in range(3)]
    assert rows["samples"] == pytest.approx(
        {
            "diversity": diversity(samples, image),
            "look_distance": sum(look_distance(sample, image) for sample in each) / 3,
            "sifid": sum(sifid(sample, image, weights) for sample in each) / 3,
        }
    )
    rebuilt = reconstruction(model.method, model.engine)
    assert rows["reconstruction"]["psnr"] == pytest.approx(psnr(rebuilt, image))
    assert rows["reconstruction"]["ssim"] == pytest.approx(ssim(rebuilt, image))
    assert rows["reconstruction"]["sifid"] == pytest.approx(sifid(rebuilt, image, weights))


def test_clip_is_translated_and_measured(workdir: Path) -> None:
    with ClipWriter("clip.mp4", (40, 36), Fraction(25)) as clip:
        for index in range(3):
            clip.write(picture(44, 40, seed=1)[..., 2:42, index : index + 36], Fraction(index, 25))
    rows = evaluate("pair", "--source", "clip.mp4")["measured"]["clip"]
    source = open_source("clip.mp4")
    translation = load("pair/model.safetensors", "cpu", "float32", 1).translate(source, size=(26, 23))
    direct = clip_metrics(
        (frame.image for frame in translation.frames()),
        (frame.image for frame in source.frames()),
        open_run(Path("pair")).inputs["b"],
    )
    assert rows["output"].pop("sharpness_kept") > 0
    assert rows["output"] == pytest.approx(direct.values)
    assert list(rows) == ["output", "frame by frame", "first frame carried", "source", "blur"]
    text = Path("eval/report.html").read_text()
    for part in ("warp_error ↓", "first frame carried: the first frame moved", ">new_blocks<", "clip-worst-swim.png"):
        assert part in text
    assert read_image("eval/pair/clip-worst-swim.png").shape[1] == 3
    assert read_image("eval/pair/clip-sheet.png").shape[1] == 3


# -- page ---------------------------------------------------------------------------------------------------------


def test_page_is_self_contained_except_for_pictures(workdir: Path) -> None:
    shutil.copytree("pair", "more/pair")
    evaluate("pair", "more/pair", "one", "--samples", "2")
    text = Path("eval/report.html").read_text()
    links = re.findall(r'src="([^"]+)"', text)
    assert links
    assert all(Path("eval", link).is_file() for link in links)
    assert {link.split("/")[0] for link in links} == {"pair", "pair-2", "one"}
    assert not re.search(r"https?://|<script|<link", text)
    assert text.count("<svg") == 2 * 2 + len(open_run(Path("one")).steps())  # a chart for each stage
    for part in ("more/pair", "a_to_b", "training", "parameters of the generators", "look ↓", "patch_distance_ab"):
        assert part in text


def test_results_are_replaced_only_with_overwrite(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", "one", "--samples", "2", *CPU]
    assert main(words) == 0
    assert main(words) == 0
    assert Path("eval-2/report.html").exists()
    assert Path("eval/results.json").read_bytes() == Path("eval-2/results.json").read_bytes()
    capsys.readouterr()
    assert "eval: the folder is not empty" in refusal(capsys, "one", "-o", "eval")
    assert main([*words, "-o", "eval", "--overwrite"]) == 0


def test_copied_patches_are_red_at_their_position() -> None:
    copied = torch.zeros(14, 24, dtype=torch.bool)  # of 20x30 pixels: patches have 7
    copied[:, :1] = True
    overlay = overlay_copies(torch.zeros(1, 1, 40, 60), copied)
    red = overlay[0, 0] > 0
    assert red[:, :14].all()
    assert not red[:, 14:].any()


def test_loss_charts_handle_no_one_and_many_lines() -> None:
    assert loss_charts([]) == ""
    one = loss_charts([{"stage": 0, "step": 1, "seconds": 0.1, "rec_a": 2.0}])
    assert "nan" not in one
    many = [{"stage": 0, "step": i, "seconds": 0.1, "rec_a": math.sin(i)} for i in range(5000)]
    assert len(loss_charts(many)) < 20_000


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_incomplete_run_is_refused(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing: RUN" in refusal(capsys)
    assert "none: no run there" in refusal(capsys, "none")
    assert "is a file; give the run's folder" in refusal(capsys, "pair/model.safetensors")
    Path("pair/inputs/b.png").unlink()
    assert "pair/inputs/b.png: is missing" in refusal(capsys, "pair")
    write_image("pair/inputs/b.png", picture(9, 9))
    assert "has 9x9 pixels, the model was trained at 20x16" in refusal(capsys, "pair")
    Path("pair/model.safetensors").unlink()
    assert "pair/model.safetensors: no such file" in refusal(capsys, "pair")


@pytest.mark.parametrize(
    "damage", ['{"stage": 0, "st', "[1]", '{"stage": 0}', '{"stage": 0, "step": 1, "seconds": "x"}']
)
def test_unreadable_line_of_metrics_is_named(workdir: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("pair/metrics.jsonl")
    path.write_text(path.read_text() + damage + "\n")
    assert "pair/metrics.jsonl: line 3 is not an object of numbers" in refusal(capsys, "pair")


def test_flag_for_other_runs_is_refused(workdir: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there are 2 runs" in refusal(capsys, "pair", "one", "--published", "a.png")
    assert "--published is for runs of a pair, and one is not one" in refusal(capsys, "one", "--published", "a.png")
    assert "--weights is for runs of one image" in refusal(capsys, "pair", "--weights", weights)
    assert "no.png: no such file" in refusal(capsys, "pair", "--published", "no.png")
    assert "a.png: is an image" in refusal(capsys, "pair", "--source", "a.png")
    assert "samples is 1" in refusal(capsys, "one", "--samples", "1")
    assert "seed is -1" in refusal(capsys, "one", "--seed", "-1")
    save_file({"Conv2d_1a_3x3.conv.weight": torch.zeros(2)}, "wrong.safetensors")
    assert "Conv2d_1a_3x3.conv.weight is (2,)" in refusal(capsys, "one", "--weights", "wrong.safetensors")


def test_run_without_losses_is_opened(workdir: Path) -> None:
    Path("one/metrics.jsonl").unlink()
    run = open_run(Path("one"))
    assert isinstance(run, Run)
    assert (run.seconds, run.steps(), run.is_single_image) == (0.0, [], True)
