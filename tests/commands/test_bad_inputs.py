"""Bad inputs are refused in one line that names them, with exit status 2, and every file stays as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bad_input_cases import CASES
from limited_machines import CannotMakeCaseError
from refusals import Case, make_material, run


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of `make_material`."""
    folder = tmp_path_factory.mktemp("material")
    make_material(folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_in_one_line(case: Case, material: Path, tmp_path: Path) -> None:
    shutil.copytree(material, tmp_path, dirs_exist_ok=True)
    try:
        outcome = run(case, tmp_path)
    except CannotMakeCaseError as reason:
        pytest.skip(str(reason))
    assert not outcome.faults(case), outcome
    assert not (tmp_path / "owned").exists()  # a malicious pickle creates it when it is loaded


def test_every_case_has_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
