"""Writing clips: exact where promised, with sound and metadata, and complete or not at all."""

import logging
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest
import torch

from lonepair.errors import UserError
from lonepair.media.clips.frames import decode, probe
from lonepair.media.clips.write import ClipWriter, read_clip_metadata
from lonepair.ops.color import match_channels
from media_samples import TIMES, gradient_frame, write_clip, write_video


@pytest.fixture
def images() -> list[torch.Tensor]:
    return [gradient_frame(32, 48, 3, index) for index in range(5)]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["a.mkv", "a.png"])
def test_lossless_clip_is_bit_exact_at_odd_sizes(tmp_path: Path, name: str, channels: int) -> None:
    images = [gradient_frame(33, 47, channels, index) for index in range(5)]
    frames = list(decode(write_clip(tmp_path / name, images)))
    info = probe(tmp_path / name)
    assert (info.size, info.channels) == ((33, 47), 3 if (name, channels) == ("a.png", 1) else channels)
    assert [frame.time for frame in frames] == TIMES
    for frame, image in zip(frames, images, strict=True):
        assert torch.equal(frame.image, match_channels(image, info.channels))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.gif", "a.webp"])
def test_lossy_clip_retains_times_and_brightness(tmp_path: Path, name: str, images: list[torch.Tensor]) -> None:
    path = write_clip(tmp_path / name, images, metadata={"method": "lonepair", "note": "grüße"})
    info, frames = probe(path), list(decode(path))
    assert (info.size, info.channels, info.frame_count, info.has_audio) == ((32, 48), 3, 5, False)
    assert [frame.time for frame in frames] == TIMES
    for frame, image in zip(frames, images, strict=True):
        assert (frame.image - image).abs().mean() * 127.5 < 4
        assert (frame.image - image).mean().abs() * 127.5 < 1  # no drift of brightness
    assert read_clip_metadata(path) == {"method": "lonepair", "note": "grüße"}
    assert (
        path.read_bytes()
        == write_clip(
            tmp_path / f"b{path.suffix}", images, metadata={"method": "lonepair", "note": "grüße"}
        ).read_bytes()
    )


def test_mp4_has_even_sides_and_bt709_tags(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lonepair"):
        path = write_clip(tmp_path / "a.mp4", [gradient_frame(33, 47, 4, index) for index in range(5)])
    assert "transparency" in caplog.text
    assert "even" in caplog.text
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # can start before it is loaded
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, 1)
        assert (frame.height, frame.width) == (34, 48)
        rows = frame.to_ndarray()[:34]
    assert np.abs(rows[33].astype(int) - rows[32]).max() <= 4


@pytest.mark.parametrize(
    ("source", "codec", "output"),
    [("s.mp4", "aac", "o.mp4"), ("s.avi", "pcm_s16le", "o.mp4"), ("s.mp4", "aac", "o.mkv")],
)
def test_sound_is_copied_or_transcoded(tmp_path: Path, source: str, codec: str, output: str) -> None:
    path = write_video(tmp_path / source, codec)
    assert probe(path).has_audio
    with ClipWriter(tmp_path / output, (32, 48), Fraction(25), audio_from=path) as writer:
        for frame in decode(path):
            writer.write(frame.image, frame.time)
    with av.open(str(tmp_path / output)) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert 0.98 < len(samples) / 44100 < 1.06  # to its own end, beyond that of the pictures
    assert 0.1 < np.abs(samples[4000:8000]).max() < 0.5
    assert len(list(decode(tmp_path / output))) == 10


def test_silent_audio_source_is_accepted(tmp_path: Path, images: list[torch.Tensor]) -> None:
    path = write_clip(tmp_path / "o.mp4", images, audio_from=write_video(tmp_path / "s.mp4"))
    assert not probe(path).has_audio


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
def test_pixel_aspect_round_trip(tmp_path: Path, name: str, images: list[torch.Tensor]) -> None:
    assert probe(write_clip(tmp_path / f"square-{name}", images)).pixel_aspect == 1
    path = write_clip(tmp_path / name, images, pixel_aspect=Fraction(16, 11))
    assert (probe(path).pixel_aspect, probe(path).size) == (Fraction(16, 11), (32, 48))
    frames = list(decode(path))
    assert [frame.time for frame in frames] == TIMES
    if path.suffix == ".mkv":
        assert all(torch.equal(frame.image, image) for frame, image in zip(frames, images, strict=True))
    # What players see, who do not know our tag: FFmpeg's filters make the pixels square.
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        graph = av.filter.Graph()
        start_stage = graph.add_buffer(width=48, height=32, format=frame.format, time_base=stream.time_base)
        start_stage.link_to(square := graph.add("scale", "w=iw*sar*11:h=ih:eval=frame"))
        square.link_to(graph.add("buffersink"))
        graph.configure()
        graph.push(frame)
        assert graph.pull().width == 48 * 16


def test_animated_image_has_square_pixels_and_says_so(
    tmp_path: Path, images: list[torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lonepair"):
        path = write_clip(tmp_path / "a.gif", images, pixel_aspect=Fraction(16, 11))
    assert probe(path).pixel_aspect == 1
    assert ".gif files have square pixels" in caplog.text


def test_error_while_writing_leaves_no_file(tmp_path: Path, images: list[torch.Tensor]) -> None:
    def stop_halfway(path: Path) -> None:
        with ClipWriter(path, (32, 48), Fraction(25)) as writer:
            writer.write(images[0], Fraction(0))
            assert len(list(tmp_path.iterdir())) == 1
            raise KeyboardInterrupt

    for name in ("a.mp4", "a.mkv", "a.gif"):
        with pytest.raises(KeyboardInterrupt):
            stop_halfway(tmp_path / name)
        with pytest.raises(UserError, match="no frames"), ClipWriter(tmp_path / name, (32, 48), Fraction(25)):
            pass
    assert not list(tmp_path.iterdir())


def test_clip_writer_refuses_bad_output_and_missing_encoder(
    tmp_path: Path, images: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mp4", images)
    with pytest.raises(UserError, match=r"a\.mp4: the file exists already; give overwrite=True"):
        ClipWriter(path, (32, 48), Fraction(25))
    with pytest.raises(UserError, match=r"'\.xyz' is not a format .* use one of \.mp4"):
        ClipWriter(tmp_path / "a.xyz", (32, 48), Fraction(25))
    write_clip(path, images[:2], TIMES[:2], overwrite=True)
    assert probe(path).frame_count == 2

    def missing(name: str, mode: str) -> None:
        raise ValueError(name)

    monkeypatch.setattr(av, "Codec", missing)
    with pytest.raises(UserError, match="the encoder libx264 is missing"):
        ClipWriter(tmp_path / "b.mp4", (32, 48), Fraction(25))
