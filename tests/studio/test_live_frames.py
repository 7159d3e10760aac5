"""Live frames of the studio, without pages and without a training."""

from __future__ import annotations

from pathlib import Path

import pytest

import lonepair as lp
from lonepair.studio.frames import LIVE_TARGET_SIDE, live_frame
from tiny_settings import picture


@pytest.mark.parametrize("texture_size", [1.0, 4.0])
def test_live_frame_and_its_source_have_one_size(tmp_path: Path, texture_size: float) -> None:
    for name, size in (("source", (60, 100)), ("style", (80, 120))):
        lp.Picture(picture(*size, seed=1)).save(tmp_path / f"{name}.png")
    assert (120 * texture_size > LIVE_TARGET_SIDE) == (texture_size == 4.0)
    arguments = (str(tmp_path / "source.png"), 0, [""], [str(tmp_path / "style.png")])
    source, translated = live_frame(*arguments, {"texture_size": texture_size}, [])
    assert source.size == translated.size == (100, 60)
