"""OpenEXR: linear light, values above 1, premultiplied alpha, windows, and files that cannot be read."""

from __future__ import annotations

import logging
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from lonepair.errors import UserError
from lonepair.media.clips.frames import probe
from lonepair.media.source import open_source
from lonepair.media.stills.exr import fit_gain
from lonepair.media.stills.image import decode_image, read_image, read_metadata, write_image
from lonepair.media.stills.profile import decode_srgb, encode_srgb

OpenEXR = pytest.importorskip("OpenEXR")


def write_planes(path: Path, planes: dict[str, np.ndarray], **header: object) -> Path:
    """Write channels with the OpenEXR package itself."""
    kind = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File({**kind, **header}, {name: np.ascontiguousarray(plane) for name, plane in planes.items()}).write(
        str(path)
    )
    return path


def read_planes(path: Path) -> dict[str, np.ndarray]:
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: channel.pixels for name, channel in file.channels().items()}


def random_half(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) * scale).astype(np.float16)


def test_srgb_curve_is_that_of_the_standard_and_its_inverse() -> None:
    linear = np.linspace(0, 1, 1000, dtype=np.float32)
    assert np.abs(decode_srgb(encode_srgb(linear)) - linear).max() < 1e-6
    # 18 % grey is 0.461, and the two pieces meet at the published threshold.
    assert encode_srgb(np.array([0.18, 0.0031308, 1.0], np.float32)) == pytest.approx([0.4613, 0.04045, 1.0], abs=1e-4)


def test_values_above_1_survive_a_round_trip_bit_for_bit(tmp_path: Path) -> None:
    planes = {name: random_half(9, 12, scale=20, seed=seed) for seed, name in enumerate("RGB")}
    planes["R"][0, :4] = [0, 65504, 1, 0.0005]
    content = decode_image(write_planes(tmp_path / "a.exr", planes))
    assert content.image.shape == (1, 3, 9, 12)
    assert content.image.abs().max() <= 1
    assert content.gain is not None
    assert content.gain.min() >= 1
    write_image(tmp_path / "b.exr", content.image, {"by": "lonepair"}, gain=content.gain)
    again = read_planes(tmp_path / "b.exr")
    # Beside a value of 65504, others of the pixel are less exact than half precision.
    exact = np.ones((9, 12), bool)
    exact[0, 1] = False
    assert all(np.array_equal(again[name][exact], planes[name][exact]) for name in "RGB")
    assert all(again[name].dtype == np.float16 for name in "RGB")
    assert read_metadata(tmp_path / "b.exr") == {"by": "lonepair"}


def test_a_highlight_retains_its_hue_and_a_dark_image_has_no_gain(tmp_path: Path) -> None:
    planes = {name: np.full((4, 4), value, np.float16) for name, value in zip("RGB", (8, 4, 2), strict=True)}
    content = decode_image(write_planes(tmp_path / "a.exr", planes))
    expected = encode_srgb(np.array([1, 0.5, 0.25], np.float32)) * 2 - 1
    assert content.image[0, :, 0, 0].numpy() == pytest.approx(expected, abs=1e-6)
    assert content.gain is not None
    assert content.gain.unique().tolist() == [8]
    dim = {name: plane / np.float16(8) for name, plane in planes.items()}
    assert decode_image(write_planes(tmp_path / "b.exr", dim)).gain is None


def test_alpha_is_premultiplied_in_the_file_and_straight_in_memory(tmp_path: Path) -> None:
    image = torch.cat([torch.full((1, 3, 4, 6), 0.5), torch.linspace(-1, 1, 6).expand(1, 1, 4, 6)], dim=1)
    write_image(tmp_path / "a.exr", image)
    planes = read_planes(tmp_path / "a.exr")
    color = decode_srgb(np.array([0.75], np.float32))
    assert np.allclose(planes["G"][0], color * np.linspace(0, 1, 6), atol=1e-3)
    again = read_image(tmp_path / "a.exr")
    assert again.shape == (1, 4, 4, 6)
    assert torch.allclose(again[..., 1:], image[..., 1:], atol=2e-3)
    opaque = torch.cat([image[:, :3], torch.ones(1, 1, 4, 6)], dim=1)
    write_image(tmp_path / "b.exr", opaque)
    assert read_image(tmp_path / "b.exr").shape[1] == 3


