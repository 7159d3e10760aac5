"""Reading video files: orientation, interlace, colors, hidden and damaged frames, streams, and hostile files."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from lonepair.errors import UserError
from lonepair.media.clips.frames import decode, probe
from lonepair.media.clips.integrity import ends_early
from lonepair.media.clips.write import ClipWriter
from lonepair.media.source import open_source
from lonepair.media.tone import HLG, PQ, ColorTags, to_srgb
from lonepair.ops.arrays import to_uint8
from media_samples import gradient_frame, random_pixels, write_clip, write_video


def yuv_clip(path: Path, h: int, w: int, level: tuple[int, int, int], **tags: int) -> Path:
    """Write two frames of one color, stored as YUV without loss, with `tags` of the codec context."""
    with av.open(str(path), "w") as container:
        deep = "color_trc" in tags and tags["color_trc"] in (PQ, HLG)
        stream = container.add_stream("ffv1" if path.suffix == ".mkv" else "libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv444p10le" if deep else "yuv444p"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for _ in range(2):
            frame = av.VideoFrame(w, h, stream.pix_fmt)
            for plane, value in zip(frame.planes, level, strict=True):
                values = np.full(plane.buffer_size // (2 if deep else 1), value, np.uint16 if deep else np.uint8)
                plane.update(values.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def first_color(path: Path) -> list[int]:
    """The color of the first frame's first pixel, 0 to 255."""
    return [int(value) for value in to_uint8(next(decode(path)).image)[0, 0]]


MATRICES = {
    "identity": [1, 0, 0, 1],
    "mirror": [-1, 0, 0, 1],
    "flip": [1, 0, 0, -1],
    "half turn": [-1, 0, 0, -1],
    "right": [0, 1, -1, 0],
    "left": [0, -1, 1, 0],
    "transpose": [0, 1, 1, 0],
    "anti-transpose": [0, -1, -1, 0],
}


@pytest.mark.parametrize("name", MATRICES)
def test_display_matrix_is_applied_with_its_mirrors(tmp_path: Path, name: str) -> None:
    a, b, c, d = MATRICES[name]
    plain = write_video(tmp_path / "plain.mp4")
    with av.open(str(plain)) as source, av.open(str(tmp_path / "turned.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    stored, shown = (to_uint8(next(decode(path)).image) for path in (plain, tmp_path / "turned.mp4"))
    h, w = stored.shape[:2]
    # Each stored pixel (p, q) moves to (a p + c q, b p + d q), counted from the corner of the result.
    corners = [(a * p + c * q, b * p + d * q) for p, q in ((0, 0), (w - 1, h - 1))]
    left, top = min(corners[0][0], corners[1][0]), min(corners[0][1], corners[1][1])
    for p, q in ((3, 5), (w - 2, 1), (7, h - 4)):
        assert (shown[b * p + d * q - top, a * p + c * q - left] == stored[q, p]).all()


@pytest.mark.parametrize(("suffix", "codec"), [("y4m", "wrapped_avframe"), ("mpg", "mpeg2video")])
def test_cut_files_without_a_stated_length_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, codec: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(9):
            frame = av.VideoFrame.from_ndarray(random_pixels(48, 64, 3, index)).reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = path.read_bytes()
    for content, is_told in ((data, False), (data[:-700], True), (data[:-700] + bytes(700), True)):
        path.write_bytes(content)
        caplog.clear()
        assert len(list(open_source(path).frames())) >= 7
        assert ("the file is cut short or damaged" in caplog.text) == is_told


@pytest.mark.parametrize(
    ("name", "size", "tags", "rgb"),
    [
        ("small, untagged", (48, 64), {}, (117, 102, 21)),
        ("720 lines, untagged", (720, 16), {}, (119, 100, 18)),
        ("small, tagged BT.709", (48, 64), {"colorspace": 1}, (119, 100, 18)),
        ("large, tagged BT.601", (720, 16), {"colorspace": 6}, (117, 102, 21)),
        ("BT.2020 matrix", (48, 64), {"colorspace": 9}, (118, 97, 16)),
        ("full range", (48, 64), {"color_range": 2}, (117, 105, 33)),
    ],
)
def test_matrix_and_range_go_by_tag_and_else_by_size(
    tmp_path: Path, name: str, size: tuple[int, int], tags: dict[str, int], rgb: tuple[int, int, int]
) -> None:
    path = yuv_clip(tmp_path / "a.mp4", *size, (100, 90, 140), **tags)
    assert np.abs(np.subtract(first_color(path), rgb)).max() <= 2, (name, first_color(path))


@pytest.mark.parametrize(("transfer", "code"), [(PQ, 594), (HLG, 767)])
def test_hdr_is_tone_mapped_with_one_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, transfer: int, code: int
) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": transfer}
    levels = [64 + round(876 * code / 1023 * part) for part in (0, 0.5, 1)]
    for index, level in enumerate(levels):
        yuv_clip(tmp_path / f"{index}.mp4", 48, 64, (level, 512, 512), **tags)
    clip = open_source(tmp_path / "2.mp4")
    assert [sum(1 for _ in clip.frames()) for _ in range(2)] == [2, 2]
    assert caplog.text.count("is tone-mapped to SDR") == 1
    black, middle, white = (first_color(tmp_path / f"{index}.mp4")[0] for index in range(3))
    # 203 cd/m2, the reference white, becomes nearly white (BT.2390 leaves room for highlights).
    assert black == 0
    assert 15 < middle < 130
    assert 220 < white < 240


def test_wide_colors_keep_grey_and_clip_what_srgb_lacks() -> None:
    colors = np.array([[[30000] * 3, [65535, 0, 0], [0, 65535, 0], [20000, 30000, 25000]]], np.uint16)
    for tags in (ColorTags(1, 9), ColorTags(13, 12)):
        grey, red, green, soft = to_srgb(colors, tags)[0]
        assert grey.tolist() == [30000] * 3
        assert (red[0], red[1]) == (65535, 0)
        assert (green[0], green[1]) == (0, 65535)
        assert soft[1] > 30000
        assert soft[0] < 20000
    # A peak below the reference white needs no mapping: light stays proportional.
    assert to_srgb(colors, ColorTags(PQ, 1, 100.0))[0, 0, 0] < to_srgb(colors, ColorTags(PQ, 1, 1000.0))[0, 0, 0] + 400


def test_grey_of_limited_range_is_expanded(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "gray"
        stream.codec_context.color_range = 1
        array = np.full((32, 48), 16, np.uint8)
        array[:, 24:] = 235
        container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="gray")))
        container.mux(stream.encode())
    frame = to_uint8(next(decode(tmp_path / "a.mp4")).image)
    assert (frame[0, 0, 0], frame[0, -1, 0]) == (0, 255)


