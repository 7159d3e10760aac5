"""Stills of more than 8 bits, in every arrangement of TIFF and PNG: the right pixels, or a refusal."""

import logging
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from lonepair.errors import UserError
from lonepair.media.source import open_source
from lonepair.media.stills.deep_read import turn
from lonepair.media.stills.image import read_header, read_image
from lonepair.ops.arrays import to_uint16
from media_samples import write_png, write_png16

RNG = np.random.default_rng(0)
RGBA = RNG.integers(1, 65536, (20, 33, 4)).astype(np.uint16)
RGB, GRAY = RGBA[..., :3], RGBA[..., :1]


def premultiplied(array: np.ndarray) -> np.ndarray:
    color = array[..., :-1].astype(np.float64) * array[..., -1:] / 65535
    return np.concatenate([color.round().astype(np.uint16), array[..., -1:]], axis=2)


@pytest.mark.parametrize(
    ("stored", "options", "expected"),
    [
        (RGB, {"tile": (16, 16)}, RGB),
        (RGB, {"compression": "lzw", "predictor": True, "byteorder": ">"}, RGB),
        (RGB, {"compression": "zlib", "predictor": True, "tile": (16, 16), "bigtiff": True}, RGB),
        (RGB.transpose(2, 0, 1), {"planarconfig": "separate"}, RGB),
        (RGBA, {"extrasamples": ["unassalpha"]}, RGBA),
        (RGBA, {"extrasamples": ["unspecified"]}, RGB),
        (GRAY[..., 0], {"photometric": "minisblack", "byteorder": ">"}, GRAY),
        (GRAY[..., 0], {"photometric": "miniswhite", "compression": "lzw"}, 65535 - GRAY),
        (RGBA[..., [0, 3]], {"photometric": "minisblack", "extrasamples": ["unassalpha"]}, RGBA[..., [0, 0, 0, 3]]),
        ((GRAY[..., 0] / 65535).astype(np.float32), {"photometric": "minisblack", "predictor": True}, GRAY),
        ((RGB / 65535).astype(np.float32), {"compression": "lzw", "predictor": True}, RGB),
        ((RGB / 65535).astype(np.float64), {"tile": (16, 16)}, RGB),
        ((RGBA / 65535).astype(np.float32), {"extrasamples": ["unassalpha"]}, RGBA),
    ],
)
def test_deep_tiff_is_read_at_full_precision(
    tmp_path: Path, stored: np.ndarray, options: dict[str, object], expected: np.ndarray
) -> None:
    if options.get("predictor") and "compression" not in options:
        options = {**options, "compression": "zlib"}
    if "minisblack" in options.values() and stored.ndim == 3:
        options = {**options, "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", stored, **{"photometric": "rgb", **options})
    assert np.abs(to_uint16(read_image(tmp_path / "a.tif")).astype(int) - expected).max() <= 1
    assert read_header(tmp_path / "a.tif").channels == expected.shape[2]


def test_tiffs_of_8_bits_that_pillow_lacks_are_read(tmp_path: Path) -> None:
    rgba = (RGBA >> 8).astype(np.uint8)
    rgba[..., 3] |= 128
    color = (rgba[..., :3].astype(np.float64) * rgba[..., 3:] / 255).round().astype(np.uint8)
    planes = np.moveaxis(np.concatenate([color, rgba[..., 3:]], axis=2), 2, 0)
    options = {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["assocalpha"]}
    tifffile.imwrite(tmp_path / "planar.tif", planes, **options)
    level = {"lossless": True}
    tifffile.imwrite(tmp_path / "webp.tif", rgba[..., :3], photometric="rgb", compression="webp", compressionargs=level)
    for name, expected in (("planar.tif", rgba), ("webp.tif", rgba[..., :3])):
        assert read_header(tmp_path / name).bits == 8
        levels = to_uint16(read_image(tmp_path / name)) / 257
        assert np.abs(levels - expected).max() <= 2, name


