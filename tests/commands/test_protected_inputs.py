"""An output replaces no input and no file of others; inputs that never end are refused at once."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import socket
import stat
import typing
from pathlib import Path

import pytest

from command_line import list_files, tiny_flags
from lonepair.commands.main import COMMANDS, main
from lonepair.commands.roles import holds_paths, path_role
from lonepair.media.stills.image import write_image
from tiny_settings import picture


def make_frames(folder: str, count: int = 2) -> None:
    """Write numbered frames, as another program does."""
    Path(folder).mkdir()
    for index in range(count):
        write_image(f"{folder}/{index:06d}.png", picture(24, 20, seed=index))


def link(kind: str) -> str:
    """Give a.png another name of a `kind`; returns it."""
    if kind == "same":
        return "a.png"
    (os.link if kind == "hard" else os.symlink)("a.png", "other.png")
    return "other.png"


@pytest.mark.parametrize("kind", ["same", "hard", "symbolic", "target", "sheet", "frames", "sequence", "model folder"])
def test_an_output_never_replaces_an_input(
    here: Path, pair_run: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    shutil.copytree(pair_run, "run")
    words = ["a.png", "run", "-o"]
    if kind == "target":
        words = [*tiny_flags(), "a.png", "b.png", "-o", "b.png"]
    elif kind == "sheet":
        Path("a.png").rename("new-sheet.png")
        words = ["new-sheet.png", "run", "-o", "new.png"]
    elif kind == "frames":
        make_frames("frames")
        words = ["frames", "run", "-o", "new.mp4", "--save-frames", "frames"]
    elif kind == "sequence":
        make_frames("frames")
        words = ["frames", "run", "-o", "frames/%06d.png"]
    elif kind == "model folder":
        write_image("run/preview.png", picture(4, 4))
        words += ["run/preview.png"]
    else:
        words += [link(kind)]
    before = {name: Path(name).read_bytes() for name in list_files()}
    assert main(["translate", *words, "--overwrite", "--device", "cpu"]) == 2
    output = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"is an input, which no output replaces|lies in a folder that is an input", output)
    assert before == {name: Path(name).read_bytes() for name in list_files()}


def test_later_frames_of_others_stay(here: Path, pair_run: Path) -> None:
    make_frames("frames")
    make_frames("mine", 4)
    before = Path("mine/000003.png").read_bytes()
    words = ["translate", "frames", str(pair_run), "--save-frames", "mine", "--overwrite", "--device", "cpu"]
    assert main([*words, "--no-synthesize"]) == 0
    assert Path("mine/000003.png").read_bytes() == before
    Path("mine/000001.png").rename("mine/000002.png")
    assert main([*words, "--no-synthesize"]) == 0
    assert sorted(path.name for path in Path("mine").iterdir()) == ["000000.png", "000001.png", "000003.png"]


@pytest.mark.skipif(os.name != "posix", reason="needs modes and links")
def test_modes_stay_and_dangling_links_are_not_replaced_unasked(
    here: Path, pair_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", "a.png", str(pair_run), "--no-synthesize", "--device", "cpu", "-o"]
    Path("out.png").touch(mode=0o640)
    Path("out.png").chmod(0o640)
    assert main([*words, "out.png", "--overwrite"]) == 0
    assert stat.S_IMODE(Path("out.png").stat().st_mode) == 0o640
    Path("link.png").symlink_to("nowhere.png")
    assert main([*words, "link.png"]) == 2
    assert "link.png: is a link to a missing file; give --overwrite" in capsys.readouterr().err
    assert Path("link.png").is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
@pytest.mark.parametrize("kind", ["a pipe", "a device", "a socket"])
def test_inputs_without_a_length_are_refused_at_once(
    here: Path, pair_run: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "a pipe":
        os.mkfifo("x.png")
    elif kind == "a device":
        Path("x.png").symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("x.png")
    Path("folder").mkdir()
    Path("folder/0001.png").symlink_to(here / "x.png")
    shutil.copy("a.png", "folder/0002.png")
    shutil.copytree(pair_run, "run")
    Path("run/model.safetensors").unlink()
    Path("run/model.safetensors").symlink_to(here / "x.png")
    run = str(pair_run)
    for words in (
        ["translate", "x.png", run],
        ["translate", "a.png", "x.png", *tiny_flags()],
        ["translate", "folder", run],
        ["translate", "a.png", "run"],
        ["translate", "a.png", run, "--mask", "x.png"],
        ["train", "a.png", "b.png", *tiny_flags(), "--warm-start", "run"],
        ["info", "run"],
    ):
        capsys.readouterr()
        assert main(words) == 2, words
        assert kind in capsys.readouterr().err, words


def undeclared_paths(form: type) -> list[str]:
    """Fields of a form and its parts that hold paths and state no role."""
    hints = typing.get_type_hints(form, include_extras=True)
    nested = [name for hint in hints.values() if dataclasses.is_dataclass(hint) for name in undeclared_paths(hint)]
    return nested + [name for name, hint in hints.items() if holds_paths(hint) and path_role(hint) is None]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_of_a_command_is_declared_as_read_or_written(name: str) -> None:
    form = COMMANDS[name].form([])
    assert undeclared_paths(form) == []
