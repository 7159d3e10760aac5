"""The command `translate` with what professionals exchange: sequences, EXR, 16 bits and codecs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from command_line import list_files
from lonepair.commands.main import main
from lonepair.media.clips.frames import probe
from lonepair.media.stills.image import decode_image, write_image
from media_samples import write_png16
from tiny_settings import picture


def write_shots(count: int, first: int, suffix: str = ".png", gain: torch.Tensor | None = None) -> None:
    for number in range(first, first + count):
        write_image(f"shot.{number:04d}{suffix}", picture(20, 24, seed=number), gain=gain)


def test_a_sequence_becomes_a_sequence_with_the_same_numbers(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shots(3, 1001)
    assert main(["translate", "shot.%04d.png", str(pair_run), "--no-synthesize", "-o", "out.####.tif"]) == 0
    assert capsys.readouterr().out == "out.####.tif\n"
    assert {name for name in list_files() if name.startswith("out")} == {
        *(f"out.{number}.tif" for number in (1001, 1002, 1003)),
        "out-sheet.png",
    }
    words = ["translate", "shot.%04d.png", str(pair_run), "--no-synthesize", "-o", "out.####.tif"]
    assert main(words) == 2
    assert "out.####.tif: out.1001.tif exists already; give --overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--start-number", "7"]) == 0
    assert Path("out.0007.tif").exists()
    assert main(["translate", "shot.%04d.png", str(pair_run), "--no-synthesize"]) == 0
    assert probe("shot-as-b.mp4").frame_count == 3


def test_highlights_of_an_exr_sequence_are_in_its_translation(here: Path, pair_run: Path) -> None:
    pytest.importorskip("OpenEXR")
    gain = torch.ones(1, 1, 20, 24)
    gain[..., 4:8, 4:8] = 100
    write_shots(2, 5, ".exr", gain)
    assert main(["translate", "shot.####.exr", str(pair_run), "--no-synthesize", "-o", "out.%04d.exr"]) == 0
    content = decode_image(Path("out.0006.exr"))
    assert content.gain is not None
    # A dark pixel x 100 may lie below 1, where the file holds no gain.
    assert content.gain[..., 4:8, 4:8].max() > 5
    assert content.gain[..., 10:, 10:].max() == 1
    assert main(["translate", "shot.0005.exr", str(pair_run), "--no-synthesize", "-o", "still.exr"]) == 0
    assert decode_image(Path("still.exr")).gain is not None


def test_a_16_bit_image_becomes_a_16_bit_image(here: Path, pair_run: Path) -> None:
    write_png16(Path("deep.png"), np.random.default_rng(0).integers(0, 65536, (20, 24, 3)).astype(np.uint16))
    assert main(["translate", "deep.png", str(pair_run), "--no-synthesize"]) == 0
    assert decode_image(Path("deep-as-b.png")).bits == 16
    assert main(["translate", "deep.png", str(pair_run), "--no-synthesize", "--bits", "8"]) == 0
    assert decode_image(Path("deep-as-b-2.png")).bits == 8


def test_the_codec_is_chosen_and_wrong_flags_are_refused_before_the_work(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shots(2, 1)
    words = ["translate", "shot.%04d.png", str(pair_run), "--no-synthesize"]
    assert main([*words, "-o", "out.mov", "--codec", "prores-422"]) == 0
    assert probe("out.mov").bits == 10
    for flags, says in (
        (["-o", "o.mp4", "--codec", "vp9"], "codec vp9 does not go into .mp4 files"),
        (["-o", "o.mp4", "--crf", "99"], "crf is 99: h264 takes 0 (best) to 51"),
        (["-o", "o.%04d.mp4"], "'.mp4' is not a format that can be written"),
    ):
        assert main([*words, *flags]) == 2
        assert says in capsys.readouterr().err
    assert main(["translate", "a.png", str(pair_run), "-o", "o.png", "--codec", "h264"]) == 2
    assert "codec is h264, but .png files have none" in capsys.readouterr().err
    Path("shot.0001.png").rename("shot.0005.png")
    assert main(words) == 2
    assert "shot.%04d.png: 2 files are missing" in capsys.readouterr().err
    assert not [name for name in list_files() if name.startswith("o.")]
