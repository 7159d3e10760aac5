"""In and out points: a part of a clip is a clip."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import lonepair.media.clips.numbered as numbered
import lonepair.media.clips.video as video_module
from lonepair.errors import UserError
from lonepair.media.clips.excerpt import Excerpt, FrameRange, parse_range, select_range
from lonepair.media.clips.frames import decode
from lonepair.media.clips.write import ClipWriter
from lonepair.media.source import open_source
from lonepair.media.stills.image import write_image
from media_samples import TIMES, flat_frames, gradient_frame, write_clip, write_video


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("120:240", 120, 240),
        ("120:", 120, None),
        ("120", 120, 120),
        (":240", None, 240),
        ("1.5s:4s", Fraction(3, 2), Fraction(4)),
        ("3 : 5", 3, 5),
    ],
)
def test_a_range_is_read_from_text(text: str, first: object, last: object) -> None:
    assert parse_range(text) == FrameRange(first, last)
    assert parse_range(str(parse_range(text))) == parse_range(text)


@pytest.mark.parametrize("text", ["", ":", "a:b", "-1:5", "1:2:3", "1.5:2"])
def test_text_that_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"`frames` is '.*': give FIRST:LAST such as 120:240"):
        parse_range(text)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.webm", "a.gif", "a.png"])
def test_a_segment_has_the_frames_between_its_points(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, [gradient_frame(32, 48, 3, index) for index in range(5)])
    clip = open_source(path)
    assert clip.times() == TIMES
    whole = list(clip.frames())
    for text, indices in (("1:3", [1, 2, 3]), ("0.05s:0.5s", [1, 2, 3]), ("3:", [3, 4]), (":0", [0])):
        excerpt = select_range(clip, parse_range(text))
        assert (excerpt.is_clip, excerpt.frame_count, excerpt.first_number) == (True, len(indices), indices[0])
        for _ in range(2):
            frames = list(excerpt.frames())
            assert [frame.time for frame in frames] == [TIMES[index] - TIMES[indices[0]] for index in indices]
            assert [frame.time for frame in frames] == excerpt.times()
            assert all(
                torch.equal(frame.image, whole[index].image) for frame, index in zip(frames, indices, strict=True)
            )
    later = list(select_range(clip, parse_range("1:3")).frames(2))
    assert [(frame.time, torch.equal(frame.image, whole[3].image)) for frame in later] == [(TIMES[3] - TIMES[1], True)]


def test_a_range_of_all_frames_is_the_clip_and_others_have_their_own_fingerprint() -> None:
    clip = open_source(flat_frames(5))
    assert select_range(clip, FrameRange(0, 4)) is clip
    parts = [select_range(clip, FrameRange(first, last)) for first, last in ((0, 3), (1, 4), (1, 3))]
    assert len({part.fingerprint() for part in [clip, *parts]}) == 4
    assert parts[2].fingerprint() == select_range(clip, FrameRange(1, 3)).fingerprint()
    inner = select_range(parts[1], FrameRange(2, 3))
    assert (inner.first_number, inner.name) == (2, "the Tensor [1:4] [2:3]")
    assert torch.equal(next(inner.frames()).image, flat_frames(5)[2:3])


def test_a_range_beyond_the_clip_is_refused(tmp_path: Path) -> None:
    clip = open_source(write_clip(tmp_path / "a.mkv", [gradient_frame(32, 48, 3, index) for index in range(5)]))
    for text in ("3:5", "5:", "4:2", "9s:", "1s:1s"):
        with pytest.raises(UserError, match=rf"`frames` is {text}, a\.mkv has the frames 0 to 4 \(0\.60 s\): choose"):
            select_range(clip, parse_range(text))
    with pytest.raises(UserError, match="is an image and has no frames to choose"):
        select_range(open_source(flat_frames(1)), FrameRange(0, 0))


def test_frames_of_a_sequence_have_the_numbers_of_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1001, 1007):
        write_image(tmp_path / f"a.{number}.png", flat_frames(7)[number - 1000 :][:1])
    clip = open_source(tmp_path / "a.%04d.png")
    with pytest.raises(UserError, match="has the frames 1001 to 1006"):
        select_range(clip, FrameRange(0, 3))
    excerpt = select_range(clip, FrameRange(1004, 1005))
    assert isinstance(excerpt, Excerpt)
    decoded: list[str] = []
    decode_image = numbered.decode_image
    monkeypatch.setattr(
        numbered, "decode_image", lambda *values: decoded.append(values[0].name) or decode_image(*values)
    )
    assert [float(frame.image.mean()) for frame in excerpt.frames()] == [
        float(flat_frames(7)[number].mean()) for number in (4, 5)
    ]
    assert decoded == ["a.1004.png", "a.1005.png"]  # the files before are not opened
    with ClipWriter.for_source(excerpt, tmp_path / "b.####.png", (6, 8)) as writer:
        for frame in excerpt.frames():
            writer.write(frame.image, frame.time)
    assert sorted(path.name for path in tmp_path.glob("b.*")) == ["b.1004.png", "b.1005.png"]


def test_frames_of_a_video_before_the_in_point_are_not_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = open_source(write_video(tmp_path / "a.mp4"))
    excerpt = select_range(clip, FrameRange(6, 7))
    converted: list[float] = []
    from_integers = video_module.from_integers
    monkeypatch.setattr(video_module, "from_integers", lambda array: converted.append(0) or from_integers(array))
    assert len(list(excerpt.frames())) == 2
    assert len(converted) == 2


def loudness(file: Path) -> np.ndarray:
    """Largest sample in each hundredth of a second of the file's sound, from time 0 on."""
    with av.open(str(file)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48000)
        frames = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    start = max(0, round(float(frames[0].pts * frames[0].time_base) * 48000))
    samples = np.concatenate([np.zeros(start), *(frame.to_ndarray()[0] for frame in frames)])
    return np.abs(samples[: len(samples) // 480 * 480]).reshape(-1, 480).max(axis=1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_segment_has_its_part_of_the_sound(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / "s.mp4", "aac", silence=0.3)
    excerpt = select_range(open_source(path), FrameRange(5, 9))
    assert (excerpt.audio_path, excerpt.audio_start) == (path, Fraction(1, 5))
    with ClipWriter.for_source(excerpt, tmp_path / f"o{suffix}", (32, 48)) as writer:
        for frame in excerpt.frames():
            writer.write(frame.image, frame.time)
    assert len(list(decode(tmp_path / f"o{suffix}"))) == 5
    # The excerpt begins at 0.2 s, so the sound begins after 0.1 s, give or take the length of a packet.
    part = loudness(tmp_path / f"o{suffix}")
    assert 0.18 < len(part) / 100 < 0.28
    assert part[:6].max() < 0.02
    assert part[14:18].min() > 0.1
