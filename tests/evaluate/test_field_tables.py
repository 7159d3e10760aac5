"""The field's tables: a cell is measured once, broken lines are ignored, and the page says first where ours loses."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("skimage", reason="the made clips are photographs of scikit-image")


@pytest.fixture
def field(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """The modules of cells and of the page."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("field_cells"), importlib.import_module("field_page")


def line(method: str, image: str, **values: float) -> dict[str, Any]:
    cell = {"table": "one", "image": image, "method": method}
    return {"cell": cell, "values": values, "memory_mb": 400, "date": "2026-01-01", "machine": "cpu", "torch": "2"}


def test_only_cells_without_a_line_are_measured(
    field: tuple[ModuleType, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three cells: one has its line, one has an error, and the last line of the file is broken."""
    cells = [line(method, "a")["cell"] for method in ("one", "two", "three")]
    file = tmp_path / "one.jsonl"
    lines = [{"cell": cells[0], "values": {}}, {"cell": cells[1], "error": 1}]
    file.write_text("\n".join(json.dumps(each) for each in lines) + '\n{"cell": {"tab', encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text('import sys; print(\'{"values": {"look": 1}}\') if "two" in sys.argv[-1] else sys.exit(3)')
    monkeypatch.setattr(sys, "argv", [str(script)])
    field[0].measure_cells(cells, file, [])
    results = field[0].read_results(file)
    assert [(each["cell"]["method"], each.get("error")) for each in results] == [
        *(("one", None), ("two", 1), ("two", None), ("three", 3))
    ]


def test_the_page_says_first_where_ours_loses(field: tuple[ModuleType, ModuleType], tmp_path: Path) -> None:
    """On the image `a` GPNN's sample is better in one metric than ours. Neither its image `b` nor our shorter training
    nor our samples with other patch synthesis count."""
    short = line("lonepair-single", "a", look_distance=0.7, layout_distance=0.3, train_minutes=0.1)
    short["cell"]["minutes"] = 0.1
    changed = line("lonepair-single", "a", look_distance=0.3, layout_distance=0.1, train_minutes=1.0)
    changed["cell"]["synthesis"] = {"layout_restoration": 1}
    results = [
        changed,
        short,
        line("lonepair-single", "a", look_distance=0.5, layout_distance=0.1, train_minutes=1.0),
        line("GPNN, published", "a", look_distance=0.4, layout_distance=0.2),
        line("GPNN, published", "b", look_distance=9.0, layout_distance=0.0),
    ]
    folder = tmp_path / "field"
    folder.mkdir()
    (folder / "one.jsonl").write_text("\n".join(map(json.dumps, results)), encoding="utf-8")
    field[1].write_page(folder, tmp_path / "field.md")
    page = (tmp_path / "field.md").read_text(encoding="utf-8")
    losses = [text for text in page.splitlines() if text.startswith("- ") and "_distance: " in text]
    assert losses == ["- look_distance: GPNN, published 0.400 against 0.500"]
    assert page.index(losses[0]) < page.index("| method |")
    assert "| lonepair-single, layout_restoration 1 | 0.300 |" in page
    assert "<circle" in (folder / "one.svg").read_text(encoding="utf-8")
