"""Renders loss curves as inline SVG, one small chart per stage."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 300, 130
POINTS = 200
"""Approximate limit of the points of a curve."""
_LEFT, _BOTTOM, _TOP = 40, 16, 14
_COLORS = (
    *("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#2a9d8f", "#d1495b", "#6c757d", "#7f5539", "#5a67d8"),
    *("#111111", "#e377c2", "#9acd32", "#00a8e8"),
)
"""Colours of the losses, in order; further losses reuse the first ones."""


def loss_charts(history: Sequence[dict[str, float]]) -> str:
    """Render a legend, and a chart of each stage in `history` (lines of metrics.jsonl); empty without losses."""
    names = sorted({name for line in history for name in line} - {"stage", "step", "seconds"})
    if not names:
        return ""
    colors = {name: _COLORS[index % len(_COLORS)] for index, name in enumerate(names)}
    legend = " ".join(f'<span style="color:{color}">&#9644; {escape(name)}</span>' for name, color in colors.items())
    stages = sorted({int(line["stage"]) for line in history})
    charts = [_chart(stage, [line for line in history if line["stage"] == stage], colors) for stage in stages]
    return f'<p class="legend">{legend}</p>\n<div class="charts">{"".join(charts)}</div>'


def _chart(stage: int, lines: Sequence[dict[str, float]], colors: dict[str, str]) -> str:
    """Render the chart of one stage."""
    # Thin out long curves; the last point always stays.
    lines = [*lines[: -1 : max(1, len(lines) // POINTS)], lines[-1]]
    # All losses of a stage share one axis, so that their sizes can be compared.
    values = [line[name] for line in lines for name in colors if name in line]
    low, high = min(values, default=0.0), max(values, default=0.0)
    first, last = lines[0]["step"], lines[-1]["step"]

    # Map steps and values to the chart's pixels.
    def point(step: float, value: float) -> str:
        x = _LEFT + (WIDTH - _LEFT - 4) * (step - first) / ((last - first) or 1)
        y = HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * (value - low) / ((high - low) or 1)
        return f"{x:.1f},{y:.1f}"

    curves = []
    for name, color in colors.items():
        points = " ".join(point(line["step"], line[name]) for line in lines if name in line)
        curves.append(f'<polyline points="{points}" stroke="{color}"><title>{escape(name)}</title></polyline>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f'<rect x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - 4}" height="{HEIGHT - _BOTTOM - _TOP}"/>'
        f'<text x="{_LEFT}" y="10">stage {stage}</text>'
        f'<text x="{_LEFT - 3}" y="{_TOP + 8}" text-anchor="end">{high:.3g}</text>'
        f'<text x="{_LEFT - 3}" y="{HEIGHT - _BOTTOM}" text-anchor="end">{low:.3g}</text>'
        f'<text x="{_LEFT}" y="{HEIGHT - 4}">step {first:.0f}</text>'
        f'<text x="{WIDTH - 4}" y="{HEIGHT - 4}" text-anchor="end">{last:.0f}</text>{"".join(curves)}</svg>'
    )
