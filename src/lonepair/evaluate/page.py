"""Renders the report as one HTML page with inline style and charts. Its pictures are separate files."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from lonepair.evaluate.curves import loss_charts, metric_charts
from lonepair.evaluate.definitions import DEFINITIONS, REFERENCE_ROWS, format_value, metric_columns
from lonepair.evaluate.measure import ReportSection
from lonepair.evaluate.runs import Run

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 75em; margin: 2em auto; padding: 0 1em; }
h1, h2, h3 { font-weight: 600; } h2 { border-top: 1px solid #ccc; padding-top: 1em; }
table { border-collapse: collapse; margin: .7em 0; } th, td { padding: .2em .8em; border-bottom: 1px solid #e4e4e4; }
th { text-align: left; font-weight: 600; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } figure { margin: .8em 0; } figcaption, .legend, .foot { color: #555; font-size: 13px; }
.charts { display: flex; flex-wrap: wrap; gap: .6em; } svg text { font-size: 9px; fill: #555; }
svg rect { fill: none; stroke: #ddd; } svg polyline { fill: none; stroke-width: 1; }
"""

CAPTIONS = {
    "sheet": "side by side",
    "output": "output",
    "copied": "output; red: copied from the target in regions of one displacement, which `copying` counts",
    "samples": "samples",
    "worst-swim": "the frame in which most of the fine texture is new",
    "worst-flicker": "the frame that flickers most where the source stands still",
    "worst-new_blocks": "the frame in which the largest part of the picture exchanges its texture",
    "worst-sharpness": "the softest frame",
}
"""Name of a picture -> its caption."""


def page(
    runs: Sequence[Run], sections: Sequence[Sequence[ReportSection]], links: Sequence[Sequence[dict[str, str]]]
) -> str:
    """Render the report.

    Args:
        runs: The runs.
        sections: The sections of each run.
        links: For each section of each run, name of a picture -> its link.
    """
    rendered = [_render_run(*entry) for entry in zip(runs, sections, links, strict=True)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>Evaluation</h1>\n"
        + (_summary(runs, sections) if len(runs) > 1 else "")
        + "\n".join(rendered)
        + _definitions(sections)
        + "</body></html>\n"
    )


def _summary(runs: Sequence[Run], sections: Sequence[Sequence[ReportSection]]) -> str:
    """Render the main row of every section of every run in one table."""
    rows = [
        (run, section, section.main_row)
        for run, run_sections in zip(runs, sections, strict=True)
        for section in run_sections
    ]
    names = metric_columns([row.values for _, _, row in rows])
    body = [
        [
            str(run.path),
            str(run.model.settings.get("method")),
            section.name,
            *(format_value(n, row.values.get(n)) for n in names),
        ]
        for run, section, row in rows
    ]
    return _table(["run", "method", "", *map(_column_title, names)], body, 3)


def _render_run(run: Run, sections: Sequence[ReportSection], links: Sequence[dict[str, str]]) -> str:
    """Render the tables, pictures, losses and settings of one run."""
    lines = [f"<h2>{escape(str(run.path))}</h2>"]
    for section, files in zip(sections, links, strict=True):
        # Table, with a note under it for each reference row, then pictures.
        names = metric_columns([row.values for row in section.rows])
        body = [[row.name, *(format_value(name, row.values.get(name)) for name in names)] for row in section.rows]
        lines.append(f"<h3>{escape(section.name)}</h3>")
        lines.append(_table(["", *map(_column_title, names)], body, 1))
        lines += [
            f'<p class="foot">{name}: {text}.</p>'
            for name, text in REFERENCE_ROWS.items()
            if name in [r.name for r in section.rows]
        ]
        if section.curves:
            lines.append(metric_charts(section.curves))
        lines += [_figure(link, CAPTIONS[picture]) for picture, link in files.items()]
    lines += ["<h3>Losses</h3>", loss_charts(run.history) or "<p>No losses were logged.</p>"]
    lines += ["<h3>Settings</h3>", _settings(run.settings())]
    return "\n".join(lines)


def _figure(link: str, caption: str) -> str:
    """Render a picture above its caption."""
    return f'<figure><img src="{escape(link)}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def _settings(settings: dict[str, Any]) -> str:
    """Render the table of a run's settings."""
    # Some settings need another form; all others are shown as they are.
    plain = {
        name: value for name, value in settings.items() if name not in ("config", "parameters", "training_seconds")
    }
    parameters = settings["parameters"]
    plain["parameters of the generators"] = f"{sum(parameters.values()):,} ({_as_text(parameters)})"
    plain["sizes"] = {domain: f"{w}x{h}" for domain, (h, w) in settings["sizes"].items()}
    plain["training"] = f"{settings['training_seconds']:.0f} s"
    plain["settings"] = _as_text(settings["config"])
    return _table(["", ""], [[name, _as_text(value)] for name, value in plain.items()], 2)


def _as_text(value: Any) -> str:
    """Format a value of the settings as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_as_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return str(value)


def _definitions(sections: Sequence[Sequence[ReportSection]]) -> str:
    """Render the definitions of the metrics that occur in the report."""
    names = metric_columns(
        [row.values for run_sections in sections for section in run_sections for row in section.rows]
    )
    body = [[name, DEFINITIONS[name].better, DEFINITIONS[name].text] for name in names]
    return "<h2>Metrics</h2>\n" + _table(["", "better", ""], body, 3)


def _column_title(name: str) -> str:
    """Return the metric with an arrow where lower or higher values are better."""
    arrow = {"lower": " ↓", "higher": " ↑"}.get(DEFINITIONS[name].better, "")
    return name + arrow


def _table(head: Sequence[str], body: Sequence[Sequence[str]], text_columns: int) -> str:
    """Render a table; the first `text_columns` columns are text, the others numbers."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    rows = [
        "".join(f"<td{'' if i < text_columns else ' class=n'}>{escape(cell)}</td>" for i, cell in enumerate(row))
        for row in body
    ]
    return f"<table><tr>{top}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