def test_the_last_frame_and_the_sound_keep_their_lengths(tmp_path: Path) -> None:
    slides = tmp_path / "slides.mkv"
    images = [gradient_frame(32, 48, 3, index) for index in range(3)]
    times = [Fraction(0), Fraction(1), Fraction(2)]
    sound = write_video(tmp_path / "sound.mp4", "aac")
    with ClipWriter(slides, (32, 48), Fraction(1), sound, end=lambda: Fraction(5)) as writer:
        for image, time in zip(images, times, strict=True):
            writer.write(image, time)
    clip = open_source(slides)
    assert clip.end() == 5
    for suffix in (".mp4", ".webm", ".mkv", ".gif", ".webp"):
        with ClipWriter.for_source(clip, tmp_path / f"o{suffix}", (32, 48)) as writer:
            for frame in clip.frames():
                writer.write(frame.image, frame.time)
        again = open_source(tmp_path / f"o{suffix}")
        end = again.end()
        assert end is not None
        assert abs(end - 5) < Fraction(1, 50), suffix
        if suffix in (".mp4", ".webm", ".mkv"):
            with av.open(str(tmp_path / f"o{suffix}")) as container:
                frames = list(container.decode(audio=0))
            assert abs(sum(frame.samples / frame.sample_rate for frame in frames) - 1) < 0.06


@pytest.mark.parametrize(("suffix", "longest"), [(".gif", "655.35"), (".webp", "16777.215"), (".png", "65535")])
def test_a_jump_of_hours_is_shortened_to_what_the_format_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, longest: str
) -> None:
    images = [gradient_frame(8, 8, 3, index) for index in (0, 1, 1, 1, 2)]
    times = [hours * Fraction(36001, 10) for hours in (0, 1, 4, 8, 30)]
    path = write_clip(tmp_path / f"a{suffix}", images, times)
    assert f"a{suffix}: a frame lasts" in caplog.text
    assert max(after - before for before, after in pairwise(open_source(path).times())) <= Fraction(longest)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".mov", ".ts", ".gif", ".png", ".webp", ".mjpeg"])
