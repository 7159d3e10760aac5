"""Compares the methods for pairs under one limit of training time: look, structure and copying, in both directions.

    python benchmarks/quality.py DATA [--methods M ...] [--pairs A/B ...] [--seeds 0 1 2] [--minutes 10] [--out FOLDER]

DATA is a folder with pairs/NAME.jpg (or .png) and, optionally, published/A_to_B.png: a published translation with the
layout of A and the look of B. Every method trains on every pair for the same number of minutes.
FOLDER/quality.md has the tables, FOLDER/A-B.png all images of a pair side by side, FOLDER/runs the runs; with several
--minutes, FOLDER/curve.svg shows the means over time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from contest import (
    Entrant,
    argument_parser,
    compare,
    entrants,
    find_image,
    heading,
    read_at,
    run_benchmark,
    run_of,
    table,
)
from torch import Tensor

import lonepair as lp
from lonepair.evaluate import ReportSection
from lonepair.evaluate.clips import OUTPUT
from lonepair.evaluate.definitions import format_value
from lonepair.evaluate.measure import PUBLISHED, measure_direction
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import read_image, write_image
from lonepair.render.pipeline import DIRECTIONS
from lonepair.storage.files import atomic_write

PAIRS = ("eggs/bowls", "plant/logs", "letter_s/mosaic", "bricks/cracked", "glyph_r/glyph_s")
METRICS = ("look", "structure", "copying")


@dataclass(frozen=True)
class Pair:
    """Two pictures and their published translations."""

    name: str
    """A/B."""
    a: Path
    b: Path
    published: dict[str, Path]
    """Direction -> file, for the directions that have one."""

    def __str__(self) -> str:
        return self.name

    def title(self, name: str) -> str:
        """Return the direction `name` with the pictures' names."""
        first, second = self.name.split("/")
        return f"{first} → {second}" if name == DIRECTIONS[0] else f"{second} → {first}"


@dataclass(frozen=True)
class Measurement:
    """The measurement of one direction of one run."""

    pair: Pair
    entrant: str
    seed: int
    minutes: float
    """Training time."""
    seconds: float
    """Time of one translation."""
    section: ReportSection

    def values(self, row: str) -> dict[str, float] | None:
        """Return the metrics of the first row whose name starts with `row`; None where there is none."""
        return next((each.values for each in self.section.rows if each.name.startswith(row)), None)


def find_pair(data: Path, name: str) -> Pair:
    """Find the files of the pair A/B.

    Raises:
        UserError: A file is missing, or `name` is not of this form.
    """
    first, _, second = name.partition("/")
    if not first or not second:
        raise lp.UserError(f"pair {name!r} is not of the form A/B; write A/B, such as {PAIRS[0]}")
    a, b = (find_image(data / "pairs", stem) for stem in (first, second))
    names = dict(zip(DIRECTIONS, (f"{first}_to_{second}.png", f"{second}_to_{first}.png"), strict=True))
    files = {direction: data / "published" / file for direction, file in names.items()}
    return Pair(name, a, b, {direction: file for direction, file in files.items() if file.is_file()})


def measure_pair(pair: Pair, entrant: Entrant, seed: int, args: argparse.Namespace) -> list[Measurement]:
    """Train on a pair, or resume its run, and measure both directions."""
    run = run_of(partial(lp.fit_pair, pair.a, pair.b), pair.name.replace("/", "-"), entrant, seed, args)
    channels = run.model.method.plan.channels
    # Measure all methods at one size, whatever their networks' size; the output is as large as the source.
    run = replace(run, inputs={"a": read_at(pair.a, args.side, channels), "b": read_at(pair.b, args.side, channels)})
    results = []
    for direction in DIRECTIONS:
        published = read_image(pair.published[direction]) if direction in pair.published else None
        # Time one translation; `measure_direction` translates again.
        start = time.perf_counter()
        translation = run.model.translate(run.inputs[direction[0]], reverse=direction == DIRECTIONS[1], seed=0)
        assert translation.image is not None
        elapsed = time.perf_counter() - start
        section = measure_direction(run, direction, published)
        results.append(Measurement(pair, entrant.name, seed, run.seconds / 60, elapsed, section))
    return results


