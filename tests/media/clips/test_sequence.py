"""Sequences of numbered files, read and written by a pattern."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lonepair.errors import UserError
from lonepair.media.clips.codecs import Encoding
from lonepair.media.clips.frames import decode, probe
from lonepair.media.clips.sequence import parse_pattern, stem
from lonepair.media.clips.write import ClipWriter
from lonepair.media.source import open_source
from lonepair.media.stills.image import decode_image, read_image, read_metadata, write_image
from media_samples import flat_frames, gradient_frame, write_clip, write_png16


def write_numbers(folder: Path, numbers: list[int], name: str = "shot.{:04d}.png") -> None:
    for number in numbers:
        write_image(folder / name.format(number), gradient_frame(6, 8, 3, number % 7))


@pytest.mark.parametrize(
    ("name", "first", "large"),
    [
        ("a.%04d.exr", "a.0007.exr", "a.12345.exr"),
        ("a.####.png", "a.0007.png", "a.12345.png"),
        ("%d.tif", "7.tif", "12345.tif"),
        ("a##b.png", "a07b.png", "a12345b.png"),
    ],
)
def test_a_pattern_names_its_files(name: str, first: str, large: str) -> None:
    pattern = parse_pattern(Path("folder") / name)
    assert pattern is not None
    assert (pattern.path(7), pattern.path(12345)) == (Path("folder") / first, Path("folder") / large)


def test_ordinary_names_are_no_patterns() -> None:
    for name in ("a.png", "take #2.png", "100%.png", "%s.png", "a.%04d.##.png"):
        assert parse_pattern(Path(name)) is None
    assert stem(Path("x/shot_a.%04d.exr")) == "shot_a"
    assert stem(Path("shots/####.png")) == "shots"
    assert stem(Path("photo.v2.jpg")) == "photo.v2"


@pytest.mark.parametrize("name", ["shot.%04d.png", "shot.####.png"])
def test_a_sequence_is_a_clip_that_starts_at_its_first_number(tmp_path: Path, name: str) -> None:
    write_numbers(tmp_path, [1001, 1002, 1003])
    write_numbers(tmp_path, [5], "shot.{}.png")  # another number of digits: another sequence
    write_numbers(tmp_path, [1], "other.{:04d}.png")
    source = open_source(tmp_path / name, rate=Fraction(24))
    assert (source.is_clip, source.name, source.frame_count, source.first_number) == (True, name, 3, 1001)
    assert source.times() == [frame.time for frame in source.frames()] == [Fraction(index, 24) for index in range(3)]
    assert torch.equal(next(source.frames(2)).image, gradient_frame(6, 8, 3, 1003 % 7))
    assert source.fingerprint() == open_source(tmp_path / "shot.%04d.png").fingerprint()


def test_a_missing_number_is_named(tmp_path: Path) -> None:
    write_numbers(tmp_path, [1, 2, 5, 6, 9])
    with pytest.raises(
        UserError, match=r"%04d\.png: 4 files are missing between shot\.0001\.png and shot\.0009\.png, first shot\.0003"
    ):
        open_source(tmp_path / "shot.%04d.png")
    with pytest.raises(UserError, match=r"no file has such a name, for instance none\.0001\.png"):
        open_source(tmp_path / "none.%04d.png")
    with pytest.raises(UserError, match=r"the folder .*nowhere does not exist"):
        open_source(tmp_path / "nowhere" / "shot.%04d.png")


def test_a_file_that_is_named_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    write_image(tmp_path / "a.##.png", flat_frames(1))
    assert not open_source(tmp_path / "a.##.png").is_clip


def test_a_folder_knows_the_number_of_its_first_file(tmp_path: Path) -> None:
    write_numbers(tmp_path, [8, 9, 10], "f{}.png")
    assert probe(tmp_path).first_number == 8
    (tmp_path / "f9.png").unlink()
    assert probe(tmp_path).first_number == 0


@pytest.mark.parametrize(("name", "tolerance"), [("o.%04d.png", 0), ("o.####.tif", 0), ("o.%04d.exr", 1e-3)])
def test_frames_are_written_by_number(tmp_path: Path, name: str, tolerance: float) -> None:
    images = [gradient_frame(6, 8, 4, index) for index in range(5)]
    write_clip(tmp_path / name, images, encoding=Encoding(start_number=99), metadata={"by": "lonepair"})
    pattern = parse_pattern(tmp_path / name)
    assert pattern is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == [pattern.path(number).name for number in range(99, 104)]
    source = open_source(tmp_path / name)
    assert (source.first_number, source.channels) == (99, 4)
    for frame, image in zip(source.frames(), images, strict=True):
        visible = image[:, 3:] > -1
        assert ((frame.image - image).abs() * visible).max() <= tolerance
    assert read_metadata(pattern.path(101)) == {"by": "lonepair"}


def test_an_error_leaves_complete_files_only_and_existing_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "o.%04d.png"

    def stop_after_two() -> None:
        with ClipWriter(path, (6, 8), Fraction(25)) as writer:
            for index in range(2):
                writer.write(gradient_frame(6, 8, 3, index), Fraction(index, 25))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_after_two()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["o.0000.png", "o.0001.png"]
    with pytest.raises(UserError, match=r"o\.%04d\.png: o\.0000\.png exists already; give overwrite=True"):
        ClipWriter(path, (6, 8), Fraction(25))
    write_numbers(tmp_path, [7], "o.{:04d}.png")
    write_clip(path, [gradient_frame(6, 8, 3, 3)] * 1, [Fraction(0)], overwrite=True)
    assert torch.equal(read_image(tmp_path / "o.0000.png"), gradient_frame(6, 8, 3, 3))
    assert (tmp_path / "o.0007.png").exists()  # frames that were not written again stay
    for name, says in (("o.%04d.mp4", r"'\.mp4' is not a format"), ("no/o.%04d.png", "the folder .* does not exist")):
        with pytest.raises(UserError, match=says):
            ClipWriter(tmp_path / name, (6, 8), Fraction(25))


def test_depth_numbers_and_highlights_of_a_source_are_retained(tmp_path: Path) -> None:
    for number in (12, 13):
        array = np.random.default_rng(number).integers(0, 65536, (6, 8, 3)).astype(np.uint16)
        write_png16(tmp_path / f"a.{number}.png", array)
    source = open_source(tmp_path / "a.##.png")
    assert (source.bits, source.first_number) == (16, 12)
    with ClipWriter.for_source(source, tmp_path / "b.##.png", source.size) as writer:
        for frame in source.frames():
            writer.write(frame.image, frame.time)
    for number in (12, 13):
        content = decode_image(tmp_path / f"b.{number}.png")
        assert content.bits == 16
        assert torch.equal(content.image, read_image(tmp_path / f"a.{number}.png"))
    gain = torch.full((1, 1, 3, 4), 5.0)
    with ClipWriter.for_source(source, tmp_path / "c.####.exr", (6, 8)) as writer:
        writer.write(torch.ones(1, 3, 6, 8), Fraction(0), gain)
    assert decode_image(tmp_path / "c.0012.exr").gain.unique().tolist() == [5]
    frame = next(open_source(tmp_path / "c.%04d.exr").frames())
    assert frame.gain is not None


def test_lost_highlights_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gain = torch.full((1, 1, 6, 8), 5.0)
    with caplog.at_level(logging.WARNING, logger="lonepair"), ClipWriter(tmp_path / "a.mkv", (6, 8), Fraction(25)) as w:
        for index in range(3):
            w.write(torch.zeros(1, 3, 6, 8), Fraction(index, 25), gain)
    assert caplog.text.count("values above 1 are lost; write a sequence of .exr files") == 1
    assert len(list(decode(tmp_path / "a.mkv"))) == 3


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_files_are_exact_and_other_programs_read_them(tmp_path: Path, suffix: str, channels: int) -> None:
    array = np.random.default_rng(0).integers(0, 65536, (5, 4, channels)).astype(np.uint16)
    image = torch.from_numpy(array.astype(np.float64)).permute(2, 0, 1)[None].div(32767.5).sub(1).float()
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}{suffix}", image, {"note": "grüße"}, bits=16)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    again = decode_image(tmp_path / f"a{suffix}")
    assert again.bits == 16
    assert np.array_equal(((again.image[0].permute(1, 2, 0).double() + 1) * 32767.5).round().numpy(), array)
    assert read_metadata(tmp_path / f"a{suffix}") == ({"note": "grüße"} if suffix == ".png" else {})
    with Image.open(tmp_path / f"a{suffix}") as picture:
        assert np.array_equal(np.asarray(picture.convert("RGBA" if channels == 4 else "RGB"))[..., 0].shape, (5, 4))
    cv2 = pytest.importorskip("cv2")
    read = cv2.imread(str(tmp_path / f"a{suffix}"), cv2.IMREAD_UNCHANGED).reshape(5, 4, channels)
    assert np.array_equal(read[..., [2, 1, 0, 3][:channels]] if channels > 1 else read, array)
