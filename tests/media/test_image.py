"""Images in and out: every kind of file, every mistake, and the way back to 8 bits."""

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from lonepair.errors import UserError
from lonepair.media.files import atomic_write, natural_order, next_free
from lonepair.media.image import read_image, read_metadata, write_image
from lonepair.media.sheet import contact_sheet
from lonepair.media.values import as_image
from lonepair.ops.arrays import to_pil, to_uint8
from lonepair.ops.color import common_channels, match_channels


def pixels(h: int, w: int, c: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, c), dtype=np.uint8)


def tensor(h: int, w: int, c: int, seed: int = 0) -> torch.Tensor:
    return as_image(pixels(h, w, c, seed))


def png16(path: Path, array: np.ndarray) -> None:
    """A 16-bit PNG by hand: Pillow writes none in colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    h, w, c = array.shape
    header = struct.pack(">IIBBBBB", w, h, 16, {1: 0, 3: 2, 4: 6}[c], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    path.write_bytes(start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp"])
def test_lossless_files_give_back_every_pixel(tmp_path: Path, suffix: str, channels: int) -> None:
    image = tensor(7, 5, channels)
    write_image(tmp_path / f"a{suffix}", image)
    again = read_image(tmp_path / f"a{suffix}")
    assert again.dtype == torch.float32
    if suffix == ".webp" and channels == 1:  # WebP has no grey
        image = match_channels(image, 3)
    assert torch.equal(again, image)


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("CMYK", 3), ("YCbCr", 3), ("LAB", 3), ("LA", 4), ("RGBA", 4)],
)
def test_pillow_modes(mode: str, channels: int) -> None:
    picture = Image.fromarray(pixels(6, 9, 4))
    if mode == "LAB":
        picture = Image.frombytes("LAB", (9, 6), pixels(6, 9, 3).tobytes())
    if mode not in ("LAB", "RGBA"):
        picture = picture.convert("LA" if mode == "LA" else "RGB").convert(mode)
    image = as_image(picture)
    assert image.shape == (1, channels, 6, 9)
    assert image.abs().max() <= 1


def test_transparency_of_a_palette_is_kept_and_an_opaque_alpha_is_not(tmp_path: Path) -> None:
    palette = Image.fromarray(pixels(6, 9, 3)).quantize(8)
    palette.save(tmp_path / "clear.png", transparency=0)
    assert read_image(tmp_path / "clear.png").shape[1] == 4
    Image.new("RGBA", (9, 6), (1, 2, 3, 255)).save(tmp_path / "opaque.png")
    assert read_image(tmp_path / "opaque.png").shape[1] == 3


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_kept(tmp_path: Path, channels: int) -> None:
    array = np.random.default_rng(0).integers(0, 65536, (5, 4, channels)).astype(np.uint16)
    png16(tmp_path / "deep.png", array)
    image = read_image(tmp_path / "deep.png")
    assert np.array_equal(((image[0].permute(1, 2, 0).double() + 1) * 32767.5).round().numpy(), array)
    assert torch.equal(image, as_image(array))


def test_floating_point_grey(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    Image.fromarray(unit).save(tmp_path / "unit.tif")
    assert torch.allclose(read_image(tmp_path / "unit.tif")[0, 0], torch.from_numpy(unit * 2 - 1), atol=1e-6)
    Image.fromarray(unit * 700 - 3).save(tmp_path / "counts.tif")  # a microscope's own units: stretched
    assert torch.allclose(read_image(tmp_path / "counts.tif")[0, 0], torch.from_numpy(unit * 2 - 1), atol=1e-5)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turn clockwise
    upright = pixels(4, 7, 3)
    Image.fromarray(upright).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(to_uint8(read_image(tmp_path / "turned.png")), np.rot90(upright, -1))


def test_a_colour_profile_that_is_srgb_or_broken_changes_nothing(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("srgb", srgb), ("broken", b"not a profile")):
        Image.fromarray(pixels(4, 4, 3)).save(tmp_path / f"{name}.tif", icc_profile=profile)
        assert np.array_equal(to_uint8(read_image(tmp_path / f"{name}.tif")), pixels(4, 4, 3))


def damaged_file(folder: Path, kind: str) -> Path:
    good = io.BytesIO()
    Image.fromarray(pixels(40, 40, 3)).save(good, "PNG")
    content = {"empty": b"", "text": b"hello " * 50, "cut": good.getvalue()[:2000], "stump": good.getvalue()[:12]}
    path = folder / f"{kind}.png"
    if kind in content:
        path.write_bytes(content[kind])
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file"),
        ("folder", "is a folder"),
        ("empty", r"the file is empty \(0 bytes\); give an image file such as PNG or JPEG"),
        ("text", "is not an image Pillow can read"),
        ("cut", "damaged or cut short"),
        ("stump", "damaged or cut short"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, kind: str, says: str) -> None:
    with pytest.raises(UserError, match=rf"{kind}\.png: .*{says}") as caught:
        read_image(damaged_file(tmp_path, kind))
    assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "big.png", tensor(40, 40, 1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match=r"big\.png: the image is larger than"):
        read_image(tmp_path / "big.png")


def test_arrays_and_tensors_are_images() -> None:
    array = pixels(6, 5, 3)
    image = as_image(array)
    assert torch.equal(as_image(array.astype(np.uint16) * 257), image)
    assert torch.equal(as_image(image[0]), image)
    assert torch.equal(as_image(image[0].permute(1, 2, 0).numpy()), image)
    assert torch.equal(as_image(torch.from_numpy(array).permute(2, 0, 1)), image)
    assert torch.equal(as_image(to_pil(image)), image)
    assert as_image(array[..., 0]).shape == as_image(torch.zeros(6, 5)).shape == (1, 1, 6, 5)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\) is not an image"),
        (np.zeros((3, 20, 30), np.uint8), "channels first"),
        (torch.zeros(20, 30, 3), "channels last"),
        (torch.zeros(2, 3, 4, 4), "2 images"),
        (torch.zeros(1, 5, 4, 4), r"\(1, 5, 4, 4\) is not an image"),
        (np.zeros((4, 4), bool), "holds bool"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "holds torch.int64"),
        (np.full((4, 4), np.nan), "not finite"),
        (torch.full((1, 4, 4), 255.0), r"from 255 to 255, not in \[-1, 1\]; give uint8"),
        (np.zeros((0, 4)), "no pixels"),
        (None, "a NoneType is not an image"),
    ],
)
def test_bad_values_are_named(value: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        as_image(value)


def test_channels() -> None:
    grey, rgb, rgba = tensor(3, 4, 1), tensor(3, 4, 3), tensor(3, 4, 4)
    assert common_channels(1, 1) == 1
    assert common_channels(1, 3) == 3
    assert common_channels(4, 3) == 4
    assert torch.equal(match_channels(grey, 3), grey.repeat(1, 3, 1, 1))
    assert torch.allclose(match_channels(match_channels(grey, 3), 1), grey, atol=1e-6)
    assert (match_channels(rgb, 4)[:, 3] == 1).all()
    assert torch.equal(match_channels(match_channels(rgb, 4), 3), rgb)
    assert match_channels(rgba, 4) is rgba
    clear = torch.cat([rgb, -torch.ones(1, 1, 3, 4)], dim=1)
    assert torch.equal(match_channels(clear, 3), torch.ones(1, 3, 3, 4))  # nothing, over white
    with pytest.raises(UserError, match="2 channels"):
        match_channels(rgb, 2)


def test_writing_is_deterministic_and_asks_before_it_replaces(tmp_path: Path) -> None:
    texts = {"method": "lonepair", "note": "grüße 火山"}
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, tensor(5, 5, 3), texts)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with pytest.raises(UserError, match=r"a\.png: the file exists already; give --overwrite"):
        write_image(tmp_path / "a.png", tensor(5, 5, 3))
    write_image(tmp_path / "a.png", tensor(5, 5, 1), overwrite=True)
    assert read_image(tmp_path / "a.png").shape[1] == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_metadata_comes_back(tmp_path: Path, suffix: str) -> None:
    texts = {"method": "lonepair", "note": "grüße 火山"}
    write_image(tmp_path / f"a{suffix}", tensor(5, 5, 4), texts)
    assert read_metadata(tmp_path / f"a{suffix}") == texts
    write_image(tmp_path / f"bare{suffix}", tensor(5, 5, 3))
    assert read_metadata(tmp_path / f"bare{suffix}") == {}


def test_bad_outputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'\.xyz' is not a format that can be written; use one of \.png"):
        write_image(tmp_path / "a.xyz", tensor(2, 2, 3))
    with pytest.raises(UserError, match=r"the folder .*nowhere does not exist"):
        write_image(tmp_path / "nowhere" / "a.png", tensor(2, 2, 3))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UserError, match=r"a\.txt: cannot be written \(no space left on device\)"), atomic_write(path):
        raise OSError(28, "No space left on device")

    def stop_halfway() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    with pytest.raises(UserError, match="make the folder"), atomic_write(tmp_path / "no" / "a.txt"):
        pass


def test_names(tmp_path: Path) -> None:
    assert next_free(tmp_path / "out.png") == tmp_path / "out.png"
    (tmp_path / "out.png").touch()
    (tmp_path / "out-2.png").touch()
    assert next_free(tmp_path / "out.png") == tmp_path / "out-3.png"
    (tmp_path / "run.v1").mkdir()
    assert next_free(tmp_path / "run.v1") == tmp_path / "run.v1-2"
    names = ["f10.png", "f9.png", "F1.png", "f01.png", "a2b3.png", "a2b12.png"]
    ordered = [path.name for path in natural_order(map(Path, names))]
    assert ordered == ["a2b3.png", "a2b12.png", "F1.png", "f01.png", "f9.png", "f10.png"]


def test_a_contact_sheet_holds_every_image(caplog: pytest.LogCaptureFixture) -> None:
    rows = [[("source", tensor(30, 60, 3)), ("a very long label that does not fit", tensor(9, 3, 1))]]
    rows.append([("cut out", torch.cat([tensor(8, 8, 3), -torch.ones(1, 1, 8, 8)], dim=1))])
    with caplog.at_level(logging.WARNING):
        sheet = contact_sheet(rows, cell=64)
    assert sheet.shape[:2] == (1, 3)
    assert sheet.shape[3] > 2 * 64
    assert sheet.shape[2] > 2 * 64
    assert (sheet[..., 0] == 1).all()  # white margin
    assert not caplog.records
