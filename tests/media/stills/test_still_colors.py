"""Colors of stills become sRGB by what the file says: profiles by curve and primaries, and PNG's own chunks."""

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from lonepair.media.source import open_source
from lonepair.media.stills.image import read_image
from lonepair.media.stills.profile import SRGB_XY, decode_srgb, encode_srgb, lab_to_srgb, space_of_icc, xyz_of_primaries
from lonepair.ops.arrays import to_uint16
from media_samples import random_pixels, write_png, write_png16

P3_XY = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290)
ADOBE_XY = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290)
PIXELS = random_pixels(12, 17, 3)


def icc(xy: tuple[float, ...] | None, gamma: float, name: str = "sRGB, as it says") -> bytes:
    """A profile of these primaries (None: grey) and this gamma."""

    def s15(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    curve = b"para\0\0\0\0\0\0\0\0" + s15(gamma)
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name.encode() + bytes(79)
    tags = {b"desc": text, b"wtpt": b"XYZ \0\0\0\0" + b"".join(map(s15, (0.9642, 1, 0.8249)))}
    if xy is None:
        tags[b"kTRC"] = curve
    else:
        columns = xyz_of_primaries(xy).T
        for key, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True):
            tags[key] = b"XYZ \0\0\0\0" + b"".join(map(s15, column))
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, data = struct.pack(">I", len(tags)), b""
    for key, value in tags.items():
        table += key + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    space = b"GRAY" if xy is None else b"RGB "
    head = struct.pack(">I4sI4s4s4s12s4s", 0, b"lcms", 0x04300000, b"mntr", space, b"XYZ ", bytes(12), b"acsp")
    head = head.ljust(68, b"\0") + b"".join(map(s15, (0.9642, 1, 0.8249)))
    body = head.ljust(128, b"\0") + table + data
    return struct.pack(">I", len(body)) + body[4:]


def convert(unit: np.ndarray, xy: tuple[float, ...], gamma: float) -> np.ndarray:
    """What values of these primaries and this gamma are in sRGB."""
    linear = unit**gamma @ xyz_of_primaries(xy).T @ np.linalg.inv(xyz_of_primaries(SRGB_XY)).T
    return encode_srgb(linear.clip(0, 1).astype(np.float32))


def levels(path: Path) -> np.ndarray:
    return to_uint16(read_image(path)) / 65535


def add_chunk(path: Path, kind: bytes, content: bytes) -> None:
    data = path.read_bytes()
    packed = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(data[:33] + packed + data[33:])


@pytest.mark.parametrize(("xy", "gamma"), [(SRGB_XY, 1.0), (P3_XY, 2.2), (ADOBE_XY, 2.19921875)])
def test_profiles_are_applied_by_curve_and_primaries(tmp_path: Path, xy: tuple[float, ...], gamma: float) -> None:
    profile, expected = icc(xy, gamma), convert(PIXELS / 255.0, xy, gamma)
    Image.fromarray(PIXELS).save(tmp_path / "8.png", icc_profile=profile)
    Image.fromarray(PIXELS).save(tmp_path / "8.tif", icc_profile=profile)
    Image.fromarray(PIXELS).convert("RGBA").save(tmp_path / "8.webp", icc_profile=profile, lossless=True)
    write_png16(tmp_path / "16.png", PIXELS.astype(np.uint16) * 257)
    add_chunk(tmp_path / "16.png", b"iCCP", b"x\0\0" + zlib.compress(profile))
    for file in tmp_path.iterdir():
        assert np.abs(levels(file) - expected).max() < 2e-3, file
    # LittleCMS agrees.
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    other = ImageCms.profileToProfile(Image.fromarray(PIXELS), opened, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(other) / 255 - expected).max() < 2 / 255
    # Palettes have colors, too.
    palette = Image.fromarray(PIXELS).quantize(16)
    palette.save(tmp_path / "palette.png", icc_profile=profile)
    colors = convert(np.asarray(palette.convert("RGB")) / 255.0, xy, gamma)
    assert np.abs(levels(tmp_path / "palette.png") - colors).max() < 2e-3


