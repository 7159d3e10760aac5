"""Loss curves as inline SVG: one small chart for each stage."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 300, 130
POINTS = 200
"""A curve has at most about so many points."""
_LEFT, _BOTTOM, _TOP = 40, 16, 14
_COLOURS = (
    *("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#2a9d8f", "#d1495b", "#6c757d", "#7f5539", "#5a67d8"),
    *("#111111", "#e377c2", "#9acd32", "#00a8e8"),
)
"""For as many losses as a method has; further ones take the first colours again."""


def loss_charts(history: Sequence[dict[str, float]]) -> str:
    """A legend and a chart for each stage that `history` (lines of metrics.jsonl) has; empty where there are none."""
    names = sorted({name for line in history for name in line} - {"stage", "step", "seconds"})
    if not names:
        return ""
    colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
    legend = " ".join(f'<span style="color:{colour}">&#9644; {escape(name)}</span>' for name, colour in colours.items())
    stages = sorted({int(line["stage"]) for line in history})
    charts = [_chart(stage, [line for line in history if line["stage"] == stage], colours) for stage in stages]
    return f'<p class="legend">{legend}</p>\n<div class="charts">{"".join(charts)}</div>'


def _chart(stage: int, lines: Sequence[dict[str, float]], colours: dict[str, str]) -> str:
    lines = [*lines[: -1 : max(1, len(lines) // POINTS)], lines[-1]]
    values = [line[name] for line in lines for name in colours if name in line]
    low, high = min(values, default=0.0), max(values, default=0.0)
    first, last = lines[0]["step"], lines[-1]["step"]

    def point(step: float, value: float) -> str:
        x = _LEFT + (WIDTH - _LEFT - 4) * (step - first) / ((last - first) or 1)
        y = HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * (value - low) / ((high - low) or 1)
        return f"{x:.1f},{y:.1f}"

    drawn = []
    for name, colour in colours.items():
        points = " ".join(point(line["step"], line[name]) for line in lines if name in line)
        drawn.append(f'<polyline points="{points}" stroke="{colour}"><title>{escape(name)}</title></polyline>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f'<rect x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - 4}" height="{HEIGHT - _BOTTOM - _TOP}"/>'
        f'<text x="{_LEFT}" y="10">stage {stage}</text>'
        f'<text x="{_LEFT - 3}" y="{_TOP + 8}" text-anchor="end">{high:.3g}</text>'
        f'<text x="{_LEFT - 3}" y="{HEIGHT - _BOTTOM}" text-anchor="end">{low:.3g}</text>'
        f'<text x="{_LEFT}" y="{HEIGHT - 4}">step {first:.0f}</text>'
        f'<text x="{WIDTH - 4}" y="{HEIGHT - 4}" text-anchor="end">{last:.0f}</text>{"".join(drawn)}</svg>'
    )
