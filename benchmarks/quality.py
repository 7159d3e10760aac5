"""Compares the methods for pairs under one limit of training time: look, structure and copying, in both directions.

    python benchmarks/quality.py DATA [--methods M ...] [--pairs A/B ...] [--seeds 0 1 2] [--minutes 10] [--out FOLDER]

DATA is a folder with pairs/NAME.jpg (or .png) and, optionally, published/A_to_B.png: a published translation with the
layout of A and the look of B. Every method trains on every pair for the same number of minutes.
FOLDER/quality.md has the tables, FOLDER/A-B.png all pictures of a pair side by side, FOLDER/runs the runs; with several
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

from contest import Entrant, arguments, contest, entrants, find_image, heading, run_benchmark, run_of, shown_at, table
from torch import Tensor

import lonepair as lp
from lonepair.evaluate import ReportSection
from lonepair.evaluate.definitions import format_value
from lonepair.evaluate.measure import OUTPUT, PUBLISHED, measure_direction
from lonepair.media.files import atomic_write
from lonepair.media.image import read_image, write_image
from lonepair.media.sheet import contact_sheet
from lonepair.render.translation import DIRECTIONS

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
    """One direction of one run."""

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
    run = replace(run, inputs={"a": shown_at(pair.a, args.side, channels), "b": shown_at(pair.b, args.side, channels)})
    results = []
    for direction in DIRECTIONS:
        published = read_image(pair.published[direction]) if direction in pair.published else None
        began = time.perf_counter()
        assert (
            run.model.translate(run.inputs[direction[0]], reverse=direction == DIRECTIONS[1], seed=0).image is not None
        )
        elapsed = time.perf_counter() - began
        results.append(
            Measurement(
                pair, entrant.name, seed, run.seconds / 60, elapsed, measure_direction(run, direction, published)
            )
        )
    return results


# -- tables and pictures ----------------------------------------------------------------------------------------------


def means(rows: Iterable[dict[str, float] | None]) -> list[str]:
    """Return the means of the metrics over `rows`, as cells."""
    known = [row for row in rows if row is not None]
    return [format_value(name, sum(row[name] for row in known) / len(known) if known else None) for name in METRICS]


def by_method(results: Sequence[Measurement], names: Sequence[str]) -> list[str]:
    """Return one line per method, over all pairs, seeds and directions."""
    rows = []
    for name in names:
        own = [each for each in results if each.entrant == name]
        count = max(1, len(own))
        minutes, seconds = (
            sum(each.minutes for each in own) / count,
            sum(each.seconds for each in own) / count,
        )
        rows.append(
            [name, *means(each.values(OUTPUT) for each in own), f"{minutes:.1f}", f"{seconds:.1f}", str(len(own) // 2)]
        )
    return table(["method", *METRICS, "training, minutes", "translation, s", "runs"], rows, 1)


def by_pair(results: Sequence[Measurement], names: Sequence[str]) -> list[str]:
    """Return a line per direction and method, with the source and the target as references."""
    rows = []
    for title, own in _directions(results):
        # Methods that train on squares have slightly different references. Show those of the first method.
        first = [each for each in own if each.entrant == own[0].entrant]
        rows.append([title, "source", *means(each.values("source") for each in first)])
        rows.append([title, "target", *means(each.values("target") for each in first)])
        rows += [[title, name, *means(e.values(OUTPUT) for e in own if e.entrant == name)] for name in names]
    return table(["pair", "picture", *METRICS], rows, 2)


def beside_published(results: Sequence[Measurement], names: Sequence[str]) -> list[str]:
    """Return the same at the size of the published translations, beside them; empty where there are none."""
    rows, compared = [], []
    for title, own in _directions(results):
        if own[0].values(PUBLISHED) is None:
            continue
        first = [each for each in own if each.entrant == own[0].entrant]
        rows.append([title, "source", *means(each.values("source, ") for each in first)])
        rows.append([title, "published", *means(each.values(f"{PUBLISHED}, ") for each in first)])
        rows += [[title, name, *means(e.values(f"{OUTPUT}, ") for e in own if e.entrant == name)] for name in names]
        compared.append(own)
    if not compared:
        return []
    # Each direction counts once, whatever the number of seeds.
    rows.append(["mean", "published", *means(own[0].values(f"{PUBLISHED}, ") for own in compared)])
    for name in names:
        rows.append(["mean", name, *means(_mean_of(name, own) for own in compared)])
    return table(["pair", "picture", *METRICS], rows, 2)


def _mean_of(entrant: str, results: Sequence[Measurement]) -> dict[str, float] | None:
    """Return means over the seeds of one direction at the published size; None where `entrant` has none."""
    known = [row for each in results if each.entrant == entrant and (row := each.values(f"{OUTPUT}, ")) is not None]
    return {name: sum(row[name] for row in known) / len(known) for name in METRICS} if known else None


def _directions(results: Sequence[Measurement]) -> list[tuple[str, list[Measurement]]]:
    """Group the results by direction and pair, in order."""
    groups: dict[str, list[Measurement]] = {}
    for each in results:
        groups.setdefault(each.pair.title(each.section.name), []).append(each)
    return list(groups.items())


def report(results: Sequence[Measurement], diverged: Sequence[str], args: argparse.Namespace) -> str:
    """Return the text of quality.md; `diverged` names the runs that diverged."""
    names = [entrant.name for entrant in entrants(args)]
    published = beside_published(results, names)
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
            own = [each for each in results if each.section.name == direction and each.seed == seed]
            files = (
                [("source", pair.a), ("target", pair.b)]
                if direction == DIRECTIONS[0]
                else [("source", pair.b), ("target", pair.a)]
            )
            files += [("published", pair.published[direction])] if direction in pair.published else []
            references = [(label, read_image(file)) for label, file in files]
            rows.append([*references, *((f"{e.entrant}, seed {seed}", e.section.pictures[OUTPUT]) for e in own)])
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
        most = max(value for points in lines.values() for _, value in points)
        parts.append(
            f'<text x="{left}" y="{top - 10}">{metric}, {"lower" if metric == "look" else "higher"} is better</text>'
        )
        parts.append(f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>')
        for value in (0, most):
            parts.append(
                f'<text x="{left - 4}" y="{top + height * (1 - value / most) + 4}" text-anchor="end">{value:.2g}</text>'
            )
        at = {limit: left + width * index / max(1, len(limits) - 1) for index, limit in enumerate(limits)}
        parts += [
            f'<text x="{x}" y="{top + height + 16}" text-anchor="middle">{limit:g} min</text>'
            for limit, x in at.items()
        ]
        for index, (method, points) in enumerate(lines.items()):
            colour = colours[index % len(colours)]
            path = " ".join(f"{at[limit]:.0f},{top + height * (1 - value / most):.0f}" for limit, value in points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            if panel == 0:
                parts.append(f'<text x="{left + index * 160}" y="{top + height + 38}" fill="{colour}">{method}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * width + gap + 60}" height="{height + 80}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def main() -> int:
    parser = arguments(__doc__, domains=2, minutes=10.0, out="quality")
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS))
    return run_benchmark(lambda: run(parser.parse_args()))


def run(args: argparse.Namespace) -> int:
    """Train and measure pair by pair; the tables and pictures are written after each pair."""
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
    contest(
        args,
        pairs,
        lambda pair, entrant, seed: results.extend(measure_pair(pair, entrant, seed, args)),
        on_pair_end,
    )
    print(args.out / "quality.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