def test_grey_profiles_are_applied_at_8_and_16_bits(tmp_path: Path) -> None:
    gray = PIXELS[..., :1]
    Image.fromarray(gray[..., 0]).save(tmp_path / "8.png", icc_profile=icc(None, 1.0))
    write_png16(tmp_path / "16.png", gray.astype(np.uint16) * 257)
    add_chunk(tmp_path / "16.png", b"iCCP", b"x\0\0" + zlib.compress(icc(None, 1.0)))
    for file in tmp_path.iterdir():
        assert np.abs(levels(file) - encode_srgb((gray / 255).astype(np.float32))).max() < 1e-3


def test_profile_of_tables_is_applied_to_cmyk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.fromarray(PIXELS).convert("CMYK").save(tmp_path / "a.tif", icc_profile=icc(P3_XY, 2.2))
    with caplog.at_level(logging.WARNING):
        assert levels(tmp_path / "a.tif").shape == (12, 17, 3)
    assert space_of_icc(b"no profile") is None


def cmyk_profile() -> bytes:
    """A CMYK profile of a table (ICC.1:2022, 10.10 lut16Type): lightness falls with ink, cyan and magenta shift hue."""
    c, m, y, k = np.mgrid[0:1:3j, 0:1:3j, 0:1:3j, 0:1:3j]
    lab = [100 * (1 - k) * (1 - 0.2 * c - 0.3 * m - 0.1 * y), 60 * (m - 0.6 * c), 70 * (y - 0.6 * c)]
    # L* 0 to 100 is 0 to 65280, a* and b* -128 to 127 are 0 to 65280.
    grid = np.stack([lab[0] * 652.8, (lab[1] + 128) * 256, (lab[2] + 128) * 256], axis=-1).clip(0, 65535)
    ramp = np.array([0, 65535])
    head = b"mft2\0\0\0\0" + bytes((4, 3, 3, 0)) + (np.eye(3) * 65536).astype(">i4").tobytes()
    values = np.concatenate([np.tile(ramp, 4), grid.round().ravel(), np.tile(ramp, 3)])
    table = head + struct.pack(">HH", 2, 2) + values.astype(">u2").tobytes()
    tags = {b"A2B0": table, b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)}
    entries, data = struct.pack(">I", len(tags)), b""
    for key, value in tags.items():
        entries += key + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    start = struct.pack(">I4sI4s4s4s12s4s", 0, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ", bytes(12), b"acsp")
    start = start.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    body = start.ljust(128, b"\0") + entries + data
    return struct.pack(">I", len(body)) + body[4:]


def test_profiles_of_cmyk_are_applied_at_8_and_16_bits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    profile, cmyk = cmyk_profile(), random_pixels(12, 17, 4)
    image = Image.frombytes("CMYK", (17, 12), cmyk.tobytes())
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, opened, ImageCms.createProfile("sRGB"), outputMode="RGB")
    image.save(tmp_path / "a.tif", icc_profile=profile)
    options = {"photometric": "separated", "iccprofile": profile}
    tifffile.imwrite(tmp_path / "16.tif", cmyk.astype(np.uint16) * 257, **options)
    for name in ("a.tif", "16.tif"):
        assert np.abs(levels(tmp_path / name) * 255 - np.asarray(converted)).max() <= 1, name
    assert "16.tif: 16-bit colour is read as 8-bit" in caplog.text
    assert np.abs(np.asarray(converted).astype(int) - np.asarray(image.convert("RGB"))).mean() > 20


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_animated_images_apply_their_profiles(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(random_pixels(12, 17, 3, seed)) for seed in range(2)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 40, "lossless": True}
    frames[0].save(tmp_path / f"a.{kind}", icc_profile=icc(P3_XY, 1.8), **options)
    clip = list(open_source(tmp_path / f"a.{kind}").frames())
    for frame, stored in zip(clip, frames, strict=True):
        expected = convert(np.asarray(stored) / 255.0, P3_XY, 1.8)
        assert np.abs(to_uint16(frame.image) / 65535 - expected).max() < 2e-3


