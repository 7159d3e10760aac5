"""Files that lost their end, and files of formats that are not read: one clear line, never wrong pixels in silence."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lonepair.errors import UserError
from lonepair.media.source import open_source
from lonepair.media.stills.image import read_image
from media_samples import random_pixels

PICTURE = Image.fromarray(random_pixels(60, 80, 3))
OPTIONS: dict[str, dict[str, object]] = {
    "PNG": {},
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 90},
    "webp": {"lossless": True},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_lzw"},
    "tiff": {"compression": "tiff_adobe_deflate"},
    "JPEG2000": {},
    "GIF": {},
    "BMP": {},
    "PPM": {},
    "TGA": {},
    "QOI": {},
    "jpeg": {"progressive": True},
}
RAW = ("BMP", "PPM", "TGA")


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind.upper(), **OPTIONS[kind])
    return buffer.getvalue()


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("fills", [False, True])
def test_lost_end_is_refused_or_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, fills: bool) -> None:
    data = encoded(kind)
    kept = data[: int(len(data) * 0.55)]
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(kept + bytes(len(data) - len(kept)) if fills else kept)
    if fills and kind in RAW:
        with caplog.at_level(logging.WARNING):
            read_image(path)
        assert "its pixels break off amid a row" in caplog.text
    else:
        with pytest.raises(UserError, match="cut short") as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", OPTIONS)
def test_complete_files_and_black_areas_raise_no_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    pixels = random_pixels(200, 300, 3)
    pixels[80:] = 0
    pixels[:, 200:] = 0
    path = tmp_path / f"a.{kind.lower()}"
    Image.fromarray(pixels).save(path, kind.upper(), **OPTIONS[kind])
    with caplog.at_level(logging.WARNING):
        assert read_image(path).shape == (1, 3, 200, 300)
    assert caplog.text == ""


@pytest.mark.parametrize(("first_zero", "is_told"), [(512 * 20, True), (512 * 20 - 32, False)])
def test_zero_rows_are_told_where_they_begin_with_a_block(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first_zero: int, is_told: bool
) -> None:
    header = b"P5\n#"
    rest = b"\n64 200\n255\n"
    header += b"." * ((first_zero - len(header) - len(rest)) % 64) + rest
    pixels = np.random.default_rng(0).integers(1, 256, 64 * 200, dtype=np.uint8).tobytes()
    data = (header + pixels)[:first_zero]
    (tmp_path / "a.pgm").write_bytes(data + bytes(len(header) + len(pixels) - len(data)))
    with caplog.at_level(logging.WARNING):
        read_image(tmp_path / "a.pgm")
    assert ("its last rows are zeros from the start of a disk's block on" in caplog.text) == is_told


@pytest.mark.parametrize("kind", ["JPEG", "jpeg"])
def test_jpeg_without_end_marker_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    (tmp_path / "whole.jpg").write_bytes(encoded(kind))
    for name, rest in (("a.jpg", b""), ("zeros.jpg", bytes(100))):
        (tmp_path / name).write_bytes(encoded(kind)[:-2] + rest)
        with caplog.at_level(logging.WARNING):
            image = read_image(tmp_path / name)
        assert f"{name}: the JPEG file has no end marker" in caplog.text
        assert np.array_equal(image, read_image(tmp_path / "whole.jpg"))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.nef", b"II*\0" + bytes(40), "a raw camera file"),
        ("a.tif", b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "a raw camera file"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201", "a raw camera file"),
        ("a.orf", b"IIRO" + bytes(40), "a raw camera file"),
        ("a.rw2", b"IIU\0" + bytes(40), "a raw camera file"),
        ("a.cr3", b"\0\0\0\x18ftypcrx " + bytes(40), "a raw camera file"),
        ("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "a HEIC/HEIF image"),
        ("a.jxl", b"\xff\x0a" + bytes(40), "a JPEG XL image"),
        ("a.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "a JPEG XL image"),
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript or EPS file"),
        ("a.pdf", b"%PDF-1.7\n", "a PDF file"),
        ("a.svg", b"<?xml version='1.0'?>\n<!-- x -->\n<svg xmlns='x'></svg>", "an SVG drawing"),
        ("a.psd", b"8BPS\0\1" + bytes(40), "a Photoshop file"),
        ("a.wmf", b"\xd7\xcd\xc6\x9a" + bytes(40), "a Windows metafile"),
    ],
)
def test_unsupported_formats_are_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    for read in (read_image, open_source):
        with pytest.raises(UserError, match=rf"is {says}.*, which is not supported; ") as caught:
            read(tmp_path / name)
        assert "damaged" not in str(caught.value)
