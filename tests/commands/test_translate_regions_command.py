"""`lonepair translate SOURCE TARGET TARGET... --masks ...`: a picture in several styles, and the sheet of dials."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from command_line import list_files, translate
from lonepair.commands.main import main
from lonepair.media.stills.image import read_image, write_image
from tiny_settings import picture

H, W = 24, 20
USE_FLAGS = ["--device", "cpu"]


def write_masks() -> None:
    """Write left.png and right.png, white on columns 0 to 7 and 8 to 13; the other columns are in no mask."""
    for name, columns in (("left", slice(0, 8)), ("right", slice(8, 14))):
        mask = -torch.ones(1, 1, H, W)
        mask[..., columns] = 1
        write_image(f"{name}.png", mask)


def test_two_targets_are_trained_on_and_the_rest_keeps_the_source(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_masks()
    write_image("c.png", picture(22, 22, seed=7))
    translate("a.png", "b.png", "c.png", "--masks", "left.png", "right.png")
    assert capsys.readouterr().out == "a-as-b-and-c.png\na-as-b-and-c-sheet.png\n"
    assert {"runs/a-to-b/model.safetensors", "runs/a-to-c/model.safetensors"} <= list_files()
    output, source = read_image("a-as-b-and-c.png"), read_image("a.png")
    assert torch.equal(output[..., 14:], source[..., 14:])
    assert not torch.allclose(output[..., :14], source[..., :14], atol=0.1)


def test_models_and_complete_runs_are_used_without_training(here: Path, pair_run: Path) -> None:
    write_masks()
    arguments = ["translate", "a.png", str(pair_run), str(pair_run), "--masks", "left.png", "right.png", *USE_FLAGS]
    assert main([*arguments, "--dry-run"]) == 0
    assert not Path("a-as-b-and-b.png").exists()
    assert main(arguments) == 0
    assert read_image("a-as-b-and-b.png").shape == (1, 3, H, W)
    assert not Path("runs").exists()


def test_the_dial_sheet_has_five_rows_and_three_columns(here: Path, pair_run: Path) -> None:
    assert main(["translate", "a.png", str(pair_run), "--dial-sheet", "-o", "o.png", *USE_FLAGS]) == 0
    sheet = read_image("o-sheet.png")
    assert sheet.shape[-2] > 5 * H
    assert sheet.shape[-1] > 3 * W
