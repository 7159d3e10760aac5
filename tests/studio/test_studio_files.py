"""Uploads, projects, masks, forms and snippets of the studio, without pages and without a training."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lonepair import UserError
from lonepair.api.settings import Setting, use_settings
from lonepair.apply.base import field_docs, uses
from lonepair.commands import COMMANDS
from lonepair.commands.main import parse
from lonepair.studio import uploads
from lonepair.studio.masks import painted_layer, write_masks
from lonepair.studio.projects import Project, ProjectStore, owner_name
from lonepair.studio.snippets import command_line, frame_range, python_code
from lonepair.studio.uploads import Facts, Limits

LIMITS = Limits(megabytes=1, frames=3, seconds=2)


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_zip_of_frames_becomes_a_folder(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "walk.zip", {"shot/1.png": b"1", "shot/2.png": b"2", "__MACOSX/shot/1.png": b"x"})
    (tmp_path / "in").mkdir()
    folder = uploads.store_upload(archive, tmp_path / "in", LIMITS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"1.png": b"1", "2.png": b"2"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../../evil.png": b"1", "evil.png": b"2"}, "same name"),
        ({"a.sh": b"1"}, "is no frame"),
        ({}, "no frames"),
        ({f"{n}.png": b"1" for n in range(4)}, "limit is 3"),
        ({"a.png": bytes(2_000_000)}, "limit is 1 MB"),
    ],
    ids=["path", "script", "empty", "many", "bomb"],
)
def test_zip_that_is_no_clip_is_refused_and_leaves_nothing(
    files: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    archive = zipped(tmp_path / "x.zip", files)
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match=message):
        uploads.store_upload(archive, tmp_path / "in", LIMITS)
    assert list((tmp_path / "in").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip", "in"}


def test_broken_zip_and_large_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK no archive")
    (tmp_path / "x.mp4").write_bytes(bytes(1_100_000))
    with pytest.raises(UserError, match="cannot be unpacked"):
        uploads.store_upload(tmp_path / "x.zip", tmp_path, LIMITS)
    with pytest.raises(UserError, match="limit is 1 MB"):
        uploads.store_upload(tmp_path / "x.mp4", tmp_path, LIMITS)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", ".bashrc", "a b\n.png", "x" * 300 + ".png", "…", "con\0.png", "-rf.png"]
)
def test_name_of_an_upload_cannot_leave_its_folder(name: str, tmp_path: Path) -> None:
    safe = uploads.safe_name(name)
    assert (tmp_path / safe).resolve().parent == tmp_path.resolve()
    assert not safe.startswith((".", "-"))
    assert 0 < len(safe) <= 80


@pytest.mark.parametrize("facts", [Facts(True, 10, 10, 4, 25), Facts(True, 10, 10, 3, 1)], ids=["frames", "seconds"])
def test_clip_beyond_the_limits_is_refused(facts: Facts) -> None:
    with pytest.raises(UserError, match="limit is"):
        uploads.check_facts(facts, "clip.mp4", LIMITS)


def test_project_survives_and_belongs_to_its_session(tmp_path: Path) -> None:
    store = ProjectStore(tmp_path / "projects")
    mine = store.add(owner_name("me")).update(styles=("a.png",), frame=3)
    again = ProjectStore(tmp_path / "projects").latest(owner_name("me"))
    assert again == mine
    for project_id, owner in ((mine.id, owner_name("you")), ("../projects", owner_name("me")), ("", owner_name("me"))):
        with pytest.raises(UserError, match="does not exist"):
            store.project(project_id, owner)


def test_mask_has_a_region_for_each_color(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (8, 4))
    layer.paste((255, 0, 0, 255), (0, 0, 2, 4))
    layer.paste((10, 10, 240, 200), (6, 0, 8, 4))  # a border of the brush, mixed with others
    painted = painted_layer({"layers": [layer], "background": None})
    assert painted is not None
    paths = write_masks(painted, ["#ff0000", "#0000ff"], tmp_path, "mask")
    first, second = (np.asarray(Image.open(path)) for path in paths)
    assert (first[:, :2] == 255).all()
    assert (second[:, 6:] == 255).all()
    assert not first[:, 2:].any()
    assert not second[:, :6].any()
    with pytest.raises(UserError, match="style 3 has no region"):
        write_masks(painted, ["#ff0000", "#0000ff", "#00ff00"], tmp_path, "mask")
    assert painted_layer({"layers": [Image.new("RGBA", (8, 4))]}) is None


@pytest.mark.parametrize("use", ["translate", "sample", "animate", "outpaint", "tile"])
def test_settings_are_those_of_the_command_line(use: str) -> None:
    """Names, texts and defaults come from the dataclass that the command's flags come from."""
    docs = field_docs(uses()[use])
    settings: list[Setting] = use_settings(use)
    assert {setting.name: setting.help for setting in settings}.items() <= docs.items()
    assert all(setting.help and (setting.kind != "choice" or setting.choices) for setting in settings)


def project(**values: Any) -> Project:
    facts = {"is_clip": True, "width": 64, "height": 48, "frames": 30, "rate": 10.0}
    basics = {"source": "/w/my clip.mp4", "facts": facts, "styles": ("/w/a.png", "/w/b.png"), "preset": "draft"}
    return Project(Path("/w/0"), "me", **{**basics, **values})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"masks": ("/w/m1.png", "/w/m2.png")},
        {"styles": ("/w/a.png",), "masks": ("/w/m.png",), "training": {"steps": 9, "max_minutes": 1.5}},
        {"styles": ("/w/a.png",), "imported": "old.safetensors"},
    ],
    ids=["plain", "regions", "mask", "model"],
)
@pytest.mark.parametrize("kind", ["MP4", "PNG sequence", "ProRes"])
def test_command_line_and_code_can_be_run(values: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dials = {**project().dials, "structure": 0.5, "tone": "keep", "texture_size": 0.3}
    shown = project(dials=dials, format=kind, first=2, last=9, **values)
    words = shlex.split(command_line(shown))
    assert words[:3] == ["lonepair", "translate", "my clip.mp4"]
    filled = parse(COMMANDS["translate"].form(words[2:]), "translate", words[2:])
    assert (filled.translation.structure, filled.translation.tone, filled.translation.frames) == (0.5, "keep", "2:9")
    assert filled.output.encoded.encoding().codec == ("prores-422" if kind == "ProRes" else None)
    code = python_code(shown)
    compile(code, "snippet", "exec")
    assert "structure=0.5" in code
    assert "frames='2:9'" in code


@pytest.mark.parametrize(("first", "last"), [(3, 2), (0, 30), (-1, 4)])
def test_range_outside_the_clip_is_refused(first: int, last: int) -> None:
    with pytest.raises(UserError, match="from 0 to 29"):
        frame_range(project(first=first, last=last))
