"""Clips in and out: every frame at its own time, bit for bit where promised, whole or not at all."""

import logging
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest
import torch
from PIL import Image

from lonepair.errors import UserError
from lonepair.media.container import Frame
from lonepair.media.frames import decode, probe, write_frames_folder
from lonepair.media.image import read_metadata, write_image
from lonepair.media.write import ClipWriter, read_clip_metadata
from lonepair.ops.arrays import from_integers
from lonepair.ops.color import match_channels

TIMES = [Fraction(0), Fraction(1, 25), Fraction(1, 10), Fraction(1, 5), Fraction(1, 2)]
"""A variable frame rate."""


def picture(h: int, w: int, c: int, index: int) -> torch.Tensor:
    """Smooth, of exact 8-bit values, with a bright top left corner that moves nowhere; grows lighter by `index`."""
    y, x = np.mgrid[:h, :w]
    planes = [20 * index + y, 20 * index + x, 255 - 20 * index - y, 60 * (x % 4) + index][:c]
    array = np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)
    array[: h // 4, : w // 4, :3] = 255
    return from_integers(array)


def write_clip(path: Path, images: list[torch.Tensor], times: list[Fraction] = TIMES, **options: object) -> Path:
    size = (images[0].shape[2], images[0].shape[3])
    with ClipWriter(path, size, Fraction(10), **options) as writer:
        for image, time in zip(images, times, strict=True):
            writer.write(image, time)
    return path


@pytest.fixture
def images() -> list[torch.Tensor]:
    return [picture(32, 48, 3, index) for index in range(5)]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["a.mkv", "a.png"])
def test_lossless_clips_are_bit_exact_at_any_size(tmp_path: Path, name: str, channels: int) -> None:
    images = [picture(33, 47, channels, index) for index in range(5)]
    frames = list(decode(write_clip(tmp_path / name, images)))
    info = probe(tmp_path / name)
    assert (info.size, info.channels) == ((33, 47), 3 if (name, channels) == ("a.png", 1) else channels)
    assert [frame.time for frame in frames] == TIMES
    for frame, image in zip(frames, images, strict=True):
        assert torch.equal(frame.image, match_channels(image, info.channels))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.gif", "a.webp"])
def test_viewing_formats_keep_times_and_look(tmp_path: Path, name: str, images: list[torch.Tensor]) -> None:
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


def test_mp4_is_tagged_even_and_plays_everywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lonepair"):
        path = write_clip(tmp_path / "a.mp4", [picture(33, 47, 4, index) for index in range(5)])
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


