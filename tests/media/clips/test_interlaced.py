"""Interlaced frames become progressive ones, marked or not, with one line in the log."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lonepair.media.clips.frames import decode
from lonepair.media.source import open_source
from lonepair.ops.arrays import to_uint8


@pytest.mark.parametrize(("parity", "is_marked"), [("top", True), ("bottom", True), ("none", False)])
def test_interlaced_frames_are_deinterlaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, parity: str, is_marked: bool
) -> None:
    path = tmp_path / "a.mp4"
    params = {"top": "tff=1", "bottom": "bff=1", "none": ""}[parity]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4", "x264-params": params})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(4):
            # A white bar moves between the two fields of each frame.
            array = np.zeros((48, 64, 3), np.uint8)
            array[::2, 8 * index : 8 * index + 8] = 255
            array[1::2, 8 * index + 16 : 8 * index + 24] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array)))
        container.mux(stream.encode())
    with caplog.at_level(logging.INFO):
        frames = list(decode(path))
    assert caplog.text.count("its frames are interlaced") == is_marked
    assert [frame.time for frame in frames] == [Fraction(index, 25) for index in range(4)]
    rows = to_uint8(frames[1].image)[8:40].astype(int)
    combs = np.abs(np.diff(rows, axis=0)).mean()
    assert combs < 12 if is_marked else combs > 40


def field_clip(path: Path, order: str, count: int = 12) -> Path:
    """Write a clip of a moving grating; the frames of `order` "tff" and "bff" hold two moments, and nothing says so."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "gray"
        y, x = np.mgrid[:64, :96]
        for index in range(count):
            late = {"tff": y % 2, "bff": 1 - y % 2, "": 0 * y}[order] / 2
            grating = np.sin((x + 0.3 * y - 5 * (index + late)) / 5) + 0.3 * np.sin(x / 2.5 + y / 9)
            array = (128 + 90 * grating).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, "gray")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("order", ["tff", "bff", ""])
def test_fields_that_nothing_marks_are_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture, order: str) -> None:
    clip = open_source(field_clip(tmp_path / "a.mkv", order))
    frames = [to_uint8(frame.image)[..., 0].astype(int) for frame in clip.frames()]
    assert caplog.text.count("its frames look interlaced") == (order != "")
    # Rows differ by the slope of the grating, not by half of its motion.
    combs = [np.abs(2 * frame[1:-1] - frame[:-2] - frame[2:]).mean() for frame in frames]
    assert max(combs[1:-1]) < 12