@pytest.mark.parametrize("fault", ["cut", "zeros"])
def test_a_file_that_ends_early_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, fault: str
) -> None:
    whole = tmp_path / f"whole{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 48, 3), dtype=np.uint8)
    if suffix in (".gif", ".png", ".webp"):
        pictures = [Image.fromarray(array) for array in noise]
        pictures[0].save(whole, save_all=True, append_images=pictures[1:], duration=40)
    else:
        encoder = {".webm": "libvpx-vp9", ".avi": "mpeg4", ".mjpeg": "mjpeg"}.get(suffix, "libx264")
        options = {"movflags": "+faststart"} if suffix in (".mp4", ".mov") else {}
        with av.open(str(whole), "w", options=options) as container:
            stream = container.add_stream(encoder, rate=25)
            stream.width, stream.height = 48, 32
            stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
            for array in noise:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(array)))
            container.mux(stream.encode())
    assert open_source(whole).is_clip
    assert sum(1 for _ in open_source(whole).frames()) == 6
    assert not caplog.records
    data = whole.read_bytes()
    length = len(data) * 7 // 10
    broken = tmp_path / f"broken{suffix}"
    broken.write_bytes(data[:length] + (bytes(len(data) - length) if fault == "zeros" else b""))
    refusal, counts = "", []
    try:
        clip = open_source(broken)
        # A second pass says nothing more.
        counts = [sum(1 for _ in clip.frames()) for _ in range(2)]
    except UserError as error:
        refusal = str(error)
    messages = [record.getMessage() for record in caplog.records] or [refusal]
    assert len(messages) == 1
    assert re.match(rf".*broken\{suffix}: .*(cut short|frames can be decoded)", messages[0])
    assert refusal or f"{counts[0]} " in messages[0]


def test_a_file_is_not_called_damaged_for_its_edit_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [gradient_frame(32, 48, 3, index) for index in range(12)]
    write_clip(tmp_path / "a.mp4", images, [Fraction(index, 25) for index in range(12)], Fraction(25))
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    # The edit list: its entry has a duration and a start, here the sixth frame.
    place = data.index(b"elst") + 12
    scale = int.from_bytes(data[data.index(b"mdhd") + 16 :][:4], "big")
    start = int.from_bytes(data[place + 4 : place + 8], "big") + scale * 6 // 25
    data[place : place + 8] = (240).to_bytes(4, "big") + start.to_bytes(4, "big")
    (tmp_path / "edited.mp4").write_bytes(data)
    clip = open_source(tmp_path / "edited.mp4")
    count = sum(1 for _ in clip.frames())
    assert count == len(clip.times()) == 6
    assert not caplog.records


def test_the_real_pictures_and_the_default_sound_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sounds = [container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(2)]
        sounds[0].disposition, sounds[1].disposition = Disposition(0), Disposition.default
        container.mux(cover.encode(av.VideoFrame(64, 64, "yuvj420p")))
        container.mux(cover.encode())
        for _ in range(5):
            container.mux(video.encode(av.VideoFrame(48, 32, "yuv420p")))
        container.mux(video.encode())
        for sound, level in zip(sounds, (1000, 9000), strict=True):
            piece = av.AudioFrame.from_ndarray(np.full((1, 1600), level, np.int16), format="s16", layout="mono")
            piece.sample_rate, piece.pts = 8000, 0
            container.mux(sound.encode(piece))
            container.mux(sound.encode())
    clip = open_source(path)
    assert clip.size == (32, 48)
    with ClipWriter.for_source(clip, tmp_path / "o.mkv", (32, 48)) as writer:
        for frame in clip.frames():
            writer.write(frame.image, frame.time)
    with av.open(str(tmp_path / "o.mkv")) as container:
        samples = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert np.median(samples) == 9000


@pytest.mark.parametrize("kind", ["video", "sound"])
def test_an_unknown_codec_is_named_and_unknown_sound_does_not_stop_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    path = write_video(tmp_path / "a.mov", "pcm_s16le")
    code = b"avc1" if kind == "video" else b"sowt"
    path.write_bytes(path.read_bytes().replace(code, b"xyzq"))
    if kind == "video":
        with pytest.raises(UserError, match=r"a\.mov: the video's codec 'xyzq' is not supported; convert it to H\.264"):
            open_source(path)
        return
    clip = open_source(path)
    with ClipWriter.for_source(clip, tmp_path / "o.mp4", (32, 48)) as writer:
        for frame in clip.frames():
            writer.write(frame.image, frame.time)
    assert "its sound cannot be carried over (its codec is not supported)" in caplog.text
    assert open_source(tmp_path / "o.mp4").audio_path is None