# -- tables and pictures ----------------------------------------------------------------------------------------------


def means(rows: Iterable[dict[str, float] | None]) -> list[str]:
    """Return the means of the metrics over `rows`, as cells."""
    values = [row for row in rows if row is not None]
    return [format_value(name, sum(row[name] for row in values) / len(values) if values else None) for name in METRICS]


def by_method(results: Sequence[Measurement], names: Sequence[str]) -> list[str]:
    """Return one line per method, over all pairs, seeds and directions."""
    rows = []
    for name in names:
        matches = [result for result in results if result.entrant == name]
        count = max(1, len(matches))
        minutes = sum(result.minutes for result in matches) / count
        seconds = sum(result.seconds for result in matches) / count
        # A run has two results, one for each direction.
        cells = [*means(result.values(OUTPUT) for result in matches), f"{minutes:.1f}", f"{seconds:.1f}"]
        rows.append([name, *cells, str(len(matches) // 2)])
    return table(["method", *METRICS, "training, minutes", "translation, s", "runs"], rows, 1)


def by_pair(results: Sequence[Measurement], names: Sequence[str]) -> list[str]:
    """Return a line per direction and method, with the source and the target as references."""
    rows = []
    for title, group in _directions(results):
        # Methods that train on squares have slightly different references. Show those of the first method.
        first = [result for result in group if result.entrant == group[0].entrant]
        rows.append([title, "source", *means(result.values("source") for result in first)])
        rows.append([title, "target", *means(result.values("target") for result in first)])
        rows += [[title, name, *means(r.values(OUTPUT) for r in group if r.entrant == name)] for name in names]
    return table(["pair", "picture", *METRICS], rows, 2)


def by_published_pair(results: Sequence[Measurement], names: Sequence[str]) -> list[str]:
    """Return a line per direction and method at the size of the published translation; empty if none is published."""
    rows, groups = [], []
    for title, group in _directions(results):
        if group[0].values(PUBLISHED) is None:
            continue
        first = [result for result in group if result.entrant == group[0].entrant]
        rows.append([title, "source", *means(result.values("source, ") for result in first)])
        rows.append([title, "published", *means(result.values(f"{PUBLISHED}, ") for result in first)])
        rows += [[title, name, *means(r.values(f"{OUTPUT}, ") for r in group if r.entrant == name)] for name in names]
        groups.append(group)
    if not groups:
        return []
    # Each direction counts once, whatever the number of seeds.
    rows.append(["mean", "published", *means(group[0].values(f"{PUBLISHED}, ") for group in groups)])
    for name in names:
        rows.append(["mean", name, *means(_mean_of(name, group) for group in groups)])
    return table(["pair", "picture", *METRICS], rows, 2)


def _mean_of(entrant: str, results: Sequence[Measurement]) -> dict[str, float] | None:
    """Return means over the seeds of one direction at the published size; None if `entrant` has no result there."""
    rows = [row for each in results if each.entrant == entrant and (row := each.values(f"{OUTPUT}, ")) is not None]
    return {name: sum(row[name] for row in rows) / len(rows) for name in METRICS} if rows else None


def _directions(results: Sequence[Measurement]) -> list[tuple[str, list[Measurement]]]:
    """Group the results by direction and pair, in order."""
    groups: dict[str, list[Measurement]] = {}
    for each in results:
        groups.setdefault(each.pair.title(each.section.name), []).append(each)
    return list(groups.items())


def report(results: Sequence[Measurement], diverged: Sequence[str], args: argparse.Namespace) -> str:
    """Return the text of quality.md; `diverged` names the runs that diverged."""
    names = [entrant.name for entrant in entrants(args)]
    published = by_published_pair(results, names)
    lines = [
        *heading("Quality under one limit of training time", args, "pairs"),
        "Means over directions, pairs and seeds.",
        "look: 0 for the target, 1 for the source; lower is better. structure: 1 for the source; higher is better.",
        f"copying: share copied from the target; lower is better. Measured at {args.side} px.",
        "",
        *by_method(results, names),
        "",
        "## By pair",
        "",
        *by_pair(results, names),
    ]
    if published:
        lines += [
            "",
            "## Beside the published translations",
            "",
            "All pictures are scaled to the longest side of the published one.",
            "",
            *published,
        ]
    if diverged:
        lines += ["", f"Diverged, and not included: {'; '.join(diverged)}."]
    return "\n".join(lines) + "\n"


def sheet(pair: Pair, results: Sequence[Measurement]) -> Tensor:
    """Return a sheet with a row per direction and seed: source, target, published translation, all outputs."""
    rows = []
    for direction in DIRECTIONS:
        for seed in sorted({each.seed for each in results}):
            row = [result for result in results if result.section.name == direction and result.seed == seed]
            files = (
                [("source", pair.a), ("target", pair.b)]
                if direction == DIRECTIONS[0]
                else [("source", pair.b), ("target", pair.a)]
            )
            files += [("published", pair.published[direction])] if direction in pair.published else []
            references = [(label, read_image(file)) for label, file in files]
            rows.append([*references, *((f"{e.entrant}, seed {seed}", e.section.pictures[OUTPUT]) for e in row)])
    return contact_sheet(rows, cell=220)


def curve(results: Sequence[Measurement], args: argparse.Namespace) -> str:
    """Draw look and structure over the limit of training time as SVG, with a line per method."""
    width, height, gap, colours = 320, 200, 50, ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2")
    limits = sorted(args.minutes)
    parts = []
    for panel, metric in enumerate(METRICS[:2]):
        left, top = 40 + panel * (width + gap), 30
        lines: dict[str, list[tuple[float, float]]] = {}
        for entrant in entrants(args):
            rows = [
                row for each in results if each.entrant == entrant.name and (row := each.values(OUTPUT)) is not None
            ]
            if rows:
                mean = sum(row[metric] for row in rows) / len(rows)
                lines.setdefault(entrant.method, []).append((entrant.minutes, mean))
        peak = max(value for points in lines.values() for _, value in points)
        parts.append(
            f'<text x="{left}" y="{top - 10}">{metric}, {"lower" if metric == "look" else "higher"} is better</text>'
        )
        parts.append(f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>')
        for value in (0, peak):
            parts.append(
                f'<text x="{left - 4}" y="{top + height * (1 - value / peak) + 4}" text-anchor="end">{value:.2g}</text>'
            )
        positions = {limit: left + width * index / max(1, len(limits) - 1) for index, limit in enumerate(limits)}
        parts += [
            f'<text x="{x}" y="{top + height + 16}" text-anchor="middle">{limit:g} min</text>'
            for limit, x in positions.items()
        ]
        for index, (method, points) in enumerate(lines.items()):
            colour = colours[index % len(colours)]
            path = " ".join(
                f"{positions[limit]:.0f},{top + height * (1 - value / peak):.0f}" for limit, value in points
            )
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            if panel == 0:
                parts.append(f'<text x="{left + index * 160}" y="{top + height + 38}" fill="{colour}">{method}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * width + gap + 60}" height="{height + 80}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def main() -> int:
    parser = argument_parser(__doc__, domains=2, minutes=10.0, out="quality")
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS))
    return run_benchmark(lambda: run(parser.parse_args()))


def run(args: argparse.Namespace) -> int:
    """Train and measure pair by pair; the tables and images are written after each pair."""
    if not args.data.is_dir():
        raise lp.UserError(f"{args.data}: no such folder; give one with pairs/ and, optionally, published/")
    results: list[Measurement] = []

    def on_pair_end(pair: Pair, diverged: Sequence[str]) -> None:
        picture = args.out / f"{pair.name.replace('/', '-')}.png"
        write_image(picture, sheet(pair, [each for each in results if each.pair is pair]), overwrite=True)
        with atomic_write(args.out / "quality.md") as temporary:
            temporary.write_text(report(results, diverged, args), encoding="utf-8")
        if len(args.minutes) > 1:
            with atomic_write(args.out / "curve.svg") as temporary:
                temporary.write_text(curve(results, args), encoding="utf-8")
        print(picture)

    pairs = [find_pair(args.data, name) for name in args.pairs]
    compare(
        args,
        pairs,
        lambda pair, entrant, seed: results.extend(measure_pair(pair, entrant, seed, args)),
        on_pair_end,
    )
    print(args.out / "quality.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
