"""Codecs of video files: what they retain, and combinations that are refused before any work."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from lonepair.errors import UserError
from lonepair.media.clips.codecs import CODECS, Encoding
from lonepair.media.clips.frames import decode, probe
from lonepair.media.clips.write import ClipWriter, read_clip_metadata
from lonepair.media.source import open_source
from media_samples import TIMES, gradient_frame, write_clip, write_video


def smooth_frame(h: int, w: int, c: int, index: int) -> torch.Tensor:
    """A smooth gradient of more than 8 bits that moves with `index`; its alpha rises from 0 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    planes = [x * 0.5 + y * 0.2 + index * 0.01, y * 0.5 - index * 0.02, -x * 0.3 + 0.1, x][:c]
    return torch.tensor(np.stack(planes)[None], dtype=torch.float32)


def levels(difference: torch.Tensor) -> float:
    """Mean absolute difference in levels of 8 bits."""
    return float(difference.abs().mean()) * 127.5


@pytest.mark.parametrize(
    ("name", "codec", "bits", "channels", "color", "alpha"),
    [
        ("a.mov", "prores-4444", 12, 4, 0.4, 0.4),  # 10 bits are stored, and decoded as 12
        ("a.mov", "prores-4444", 12, 3, 0.4, 0),
        ("a.mov", "prores-422", 10, 3, 0.9, 0),
        ("a.webm", "vp9", 8, 4, 1.2, 1.2),
        ("a.webm", "vp9", 8, 3, 1.2, 0),
        ("a.mkv", "ffv1", 16, 4, 0.003, 0.003),
        ("a.mkv", "ffv1", 16, 1, 0.003, 0),
    ],
)
@pytest.mark.parametrize("size", [(36, 64), (37, 65)])
def test_a_codec_retains_depth_alpha_and_times(
    tmp_path: Path, name: str, codec: str, bits: int, channels: int, color: float, alpha: float, size: tuple[int, int]
) -> None:
    images = [smooth_frame(*size, channels, index) for index in range(5)]
    options = {"encoding": Encoding(codec), "source_bits": 10 if codec != "ffv1" else 16, "metadata": {"by": "grüße"}}
    path = write_clip(tmp_path / name, images, **options)
    info, frames = probe(path), list(decode(path))
    assert (info.bits, info.channels) == (bits, channels)
    assert [frame.time for frame in frames] == TIMES == open_source(path).times()
    for frame, image in zip(frames, images, strict=True):
        again = frame.image[..., : size[0], : size[1]]
        assert levels(again[:, :3] - image[:, :3]) <= color
        assert channels < 4 or levels(again[:, 3:] - image[:, 3:]) <= alpha
    assert read_clip_metadata(path) == {"by": "grüße"}
    assert path.read_bytes() == write_clip(tmp_path / f"b{path.suffix}", images, **options).read_bytes()


