"""Atomic writes and file names."""

from pathlib import Path

import pytest

from lonepair.errors import UserError
from lonepair.media.files import atomic_write, natural_order, next_free


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
