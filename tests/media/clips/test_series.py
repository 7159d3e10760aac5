"""Which files of a folder are the frames of a clip, and in which order."""

from pathlib import Path

import pytest

from lonepair.errors import UserError
from lonepair.media.clips.series import choose_frames
from lonepair.media.source import open_source
from lonepair.media.stills.image import write_image
from media_samples import flat_frames

FOLDER = Path("clip")


def chosen(*names: str) -> tuple[list[str], list[str]]:
    frames, left_out = choose_frames(FOLDER, [FOLDER / name for name in names])
    return [file.name for file in frames], [file.name for file in left_out]


@pytest.mark.parametrize(
    ("names", "frames", "left_out"),
    [
        (["2.png", "10.png", "1.png"], ["1.png", "2.png", "10.png"], []),
        (["1.png", "1_mask.png", "2.png", "3_mask.png"], ["1.png", "2.png"], ["1_mask.png", "3_mask.png"]),
        (["1.png", "1.jpg", "2.jpg"], ["1.jpg", "2.jpg"], ["1.png"]),
        (["1.png", "1.jpg"], ["1.png"], ["1.jpg"]),
        (["f-1.png", "f-2.png", "f0.png", "f1.png"], ["f-2.png", "f-1.png", "f0.png", "f1.png"], []),
        (["f-2.png", "f-1.png", "f-10.png"], ["f-1.png", "f-2.png", "f-10.png"], []),
        (["-1.png", "-2.png", "0.png"], ["-2.png", "-1.png", "0.png"], []),
        (["a_v2.png", "b_v2.png", "cover.png"], ["a_v2.png", "b_v2.png", "cover.png"], []),
    ],
)
def test_frames_are_one_file_for_each_number_in_order(names: list[str], frames: list[str], left_out: list[str]) -> None:
    assert chosen(*names) == (frames, left_out)


def test_numbers_without_a_clear_frame_are_refused() -> None:
    for names in (("1_a.png", "1_b.png"), ("01.png", "1.png")):
        with pytest.raises(UserError, match=f"clip: {names[0]} and {names[1]} have the same number"):
            chosen(*names)


def test_files_that_are_left_out_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="lonepair")
    for name in ("0.png", "1.png", "0_mask.png", "1_mask.png"):
        write_image(tmp_path / name, flat_frames(1))
    (tmp_path / "notes.dpx").write_text("x")
    clip = open_source(tmp_path)
    assert sum(1 for _ in clip.frames()) == len(clip.times()) == 2
    assert clip.fingerprint()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert "2 images are left out, because other files have the same number: 0_mask.png, 1_mask.png" in messages[0]
    assert "files of other kinds are left out: notes.dpx" in messages[1]


def test_series_with_the_same_numbers_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("frame_08.png", "frame_09.png", "mask_08.png", "mask_09.png", "cover1.png"):
        write_image(tmp_path / name, flat_frames(1))
    assert open_source(tmp_path).frame_count == 5
    assert caplog.text.count("holds series with the same numbers") == 1
    assert "those of frame_08.png, mask_08.png" in caplog.text
    assert open_source(tmp_path / "frame_%02d.png").frame_count == 2
    assert "frame_%02d.png, to read one of them" in caplog.text
