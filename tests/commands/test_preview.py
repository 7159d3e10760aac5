"""`translate --preview`: a picture without a training, what it says, and what it refuses."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from command_line import list_files, write_clip
from lonepair.commands.main import main
from lonepair.media.stills.image import read_image, write_image
from tiny_settings import picture


@pytest.fixture
def large(here: Path) -> Path:
    """The current folder, with a.png of 60x50 (height x width), dark, and b.png of 50x70, bright."""
    write_image("a.png", picture(60, 50, seed=1) * 0.3 - 0.6, overwrite=True)
    write_image("b.png", picture(50, 70, seed=2) * 0.3 + 0.6, overwrite=True)
    return here


def test_preview_writes_one_picture_and_names_the_full_command(large: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "a.png", "b.png", "--preview", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert out == "a-as-b-preview.png\n"
    assert list_files() == {"a.png", "b.png", "a-as-b-preview.png"}
    image = read_image("a-as-b-preview.png")
    assert image.shape == (1, 3, 60, 50)
    assert float(image.mean()) > 0.3
    assert "preview" in err
    assert "nothing was trained" in err
    assert "lonepair translate a.png b.png\n" in err


def test_preview_of_the_other_direction_has_the_sources_colors(large: Path) -> None:
    assert main(["translate", "a.png", "b.png", "--preview", "--reverse", "--size", "35", "--threads", "1"]) == 0
    image = read_image("b-as-a-preview.png")
    assert image.shape == (1, 3, 25, 35)
    assert float(image.mean()) < -0.3


def test_dials_act_on_a_preview(large: Path) -> None:
    for structure in ("0", "1"):
        words = ["--structure", structure, "-o", f"{structure}.png", "--threads", "1"]
        assert main(["translate", "a.png", "b.png", "--preview", *words]) == 0
    assert not torch.equal(read_image("0.png"), read_image("1.png"))


def test_preview_of_a_clip_is_its_first_frame(large: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip("clip.mp4", [Fraction(index, 25) for index in range(3)])
    assert main(["translate", "clip.mp4", "b.png", "--preview", "--threads", "1"]) == 0
    assert "first frame of clip.mp4" in capsys.readouterr().err
    assert read_image("clip-as-b-preview.png").shape == (1, 3, 20, 24)


def test_large_inputs_give_a_preview_of_220_pixels(here: Path) -> None:
    noise = torch.rand(1, 3, 300, 400, generator=torch.Generator().manual_seed(0)) * 2 - 1
    write_image("c.png", picture(400, 300, seed=1))
    write_image("d.png", noise)
    assert main(["translate", "c.png", "d.png", "--preview", "--threads", "1"]) == 0
    assert read_image("c-as-d-preview.png").shape == (1, 3, 220, 165)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["b.png", "--preset", "draft"], "--preset has no effect on a preview"),
        (["b.png", "--stage-sheet"], "--stage-sheet has no effect on a preview"),
        (["none.safetensors"], "--preview shows a pair before a training, and none.safetensors is a trained model"),
        (["missing.png"], "missing.png"),
    ],
)
def test_preview_refuses_what_it_cannot_use(
    words: list[str], message: str, large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", "a.png", *words, "--preview"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert list_files() == {"a.png", "b.png"}
