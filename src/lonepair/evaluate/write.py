"""Write what was measured: a table for the terminal, results.json, report.html and its pictures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lonepair.errors import UserError
from lonepair.evaluate.definitions import format_value, metric_columns
from lonepair.evaluate.measure import EvaluationOptions, ReportSection
from lonepair.evaluate.page import page
from lonepair.evaluate.runs import Run
from lonepair.media.files import atomic_write, error_reason
from lonepair.media.image import write_image


def text_table(run: Run, parts: Sequence[ReportSection]) -> str:
    """The parts of one run as aligned plain text."""
    kept = run.model.settings
    lines = [f"{run.path}: {kept.get('method')}, {kept.get('preset')}, seed {kept.get('seed')}, {run.seconds:.0f} s"]
    for part in parts:
        names = metric_columns([row.values for row in part.rows])
        rows = [[part.name, *names]]
        rows += [[row.name, *(format_value(name, row.values.get(name)) for name in names)] for row in part.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(names) + 1)]
        for first, *others in rows:
            cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
            lines.append("  ".join([f"  {first:{max(20, widths[0])}}", *cells]))
    return "\n".join(lines)


def write_report(
    folder: Path, runs: Sequence[Run], parts: Sequence[Sequence[ReportSection]], wanted: EvaluationOptions
) -> Path:
    """FOLDER/results.json, FOLDER/RUN/*.png and, last, FOLDER/report.html, whose path is returned.

    Raises:
        UserError: where something cannot be written.
    """
    _make(folder)
    links = []
    for name, mine in zip(_names(runs), parts, strict=True):
        _make(folder / name)
        links.append([_write_pictures(folder, name, part) for part in mine])
    results = {"lonepair": version("lonepair"), "seed": wanted.seed, "samples": wanted.samples}
    results["runs"] = [_plain(run, mine) for run, mine in zip(runs, parts, strict=True)]
    with atomic_write(folder / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(page(runs, parts, links), encoding="utf-8")
    return folder / "report.html"


def _plain(run: Run, parts: Sequence[ReportSection]) -> dict[str, Any]:
    """What results.json holds of a run; null for a value that is infinite."""
    measured = {
        part.name: {
            row.name: {name: value if math.isfinite(value) else None for name, value in row.values.items()}
            for row in part.rows
        }
        for part in parts
    }
    return {**run.settings(), "measured": measured}


def _write_pictures(folder: Path, name: str, part: ReportSection) -> dict[str, str]:
    """Picture -> its link from the page."""
    links = {picture: f"{name}/{part.name}-{picture}.png" for picture in part.pictures}
    for picture, link in links.items():
        write_image(folder / link, part.pictures[picture], overwrite=True)
    return links


def _names(runs: Sequence[Run]) -> list[str]:
    """A folder's name for each run: its own, numbered where two have one."""
    names: list[str] = []
    for run in runs:
        own = re.sub(r"[^\w.-]+", "_", run.path.resolve().name) or "run"
        name, number = own, 1
        while name in names:
            number += 1
            name = f"{own}-{number}"
        names.append(name)
    return names


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error_reason(error)}); choose another folder with -o") from error
