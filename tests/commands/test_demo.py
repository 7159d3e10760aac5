"""The command `demo`: the files that it makes from photographs."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from lonepair.commands import demo
from lonepair.commands.protect import inputs_protected
from lonepair.errors import UserError
from lonepair.media.clips.frames import decode, probe
from lonepair.media.stills.image import read_image
from lonepair.storage.protect import check_not_input


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    pytest.importorskip("skimage")
    return demo.demo_inputs(tmp_path_factory.mktemp("demo"))


def test_images_have_the_stated_size(inputs: tuple[Path, Path, Path]) -> None:
    still, _, target = inputs
    assert read_image(still).shape == (1, 1, *demo.SIZE)
    assert read_image(target).shape == (1, 3, *demo.SIZE)


def test_clip_has_the_stated_size_length_and_rate(inputs: tuple[Path, Path, Path]) -> None:
    info = probe(inputs[1])
    frames = list(decode(inputs[1]))
    assert info.size == demo.SIZE
    assert [frame.time for frame in frames] == [index / demo.RATE for index in range(demo.FRAMES)]


def test_clip_begins_with_the_still_moves_smoothly_and_loops(inputs: tuple[Path, Path, Path]) -> None:
    frames = [frame.image.mean(1, keepdim=True) for frame in decode(inputs[1])]
    assert (frames[0] - read_image(inputs[0])).abs().mean() < 0.05  # H.264 loses a little
    steps = [(a - b).abs().mean().item() for a, b in pairwise([*frames, frames[0]])]
    assert min(steps) > 0.01
    assert max(steps) < 4 * min(steps)


def test_the_camera_stays_within_the_photograph() -> None:
    height, width = 303, 384  # skimage.data.coins
    for index in range(demo.FRAMES):
        left, top, across = demo.camera_crop(index)
        assert left >= 0
        assert top >= 0
        assert left + across <= width
        assert top + across * demo.SIZE[0] / demo.SIZE[1] <= height


def test_inputs_are_the_same_every_time(inputs: tuple[Path, Path, Path], tmp_path: Path) -> None:
    again = demo.demo_inputs(tmp_path / "new" / "folder")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in inputs]


def test_existing_files_are_not_replaced(inputs: tuple[Path, Path, Path], tmp_path: Path) -> None:
    (tmp_path / "coins.png").write_bytes(b"mine")
    still, clip, target = demo.demo_inputs(tmp_path)
    assert still.read_bytes() == b"mine"
    assert clip.exists()
    assert target.exists()


def test_coins_and_galaxies_are_bright_on_dark(inputs: tuple[Path, Path, Path]) -> None:
    """The demo relies on objects that are brighter than their background, in both images."""
    for path in (inputs[0], inputs[2]):
        assert torch.quantile(read_image(path), 0.25) < -0.2


def test_missing_scikit_image_is_named_with_its_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(UserError, match=r"^the demo needs scikit-image: pip install scikit-image$"):
        demo.demo_inputs(tmp_path)


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file"):
        demo.demo_inputs(tmp_path / "file")


def test_a_second_demo_may_replace_the_files_of_the_first(tmp_path: Path) -> None:
    output = tmp_path / "translated.mp4"
    output.write_bytes(b"of the first demo")
    with inputs_protected(demo.Demo(folder=tmp_path)):
        check_not_input(output)
    assert output.read_bytes() == b"of the first demo"
