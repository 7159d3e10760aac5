"""benchmarks/clips.py: it measures a clip that is already translated, and refuses one that does not fit its source."""

from __future__ import annotations

import importlib
import json
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lonepair.errors import UserError
from lonepair.media.clips.write import ClipWriter
from lonepair.media.stills.image import read_image, write_image
from tiny_settings import picture

pytest.importorskip("skimage", reason="the photographs are those of scikit-image")

SIDE, FRAMES = 64, 6


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("clips")


def write_negative(benchmark: ModuleType, path: Path, count: int) -> None:
    clip = benchmark.make_clip("crossing", SIDE, FRAMES)
    with ClipWriter(path, clip.size, Fraction(25)) as writer:
        for index in range(count):
            writer.write(-clip.frame(index), Fraction(index, 25))


def run(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path, side: int = SIDE) -> int:
    words = ["--output", "out.mkv", "--source", "crossing", "--target", "b.png", "--side", side, "--frames", FRAMES]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["clips.py", *map(str, words), "--stills", "1"])
    status: int = benchmark.main(benchmark.parse())
    return status


def test_translated_clip_is_measured_beside_its_source(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_negative(benchmark, tmp_path / "out.mkv", FRAMES)
    write_image(tmp_path / "b.png", picture(40, 48))
    assert run(benchmark, monkeypatch, tmp_path) == 0
    rows = json.loads((tmp_path / "clips/clips.json").read_text())["crossing"]["rows"]
    assert list(rows) == ["output", "first frame carried", "source", "blur"]
    # A negative moves, keeps and loses what its source does.
    for metric in ("swim", "objects_kept", "ghost"):
        expected = rows["source"]["values"][metric]
        assert rows["output"]["values"][metric] == pytest.approx(expected, abs=1e-3)
    table = (tmp_path / "clips/clips.md").read_text()
    assert "| output | " in table
    assert read_image(tmp_path / "clips/crossing.png").isfinite().all()


def test_translated_clip_that_does_not_fit_is_refused(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_negative(benchmark, tmp_path / "out.mkv", FRAMES - 1)
    write_image(tmp_path / "b.png", picture(40, 48))
    with pytest.raises(UserError, match="the output has 5 frames, the source has more"):
        run(benchmark, monkeypatch, tmp_path)
    with pytest.raises(UserError, match="64x48 pixels, the made clip crossing has 80x60: choose the --side"):
        run(benchmark, monkeypatch, tmp_path, side=80)


def test_settings_go_to_the_dials_or_to_patch_synthesis(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["run", "--set", "structure=0.5", "tone=keep", "rounds=1", "texture_contrast=false"]
    monkeypatch.setattr(sys, "argv", ["clips.py", *words])
    expected = {"structure": 0.5, "tone": "keep", "synthesis": {"rounds": 1, "texture_contrast": False}}
    assert benchmark.settings(benchmark.parse()) == expected


def test_sheet_shows_moments_and_differences(benchmark: ModuleType) -> None:
    sheet = benchmark.Sheet(20)
    for index in range(20):
        sheet(index, {"output": torch.zeros(1, 3, 8, 8), "source": torch.zeros(1, 3, 8, 8)})
    assert sheet.picture().shape[3] > 6 * 256
