"""Still or clip: content decides, and both have one interface."""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from lonepair.errors import UserError
from lonepair.media.source import Clip, Still, open_source
from lonepair.media.stills.image import write_image
from lonepair.ops.arrays import to_pil
from media_samples import flat_frames, write_clip


def write_at_25_fps(path: Path, frames: torch.Tensor) -> Path:
    """Write `frames` (n, c, h, w) at 25 frames per second."""
    return write_clip(path, list(frames.split(1)), [Fraction(index, 25) for index in range(len(frames))], Fraction(25))


def test_image_file_and_values_are_stills(tmp_path: Path) -> None:
    image = flat_frames(1)
    write_image(tmp_path / "a.png", image)
    for value in (tmp_path / "a.png", str(tmp_path / "a.png"), image, image[0], to_pil(image), np.zeros((1, 6, 8, 3))):
        source = open_source(value)
        assert isinstance(source, Still)
        assert (source.is_clip, source.size, source.channels, source.rate, source.frame_count) == (
            False,
            (6, 8),
            3,
            None,
            1,
        )
        (frame,) = source.frames()
        assert frame.time == 0
        assert open_source(source) is source
    assert open_source(tmp_path / "a.png").name == "a.png"
    assert open_source(tmp_path / "a.png").path == tmp_path / "a.png"


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.gif", "a.webp", "a.png"])
def test_video_and_animation_are_clips_and_can_be_read_twice(tmp_path: Path, name: str) -> None:
    source = open_source(write_at_25_fps(tmp_path / name, flat_frames(160)[::40]))
    assert isinstance(source, Clip)
    assert (source.is_clip, source.size, source.channels, source.rate) == (True, (6, 8), 3, 25)
    assert source.frame_count in (4, None)
    for _ in range(2):  # a pass may be repeated
        assert [frame.time for frame in source.frames()] == [Fraction(index, 25) for index in range(4)]


def test_content_decides_between_still_and_clip(tmp_path: Path) -> None:
    shutil.copy(write_at_25_fps(tmp_path / "clip.mp4", flat_frames(1)), tmp_path / "clip.jpg")
    assert open_source(tmp_path / "clip.jpg").is_clip  # of one frame, and still a clip
    write_image(tmp_path / "image.png", flat_frames(1))
    shutil.copy(tmp_path / "image.png", tmp_path / "image.mp4")
    assert not open_source(tmp_path / "image.mp4").is_clip
    to_pil(flat_frames(1)).save(tmp_path / "one.gif")
    assert not open_source(tmp_path / "one.gif").is_clip


def test_arrays_tensors_and_folders_are_clips(tmp_path: Path) -> None:
    frames = flat_frames(3)
    (tmp_path / "f").mkdir()
    for index in range(3):
        write_image(tmp_path / "f" / f"{index}.png", frames[index : index + 1])
    array = ((frames + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    for value in (frames, array, tmp_path / "f"):
        source = open_source(value, rate=Fraction(10))
        assert (source.is_clip, source.rate, source.frame_count) == (True, 10, 3)
        assert torch.equal(torch.cat([frame.image for frame in source.frames()]), frames)
        assert [frame.time for frame in source.frames()] == [0, Fraction(1, 10), Fraction(1, 5)]


def test_audio_path_is_set_for_videos_with_sound_only(tmp_path: Path) -> None:
    silent = write_at_25_fps(tmp_path / "silent.mp4", flat_frames(3))
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 16, 12, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(16, 11)
        audio = container.add_stream("aac", rate=44100, layout="mono")
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((12, 16, 3), np.uint8))))
        container.mux(video.encode())
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        piece.sample_rate, piece.pts, piece.time_base = 44100, 0, Fraction(1, 44100)
        container.mux(audio.encode(piece))
        container.mux(audio.encode())
    source = open_source(tmp_path / "sound.mp4")
    assert (source.audio_path, source.pixel_aspect) == (tmp_path / "sound.mp4", Fraction(16, 11))
    (tmp_path / "f").mkdir()
    write_image(tmp_path / "f" / "0.png", flat_frames(1))
    for value in (
        silent,
        write_at_25_fps(tmp_path / "a.gif", flat_frames(3)),
        tmp_path / "f",
        flat_frames(3),
        tmp_path / "f" / "0.png",
    ):
        source = open_source(value)
        assert (source.audio_path, source.pixel_aspect) == (None, 1)


def test_input_that_is_no_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello\n" * 50)
    with pytest.raises(UserError, match=r"a\.txt: is neither an image nor a video"):
        open_source(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"nope\.mp4: no such file"):
        open_source("nope.mp4")
    with pytest.raises(UserError, match="a dict is not an image"):
        open_source({})
    with pytest.raises(UserError, match="frame 0 of the clip of shape"):
        open_source(torch.zeros(3, 2, 8, 8))
    with pytest.raises(UserError, match="holds no frames"):
        open_source(torch.zeros(0, 3, 8, 8))


def test_fingerprint_depends_on_content_only(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", flat_frames(1))
    before = open_source(tmp_path / "a.png").fingerprint()
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    assert open_source(tmp_path / "b.png").fingerprint() == before
    write_image(tmp_path / "a.png", flat_frames(2)[1:], overwrite=True)
    assert open_source(tmp_path / "a.png").fingerprint() != before
    frames = flat_frames(3)
    assert open_source(frames).fingerprint() == open_source(frames.clone()).fingerprint()
    assert open_source(frames).fingerprint() != open_source(frames.flip(0)).fingerprint()
    assert len({open_source(tmp_path).fingerprint(), before, open_source(frames).fingerprint()}) == 3


def test_training_frames_are_all_or_evenly_spaced() -> None:
    frames = open_source(flat_frames(5)).training_frames((3, 4), 1)
    assert frames.shape == (5, 1, 3, 4)
    for count, limit in ((5, 5), (9, 4), (100, 8), (201, 10), (256, 1)):
        frames = open_source(flat_frames(count)).training_frames((2, 2), 3, limit=limit)
        assert frames.shape == (limit, 3, 2, 2)
        indices = ((frames[:, 0, 0, 0] + 1) * 127.5).round()
        steps = indices.diff()
        assert indices[0] == 0
        if limit > 1:
            assert (steps > 0).all()
            assert steps.max() <= 2 * steps.min()
            assert indices[-1] >= count - 1 - 2 * count / limit
    assert open_source(flat_frames(1)).training_frames((9, 9), 4).shape == (1, 4, 9, 9)
