"""Writes measurements: a table for the terminal, results.json, report.html and its pictures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lonepair.errors import UserError, printable
from lonepair.evaluate.definitions import format_value, metric_columns
from lonepair.evaluate.measure import EvaluationOptions, ReportSection
from lonepair.evaluate.page import page
from lonepair.evaluate.runs import Run
from lonepair.media.stills.image import write_image
from lonepair.storage.files import atomic_write, error_reason


def text_table(run: Run, sections: Sequence[ReportSection]) -> str:
    """Format the sections of one run as aligned plain text."""
    settings = run.model.settings
    method, preset, seed = (settings.get(name) for name in ("method", "preset", "seed"))
    lines = [printable(f"{run.path}: {method}, {preset}, seed {seed}, {run.seconds:.0f} s")]
    for section in sections:
        names = metric_columns([row.values for row in section.rows])
        rows = [[section.name, *names]]
        rows += [[row.name, *(format_value(name, row.values.get(name)) for name in names)] for row in section.rows]
        # Numbers are aligned to the right under their metric.
        widths = [max(len(row[i]) for row in rows) for i in range(len(names) + 1)]
        for name, *values in rows:
            cells = [f"{cell:>{width}}" for cell, width in zip(values, widths[1:], strict=True)]
            lines.append("  ".join([f"  {name:{max(20, widths[0])}}", *cells]))
    return "\n".join(lines)


def write_report(
    folder: Path, runs: Sequence[Run], sections: Sequence[Sequence[ReportSection]], options: EvaluationOptions
) -> Path:
    """Write FOLDER/results.json, FOLDER/RUN/*.png and, last, FOLDER/report.html.

    Args:
        folder: The report's folder, created if it is missing.
        runs: The runs.
        sections: The sections of each run.
        options: What was measured.

    Returns:
        The path of report.html.

    Raises:
        UserError: A file cannot be written.
    """
    # Pictures first, the page last: an incomplete report has no page.
    _create_folder(folder)
    links = []
    for name, run_sections in zip(_folder_names(runs), sections, strict=True):
        _create_folder(folder / name)
        links.append([_write_pictures(folder, name, section) for section in run_sections])
    results = {"lonepair": version("lonepair"), "seed": options.seed, "samples": options.samples}
    results["runs"] = [_to_plain(run, run_sections) for run, run_sections in zip(runs, sections, strict=True)]
    with atomic_write(folder / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(page(runs, sections, links), encoding="utf-8")
    return folder / "report.html"


def _to_plain(run: Run, sections: Sequence[ReportSection]) -> dict[str, Any]:
    """Return what results.json holds of a run; a value that is infinite becomes null."""
    # JSON has no infinity; the PSNR of equal images has.
    measured = {
        section.name: {
            row.name: {name: value if math.isfinite(value) else None for name, value in row.values.items()}
            for row in section.rows
        }
        for section in sections
    }
    return {**run.settings(), "measured": measured}


def _write_pictures(folder: Path, name: str, section: ReportSection) -> dict[str, str]:
    """Write the pictures of a section. Returns name of a picture -> its link from the page."""
    links = {picture: f"{name}/{section.name}-{picture}.png" for picture in section.pictures}
    for picture, link in links.items():
        write_image(folder / link, section.pictures[picture], overwrite=True)
    return links


def _folder_names(runs: Sequence[Run]) -> list[str]:
    """Return a folder name for each run: its own name, numbered where two runs share it."""
    names: list[str] = []
    for run in runs:
        base = re.sub(r"[^\w.-]+", "_", run.path.resolve().name) or "run"
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}-{number}"
        names.append(name)
    return names


def _create_folder(folder: Path) -> None:
    """Create `folder` if it is missing."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error_reason(error)}); choose another folder") from error