@pytest.mark.parametrize("suffix", [".avi", ".asf"])
def test_sound_of_coarse_times_is_carried_over_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream("libmp3lame", rate=48000, layout="mono")
        for _ in range(12):
            container.mux(video.encode(av.VideoFrame(48, 32, "yuv420p")))
        container.mux(video.encode())
        for start in range(0, 24000, 1152):
            piece = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format="fltp", layout="mono")
            piece.sample_rate, piece.pts = 48000, start
            container.mux(sound.encode(piece))
        container.mux(sound.encode())
    clip = open_source(path)
    for output in (".mp4", ".webm"):
        with ClipWriter.for_source(clip, tmp_path / f"o{output}", (32, 48)) as writer:
            for frame in clip.frames():
                writer.write(frame.image, frame.time)
        with av.open(str(tmp_path / f"o{output}")) as container:
            frames = list(container.decode(audio=0))
        ends = [frame.pts * frame.time_base + Fraction(frame.samples, frame.sample_rate) for frame in frames]
        assert abs(float(ends[-1]) - 0.5) < 0.08
        assert all(b > a for a, b in pairwise(ends))


def test_a_size_that_was_asked_for_has_square_pixels(tmp_path: Path) -> None:
    clip = open_source(write_video(tmp_path / "a.mp4", aspect=Fraction(4, 3)))
    assert (clip.size, clip.display_size, clip.with_square_pixels().display_size) == ((32, 48), (32, 64), (32, 48))
    cases = ((clip, (32, 48), Fraction(4, 3)), (clip, (32, 64), Fraction(1)))
    for source, size, aspect in (*cases, (clip.with_square_pixels(), (32, 48), Fraction(1))):
        path = tmp_path / "out.mp4"
        with ClipWriter.for_source(source, path, size, overwrite=True) as writer:
            writer.write(gradient_frame(*size, 3, 0), Fraction(0))
        assert probe(path).pixel_aspect == aspect


def test_hostile_files_open_no_other_file(tmp_path: Path) -> None:
    real = write_video(tmp_path / "real.mp4")
    hostile = {
        "list.mp4": f"#EXTM3U\n#EXTINF:1,\n{real}\n#EXT-X-ENDLIST\n",
        "script.mp4": f"ffconcat version 1.0\nfile '{real}'\n",
        "concat.mkv": f"file '{real}'\n",
        "dash.mp4": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>\n',
        "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in hostile.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=rf"{name}: is a playlist or script that names other files"):
            open_source(tmp_path / name)
    # The name is a pattern for FFmpeg, and the first file that it stands for is another one.
    (tmp_path / "f%d.mp4").write_bytes(real.read_bytes())
    write_clip(tmp_path / "f1.mp4", [gradient_frame(64, 64, 3, 0)] * 2, [Fraction(0), Fraction(1)])
    assert open_source(tmp_path / "f%d.mp4").size == (32, 48)
    (tmp_path / "g%d.png").write_bytes(real.read_bytes())
    Image.new("RGB", (20, 20)).save(tmp_path / "g1.png")
    assert open_source(tmp_path / "g%d.png").size == (32, 48)


def test_more_work_than_the_limits_is_refused_from_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    black = [Image.new("RGB", (400, 400), (255 * index, 0, 0)) for index in range(2)]
    black[0].save(tmp_path / "a.gif", save_all=True, append_images=[black[index % 2] for index in range(1, 8)])
    monkeypatch.setattr("lonepair.media.limits.MAX_CLIP_PIXELS", 10**6)
    with pytest.raises(UserError, match=r"a\.gif: has 8 frames of 400x400 pixels"):
        open_source(tmp_path / "a.gif")
    monkeypatch.setattr("lonepair.media.limits.MAX_CLIP_PIXELS", 10_000)
    with pytest.raises(UserError, match=r"a\.mp4: has 10 frames of 48x32 pixels"):
        open_source(write_video(tmp_path / "a.mp4"))


def test_structure_of_a_file_that_cannot_be_parsed_counts_as_cut(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\0\0")
    assert [ends_early(tmp_path / "a", name) for name in ("mov,mp4", "avi", "flv", "unknown")] == [
        True,
        True,
        True,
        False,
    ]
