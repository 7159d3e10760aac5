"""How good methods are under one limit of time: look, structure and copying, over pairs, seeds and both directions.

    python benchmarks/quality.py DATA [--methods M ...] [--pairs A/B ...] [--seeds 0 1 2] [--minutes 10] [--out FOLDER]

DATA is a folder with pairs/NAME.jpg (or .png) and, where there are any, published/A_to_B.png: a published picture with
the layout of A and the look of B. Every method learns every pair within the same minutes of training.
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

from contest import Entrant, arguments, contest, entrants, find_image, heading, run_of, shown_at, table, told
from torch import Tensor

import lonepair as lp
from lonepair.apply.translation import DIRECTIONS
from lonepair.evaluate import ReportSection
from lonepair.evaluate.definitions import format_value
from lonepair.evaluate.measure import OUTPUT, PUBLISHED, measure_direction
from lonepair.media.files import atomic_write
from lonepair.media.image import read_image, write_image
from lonepair.media.sheet import contact_sheet

PAIRS = ("eggs/bowls", "plant/logs", "letter_s/mosaic", "bricks/cracked", "glyph_r/glyph_s")
METRICS = ("look", "structure", "copying")


@dataclass(frozen=True)
class Pair:
    """Two pictures, and what was published of them."""

    name: str
    """A/B."""
    a: Path
    b: Path
    published: dict[str, Path]
    """Direction -> file; without those that there are none of."""

    def __str__(self) -> str:
        return self.name

    def title(self, name: str) -> str:
        """The direction `name` in the pictures' own names."""
        first, second = self.name.split("/")
        return f"{first} → {second}" if name == DIRECTIONS[0] else f"{second} → {first}"


@dataclass(frozen=True)
class Measured:
    """One direction of one run."""

    pair: Pair
    entrant: str
    seed: int
    minutes: float
    """Of training."""
    redrawing: float
    """Seconds."""
    part: ReportSection

    def values(self, row: str) -> dict[str, float] | None:
        """Those of the row whose name begins so; None where there is none."""
        return next((each.values for each in self.part.rows if each.name.startswith(row)), None)


def find_pair(data: Path, name: str) -> Pair:
    """The files of the pair A/B.

    Raises:
        UserError: naming what is absent.
    """
    first, _, second = name.partition("/")
    if not first or not second:
        raise lp.UserError(f"pair {name!r} is none; write A/B, such as {PAIRS[0]}")
    a, b = (find_image(data / "pairs", stem) for stem in (first, second))
    names = dict(zip(DIRECTIONS, (f"{first}_to_{second}.png", f"{second}_to_{first}.png"), strict=True))
    files = {way: data / "published" / file for way, file in names.items()}
    return Pair(name, a, b, {way: file for way, file in files.items() if file.is_file()})


def measured(pair: Pair, entrant: Entrant, seed: int, given: argparse.Namespace) -> list[Measured]:
    """Both directions of a run."""
    run = run_of(partial(lp.fit_pair, pair.a, pair.b), pair.name.replace("/", "-"), entrant, seed, given)
    channels = run.model.method.plan.channels
    # One size for all methods, whatever their networks' is; output is as large as the source.
    run = replace(
        run, inputs={"a": shown_at(pair.a, given.side, channels), "b": shown_at(pair.b, given.side, channels)}
    )
    found = []
    for way in DIRECTIONS:
        published = read_image(pair.published[way]) if way in pair.published else None
        began = time.perf_counter()
        assert run.model.translate(run.inputs[way[0]], reverse=way == DIRECTIONS[1], seed=0).image is not None
        redrawing = time.perf_counter() - began
        found.append(
            Measured(pair, entrant.name, seed, run.seconds / 60, redrawing, measure_direction(run, way, published))
        )
    return found


# -- tables and pictures ----------------------------------------------------------------------------------------------


def means(rows: Iterable[dict[str, float] | None]) -> list[str]:
    """The metrics' means over `rows`, as cells."""
    known = [row for row in rows if row is not None]
    return [format_value(name, sum(row[name] for row in known) / len(known) if known else None) for name in METRICS]