def test_more_bits_are_retained_where_the_codec_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A ramp over a tenth of the range has more levels in 10 bits than in 8."""
    ramp = torch.linspace(-0.1, 0.1, 256).view(1, 1, 1, 256).expand(1, 3, 32, 256).contiguous()
    counts = {}
    for name, codec, bits in (("a.mp4", None, None), ("b.mp4", "h264", 10), ("c.mov", "prores-4444", None)):
        with caplog.at_level(logging.INFO, logger="lonepair"):
            path = write_clip(tmp_path / name, [ramp], TIMES[:1], encoding=Encoding(codec, bits=bits), source_bits=10)
        counts[name] = len(next(decode(path)).image[0, 0, 16].unique())
        assert ("H.264 is written with 8 bits per channel, the source has 10" in caplog.text) == (name == "a.mp4")
        caplog.clear()
    assert counts["a.mp4"] < 30
    assert counts["b.mp4"] > 60
    assert counts["c.mov"] > 60


def test_the_default_for_mp4_is_8_bit_h264(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [smooth_frame(32, 48, 3, index) for index in range(5)], source_bits=10)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.pix_fmt) == ("h264", "yuv420p")


def test_crf_sets_the_size(tmp_path: Path) -> None:
    images = [gradient_frame(32, 48, 3, index) for index in range(5)]
    for name in ("mp4", "webm"):
        sizes = [
            write_clip(tmp_path / f"{crf}.{name}", images, encoding=Encoding(crf=crf)).stat().st_size for crf in (5, 45)
        ]
        assert sizes[0] > 1.5 * sizes[1]


@pytest.mark.parametrize(
    ("name", "encoding", "says"),
    [
        ("a.mp4", Encoding("prores-4444"), r"codec prores-4444 does not go into \.mp4 files; name the file \.mov, or"),
        ("a.webm", Encoding("h264"), r"codec h264 does not go into \.webm files; .*choose vp9 for \.webm"),
        ("a.mp4", Encoding("mpeg2"), r"codec is 'mpeg2': choose one of h264, prores-4444"),
        ("a.mp4", Encoding(crf=52), r"crf is 52: h264 takes 0 \(best\) to 51 \(smallest file\)"),
        ("a.webm", Encoding(crf=-1), r"crf is -1: vp9 takes 0 \(best\) to 63"),
        ("a.mkv", Encoding(crf=10), "crf is 10, but ffv1 has no such setting"),
        ("a.webm", Encoding(bits=10), "bits is 10: vp9 has 8 bits per channel"),
        ("a.mov", Encoding("prores-422", bits=8), "bits is 8: prores-422 has 10 bits per channel"),
        ("a.mp4", Encoding(start_number=1), r"start_number is 1, but a\.mp4 has no place for a number"),
        ("a.gif", Encoding("h264"), r"codec is h264, but \.gif files have none"),
        ("a.png", Encoding(bits=16), "bits is 16: animated images have 8 bits per channel"),
        ("a.gif", Encoding(start_number=1), r"start_number is 1, but a\.gif has no place"),
        ("a.##.png", Encoding(crf=10), r"crf is 10, but \.png files have none"),
        ("a.##.jpg", Encoding(bits=16), r"bits is 16: \.jpg files have 8 bits per channel"),
        ("a.##.exr", Encoding(bits=8), r"bits is 8: \.exr files have 16 bits per channel"),
        ("a.##.png", Encoding(start_number=-1), "start_number is -1: give 0 or more"),
    ],
)
def test_a_wrong_combination_is_refused_before_any_frame(
    tmp_path: Path, name: str, encoding: Encoding, says: str
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        ClipWriter(tmp_path / name, (32, 48), Fraction(25), encoding=encoding)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_every_codec_has_a_suffix_and_formats_of_equal_depths() -> None:
    for codec in CODECS.values():
        assert codec.suffixes
        assert all(
            set(formats) == set(codec.formats) for formats in (codec.alpha_formats, codec.gray_formats) if formats
        )


def test_transparency_that_a_codec_lacks_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lonepair"):
        path = write_clip(
            tmp_path / "a.mov", [smooth_frame(32, 48, 4, index) for index in range(5)], encoding=Encoding("prores-422")
        )
    assert "PRORES-422 has no transparency; frames are put over white (prores-4444 in .mov, vp9 in .webm" in caplog.text
    assert probe(path).channels == 3


def test_webm_has_sound_and_square_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lonepair")
    source = write_video(tmp_path / "s.mp4", "aac", aspect=Fraction(16, 11))
    with ClipWriter.for_source(open_source(source), tmp_path / "o.webm", (32, 48)) as writer:
        for frame in decode(source):
            writer.write(frame.image, frame.time)
    assert probe(tmp_path / "o.webm").pixel_aspect == 1
    assert "o.webm: .webm files have square pixels" in caplog.text
    with av.open(str(tmp_path / "o.webm")) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["opus"]
        samples = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert 0.98 < samples.shape[1] / 48000 < 1.06
    assert 0.1 < np.abs(samples[:, 4000:8000]).max() < 0.5
