"""`stabilize`: the flicker of a stylized clip is taken out, and bad inputs are refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

import lonepair as lp
from lonepair.commands.main import main
from lonepair.media.source import open_source
from lonepair.media.stills.image import decode_image, read_image, write_image
from lonepair.ops.blur import gaussian_blur


def noise(height: int, width: int, seed: int, count: int = 1) -> Tensor:
    """Noise of a grain of two pixels, of images (n, 3, h, w)."""
    values = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return (2 * gaussian_blur(values, 1.0)).clamp(-1, 1)


def moving_clip(frames: int) -> Tensor:
    """A camera that moves by a pixel to the right a frame: 48x64 pixels."""
    scene = noise(48, 64 + frames, 0)
    return torch.cat([scene[..., index : index + 64] for index in range(frames)])


def change_along_motion(frames: list[Tensor]) -> float:
    """Mean change of a pixel from frame to frame, along the motion of `moving_clip`, away from the borders."""
    pairs = itertools.pairwise(frames)
    return sum(float((b[..., 8:40, 8:47] - a[..., 8:40, 9:48]).abs().mean()) for a, b in pairs) / (len(frames) - 1)


def test_flicker_is_taken_out_and_texture_moves_with_the_source() -> None:
    large = gaussian_blur(noise(48, 70, 3), 5.0) * 4
    styled = torch.cat([large[..., index : index + 64] for index in range(6)]) + noise(48, 64, 1, 6) * 0.2
    source, styled = moving_clip(6), styled.clamp(-1, 1)
    steady = [frame.image for frame in lp.stabilize(source, styled).frames()]
    assert torch.equal(steady[0], styled[:1])
    assert change_along_motion(steady) < 0.25 * change_along_motion(list(styled.split(1)))


def test_strength_0_is_the_stylized_clip_with_its_alpha() -> None:
    styled = torch.cat([noise(48, 64, 1, 3), noise(48, 64, 2, 3)[:, :1]], 1)
    result = [frame.image for frame in lp.stabilize(moving_clip(3), styled, strength=0).frames()]
    assert torch.equal(torch.cat(result), styled)
    carried = [frame.image for frame in lp.stabilize(moving_clip(3), styled).frames()]
    assert carried[2].shape == (1, 4, 48, 64)


def test_a_cut_of_the_source_shows_the_stylized_frame() -> None:
    source = torch.cat([moving_clip(2) * 0.3 - 0.6, moving_clip(2).flip(2) * 0.3 + 0.6])
    styled = noise(48, 64, 1, 4)
    assert torch.equal(list(lp.stabilize(source, styled).frames())[2].image, styled[2:3])


@pytest.mark.parametrize(
    ("source", "styled", "strength", "message"),
    [
        (moving_clip(3), moving_clip(4), 0.5, "has 4 frames, .* has 3: give the clip that it was made from"),
        (moving_clip(3)[0], moving_clip(3), 0.5, "is an image; give a clip as SOURCE"),
        (moving_clip(3), moving_clip(3)[0], 0.5, "is an image; give a clip as STYLED"),
        (moving_clip(3), moving_clip(3), 1.5, "strength is 1.5: choose 0 to 1"),
        (moving_clip(3), moving_clip(3), float("nan"), "strength is nan: choose 0 to 1"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(source: Tensor, styled: Tensor, strength: float, message: str) -> None:
    with pytest.raises(lp.UserError, match=message):
        lp.stabilize(source, styled, strength=strength)


def test_command_writes_a_clip_of_the_size_of_the_stylized_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, frames in (("in", moving_clip(3)), ("styled", noise(24, 32, 1, 3))):
        Path(folder).mkdir()
        for index, frame in enumerate(frames.split(1)):
            write_image(f"{folder}/{index}.png", frame)
    assert main(["stabilize", "in", "styled", "--save-frames", "frames", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == "styled-stable.mp4\n"
    assert open_source("styled-stable.mp4").size == (24, 32)
    assert torch.equal(read_image("frames/000000.png"), read_image("styled/0.png"))
    Path("styled/2.png").unlink()
    assert main(["stabilize", "in", "styled"]) == 2
    assert "styled has 2 frames, in has 3" in capsys.readouterr().err


def test_flat_paint_is_carried_and_not_renewed() -> None:
    """Edges of a cartoon move through cells of the coarse picture, which is no change of it."""
    scene = torch.full((1, 3, 96, 146), -0.5)
    scene[..., 40:60] = 0.9
    scene[:, 0, 50:] = 0.8
    styled = torch.cat([scene[..., 2 * index : 2 * index + 128] for index in range(9)])
    shares: list[float] = []
    steady = lp.stabilize(moving_clip(9), styled)
    for _ in steady.frames(trace=lambda frame: shares.append(float(frame.is_new[..., 8:-8, 8:96].float().mean()))):
        pass
    assert max(shares[1:]) == 0


def test_values_above_1_are_those_of_the_stylized_clip_and_steady(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR")
    gains, folder = [6.0, 9.0, 4.0], tmp_path / "styled"
    folder.mkdir()
    for index, (gain, frame) in enumerate(zip(gains, noise(48, 64, 1).expand(3, -1, -1, -1).split(1), strict=True)):
        values = torch.ones(1, 1, 48, 64)
        values[..., 10:30, 10:30] = gain
        write_image(folder / f"{index}.exr", frame.clamp(min=0), gain=values)
    still = moving_clip(1).expand(3, -1, -1, -1)
    lp.stabilize(still, folder).save(tmp_path / "out.%04d.exr")
    expected = decode_image(folder / "0.exr").gain
    assert expected is not None
    for index in range(3):
        gain = decode_image(tmp_path / f"out.{index:04}.exr").gain
        assert gain is not None
        assert torch.allclose(gain[..., 14:26, 14:26], expected[..., 14:26, 14:26], rtol=0.03)
        assert float(gain[..., 35:, 35:].max()) == pytest.approx(1, abs=0.02)
