"""`translate` of several sources and of folders: a batch or a clip, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import list_files
from lonepair.commands.main import main
from lonepair.media.clips.folder import folder_kind
from lonepair.media.clips.frames import probe
from lonepair.media.stills.image import read_image, write_image
from lonepair.storage.files import natural_order
from tiny_settings import picture


def write_photos(folder: str, sizes: dict[str, tuple[int, int]]) -> None:
    """Write images of sizes (h, w) by their names."""
    Path(folder).mkdir()
    for index, (name, (height, width)) in enumerate(sizes.items()):
        write_image(f"{folder}/{name}", picture(height, width, seed=index))


UNLIKE = {"fig.png": (24, 20), "pear.jpg": (30, 44)}


def test_sources_of_any_size_become_a_file_each_and_a_sheet(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos("photos", UNLIKE)
    assert main(["translate", "photos/fig.png", "photos/pear.jpg", str(pair_run), "-o", "out"]) == 0
    assert list_files("out") == {"fig-as-b.png", "pear-as-b.png", "sheet.png"}
    assert read_image("out/pear-as-b.png").shape == (1, 3, 30, 44)
    captured = capsys.readouterr()
    assert captured.out.split() == ["out/fig-as-b.png", "out/pear-as-b.png", "out/sheet.png"]
    assert "wrote 2 of 2 translations into out" in captured.err
    # A source alone gives the same picture.
    assert main(["translate", "photos/fig.png", str(pair_run), "-o", "one.png"]) == 0
    assert read_image("one.png").equal(read_image("out/fig-as-b.png"))


def test_sources_of_one_name_do_not_replace_each_other(here: Path, pair_run: Path) -> None:
    write_photos("one", {"fig.png": (20, 24)})
    write_photos("two", {"fig.png": (24, 20)})
    words = ["translate", "one/fig.png", "two/fig.png", str(pair_run), "-o", "out", "--no-synthesize"]
    for _ in range(2):
        assert main([*words, "--overwrite"]) == 0
        assert list_files("out") == {"fig-as-b.png", "fig-as-b-2.png", "sheet.png"}
        assert [read_image(f"out/fig-as-b{end}.png").shape[2:] for end in ("", "-2")] == [(20, 24), (24, 20)]


def test_a_folder_of_unlike_images_is_a_batch_and_says_why(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos("photos", UNLIKE)
    assert main(["translate", "photos", str(pair_run), "--no-synthesize"]) == 0
    assert list_files("photos-as-b") == {"fig-as-b.png", "pear-as-b.png", "sheet.png"}
    text = "photos: is read as a batch of 2 images, each translated by itself (fig.png has no number"
    assert text in capsys.readouterr().err


def test_numbered_frames_of_one_size_are_a_clip_unless_batch_is_given(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos("shots", {f"shot{index}.png": (20, 24) for index in (1, 2, 10)})
    words = ["translate", "shots", str(pair_run), "--no-synthesize"]
    assert main(words) == 0
    assert "shots: is read as a clip of 3 frames (they are numbered and have one size;" in capsys.readouterr().err
    assert probe("shots-as-b.mp4").frame_count == 3
    assert main([*words, "--batch"]) == 0
    assert list_files("shots-as-b") == {f"shot{index}-as-b.png" for index in (1, 2, 10)} | {"sheet.png"}


@pytest.mark.parametrize(
    ("sizes", "is_clip", "reason"),
    [
        ({"1.png": (4, 4), "2.png": (4, 4)}, True, "numbered"),
        ({"a1.png": (4, 4), "b2.png": (4, 4)}, False, "names start with 'a' and with 'b'"),
        ({"a1.png": (4, 4), "a2.png": (4, 5)}, False, "a1.png has 4x4 pixels, a2.png 5x4"),
        ({"a1.png": (4, 4), "a.png": (4, 4)}, False, "a.png has no number"),
    ],
)
def test_names_and_sizes_decide_what_a_folder_is(
    here: Path, sizes: dict[str, tuple[int, int]], is_clip: bool, reason: str
) -> None:
    write_photos("f", sizes)
    kind = folder_kind(Path("f"))
    assert (kind.is_clip, reason in kind.reason) == (is_clip, True), kind
    assert kind.files == natural_order(Path("f").iterdir())


def test_a_file_that_cannot_be_read_stops_no_other(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos("photos", UNLIKE)
    Path("photos/bad.png").write_bytes(b"hello " * 40)
    assert main(["translate", "photos", str(pair_run), "-o", "out"]) == 2
    assert list_files("out") == {"fig-as-b.png", "pear-as-b.png", "sheet.png"}
    *_, summary, problem = capsys.readouterr().err.splitlines()
    assert summary.startswith("wrote 2 of 3 translations into out")
    assert problem.startswith("lonepair: photos/bad.png: is neither an image")


def test_equal_names_and_existing_files_get_numbers(here: Path, pair_run: Path) -> None:
    write_photos("one", {"x.png": (24, 20)})
    write_photos("two", {"x.png": (20, 24)})
    Path("out").mkdir()
    Path("out/x-as-b.png").write_text("mine")
    words = ["translate", "one/x.png", "two/x.png", str(pair_run), "--no-synthesize", "-o", "out"]
    assert main(words) == 0
    assert list_files("out") == {"x-as-b.png", "x-as-b-2.png", "x-as-b-3.png", "sheet.png"}
    assert Path("out/x-as-b.png").read_text() == "mine"


def test_a_pattern_that_the_shell_left_is_expanded(here: Path, pair_run: Path) -> None:
    write_photos("photos", UNLIKE)
    assert main(["translate", "photos/*", str(pair_run), "--no-synthesize", "-o", "out"]) == 0
    assert list_files("out") == {"fig-as-b.png", "pear-as-b.png", "sheet.png"}
