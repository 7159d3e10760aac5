"""A few fixed cases of the fuzzing, so that its parts keep working; `make fuzz` searches for longer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bases import make_clips, make_images, make_models
from mutations import MUTATIONS, Mutation, apply, suitable
from targets import TARGETS
from worker import handle

from lonepair.errors import UserError
from lonepair.train.checkpoint import load_model, read_header


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name -> valid file."""
    folder = tmp_path_factory.mktemp("bases")
    return {path.name: path for make in (make_models, make_images, make_clips) for path in make(folder)}


def test_every_file_starts_valid(files: dict[str, Path]) -> None:
    clips = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".y4m", ".mpg")
    kinds = {".safetensors": "models", **dict.fromkeys(clips, "clips")}
    for path in files.values():
        kind = kinds.get(path.suffix, "images")
        if kind != "models":
            assert handle(kind, path)["outcome"] == "ok", path.name
    load_model(files["lonepair.safetensors"])


CASES: list[tuple[str, str, list[Mutation]]] = [
    ("models", "lonepair.safetensors", [("header", 0.3, 10**6)]),
    ("models", "singan.safetensors", [("header", 0.6, float("nan"))]),
    ("models", "consingan.safetensors", [("header", 0.9999, {})]),
    ("models", "singan.safetensors", [("tensor", 0.5, float("inf"))]),
    ("models", "singan.safetensors", [("table", 0.5, 2**63)]),
    ("models", "singan.safetensors", [("header_text", 0.5, 0)]),
    ("images", "rgb.png", [("png", 0.0, 65535)]),
    ("images", "rgb.tif", [("tiff", 0.1, 2**32 - 1)]),
    ("images", "frames.gif", [("cut", 0.4, 0)]),
    ("images", "rgb.exr", [("write_number", 0.5, 65535)]),
    ("clips", "h264.mp4", [("box", 0.5, 2**31)]),
    ("clips", "ffv1.mkv", [("zero_tail", 0.5, 0)]),
]


@pytest.mark.parametrize(("kind", "name", "mutations"), CASES)
def test_a_changed_file_is_read_or_refused(
    kind: str, name: str, mutations: list[Mutation], files: dict[str, Path], tmp_path: Path
) -> None:
    data = files[name].read_bytes()
    changed = apply(data, mutations)
    assert changed != data
    path = tmp_path / name
    path.write_bytes(changed)
    answer = handle(kind, path)
    assert answer["outcome"] in ("ok", "refused"), answer["text"]


def test_a_changed_header_is_signed_so_that_it_reaches_behind_the_checksum(
    files: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(apply(files["lonepair.safetensors"].read_bytes(), [("header", 0.1, "x")]))
    assert read_header(path) != read_header(files["lonepair.safetensors"])
    with pytest.raises(UserError) as caught:
        load_model(path)
    assert "checksum" not in str(caught.value)


def test_every_kind_and_suffix_has_mutations() -> None:
    assert set(TARGETS) == {"models", "runs", "images", "clips"}
    for suffix in (".safetensors", ".json", ".jsonl", ".pt", ".png", ".tif", ".mp4", ".gif"):
        assert set(suitable(suffix)) <= set(MUTATIONS)
    assert json.loads(apply(b'{"a": {"b": 1}}', [("json_value", 0.6, 5)])) == {"a": {"b": 5}}
