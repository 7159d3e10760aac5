"""Reading clips: frame times, rotation, transparency, truncated files and folders of frames."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from lonepair.errors import UserError
from lonepair.media.clips.container import Frame
from lonepair.media.clips.frames import decode, probe
from lonepair.media.clips.numbered import write_frames_folder
from lonepair.media.stills.image import read_metadata, write_image
from lonepair.ops.arrays import from_integers
from media_samples import gradient_frame, write_clip, write_video


def test_pixel_aspect_is_rotated_with_the_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "turned.mp4", rotation=90, aspect=Fraction(16, 11))
    assert probe(path).pixel_aspect == Fraction(11, 16)
    path = write_video(tmp_path / "over.mp4", rotation=180, aspect=Fraction(16, 11))
    assert probe(path).pixel_aspect == Fraction(16, 11)


@pytest.mark.parametrize(("turn", "corner"), [(90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_rotation_is_applied(tmp_path: Path, turn: int, corner: tuple[int, int]) -> None:
    path = write_video(tmp_path / "turned.mp4", rotation=turn)
    frame = next(decode(path))
    assert probe(path).size == tuple(frame.image.shape[-2:]) == ((32, 48) if turn == 180 else (48, 32))
    assert frame.image[0, :, corner[0], corner[1]].min() > 0.8
    assert frame.image[0, :, 0, 0].min() < 0


def test_truncated_video_yields_its_decodable_frames(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 32, 48, 3), dtype=np.uint8)
    images = [from_integers(array) for array in noise]
    times = [Fraction(index, 25) for index in range(20)]
    whole = write_clip(tmp_path / "a.mp4", images, times).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    frames = list(decode(tmp_path / "cut.mp4"))
    assert 5 < len(frames) < 20
    assert f"cut.mp4: only {len(frames)} of 20 frames can be decoded" in caplog.text


def test_file_that_is_no_clip_is_refused(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4").read_bytes()
    contents = {
        "cut.mp4": (whole[: len(whole) // 2], "the video cannot be opened .*cut short or of an unsupported variant"),
        "empty.mp4": (b"", r"the file is empty \(0 bytes\)"),
        "text.mp4": (b"hello\n" * 50, "neither an image nor a video"),
        "text.txt": (b"hello\n" * 50, "neither an image nor a video"),  # FFmpeg would play it
        "net.m3u8": (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n", "is a playlist or script"),
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


def test_animation_has_times_alpha_and_no_default_image(tmp_path: Path) -> None:
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


def test_frames_folder_round_trip_and_checks(tmp_path: Path) -> None:
    frames = [Frame(Fraction(index, 25), gradient_frame(8, 6, 3, index)) for index in range(11)]
    assert write_frames_folder(tmp_path / "f", iter(frames), metadata={"lonepair": "{}"}) == 11
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
    write_image(tmp_path / "f" / "odd.png", gradient_frame(9, 6, 3, 0))
    with pytest.raises(UserError, match=r"odd\.png: is 6x9 pixels but 000000\.png is 6x8; give frames of one size"):
        probe(tmp_path / "f")
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        probe(tmp_path / "none")
