"""Frames of a translated clip: decoding, contact sheets, traces and single frames."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch

import lonepair.media.clips.numbered as numbered
from lonepair.commands.main import main
from lonepair.errors import UserError
from lonepair.media.clips.container import Frame
from lonepair.media.sheet import contact_sheet
from lonepair.media.source import open_source
from lonepair.media.stills.image import write_image
from lonepair.patches.config import SynthesisConfig
from lonepair.render.thumbnails import Thumbnails
from lonepair.render.translation import FrameTrace
from tiny_models import SIZE, model_of
from tiny_settings import picture

DARK, BRIGHT = picture(*SIZE) * 0.2 - 0.7, picture(*SIZE, seed=3) * 0.2 + 0.7
WITH_CUT = torch.cat([DARK, DARK.roll(1, 3), BRIGHT, BRIGHT.roll(1, 3)])


def test_a_translated_clip_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of 6 frames, which the command writes as a clip, as frames and on a contact sheet."""
    model_of("lonepair").save(tmp_path / "model.safetensors")
    (tmp_path / "in").mkdir()
    for index in range(6):
        write_image(tmp_path / "in" / f"{index}.png", picture(*SIZE).roll(index, 3))
    decoded: list[Path] = []
    decode_image = numbered.decode_image

    def counted(file: Path, *options: object) -> object:
        decoded.append(file)
        return decode_image(file, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(numbered, "decode_image", counted)
    monkeypatch.chdir(tmp_path)
    options = ["-o", "out.mkv", "--save-frames", "frames", "--device", "cpu"]
    assert main(["translate", "in", "model.safetensors", *options]) == 0
    assert len(decoded) == 6
    assert len(list((tmp_path / "frames").iterdir())) == 6
    assert (tmp_path / "out-sheet.png").exists()


def test_the_sheet_shows_written_frames_of_a_clip_of_unknown_length(tmp_path: Path) -> None:
    translation = model_of("lonepair").translate(WITH_CUT, synthesize=False)
    source = open_source(translation.save(tmp_path / "clip.mkv"))
    assert source.frame_count is None
    clip = model_of("lonepair").translate(source, synthesize=False)
    frames = list(clip.frames())
    rows = [
        [(f"source {float(frame.time):.1f} s", frame.image) for frame in source.frames()],
        [(f"translation {float(frame.time):.1f} s", frame.image) for frame in frames],
    ]
    assert torch.equal(clip.sheet(moments=4), contact_sheet(rows))


@pytest.mark.parametrize("count", [1, 2, 5, 64, 65, 130, 1000])
def test_thumbnails_are_evenly_spaced_from_the_first_frame_to_the_last(count: int) -> None:
    thumbnails = Thumbnails()
    for index in range(count):
        image = torch.full((1, 1, 1, 1), float(index))
        thumbnails.add(Fraction(index), image, image)
    times = [float(time) for time, _, _ in thumbnails.select(4)]
    ideal = sorted({round(i * (count - 1) / 3) for i in range(4)})
    assert times[0] == 0
    assert times[-1] == count - 1
    if count <= 64:
        assert times == ideal
    assert all(abs(own - at) <= count / 64 for own, at in zip(times, ideal, strict=True))


def test_trace_has_cuts_motion_and_new_pixels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lonepair")
    traces: list[FrameTrace] = []
    translation = model_of("lonepair").translate(WITH_CUT)
    list(translation.frames(traces.append))
    assert [trace.index for trace in traces] == [0, 1, 2, 3]
    assert [trace.is_cut for trace in traces] == [False, False, True, False]
    assert [trace.flow is None for trace in traces] == [True, False, False, False]
    assert traces[0].unexplained_share is None
    assert traces[1].unexplained_share < SynthesisConfig().cut_share < traces[2].unexplained_share
    assert "a cut before frame 2" in caplog.text
    # All of a scene's first frame is new, and hardly anything of the next one.
    shares = [float(trace.is_new.float().mean()) for trace in traces]
    assert shares[0] == shares[2] == 1
    assert max(shares[1], shares[3]) < 0.5


@pytest.mark.parametrize("synthesize", [True, False])
def test_single_frame_is_bitwise_equal_to_that_of_the_clip(synthesize: bool) -> None:
    translation = model_of("lonepair").translate(WITH_CUT, synthesize=synthesize)
    for index, frame in enumerate(translation.frames()):
        single = translation.frame(index)
        assert single.time == frame.time
        assert torch.equal(single.image, frame.image)
    for index in (-1, 4):
        with pytest.raises(UserError, match=rf"frame is {index}, .* has 4 frames: choose 0 to 3"):
            translation.frame(index)


def test_a_frame_needs_no_later_frames() -> None:
    class BrokenError(Exception):
        pass

    source = open_source(WITH_CUT)
    frames = list(source.frames())

    def first_two(first: int = 0) -> Iterator[Frame]:
        yield from frames[first:2]
        raise BrokenError

    source.frames = first_two  # type: ignore[method-assign]
    frame = model_of("lonepair").translate(source).frame(1)
    assert frame.time == frames[1].time
    assert frame.image.shape == frames[1].image.shape


def test_synthesis_settings_are_overridden_at_use() -> None:
    model = model_of("lonepair")
    assert model.method.synthesis == SynthesisConfig()
    plain = model.translate(DARK)
    soft = model.translate(DARK, synthesis={"blend_sigma": 4.0})
    assert not torch.equal(plain.image, soft.image)
    assert torch.equal(soft.image, model.translate(DARK, synthesis=SynthesisConfig(blend_sigma=4.0)).image)
    assert soft.settings["use"]["synthesis"]["blend_sigma"] == 4.0
    assert plain.settings["use"]["synthesis"]["blend_sigma"] == 1.0
    with pytest.raises(UserError, match="no setting of patch synthesis"):
        model.translate(DARK, synthesis={"sigma": 1.0})
    with pytest.raises(UserError, match="'representative' stores no target"):
        model_of("representative").translate(DARK, synthesis={"rounds": 1})