def by_method(found: Sequence[Measured], names: Sequence[str]) -> list[str]:
    """One line a method, over everything."""
    rows = []
    for name in names:
        own = [each for each in found if each.entrant == name]
        count = max(1, len(own))
        minutes, seconds = sum(each.minutes for each in own) / count, sum(each.redrawing for each in own) / count
        rows.append(
            [name, *means(each.values(OUTPUT) for each in own), f"{minutes:.1f}", f"{seconds:.1f}", str(len(own) // 2)]
        )
    return table(["method", *METRICS, "training, minutes", "redrawing, s", "runs"], rows, 1)


def by_pair(found: Sequence[Measured], names: Sequence[str]) -> list[str]:
    """A line for each direction of a pair and each method, between what the source and the target have."""
    rows = []
    for title, own in _directions(found):
        # A method that learns squares has slightly other references: those of the first one stand for all.
        first = [each for each in own if each.entrant == own[0].entrant]
        rows.append([title, "source as it is", *means(each.values("source") for each in first)])
        rows.append([title, "target itself", *means(each.values("target") for each in first)])
        rows += [[title, name, *means(e.values(OUTPUT) for e in own if e.entrant == name)] for name in names]
    return table(["pair", "picture", *METRICS], rows, 2)


def beside_published(found: Sequence[Measured], names: Sequence[str]) -> list[str]:
    """The same at the published pictures' sizes, with them; empty where there are none."""
    rows, compared = [], []
    for title, own in _directions(found):
        if own[0].values(PUBLISHED) is None:
            continue
        first = [each for each in own if each.entrant == own[0].entrant]
        rows.append([title, "source as it is", *means(each.values("source, ") for each in first)])
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


def _mean_of(entrant: str, found: Sequence[Measured]) -> dict[str, float] | None:
    """Means over the seeds of one direction beside the published picture; None where `entrant` has none."""
    known = [row for each in found if each.entrant == entrant and (row := each.values(f"{OUTPUT}, ")) is not None]
    return {name: sum(row[name] for row in known) / len(known) for name in METRICS} if known else None


def _directions(found: Sequence[Measured]) -> list[tuple[str, list[Measured]]]:
    """What was measured, by direction and pair, in order."""
    groups: dict[str, list[Measured]] = {}
    for each in found:
        groups.setdefault(each.pair.title(each.part.name), []).append(each)
    return list(groups.items())


def report(found: Sequence[Measured], lost: Sequence[str], given: argparse.Namespace) -> str:
    """quality.md; `lost` names the runs that diverged."""
    names = [entrant.name for entrant in entrants(given)]
    published = beside_published(found, names)
    lines = [
        *heading("Quality under one limit of training time", given, "pairs"),
        "Means over directions, pairs and seeds.",
        "look: 0 as the target, 1 as the source, lower is better. structure: 1 as the source, higher is better.",
        f"copying: share cut out of the target, lower is better. At {given.side} px.",
        "",
        *by_method(found, names),
        "",
        "## By pair",
        "",
        *by_pair(found, names),
    ]
    if published:
        lines += [
            "",
            "## Beside the published pictures",
            "",
            "All at the published picture's longest side.",
            "",
            *published,
        ]
    if lost:
        lines += ["", f"Diverged, and left out: {'; '.join(lost)}."]
    return "\n".join(lines) + "\n"


def sheet(pair: Pair, found: Sequence[Measured]) -> Tensor:
    """Source, target, the published picture if there is one, each method's output: a row a direction and seed."""
    rows = []
    for way in DIRECTIONS:
        for seed in sorted({each.seed for each in found}):
            own = [each for each in found if each.part.name == way and each.seed == seed]
            files = (
                [("source", pair.a), ("target", pair.b)]
                if way == DIRECTIONS[0]
                else [("source", pair.b), ("target", pair.a)]
            )
            files += [("published", pair.published[way])] if way in pair.published else []
            shown_ = [(label, read_image(file)) for label, file in files]
            rows.append([*shown_, *((f"{e.entrant}, seed {seed}", e.part.pictures[OUTPUT]) for e in own)])
    return contact_sheet(rows, cell=220)


def curve(found: Sequence[Measured], given: argparse.Namespace) -> str:
    """Look and structure over the limits of time, a line a method, as SVG."""
    width, height, gap, colours = 320, 200, 50, ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2")
    limits = sorted(given.minutes)
    parts = []
    for panel, metric in enumerate(METRICS[:2]):
        left, top = 40 + panel * (width + gap), 30
        lines: dict[str, list[tuple[float, float]]] = {}
        for entrant in entrants(given):
            rows = [row for each in found if each.entrant == entrant.name and (row := each.values(OUTPUT)) is not None]
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
            drawn = " ".join(f"{at[limit]:.0f},{top + height * (1 - value / most):.0f}" for limit, value in points)
            parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
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
    return told(lambda: run(parser.parse_args()))


def run(given: argparse.Namespace) -> int:
    """Train and measure all that `given` asks for, pair by pair; tables and pictures are written after each pair."""
    if not given.data.is_dir():
        raise lp.UserError(f"{given.data}: no such folder; give one with pairs/ and, if you like, published/")
    found: list[Measured] = []

    def ended(pair: Pair, lost: Sequence[str]) -> None:
        picture = given.out / f"{pair.name.replace('/', '-')}.png"
        write_image(picture, sheet(pair, [each for each in found if each.pair is pair]), overwrite=True)
        with atomic_write(given.out / "quality.md") as temporary:
            temporary.write_text(report(found, lost, given), encoding="utf-8")
        if len(given.minutes) > 1:
            with atomic_write(given.out / "curve.svg") as temporary:
                temporary.write_text(curve(found, given), encoding="utf-8")
        print(picture)

    pairs = [find_pair(given.data, name) for name in given.pairs]
    contest(given, pairs, lambda pair, entrant, seed: found.extend(measured(pair, entrant, seed, given)), ended)
    print(given.out / "quality.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
