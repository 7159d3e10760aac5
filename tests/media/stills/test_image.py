"""Image files: every format is read and written without loss where promised, and unreadable files are named."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from lonepair.errors import UserError
from lonepair.media.stills.image import read_image, read_metadata, write_image
from lonepair.media.values import as_image
from lonepair.ops.arrays import to_uint8
from lonepair.ops.color import match_channels
from media_samples import random_image, random_pixels, write_png16


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp"])
def test_lossless_formats_return_every_pixel(tmp_path: Path, suffix: str, channels: int) -> None:
    image = random_image(7, 5, channels)
    write_image(tmp_path / f"a{suffix}", image)
    again = read_image(tmp_path / f"a{suffix}")
    assert again.dtype == torch.float32
    if suffix == ".webp" and channels == 1:  # WebP has no grey
        image = match_channels(image, 3)
    assert torch.equal(again, image)


def test_transparency_is_read_and_opaque_alpha_is_dropped(tmp_path: Path) -> None:
    palette = Image.fromarray(random_pixels(6, 9, 3)).quantize(8)
    palette.save(tmp_path / "clear.png", transparency=0)
    assert read_image(tmp_path / "clear.png").shape[1] == 4
    Image.new("RGBA", (9, 6), (1, 2, 3, 255)).save(tmp_path / "opaque.png")
    assert read_image(tmp_path / "opaque.png").shape[1] == 3


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png_is_read_at_full_precision(tmp_path: Path, channels: int) -> None:
    array = np.random.default_rng(0).integers(0, 65536, (5, 4, channels)).astype(np.uint16)
    write_png16(tmp_path / "deep.png", array)
    image = read_image(tmp_path / "deep.png")
    assert np.array_equal(((image[0].permute(1, 2, 0).double() + 1) * 32767.5).round().numpy(), array)
    assert torch.equal(image, as_image(array))


def test_floating_point_grey_is_stretched_only_outside_0_to_1(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    Image.fromarray(unit).save(tmp_path / "unit.tif")
    assert torch.allclose(read_image(tmp_path / "unit.tif")[0, 0], torch.from_numpy(unit * 2 - 1), atol=1e-6)
    Image.fromarray(unit * 700 - 3).save(tmp_path / "counts.tif")  # a microscope's own units: stretched
    assert torch.allclose(read_image(tmp_path / "counts.tif")[0, 0], torch.from_numpy(unit * 2 - 1), atol=1e-5)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turn clockwise
    upright = random_pixels(4, 7, 3)
    Image.fromarray(upright).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(to_uint8(read_image(tmp_path / "turned.png")), np.rot90(upright, -1))


def test_srgb_and_unreadable_color_profiles_change_no_pixel(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("srgb", srgb), ("broken", b"not a profile")):
        Image.fromarray(random_pixels(4, 4, 3)).save(tmp_path / f"{name}.tif", icc_profile=profile)
        assert np.array_equal(to_uint8(read_image(tmp_path / f"{name}.tif")), random_pixels(4, 4, 3))


def unreadable_file(folder: Path, kind: str) -> Path:
    good = io.BytesIO()
    Image.fromarray(random_pixels(40, 40, 3)).save(good, "PNG")
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
        ("text", "is not an image that can be read"),
        ("cut", r"the PNG file is damaged or cut short \(chunk IDAT is not complete\)"),
        ("stump", r"the PNG file is damaged or cut short \(its end is missing\)"),
    ],
)
def test_unreadable_file_is_named_in_one_line(tmp_path: Path, kind: str, says: str) -> None:
    with pytest.raises(UserError, match=rf"{kind}\.png: .*{says}") as caught:
        read_image(unreadable_file(tmp_path, kind))
    assert "\n" not in str(caught.value)


def test_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "big.png", random_image(40, 40, 1))
    monkeypatch.setattr("lonepair.media.limits.MAX_PIXELS", 100)
    with pytest.raises(UserError, match=r"big\.png: has 40x40 pixels"):
        read_image(tmp_path / "big.png")


def test_write_image_is_deterministic_and_replaces_only_with_overwrite(tmp_path: Path) -> None:
    texts = {"method": "lonepair", "note": "grüße 火山"}
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, random_image(5, 5, 3), texts)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with pytest.raises(UserError, match=r"a\.png: the file exists already; give overwrite=True"):
        write_image(tmp_path / "a.png", random_image(5, 5, 3))
    write_image(tmp_path / "a.png", random_image(5, 5, 1), overwrite=True)
    assert read_image(tmp_path / "a.png").shape[1] == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_metadata_round_trip(tmp_path: Path, suffix: str) -> None:
    texts = {"method": "lonepair", "note": "grüße 火山"}
    write_image(tmp_path / f"a{suffix}", random_image(5, 5, 4), texts)
    assert read_metadata(tmp_path / f"a{suffix}") == texts
    write_image(tmp_path / f"bare{suffix}", random_image(5, 5, 3))
    assert read_metadata(tmp_path / f"bare{suffix}") == {}


def test_write_image_refuses_unknown_suffix_and_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'\.xyz' is not a format that can be written; use one of \.png"):
        write_image(tmp_path / "a.xyz", random_image(2, 2, 3))
    with pytest.raises(UserError, match=r"the folder .*nowhere does not exist"):
        write_image(tmp_path / "nowhere" / "a.png", random_image(2, 2, 3))
