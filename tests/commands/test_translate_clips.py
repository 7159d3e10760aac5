"""The command `translate` with clips: frames, times, sheets, and folders of frames."""

from __future__ import annotations

import json
import signal
from fractions import Fraction
from pathlib import Path

import av
import pytest

import lonepair.media.clips.numbered as numbered
from command_line import list_files, translate, write_clip
from lonepair.commands.main import main
from lonepair.media.clips.frames import decode, probe
from lonepair.media.clips.write import read_clip_metadata
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import read_image, write_image
from lonepair.ops.arrays import to_uint8
from lonepair.storage.files import natural_order
from tiny_settings import picture

VARIABLE_TIMES = [Fraction(0), Fraction(1, 25), Fraction(1, 10), Fraction(1, 5), Fraction(1, 2)]
"""Times of frames in seconds, at a variable rate."""


def test_translate_writes_a_clip_its_frames_and_a_sheet(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip("clip.mp4", [Fraction(index, 25) for index in range(5)])
    translate("clip.mp4", "b.png", "--save-frames", "frames")
    assert capsys.readouterr().out == "clip-as-b.mp4\nclip-as-b-sheet.png\n"
    before, after = probe("clip.mp4"), probe("clip-as-b.mp4")
    assert (after.size, after.rate, after.frame_count) == (before.size, before.rate, 5)
    assert list_files("frames") == {f"{index:06d}.png" for index in range(5)}
    for index, frame in enumerate(decode("clip-as-b.mp4")):
        # H.264 blurs sharp colors.
        assert (frame.image - read_image(f"frames/{index:06d}.png")).abs().mean() < 0.09
    settings = json.loads(read_clip_metadata("clip-as-b.mp4")["lonepair"])
    assert (settings["seed"], settings["config"]["width"], settings["inputs"]["b"]["name"]) == (0, 8, "b.png")
    assert settings["use"]["direction"] == "a_to_b"


def test_a_folder_of_frames_is_a_clip_and_its_first_frame_a_target(here: Path) -> None:
    Path("shots").mkdir()
    for index in (1, 2, 10):
        write_image(f"shots/shot{index}.png", picture(20, 24, seed=index))
    translate("shots", "b.png", "--no-synthesize", "--save-frames", "frames")
    assert probe("shots-as-b.mp4").frame_count == 3
    assert list_files("frames") == {"000000.png", "000001.png", "000002.png"}
    assert main(["translate", "b.png", "runs/shots-to-b", "--reverse", "-o", "r.png"]) == 0
    assert read_image("r.png").shape == (1, 3, 20, 26)


def test_a_folder_of_six_frames_is_decoded_once(here: Path, pair_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clip, the saved frames and the contact sheet come from one pass."""
    Path("shots").mkdir()
    for index in range(6):
        write_image(f"shots/{index}.png", picture(20, 24, seed=index))
    decoded = []
    decode_image = numbered.decode_image
    monkeypatch.setattr(numbered, "decode_image", lambda *values: decoded.append(values[0]) or decode_image(*values))
    assert main(["translate", "shots", str(pair_run), "--no-synthesize", "--save-frames", "frames"]) == 0
    assert len(decoded) == 6
    assert len(list_files("frames")) == 6
    assert Path("shots-as-b-sheet.png").exists()


def write_webm(path: str, frames: int) -> None:
    """Write a VP9 clip of 24x20 pixels (width x height) at 25 frames per second."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 24, 20, "yuv420p"
        for index in range(frames):
            array = to_uint8(picture(20, 24, seed=index))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm"])
def test_the_sheet_shows_the_written_frames_of_a_clip_of_unknown_length(here: Path, pair_run: Path, name: str) -> None:
    if name.endswith(".webm"):
        write_webm(name, 7)
    else:
        write_clip(name, [Fraction(index, 25) for index in range(7)])
    assert probe(name).frame_count is None
    assert main(["translate", name, str(pair_run), "--no-synthesize", "-o", "out.mkv"]) == 0
    sources, written = list(decode(name)), list(decode("out.mkv"))
    assert len(written) == 7
    above = [(f"source {float(frame.time):.1f} s", frame.image) for frame in sources[::2]]
    below = [(f"translation {float(frame.time):.1f} s", frame.image) for frame in written[::2]]
    # The file holds integers, the sheet was enlarged from floating point: they differ by at most two levels.
    assert (read_image("out-sheet.png") - contact_sheet([above, below])).abs().max() < 2.5 / 127.5


def test_a_variable_frame_rate_is_kept(here: Path, pair_run: Path) -> None:
    write_clip("clip.mp4", VARIABLE_TIMES)
    assert main(["translate", "clip.mp4", str(pair_run), "--no-synthesize"]) == 0
    assert [frame.time for frame in decode("clip-as-b.mp4")] == VARIABLE_TIMES


def test_a_clip_of_one_frame_is_a_clip(here: Path, pair_run: Path) -> None:
    write_clip("clip.mp4", [Fraction(0)])
    assert main(["translate", "clip.mp4", str(pair_run)]) == 0
    assert [frame.time for frame in decode("clip-as-b.mp4")] == [0]


def test_an_animated_gif_is_a_clip(here: Path, pair_run: Path) -> None:
    write_clip("clip.gif", VARIABLE_TIMES)
    assert main(["translate", "clip.gif", str(pair_run), "--no-synthesize", "-o", "o.gif"]) == 0
    assert [frame.time for frame in decode("o.gif")] == VARIABLE_TIMES
    assert read_clip_metadata("o.gif").keys() == {"lonepair"}
    assert main(["translate", "clip.gif", str(pair_run), "-o", "p.mkv", "--size", "30"]) == 0
    assert probe("p.mkv").size == (25, 30)


def test_ctrl_c_stops_a_render_and_the_same_command_continues(
    here: Path, pair_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip("clip.mp4", [Fraction(index, 25) for index in range(6)])
    command = ["translate", "clip.mp4", str(pair_run), "--device", "cpu", "--threads", "1", "--save-frames", "frames"]
    added = []

    def press_ctrl_c(*frame: object) -> None:
        added.append(frame)
        if len(added) == 3:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("lonepair.render.translation.Thumbnails.add", press_ctrl_c)
        assert main([*command, "-o", "out.mkv"]) == 130
    assert "stopped after 3 frames; start the same again to continue there" in capsys.readouterr().err
    assert not Path("out.mkv").exists()
    assert main([*command, "-o", "out.mkv"]) == 0
    assert "an earlier render stopped after 3 frames" in capsys.readouterr().err
    assert main([*command[:-1], "whole", "-o", "whole.mkv"]) == 0
    assert Path("out.mkv").read_bytes() == Path("whole.mkv").read_bytes()
    assert Path("out-sheet.png").read_bytes() == Path("whole-sheet.png").read_bytes()
    assert [file.read_bytes() for file in natural_order(Path("frames").iterdir())] == [
        file.read_bytes() for file in natural_order(Path("whole").iterdir())
    ]
    assert not list(Path().glob(".*"))


def test_frames_are_a_part_of_the_clip(here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip("clip.mp4", [Fraction(index, 25) for index in range(6)])
    command = ["translate", "clip.mp4", str(pair_run), "--device", "cpu", "-o", "part.mkv", "--frames"]
    assert main([*command, "2:9"]) == 2
    assert "--frames is 2:9, clip.mp4 has the frames 0 to 5" in capsys.readouterr().err
    assert main([*command, "2:4"]) == 0
    assert [frame.time for frame in decode("part.mkv")] == [Fraction(index, 25) for index in range(3)]
