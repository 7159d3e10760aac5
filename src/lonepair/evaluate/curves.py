"""Renders curves as inline SVG: losses, one small chart per stage, and metrics of a clip, one per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 300, 130
POINTS = 200
"""Approximate limit of the points of a curve."""
_LEFT, _BOTTOM, _TOP = 40, 16, 14
_COLORS = (
    *("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#2a9d8f", "#d1495b", "#6c757d", "#7f5539", "#5a67d8"),
    *("#111111", "#e377c2", "#9acd32", "#00a8e8"),
)
"""Colors of the curves, in order; further curves reuse the first ones."""

Points = Sequence[tuple[float, float]]
"""(x, y) of a curve, in the order of x."""


def loss_charts(history: Sequence[dict[str, float]]) -> str:
    """Render a legend, and a chart of each stage in `history` (lines of metrics.jsonl); empty without losses."""
    names = sorted({name for line in history for name in line} - {"stage", "step", "seconds"})
    if not names:
        return ""
    charts = {}
    for stage in sorted({int(line["stage"]) for line in history}):
        lines = [line for line in history if line["stage"] == stage]
        curves = {name: [(line["step"], line[name]) for line in lines if name in line] for name in names}
        charts[f"stage {stage}"] = curves
    return _charts(charts, names, "step")


def metric_charts(curves: Mapping[str, Mapping[str, Points]]) -> str:
    """Render a legend, and a chart of each metric.

    Args:
        curves: Metric -> row -> (frame, value) of its curve.
    """
    rows = list(dict.fromkeys(row for lines in curves.values() for row in lines))
    return _charts(curves, rows, "frame")


def _charts(charts: Mapping[str, Mapping[str, Points]], names: Sequence[str], unit: str) -> str:
    """Render a legend, and a chart for each title; `unit` names the horizontal axis."""
    colors = {name: _COLORS[index % len(_COLORS)] for index, name in enumerate(names)}
    legend = " ".join(f'<span style="color:{color}">&#9644; {escape(name)}</span>' for name, color in colors.items())
    parts = [_chart(title, curves, colors, unit) for title, curves in charts.items()]
    return f'<p class="legend">{legend}</p>\n<div class="charts">{"".join(parts)}</div>'


def _chart(title: str, curves: Mapping[str, Points], colors: Mapping[str, str], unit: str) -> str:
    """Render one chart."""
    # Thin out long curves; the last point always stays.
    thinned = {
        name: [*points[: -1 : max(1, len(points) // POINTS)], points[-1]] for name, points in curves.items() if points
    }
    # All curves share one axis, so that they can be compared.
    values = [y for points in thinned.values() for _, y in points]
    low, high = min(values, default=0.0), max(values, default=0.0)
    steps = [x for points in thinned.values() for x, _ in points]
    first, last = min(steps, default=0.0), max(steps, default=0.0)

    # Map steps and values to the chart's pixels.
    def place(step: float, value: float) -> str:
        x = _LEFT + (WIDTH - _LEFT - 4) * (step - first) / ((last - first) or 1)
        y = HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * (value - low) / ((high - low) or 1)
        return f"{x:.1f},{y:.1f}"

    lines = []
    for name, points in thinned.items():
        text = " ".join(place(step, value) for step, value in points)
        lines.append(f'<polyline points="{text}" stroke="{colors[name]}"><title>{escape(name)}</title></polyline>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f'<rect x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - 4}" height="{HEIGHT - _BOTTOM - _TOP}"/>'
        f'<text x="{_LEFT}" y="10">{escape(title)}</text>'
        f'<text x="{_LEFT - 3}" y="{_TOP + 8}" text-anchor="end">{high:.3g}</text>'
        f'<text x="{_LEFT - 3}" y="{HEIGHT - _BOTTOM}" text-anchor="end">{low:.3g}</text>'
        f'<text x="{_LEFT}" y="{HEIGHT - 4}">{unit} {first:.0f}</text>'
        f'<text x="{WIDTH - 4}" y="{HEIGHT - 4}" text-anchor="end">{last:.0f}</text>{"".join(lines)}</svg>'
    )