def test_grey_is_one_channel_and_float_channels_are_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.exr", torch.linspace(-1, 1, 24).view(1, 1, 4, 6))
    assert set(read_planes(tmp_path / "a.exr")) == {"Y"}
    assert read_image(tmp_path / "a.exr").shape == (1, 1, 4, 6)
    write_planes(tmp_path / "b.exr", {name: np.full((4, 6), 0.25, np.float32) for name in "RGBZ"})
    assert torch.allclose(read_image(tmp_path / "b.exr"), torch.tensor(0.53709872 * 2 - 1))


def test_the_display_window_is_the_frame(tmp_path: Path) -> None:
    """Overscan is cropped, and where there is no data the image is black."""
    windows = {
        "dataWindow": (np.array([-2, 1], np.int32), np.array([5, 4], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([9, 5], np.int32)),
    }
    plane = np.broadcast_to(np.arange(8, dtype=np.float16) / 8, (4, 8))
    path = write_planes(tmp_path / "a.exr", dict.fromkeys("RGB", plane), pixelAspectRatio=2.0, **windows)
    image = read_image(path)
    assert image.shape == (1, 3, 6, 10)
    unit = decode_srgb((image[0, 0].numpy() + 1) / 2)
    assert np.allclose(unit[1:5, :6], np.arange(2, 8) / 8, atol=1e-6)
    assert unit[0].max() == unit[5].max() == unit[:, 6:].max() == 0
    (tmp_path / "f").mkdir()
    path.rename(tmp_path / "f" / "a.1.exr")
    info = probe(tmp_path / "f" / "a.%d.exr")
    assert (info.size, info.pixel_aspect, info.bits) == ((6, 10), Fraction(2), 16)


def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write_planes(tmp_path / "whole.exr", {name: random_half(16, 16) for name in "RGB"}).read_bytes()
    (tmp_path / "cut.exr").write_bytes(whole[: len(whole) // 2])
    write_planes(tmp_path / "nan.exr", {name: np.full((2, 2), np.nan, np.float16) for name in "RGB"})
    write_planes(tmp_path / "depth.exr", {"Z": random_half(4, 4)})
    for name, says in (
        ("cut", "cannot be read: it is cut short or of an unsupported variant"),
        ("nan", "not finite"),
        ("depth", "has the channels Z; R, G and B, or Y, of one size are read"),
    ):
        with pytest.raises(UserError, match=rf"{name}\.exr: .*{says}"):
            open_source(tmp_path / f"{name}.exr")
    assert capsys.readouterr().out == ""


def test_other_primaries_are_converted_with_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    planes = {name: random_half(4, 4) for name in "RGB"}
    aces = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    rec709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
    planes["G"] = planes["B"] = planes["R"]  # grey, which all primaries share
    with caplog.at_level(logging.INFO, logger="lonepair"):
        open_source(write_planes(tmp_path / "rec709.exr", planes, chromaticities=rec709))
        assert not caplog.text
        open_source(write_planes(tmp_path / "aces.exr", planes, chromaticities=aces))
    assert "aces.exr: its primaries, which are not those of Rec. 709, are converted" in caplog.text
    same, red = read_image(tmp_path / "rec709.exr"), {**planes, "G": 0 * planes["R"], "B": 0 * planes["R"]}
    assert torch.allclose(read_image(tmp_path / "aces.exr"), same, atol=2e-3)
    assert not torch.allclose(read_image(write_planes(tmp_path / "red.exr", red, chromaticities=aces)), same, atol=0.1)


def test_without_the_package_one_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_planes(tmp_path / "a.exr", {"Y": random_half(4, 4)})
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    for use in (lambda: open_source(path), lambda: write_image(tmp_path / "b.exr", torch.zeros(1, 3, 4, 4))):
        with pytest.raises(UserError, match=r"\.exr files need the OpenEXR package: pip install 'lonepair\[exr\]'"):
            use()
    assert not (tmp_path / "b.exr").exists()


def test_a_resized_gain_never_darkens() -> None:
    gain = torch.ones(1, 1, 8, 8)
    gain[..., 3, 3] = 100
    assert fit_gain(None, (4, 4)) is None
    for size in ((8, 8), (4, 4), (17, 15)):
        resized = fit_gain(gain, size)
        assert resized is not None
        assert resized.shape[-2:] == size
        assert 1 <= resized.min() < resized.max() <= 100
