"""The field's table of pairs: translations by each method in both directions, and the published pictures."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from contest import read_at
from field_cells import Cell, Stopwatch, budgets, count_processor_time, run_folder, training
from quality import PAIRS, Pair, find_pair

import lonepair as lp
from lonepair.evaluate import open_run
from lonepair.evaluate.clips import OUTPUT
from lonepair.evaluate.measure import measure_direction, translation_metrics
from lonepair.media.stills.image import read_image, write_image
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image
from lonepair.render.pipeline import DIRECTIONS

METHODS = (
    *("lonepair:draft", "representative:draft", "representative:thesis", "structural-analogy:draft"),
    *("closed-form:draft", "published"),
)
"""Method and preset; `published` is the authors' picture of Structural Analogy."""
METRICS = {"look": -1, "structure": 1, "copying": -1, "published_look": -1, "published_structure": 1}
"""Column -> 1 where a larger value is better, -1 where a smaller one is. `published_*` are measured at the size of the
published picture, over the directions that have one."""
SIDE = 128
"""Longest side in pixels at which translations are measured."""


def cells(args: argparse.Namespace) -> list[Cell]:
    """What the table measures: every pair with every method, preset, seed and limit."""
    result: list[Cell] = []
    for name in args.pairs or PAIRS:
        pair = find_pair(args.data, name)
        for text in args.methods or METHODS:
            method, _, preset = text.partition(":")
            cell: Cell = {"table": "pair", "pair": name, "method": method}
            if method == "published":
                result += [cell] if pair.published else []
                continue
            cell["preset"] = preset or args.preset
            if args.max_side:
                cell["max_side"] = args.max_side
            result += [{**cell, **budget} for budget in budgets(args, method != "closed-form")]
    return result


def measure(cell: Cell, args: argparse.Namespace) -> dict[str, Any]:
    """Train, translate in both directions, and measure; means over directions."""
    if not args.wall:
        count_processor_time()
    pair = find_pair(args.data, cell["pair"])
    if cell["method"] == "published":
        return _means([_published_metrics(pair, direction) for direction in pair.published])
    template = args.trained.get(cell["method"])
    if template:
        a, b = cell["pair"].split("/")
        folder = Path(template.format(a=a, b=b))
    else:
        folder = run_folder(cell, args.work)
        lp.fit_pair(pair.a, pair.b, **training(cell, folder, args.device))
    run = open_run(folder, lambda path: lp.load(path, args.device))
    channels = run.model.method.plan.channels
    run = replace(run, inputs={"a": read_at(pair.a, SIDE, channels), "b": read_at(pair.b, SIDE, channels)})
    watch, rows = Stopwatch(args.wall), []
    for direction in DIRECTIONS:
        published = read_image(pair.published[direction]) if direction in pair.published else None
        section = measure_direction(run, direction, published)
        values = dict(next(row.values for row in section.rows if row.name == OUTPUT))
        for row in section.rows:
            if row.name.startswith(f"{OUTPUT}, "):
                values |= {f"published_{name}": value for name, value in row.values.items()}
        rows.append(values)
        picture = args.work / "sheets" / f"pair-{folder.name}-{direction}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_image(picture, section.pictures["sheet"], overwrite=True)
    costs = {
        "train_minutes": run.seconds / 60,
        "measure_seconds": watch.seconds() / len(DIRECTIONS),
        "parameters": sum(run.model.method.parameter_counts().values()),
    }
    return {**_means(rows), **costs}


def _published_metrics(pair: Pair, direction: str) -> dict[str, float]:
    """The metrics of a published picture at its own size, beside the source and the target at the same longest side."""
    files = {"a": pair.a, "b": pair.b}
    picture = match_channels(read_image(pair.published[direction]), 3)
    side = max(picture.shape[-2:])
    source, target = (read_at(files[domain], side, 3) for domain in (direction[0], direction[-1]))
    if max(source.shape[-2:]) < side:
        picture = resize_image(picture, (source.shape[-2], source.shape[-1]))
    # Some published pictures are square although their source is not.
    stretched = resize_image(source, (picture.shape[-2], picture.shape[-1]))
    values = translation_metrics(picture, target, stretched)
    return {f"published_{name}": value for name, value in values.items()}


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric over the rows that have it."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(each) / len(each) for name, each in values.items()}