def test_hlg_and_p3_of_stills_follow_their_formulas(tmp_path: Path) -> None:
    # Display P3 with the curve of sRGB, in code points.
    pixels = random_pixels(6, 8, 3)
    write_png(tmp_path / "p3.png", (6, 8), 8, 2, pixels.reshape(6, -1), {b"cICP": bytes((12, 13, 0, 1))})
    to_srgb = np.linalg.inv(xyz_of_primaries(SRGB_XY)) @ xyz_of_primaries(P3_XY)
    linear = decode_srgb((pixels / 255).astype(np.float32)) @ to_srgb.T
    assert np.abs(levels(tmp_path / "p3.png") - encode_srgb(linear.clip(0, 1).astype(np.float32))).max() < 2e-3
    # HLG of 75 percent is reference white, 203 of 1000 cd/m2 (BT.2408): the knee of BT.2390 lowers it.
    greys = np.round(np.array([0, 0.25, 0.5, 0.75, 1]) * 65535).astype(np.uint16)
    rows = greys[None, :, None].repeat(3, 2).astype(">u2").reshape(1, -1).view(np.uint8)
    write_png(tmp_path / "hlg.png", (1, 5), 16, 2, rows, {b"cICP": bytes((9, 18, 0, 1))})
    row = levels(tmp_path / "hlg.png")[0]
    assert np.abs(row - row[:, :1]).max() < 1e-3
    # Below the knee: scene light E = code^2 / 3, display light 1000 E^1.2 (BT.2100), in units of 203 cd/m2.
    light = 1000 * (0.25**2 / 3) ** 1.2 / 203
    assert abs(row[1, 0] - encode_srgb(np.array(light, np.float32))) < 5e-3
    assert row[0, 0] == 0
    assert 0.7 < row[3, 0] < row[4, 0]
    assert row[4, 0] > 0.99


@pytest.mark.parametrize(
    ("chunks", "xy", "gamma"),
    [
        ({b"gAMA": struct.pack(">I", 100000)}, SRGB_XY, 1.0),
        ({b"gAMA": struct.pack(">I", 45455)}, None, 1.0),
        ({b"gAMA": struct.pack(">I", 100000), b"sRGB": b"\0"}, None, 1.0),
        ({b"gAMA": struct.pack(">I", 100000), b"iCCP": b"x\0\0" + zlib.compress(icc(P3_XY, 2.2))}, P3_XY, 2.2),
        ({b"cICP": bytes((12, 8, 0, 1)), b"iCCP": b"x\0\0" + zlib.compress(icc(ADOBE_XY, 2.2))}, P3_XY, 1.0),
        (
            {
                b"gAMA": struct.pack(">I", 100000),
                b"cHRM": struct.pack(">8I", *(round(v * 1e5) for v in (*P3_XY[6:], *P3_XY[:6]))),
            },
            P3_XY,
            1.0,
        ),
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_png_chunks_have_their_order(
    tmp_path: Path, chunks: dict[bytes, bytes], xy: tuple[float, ...] | None, gamma: float, bits: int
) -> None:
    if bits == 16:
        write_png16(tmp_path / "a.png", PIXELS.astype(np.uint16) * 257)
    else:
        Image.fromarray(PIXELS).save(tmp_path / "a.png")
    for kind, content in chunks.items():
        add_chunk(tmp_path / "a.png", kind, content)
    expected = PIXELS / 255.0 if xy is None else convert(PIXELS / 255.0, xy, gamma)
    assert np.abs(levels(tmp_path / "a.png") - expected).max() < 2e-3


def test_hdr_png_is_tone_mapped_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_png16(tmp_path / "a.png", np.full((4, 4, 3), round(0.58 * 65535), np.uint16))  # 203 cd/m2: SDR white
    add_chunk(tmp_path / "a.png", b"cICP", bytes((9, 16, 0, 1)))
    with caplog.at_level(logging.INFO):
        assert levels(tmp_path / "a.png").min() > 0.75
    assert "tone-mapped to SDR" in caplog.text


def test_srgb_curves_are_inverse() -> None:
    codes = np.linspace(0, 1, 99, dtype=np.float32)
    assert np.allclose(encode_srgb(decode_srgb(codes)), codes, atol=1e-6)


def test_16_bit_lab_is_read_by_its_definition(tmp_path: Path) -> None:
    # Red, grey and white of sRGB under D50.
    lab = np.array([[[54.29, 80.80, 69.89], [50.0, 0.0, 0.0], [100.0, 0.0, 0.0]]], np.float32)
    expected = np.array([[[1, 0, 0], [0.4663, 0.4663, 0.4663], [1, 1, 1]]])
    assert np.abs(lab_to_srgb(lab) - expected).max() < 5e-3
    stored = np.rint(lab * [65535 / 100, 256, 256]).astype(np.int64).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="cielab")
    assert np.abs(levels(tmp_path / "a.tif") - expected).max() < 5e-3
