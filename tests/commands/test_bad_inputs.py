"""Bad input is refused in one line that names it, with exit status 2, and nothing is left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bad_inputs import CASES, Case, NotHereError, make_material, run


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    make_material(folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused_in_one_line(case: Case, material: Path, tmp_path: Path) -> None:
    shutil.copytree(material, tmp_path, dirs_exist_ok=True)
    try:
        outcome = run(case, tmp_path)
    except NotHereError as why:
        pytest.skip(str(why))
    assert not outcome.faults(case), outcome
    assert not (tmp_path / "owned").exists()  # what a malicious pickle would have made


def test_cases_are_many_and_each_has_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 30
