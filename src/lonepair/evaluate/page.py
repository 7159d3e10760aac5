"""The report as one HTML page, with its style and charts inline; pictures lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from lonepair.evaluate.curves import loss_charts
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
    "output": "the output",
    "copied": "the output; red: in long runs of one shift of the target, as copying counts them",
    "samples": "samples",
}
"""Picture -> what is said below it."""


def page(
    runs: Sequence[Run], parts: Sequence[Sequence[ReportSection]], files: Sequence[Sequence[dict[str, str]]]
) -> str:
    """The report of `runs`, given each one's parts and, for each part, picture -> its link."""
    sections = [_run(run, mine, links) for run, mine, links in zip(runs, parts, files, strict=True)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>lonepair eval</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>What the runs are worth</h1>\n"
        + (_summary(runs, parts) if len(runs) > 1 else "")
        + "\n".join(sections)
        + _glossary(parts)
        + "</body></html>\n"
    )


def _summary(runs: Sequence[Run], parts: Sequence[Sequence[ReportSection]]) -> str:
    """All runs in one table: of each part its main row."""
    rows = [(run, part, part.main) for run, mine in zip(runs, parts, strict=True) for part in mine]
    names = metric_columns([row.values for _, _, row in rows])
    body = [
        [
            str(run.path),
            str(run.model.settings.get("method")),
            part.name,
            *(format_value(n, row.values.get(n)) for n in names),
        ]
        for run, part, row in rows
    ]
    return _table(["run", "method", "", *map(_headed, names)], body, 3)


def _run(run: Run, parts: Sequence[ReportSection], links: Sequence[dict[str, str]]) -> str:
    text = [f"<h2>{escape(str(run.path))}</h2>"]
    for part, files in zip(parts, links, strict=True):
        names = metric_columns([row.values for row in part.rows])
        body = [[row.name, *(format_value(name, row.values.get(name)) for name in names)] for row in part.rows]
        text.append(f"<h3>{escape(part.name)}</h3>")
        text.append(_table(["", *map(_headed, names)], body, 1))
        text += [
            f'<p class="foot">{name}: {says}.</p>'
            for name, says in REFERENCE_ROWS.items()
            if name in [r.name for r in part.rows]
        ]
        text += [_figure(link, CAPTIONS[picture]) for picture, link in files.items()]
    text += ["<h3>losses</h3>", loss_charts(run.history) or "<p>None were logged.</p>"]
    text += ["<h3>settings</h3>", _settings(run.settings())]
    return "\n".join(text)


def _figure(link: str, caption: str) -> str:
    return f'<figure><img src="{escape(link)}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def _settings(settings: dict[str, Any]) -> str:
    plain = {
        name: value for name, value in settings.items() if name not in ("config", "parameters", "training_seconds")
    }
    parameters = settings["parameters"]
    plain["parameters of the generators"] = f"{sum(parameters.values()):,} ({_listed(parameters)})"
    plain["sizes"] = {domain: f"{w}x{h}" for domain, (h, w) in settings["sizes"].items()}
    plain["training"] = f"{settings['training_seconds']:.0f} s"
    plain["settings"] = _listed(settings["config"])
    return _table(["", ""], [[name, _listed(value)] for name, value in plain.items()], 2)


def _listed(value: Any) -> str:
    """A value of the settings in words."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_listed(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return str(value)


def _glossary(parts: Sequence[Sequence[ReportSection]]) -> str:
    names = metric_columns([row.values for mine in parts for part in mine for row in part.rows])
    body = [[name, DEFINITIONS[name].better, DEFINITIONS[name].says] for name in names]
    return "<h2>How to read it</h2>\n" + _table(["", "better", ""], body, 3)


def _headed(name: str) -> str:
    arrow = {"lower": " ↓", "higher": " ↑"}.get(DEFINITIONS[name].better, "")
    return name + arrow


def _table(head: Sequence[str], body: Sequence[Sequence[str]], words: int) -> str:
    """A table whose first `words` columns are text, the others numbers."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    rows = [
        "".join(f"<td{'' if i < words else ' class=n'}>{escape(cell)}</td>" for i, cell in enumerate(row))
        for row in body
    ]
    return f"<table><tr>{top}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