def make_source(path: Path, audio: str | None = None, turn: int = 0, aspect: Fraction = Fraction(1)) -> Path:
    """Ten frames in 0.4 s with one second of sound, by PyAV alone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        video.codec_context.sample_aspect_ratio = aspect
        if turn:
            video.set_display_rotation(turn)
        sound = container.add_stream(audio, rate=44100, layout="mono") if audio else None
        for index in range(10):
            array = ((picture(32, 48, 3, index)[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
            container.mux(video.encode(av.VideoFrame.from_ndarray(array)))
        container.mux(video.encode())
        if sound is not None:
            wave = (np.sin(np.arange(44100) / 16) * 9000).astype(np.int16)
            for start in range(0, len(wave), 1024):
                piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="s16", layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = 44100, start, Fraction(1, 44100)
                container.mux(sound.encode(piece))
            container.mux(sound.encode())
    return path


@pytest.mark.parametrize(
    ("source", "codec", "output"),
    [("s.mp4", "aac", "o.mp4"), ("s.avi", "pcm_s16le", "o.mp4"), ("s.mp4", "aac", "o.mkv")],
)
def test_sound_is_carried_over(tmp_path: Path, source: str, codec: str, output: str) -> None:
    path = make_source(tmp_path / source, codec)
    assert probe(path).has_audio
    with ClipWriter(tmp_path / output, (32, 48), Fraction(25), audio_from=path) as writer:
        for frame in decode(path):
            writer.write(frame.image, frame.time)
    with av.open(str(tmp_path / output)) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert 0.38 < len(samples) / 44100 < 0.46  # as long as the pictures, not the source's whole second
    assert 0.1 < np.abs(samples[4000:8000]).max() < 0.5
    assert len(list(decode(tmp_path / output))) == 10


def test_a_source_without_sound_is_no_error(tmp_path: Path, images: list[torch.Tensor]) -> None:
    path = write_clip(tmp_path / "o.mp4", images, audio_from=make_source(tmp_path / "s.mp4"))
    assert not probe(path).has_audio


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
def test_the_shape_of_pixels_is_kept(tmp_path: Path, name: str, images: list[torch.Tensor]) -> None:
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


def test_the_shape_of_pixels_turns_with_them(tmp_path: Path) -> None:
    path = make_source(tmp_path / "turned.mp4", turn=90, aspect=Fraction(16, 11))
    assert probe(path).pixel_aspect == Fraction(11, 16)
    path = make_source(tmp_path / "over.mp4", turn=180, aspect=Fraction(16, 11))
    assert probe(path).pixel_aspect == Fraction(16, 11)


def test_animations_have_square_pixels(
    tmp_path: Path, images: list[torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lonepair"):
        path = write_clip(tmp_path / "a.gif", images, pixel_aspect=Fraction(16, 11))
    assert probe(path).pixel_aspect == 1
    assert ".gif files have square pixels" in caplog.text


@pytest.mark.parametrize(("turn", "corner"), [(90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_rotation_is_honoured(tmp_path: Path, turn: int, corner: tuple[int, int]) -> None:
    path = make_source(tmp_path / "turned.mp4", turn=turn)
    frame = next(decode(path))
    assert probe(path).size == tuple(frame.image.shape[-2:]) == ((32, 48) if turn == 180 else (48, 32))
    assert frame.image[0, :, corner[0], corner[1]].min() > 0.8
    assert frame.image[0, :, 0, 0].min() < 0


def test_a_cut_video_gives_what_it_holds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 32, 48, 3), dtype=np.uint8)
    images = [from_integers(array) for array in noise]
    times = [Fraction(index, 25) for index in range(20)]
    whole = write_clip(tmp_path / "a.mp4", images, times).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    frames = list(decode(tmp_path / "cut.mp4"))
    assert 5 < len(frames) < 20
    assert f"cut.mp4: is damaged or cut short; {len(frames)} of 20 frames are used" in caplog.text


def test_bad_clips_are_named(tmp_path: Path, images: list[torch.Tensor]) -> None:
    whole = make_source(tmp_path / "a.mp4").read_bytes()
    contents = {
        "cut.mp4": (whole[: len(whole) // 2], "damaged or cut short"),
        "empty.mp4": (b"", r"the file is empty \(0 bytes\)"),
        "text.mp4": (b"hello\n" * 50, "neither an image nor a video"),
        "text.txt": (b"hello\n" * 50, "neither an image nor a video"),  # FFmpeg would play it
        "net.m3u8": (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n", "neither an image nor a video"),
    }
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        piece.sample_rate = 8000
        container.mux(stream.encode(piece))
    contents["sound.wav"] = ((tmp_path / "sound.wav").read_bytes(), "holds only sound")
    for name, (content, says) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: .*{says}"):
            probe(tmp_path / name)
    with pytest.raises(UserError, match="no such file"):
        probe(tmp_path / "missing.mp4")


def test_nothing_half_written_is_left(tmp_path: Path, images: list[torch.Tensor]) -> None:
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


def test_bad_outputs_are_named(tmp_path: Path, images: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", images)
    with pytest.raises(UserError, match=r"a\.mp4: the file exists already; give --overwrite"):
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


def test_animations(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (6, 4), (50 * index, 0, 0)) for index in range(3)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[40, 0, 100])
    assert [frame.time for frame in decode(tmp_path / "a.gif")] == [0, Fraction(1, 25), Fraction(14, 100)]
    assert probe(tmp_path / "a.gif").channels == 3
    # The first picture is for viewers that cannot play: no part of the animation.
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], duration=50, default_image=True)
    assert [int(f.image[0, 0, 0, 0] * 127.5 + 128) for f in decode(tmp_path / "a.png")] == [50, 100]
    clear = [Image.new("RGBA", (6, 4), (50 * index, 0, 0, 128)) for index in range(3)]
    clear[0].save(tmp_path / "a.webp", save_all=True, append_images=clear[1:], duration=50, lossless=True)
    assert probe(tmp_path / "a.webp").channels == 4


def test_a_folder_of_frames(tmp_path: Path) -> None:
    frames = [Frame(Fraction(index, 25), picture(8, 6, 3, index)) for index in range(11)]
    assert write_frames_folder(tmp_path / "f", iter(frames)) == 11
    assert (tmp_path / "f" / "000010.png").exists()
    (tmp_path / "f" / "notes.txt").write_text("no frame")
    (tmp_path / "f" / ".hidden.png").write_text("no frame")
    again = list(decode(tmp_path / "f"))
    assert [frame.time for frame in again] == [frame.time for frame in frames]
    assert all(torch.equal(a.image, b.image) for a, b in zip(again, frames, strict=True))
    assert probe(tmp_path / "f", rate=Fraction(50)).rate == 50
    with pytest.raises(UserError, match="the folder is not empty"):
        write_frames_folder(tmp_path / "f", frames)
    assert write_frames_folder(tmp_path / "f", frames[:2], overwrite=True, metadata={"by": "lonepair"}) == 2
    assert [read_metadata(tmp_path / "f" / f"00000{index}.png") for index in range(2)] == [{"by": "lonepair"}] * 2
    assert probe(tmp_path / "f").frame_count == 2
    write_image(tmp_path / "f" / "odd.png", picture(9, 6, 3, 0))
    with pytest.raises(UserError, match=r"odd\.png: is 6x9 pixels but 000000\.png is 6x8; give frames of one size"):
        probe(tmp_path / "f")
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        probe(tmp_path / "none")
