"""The page of the field's tables, from their lines of JSON: where this package loses, means, and quality over time."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import field_clip
import field_one
import field_pair
from contest import table
from field_cells import read_results

Result = dict[str, Any]

TITLES = {"one": "One image", "pair": "A pair", "clip": "A clip"}
METRICS: dict[str, Mapping[str, int]] = {
    "one": field_one.METRICS,
    "pair": field_pair.METRICS,
    "clip": field_clip.METRICS,
}
OURS = {"one": "lonepair-single", "pair": "lonepair", "clip": "lonepair"}
INPUTS = {"one": "image", "pair": "pair", "clip": "clip"}
COSTS = {
    "train_minutes": "training, minutes",
    "sample_seconds": "a sample, s",
    "frame_seconds": "a frame, s",
    "parameters": "parameters",
    "memory_mb": "memory, MB",
    "gpu_memory_mb": "GPU memory, MB",
}
GPU = "-gpu"
"""What the name of a file of results on a GPU ends in."""
PLOTTED = {"one": ("layout_distance", "look_distance"), "pair": ("look", "structure")}
WRAP = 120
"""Characters of a line of prose."""
WIDTH, HEIGHT, GAP, TOP = 330, 220, 60, 30
"""Sizes of a plot in pixels."""
COLORS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#444444", "#d1508e", "#2aa198", "#8a5a2b", "#7f9f2f")


def write_page(folder: Path, page: Path) -> None:
    """Write the page and a plot for each file of results in `folder`."""
    lines = [(Path(__file__).parent / "field_page.md").read_text(encoding="utf-8").rstrip("\n"), ""]
    for name in TITLES:
        on_cpu, on_gpu = (complete_results(folder / f"{name}{place}.jsonl") for place in ("", GPU))
        if on_cpu:
            lines += section(name, on_cpu, TITLES[name]) + plotted(folder, name, name, on_cpu)
        if on_gpu:
            # Pictures that the authors published are measured once.
            published = [result for result in on_cpu if "published" in result["cell"]["method"]]
            lines += section(name, published + on_gpu, f"{TITLES[name]}, on a GPU")
            lines += plotted(folder, name, f"{name}{GPU}", published + on_gpu)
    page.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")


def complete_results(path: Path) -> list[Result]:
    """The results of a file, without the cells that failed."""
    return [result for result in read_results(path) if "error" not in result]


def plotted(folder: Path, table_name: str, file_name: str, results: Sequence[Result]) -> list[str]:
    """Write the plot of a section; returns the lines that show it."""
    drawing = plot(table_name, results) if table_name in PLOTTED else ""
    if not drawing:
        return []
    (folder / f"{file_name}.svg").write_text(drawing, encoding="utf-8")
    return [f"![quality over time]({folder.name}/{file_name}.svg)", ""]


def section(name: str, results: Sequence[Result], title: str) -> list[str]:
    """The lines of a table under `title`: where ours is not the best, the means of each method, and the machine."""
    groups = by_method(results)
    metrics = [metric for metric in METRICS[name] if any(metric in result["values"] for result in results)]
    rows = []
    for method, group in groups.items():
        count = len({result["cell"][INPUTS[name]] for result in group})
        rows.append([method, *(_cell(group, metric) for metric in metrics), str(count)])
    costs = [cost for cost in COSTS if any(_value(result, cost) is not None for result in results)]
    cost_rows = [
        [method, *(_cell(group, cost) for cost in costs)]
        for method, group in groups.items()
        if any(_mean(group, cost) is not None for cost in costs)
    ]
    inputs = sorted({result["cell"][INPUTS[name]] for result in results}, key=_natural)
    machines = sorted({f"{result['machine']}, torch {result['torch']}" for result in results})
    dates = sorted({result["date"] for result in results})
    return [
        f"## {title}",
        "",
        *textwrap.wrap(
            f"{dates[0]}{f' to {dates[-1]}' if dates[-1] != dates[0] else ''}, {'; '.join(machines)}. "
            f"Inputs: {', '.join(inputs)}.",
            WRAP,
        ),
        "",
        *losses(name, groups, metrics),
        "",
        *table(["method", *metrics, f"{INPUTS[name]}s"], rows, 1),
        "",
        *table(["method", *(COSTS[cost] for cost in costs)], cost_rows, 1),
        "",
    ]


def by_method(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results of each method, preset, size, limit and settings of patch synthesis; rows of one method together, by
    the time of their training."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        cell = result["cell"]
        limit = f" {cell['minutes']:g} min" if cell.get("minutes") else ""
        size = f" {cell['max_side']} px" if "max_side" in cell else ""
        preset = f", {cell['preset']}" if "preset" in cell else ""
        groups.setdefault(f"{cell['method']}{preset}{size}{limit}{_synthesis(cell)}", []).append(result)
    methods = list(dict.fromkeys(result["cell"]["method"] for result in results))

    def place(item: tuple[str, list[Result]]) -> tuple[int, float]:
        return methods.index(item[1][0]["cell"]["method"]), _mean(item[1], "train_minutes") or 0.0

    return dict(sorted(groups.items(), key=place))


def _synthesis(cell: Mapping[str, Any]) -> str:
    """The settings of patch synthesis that a cell changes, as the end of a name."""
    return "".join(f", {setting} {value}" for setting, value in cell.get("synthesis", {}).items())


def losses(name: str, groups: Mapping[str, Sequence[Result]], metrics: Sequence[str]) -> list[str]:
    """Lines that say, for each metric, which methods are better than ours, over the inputs that both have.

    Where ours has several budgets, that of the longest training counts, with its own patch synthesis; the tables have
    the others.
    """
    others = {method: group for method, group in groups.items() if group[0]["cell"]["method"] != OURS[name]}
    own_groups = {
        method: group
        for method, group in groups.items()
        if method not in others and "synthesis" not in group[0]["cell"]
    }
    if not own_groups:
        return [f"`{OURS[name]}` is not measured yet."]
    if not others:
        return [f"Only `{OURS[name]}` is measured yet."]
    own_name = max(own_groups, key=lambda method: _minutes(own_groups[method]) or 0.0)
    own, lines = own_groups[own_name], []
    for metric in metrics:
        better = []
        for other_name, other in others.items():
            shared = {r["cell"][INPUTS[name]] for r in own} & {r["cell"][INPUTS[name]] for r in other}
            mine, theirs = (_mean(group, metric, shared, INPUTS[name]) for group in (own, other))
            sign = METRICS[name][metric]
            # As the tables show them.
            if mine is not None and theirs is not None and sign * (round(theirs, 3) - round(mine, 3)) > 0:
                better.append((sign * theirs, f"{other_name} {theirs:.3f} against {mine:.3f}"))
        if better:
            names = "; ".join(text for _, text in sorted(better, reverse=True))
            lines += textwrap.wrap(f"- {metric}: {names}", WRAP, subsequent_indent="  ")
    if not lines:
        return textwrap.wrap(f"Compared with {own_name}: {', '.join(others)}, in no column better.", WRAP)
    return [f"**Where `{own_name}` loses** (means over the inputs that both methods have):", "", *lines]


def _value(result: Result, name: str) -> float | None:
    """A metric or a cost of a result; None where it has none. Measuring a published picture costs nothing of note."""
    if name in COSTS and "published" in result["cell"]["method"]:
        return None
    value = result["values"].get(name, result.get(name))
    return None if value is None else float(value)


def _mean(
    group: Sequence[Result], name: str, inputs: set[str] | None = None, input_name: str = "image"
) -> float | None:
    """The mean of a value over the results that have it, and over the `inputs` if there are any named."""
    values = [
        value
        for result in group
        if (inputs is None or result["cell"][input_name] in inputs) and (value := _value(result, name)) is not None
    ]
    return sum(values) / len(values) if values else None


def _cell(group: Sequence[Result], name: str) -> str:
    """The mean of a value as text."""
    value = _mean(group, name)
    if value is None:
        return "-"
    return (
        f"{value:,.0f}"
        if name in ("parameters", "memory_mb", "gpu_memory_mb")
        else f"{value:.3f}"
        if value < 10
        else f"{value:.1f}"
    )


def _natural(name: str) -> tuple[str, int]:
    """A key that sorts places50-7 before places50-13."""
    text, _, number = name.rpartition("-")
    return (text, int(number)) if number.isdigit() else (name, 0)


def plot(name: str, results: Sequence[Result]) -> str:
    """Two metrics over minutes until the first output, training included, as SVG; one line or point a method."""
    lines: dict[str, list[list[Result]]] = {}
    for group in by_method(results).values():
        cell = group[0]["cell"]
        preset = ", thesis" if cell.get("preset") == "thesis" else ""
        lines.setdefault(f"{cell['method']}{preset}{_synthesis(cell)}", []).append(group)
    known = [minutes for groups in lines.values() for group in groups if (minutes := _minutes(group))]
    if not known:
        return ""
    span = math.log10(min(known)) - 0.1, math.log10(max(known)) + 0.1
    parts = []
    for panel, metric in enumerate(PLOTTED[name]):
        parts += _panel(metric, METRICS[name][metric] > 0, lines, span, 45 + panel * (WIDTH + GAP))
    for index, method in enumerate(lines):
        x, y = 45 + (index % 3) * 240, TOP + HEIGHT + 40 + 18 * (index // 3)
        parts.append(f'<text x="{x}" y="{y}" fill="{COLORS[index % len(COLORS)]}">{method}</text>')
    total = TOP + HEIGHT + 60 + 18 * (len(lines) // 3)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH + GAP + 70}" height="{total}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _panel(
    metric: str, is_higher_better: bool, lines: Mapping[str, list[list[Result]]], span: tuple[float, float], left: int
) -> list[str]:
    """The elements of one plot whose left border is at `left`; `span` holds the logarithms of the minutes' range."""
    values = {method: [_mean(group, metric) for group in groups] for method, groups in lines.items()}
    peak = 1.05 * max(value for each in values.values() for value in each if value is not None)

    def x_of(minutes: float) -> float:
        return left + WIDTH * (math.log10(minutes) - span[0]) / (span[1] - span[0])

    def y_of(value: float) -> float:
        return TOP + HEIGHT * (1 - value / peak)

    better = "higher" if is_higher_better else "lower"
    parts = [
        f'<text x="{left}" y="{TOP - 10}">{metric}, {better} is better</text>',
        f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>',
    ]
    for value in (0.0, peak):
        parts.append(f'<text x="{left - 4}" y="{y_of(value) + 4:.0f}" text-anchor="end">{value:.2g}</text>')
    for power in range(math.ceil(span[0]), math.floor(span[1]) + 1):
        x = x_of(10.0**power)
        parts.append(f'<text x="{x:.0f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{10.0**power:g} min</text>')
    for index, (method, groups) in enumerate(lines.items()):
        color, points = COLORS[index % len(COLORS)], []
        for group, mean in zip(groups, values[method], strict=True):
            minutes = _minutes(group)
            if mean is None:
                continue
            if minutes is None:  # a published picture: a line across, as its time is not known
                ends = f'x1="{left}" x2="{left + WIDTH}" y1="{y_of(mean):.0f}" y2="{y_of(mean):.0f}"'
                parts.append(f'<line {ends} stroke="{color}" stroke-dasharray="5 4"/>')
            else:
                points.append((x_of(minutes), y_of(mean)))
        points.sort()
        parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{color}"/>' for x, y in points]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
    return parts


def _minutes(group: Sequence[Result]) -> float | None:
    """Minutes until the first output: the training and one sample."""
    training, sample = _mean(group, "train_minutes"), _mean(group, "sample_seconds")
    return None if training is None and sample is None else max(1e-3, (training or 0.0) + (sample or 0.0) / 60)
