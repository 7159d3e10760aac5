"""Keyframes and second passes: keys show, are carried both ways within their scene, and bad ones are refused."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
import torch
from torch import Tensor

import lonepair as lp
from lonepair.commands.main import main
from lonepair.media.source import open_source
from lonepair.media.stills.image import read_image, write_image
from lonepair.media.store import TensorStore
from lonepair.ops.blur import gaussian_blur
from lonepair.patches.carry import blend_textures
from lonepair.render.keys import key_number
from tiny_models import SIZE, model_of
from tiny_settings import picture

STILL = picture(*SIZE).expand(4, -1, -1, -1)
OTHER = (picture(*SIZE, seed=3) * 0.2 + 0.7).expand(2, -1, -1, -1)
RED, BLUE = (torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, *SIZE) for color in ([1.0, -1, -1], [-1.0, -1, 1]))


def redness(image: Tensor) -> float:
    """Mean of red less blue, -2 to 2."""
    return float((image[:, 0] - image[:, 2]).mean())


def outputs(clip: Tensor, name: str = "lonepair", **settings: object) -> list[Tensor]:
    return [frame.image for frame in model_of(name).translate(clip, **settings).frames()]  # type: ignore[arg-type]


def test_a_key_shows_at_its_frame_and_is_carried_both_ways_to_the_cuts() -> None:
    clip = torch.cat([STILL * 0.2 - 0.7, OTHER])
    plain, keyed = outputs(clip), outputs(clip, keys={2: RED})
    assert torch.equal(keyed[2], RED)
    assert all(redness(frame) > 1.9 for frame in keyed[:4])
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(plain[4:], keyed[4:], strict=True))


def test_two_keys_are_blended_between_them() -> None:
    frames = outputs(STILL, keys={0: RED, 3: BLUE})
    assert torch.equal(frames[0], RED)
    assert torch.equal(frames[3], BLUE)
    assert redness(frames[1]) == pytest.approx(2 / 3, abs=0.1)
    assert redness(frames[2]) == pytest.approx(-2 / 3, abs=0.1)


def test_an_output_frame_fed_back_changes_nothing(tmp_path: Path) -> None:
    """Also with a dial that acts after the synthesis."""
    frames = outputs(STILL, colour=0.5)
    again = outputs(STILL, colour=0.5, keys={0: frames[0]})
    assert max(float((one - other).abs().max()) for one, other in zip(frames, again, strict=True)) < 0.03


@pytest.mark.parametrize("settings", [{"keys": {1: RED}}, {"passes": 2}])
def test_a_single_frame_equals_that_of_the_clip(settings: dict[str, object]) -> None:
    clip = torch.cat([STILL[:2] * 0.2 - 0.7, OTHER])
    translation = model_of("lonepair").translate(clip, **settings)  # type: ignore[arg-type]
    for index, frame in enumerate(translation.frames()):
        assert torch.equal(translation.frame(index).image, frame.image)


@pytest.mark.parametrize("settings", [{"keys": {3: RED}}, {"passes": 2}])
def test_a_part_has_the_frames_of_the_whole_clip(settings: dict[str, object]) -> None:
    """Also those that are carried from keys or frames of the scene; keys have the numbers of the whole clip."""
    clip = torch.cat([OTHER, STILL * 0.2 - 0.7])
    whole, part = outputs(clip, **settings), outputs(clip, **settings, frames="3:4")
    assert len(part) == 2
    assert all(torch.equal(one, other) for one, other in zip(whole[3:5], part, strict=True))


@pytest.mark.parametrize("settings", [{"keys": {3: RED}}, {"passes": 2}])
def test_a_render_that_stops_leaves_nothing_and_starts_anew(tmp_path: Path, settings: dict[str, object]) -> None:
    translation = model_of("lonepair").translate(STILL, **settings)  # type: ignore[arg-type]
    stop = Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt, match="stopped after 1 frame; a render with keys or two passes"):
        translation.save(tmp_path / "out.mkv", stop=stop)
    assert not list(tmp_path.iterdir())
    translation.save(tmp_path / "out.mkv")
    saved = [frame.image for frame in open_source(tmp_path / "out.mkv").frames()]
    expected = [frame.image for frame in translation.frames()]
    assert all(torch.allclose(one, other, atol=1 / 127) for one, other in zip(saved, expected, strict=True))


def test_methods_without_synthesis_carry_keys() -> None:
    assert redness(outputs(STILL, keys={3: RED}, name="representative")[0]) > 1


def test_two_passes_end_with_the_last_frame_by_itself() -> None:
    translation = model_of("lonepair").translate(STILL, passes=2)
    frames = [frame.image for frame in translation.frames()]
    assert len(frames) == 4
    assert torch.allclose(frames[3], translation.translate(STILL[3:]), atol=1e-2)


def test_a_blend_of_textures_keeps_their_contrast() -> None:
    noises = (torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    one, other = (gaussian_blur(noise, 1.0) / 3 for noise in noises)
    half = torch.full((1, 1, 48, 48), 0.5)
    assert float(torch.lerp(one, other, half).std() / one.std()) < 0.75
    assert float(blend_textures(one, other, half, 1.5).std() / one.std()) > 0.85
    assert torch.allclose(blend_textures(one, other, half * 0, 1.5), one, atol=1e-3)


def test_tensors_on_disk_are_exact_and_those_of_images_small() -> None:
    levels = torch.arange(256).float() / 127.5 - 1
    with TensorStore() as store:
        for name, tensor in (("image", levels), ("other", torch.randn(5))):
            store.write(name, tensor)
            assert torch.equal(store.read(name), tensor)
        store.delete("image", "nothing")
        assert not store.has("image")


@pytest.mark.parametrize(("name", "number"), [("000012.png", 12), ("shot2_0120.png", 120), ("k/7-corrected.tif", 7)])
def test_the_last_number_of_a_name_is_the_frame(name: str, number: int) -> None:
    assert key_number(name) == number


@pytest.mark.parametrize(
    ("clip", "settings", "message"),
    [
        (STILL, {"keys": {4: RED}}, "the key is for frame 4, .* has 4 frames: choose 0 to 3"),
        (STILL, {"keys": {0: STILL}}, "is a clip; give an image for frame 0"),
        (STILL, {"keys": {"0": RED}}, "key '0': give the number of a frame"),
        (STILL, {"keys": ["red.png"]}, "red.png: the name of a keyframe has the number"),
        (STILL, {"keys": ["1.png", "a/01.png"]}, "keys 1.png and a/01.png are both for frame 1"),
        (STILL, {"keys": ["nothing-1.png"]}, "nothing-1.png: no such file"),
        (STILL, {"keys": [RED]}, "keys: give files"),
        (STILL, {"keys": {0: RED}, "carry": "off"}, "carry is off: leave one of both out"),
        (STILL, {"passes": 2, "carry": "off"}, "passes is 2: .* carry is off: leave one out"),
        (STILL, {"keys": {0: RED}, "frames": "1:2"}, "the key is for frame 0, and `frames` are 1 to 2 of .*, counted"),
        (STILL[:1], {"keys": {0: RED}}, "is an image and takes no keyframes"),
        (STILL[:1], {"passes": 2}, "is an image: leave it out"),
    ],
)
def test_wrong_keys_are_refused(clip: Tensor, settings: dict[str, object], message: str) -> None:
    with pytest.raises(lp.UserError, match=message):
        model_of("lonepair").translate(clip, **settings)  # type: ignore[arg-type]


def test_command_takes_corrected_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model_of("lonepair").save("model.safetensors")
    Path("in").mkdir()
    for index, frame in enumerate(STILL.split(1)):
        write_image(f"in/{index}.png", frame)
    write_image("key-0001.png", RED)
    write_image("key-0003.png", BLUE)
    words = ["translate", "in", "model.safetensors", "--device", "cpu"]
    words += ["--key", "key-0001.png", "--key", "key-0003.png"]
    assert main([*words, "-o", "out.mkv", "--save-frames", "out"]) == 0
    assert torch.equal(read_image("out/000001.png"), read_image("key-0001.png"))
    assert torch.equal(read_image("out/000003.png"), read_image("key-0003.png"))
    capsys.readouterr()
    write_image("key-0009.png", RED)
    assert main([*words, "--key", "key-0009.png", "-o", "other.mkv"]) == 2
    assert "key key-0009.png is for frame 9, in has 4 frames: choose 0 to 3" in capsys.readouterr().err
