"""Atomic writes and file names."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lonepair.errors import UserError
from lonepair.storage.files import (
    atomic_write,
    create_numbered_folder,
    natural_order,
    next_free,
)
from lonepair.storage.publish import publish, staging_folder


def test_failed_atomic_write_leaves_the_old_file_only(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UserError, match=r"a\.txt: cannot be written \(no space left on device\)"), atomic_write(path):
        raise OSError(28, "No space left on device")

    def stop_halfway() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    with pytest.raises(UserError, match="make the folder"), atomic_write(tmp_path / "no" / "a.txt"):
        pass


def test_next_free_numbers_names_and_natural_order_compares_numbers(tmp_path: Path) -> None:
    assert next_free(tmp_path / "out.png") == tmp_path / "out.png"
    (tmp_path / "out.png").touch()
    (tmp_path / "out-2.png").touch()
    assert next_free(tmp_path / "out.png") == tmp_path / "out-3.png"
    (tmp_path / "run.v1").mkdir()
    assert next_free(tmp_path / "run.v1") == tmp_path / "run.v1-2"
    names = ["f10.png", "f9.png", "F1.png", "f01.png", "a2b3.png", "a2b12.png"]
    ordered = [path.name for path in natural_order(map(Path, names))]
    assert ordered == ["a2b3.png", "a2b12.png", "F1.png", "f01.png", "f9.png", "f10.png"]


def publish_texts(folder: Path, text: str) -> list[Path]:
    """Publish out.txt and out-sheet.txt, both with `text`."""
    with staging_folder(folder) as staging:
        for name in ("out.txt", "out-sheet.txt"):
            (staging / name).write_text(text)
        return publish(staging, folder, "out")


@pytest.mark.parametrize("has_links", [True, False], ids=["hard links", "no hard links"])
def test_concurrent_results_get_different_numbers_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda index: publish_texts(tmp_path, str(index)), range(24)))
    for index, paths in enumerate(results):
        assert [path.read_text() for path in paths] == [str(index)] * 2
        assert paths[1].name == f"{paths[0].stem}-sheet.txt"
    assert len(list(tmp_path.iterdir())) == 48


def test_a_result_that_fails_leaves_nothing_and_its_message_names_the_folder(tmp_path: Path) -> None:
    def fail() -> None:
        with staging_folder(tmp_path) as staging:
            (staging / "out.txt").write_text("half")
            raise UserError(f"{staging / 'out.txt'}: cannot be written")

    with pytest.raises(UserError) as error:
        fail()
    assert str(error.value) == f"{tmp_path / 'out.txt'}: cannot be written"
    assert list(tmp_path.iterdir()) == []


def test_concurrent_folders_get_different_numbers(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: create_numbered_folder(tmp_path / "run"), range(16)))
    assert {folder.name for folder in folders} == {"run", *(f"run-{number}" for number in range(2, 17))}