def test_grey_of_16_bits_with_alpha_keeps_its_bits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_png16(tmp_path / "a.png", RGBA[..., [0, 3]])
    assert np.array_equal(to_uint16(read_image(tmp_path / "a.png")), RGBA[..., [0, 0, 0, 3]])
    assert caplog.text == ""


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_transparent_grey_of_few_bits_is_kept(tmp_path: Path, bits: int) -> None:
    levels = RNG.integers(0, 1 << bits, (6, 16))
    key = (1 << bits) - 2 if bits > 1 else 1
    packed = np.packbits((levels[..., None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).reshape(6, -1), axis=1)
    write_png(tmp_path / "a.png", (6, 16), bits, 0, packed, {b"tRNS": key.to_bytes(2, "big")})
    image = to_uint16(read_image(tmp_path / "a.png")) / 65535
    assert np.allclose(image[..., 0], levels / ((1 << bits) - 1), atol=1e-4)
    assert np.array_equal(image[..., 3] == 0, levels == key)


def test_associated_alpha_is_divided_out(tmp_path: Path) -> None:
    opaque = np.concatenate([RGB, 30000 + RGBA[..., 3:] // 2], axis=2)
    tifffile.imwrite(tmp_path / "a.tif", premultiplied(opaque), photometric="rgb", extrasamples=["assocalpha"])
    assert np.abs(to_uint16(read_image(tmp_path / "a.tif")).astype(int) - opaque).max() <= 2


def test_half_floats_and_12_bits_have_their_own_scale(tmp_path: Path) -> None:
    half = (RGB / 65535).astype(np.float16)
    tifffile.imwrite(tmp_path / "half.tif", half, photometric="rgb")
    assert np.abs(to_uint16(read_image(tmp_path / "half.tif")) / 65535 - half).max() < 1e-5
    tifffile.imwrite(tmp_path / "12.tif", GRAY[..., 0] >> 4, photometric="minisblack", bitspersample=12)
    assert np.abs(to_uint16(read_image(tmp_path / "12.tif")) / 65535 - (GRAY >> 4) / 4095).max() < 1e-4


_TRANSPOSITIONS = (
    *("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"),
)
"""Pillow's names of the steps to the upright picture, for the orientations 2 to 8."""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_applied_at_8_and_16_bits(tmp_path: Path, orientation: int) -> None:
    y, x = np.mgrid[:20, :33]
    stored = np.stack([y * 12, x * 7, 255 - y * 5], axis=2).astype(np.uint8)
    picture = Image.fromarray(stored)
    upright = picture.transpose(Image.Transpose[_TRANSPOSITIONS[orientation - 2]]) if orientation > 1 else picture
    assert np.array_equal(turn(stored, orientation), np.asarray(upright))
    exif = Image.Exif()
    exif[274] = orientation
    for name in ("a.png", "a.webp", "a.avif"):
        picture.save(tmp_path / name, exif=exif, lossless=True, quality=100)
    tag = [(274, 3, 1, orientation, False)]
    tifffile.imwrite(tmp_path / "8.tif", stored, photometric="rgb", extratags=tag)
    tifffile.imwrite(tmp_path / "16.tif", stored.astype(np.uint16) * 257, photometric="rgb", extratags=tag)
    for file in tmp_path.iterdir():
        assert read_header(file).size == (upright.height, upright.width)
        levels = to_uint16(read_image(file)) / 257
        assert np.abs(levels - np.asarray(upright)).max() <= (8 if file.suffix == ".avif" else 0), file


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_color_of_a_16_bit_png_is_kept(tmp_path: Path, channels: int) -> None:
    array = RGB[..., :channels].copy()
    array[:5] = array[0, 0]
    write_png16(tmp_path / "a.png", array)
    data = (tmp_path / "a.png").read_bytes()
    key = array[0, 0].astype(">u2").tobytes()
    chunk = len(key).to_bytes(4, "big") + b"tRNS" + key + zlib.crc32(b"tRNS" + key).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    image = to_uint16(read_image(tmp_path / "a.png"))
    assert np.array_equal(image[..., :3], np.broadcast_to(array, (*array.shape[:2], 3)))
    assert np.array_equal(image[..., 3] == 0, (array == array[0, 0]).all(axis=2))


def test_decoders_that_disagree_are_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_png16(tmp_path / "a.png", RGB)
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb")
    monkeypatch.setattr("lonepair.media.stills.deep_read.decode_png", lambda data: np.zeros_like(RGB))
    monkeypatch.setattr("lonepair.media.stills.deep_read.read_tiff", lambda path, header: np.zeros_like(RGB))
    with caplog.at_level(logging.WARNING):
        image = read_image(tmp_path / "a.png")
    assert "16-bit colour is read as 8-bit" in caplog.text
    assert np.array_equal(to_uint16(image) >> 8, RGB >> 8)
    with pytest.raises(UserError, match=r"a\.tif: two decoders read different pixels"):
        read_image(tmp_path / "a.tif")


def test_a_name_that_is_a_pattern_reads_its_own_file(tmp_path: Path) -> None:
    write_png16(tmp_path / "f1.png", RGB[::-1])
    write_png16(tmp_path / "f%d.png", RGB)
    assert np.array_equal(to_uint16(read_image(tmp_path / "f%d.png")), RGB)


@pytest.mark.parametrize("as_sub_page", [False, True])
def test_the_largest_page_that_is_not_reduced_is_read(tmp_path: Path, as_sub_page: bool) -> None:
    small = (RGB[::4, ::4] >> 8).astype(np.uint8)
    full = (RGB >> 8).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(small, photometric="rgb", subfiletype=1, subifds=int(as_sub_page))
        writer.write(full, photometric="rgb", subfiletype=0)
    assert np.array_equal(to_uint16(read_image(tmp_path / "a.tif")) // 257, full)


def test_frames_of_floating_point_have_one_range(tmp_path: Path) -> None:
    for index, light in enumerate((3.0, 9.0)):
        frame = np.full((8, 8), 0.5, np.float32)
        frame[index, 0] = light
        tifffile.imwrite(tmp_path / f"{index}.tif", frame, photometric="minisblack")
    first, second = (frame.image for frame in open_source(tmp_path).frames())
    assert first[0, 0, 5, 5] == second[0, 0, 5, 5] == -1
    assert first.max() < second.max() == 1


def test_long_texts_and_bad_checksums_of_needless_chunks_are_no_hindrance(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 3_000_000, zip=True)
    Image.fromarray((RGB >> 8).astype(np.uint8)).save(tmp_path / "a.png", pnginfo=info)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[:33] + b"\0\0\0\4prVt" + b"abcd" + b"1234" + data[33:])
    assert np.array_equal(to_uint16(read_image(tmp_path / "a.png")) // 257, RGB >> 8)


def test_avif_jpeg_2000_and_ppm_keep_their_bits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for bits in (10, 12, 16):
        stored = RGB >> (16 - bits)
        stored[0, 0] = (1 << bits) - 1
        (tmp_path / f"{bits}.jp2").write_bytes(imagecodecs.jpeg2k_encode(stored, level=0, bitspersample=bits))
        text = b"P6\n# text\n%d %d\n%d\n" % (*RGB.shape[1::-1], (1 << bits) - 1)
        (tmp_path / f"{bits}.ppm").write_bytes(text + stored.astype(">u2").tobytes())
        (tmp_path / f"{bits} of text.ppm").write_bytes(
            text.replace(b"P6", b"P3") + b" ".join(b"%d" % v for v in stored.flat)
        )
        if bits < 16:
            data = imagecodecs.avif_encode(stored, level=100, bitspersample=bits, pixelformat="444")
            (tmp_path / f"{bits}.avif").write_bytes(data)
        expected = stored / ((1 << bits) - 1)
        for file in tmp_path.glob(f"{bits}*"):
            assert read_header(file).bits == 16, file
            assert np.abs(to_uint16(read_image(file)) / 65535 - expected).max() < 2e-5, file
    assert caplog.text == ""


def test_without_imagecodecs_deep_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stored = RGB >> 6
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(stored, level=0, bitspersample=10))
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(stored, level=100, bitspersample=10, pixelformat="444"))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    # Pillow reads white as black.
    with pytest.raises(
        UserError, match=r"a\.jp2: JPEG 2000 of this kind with 10 bits .*; pip install 'lonepair\[tiff\]'"
    ):
        read_image(tmp_path / "a.jp2")
    assert np.abs(to_uint16(read_image(tmp_path / "a.avif")) / 65535 - stored / 1023).max() < 3 / 255
    assert "a.avif: its colors have 10 bits, of which 8 are read; pip install" in caplog.text
