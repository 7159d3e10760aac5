"""Batches of small pairs: rows a minute of one process and of several, of the same rows, in turn.

    python benchmarks/batch.py [--rows 8] [--workers 1 2] [--device cpu] [--repeat 2] [--set steps=100 ...]

The pairs are crops of photographs that scikit-image includes. `CPU s` is the CPU time of all rows. It does not depend
on what else the machine does; the wall-clock time does, so that the load of the machine stands beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from contest import run_benchmark, table
from moving_layers import photo

import lonepair as lp
from lonepair.api.batch.rows import parse_settings
from lonepair.commands.doctor import cpu_name
from lonepair.media.stills.image import write_image
from lonepair.ops.arrays import from_integers

SIDE = 96
"""Side of the pictures in pixels."""


def make_rows(folder: Path, count: int) -> list[lp.BatchRow]:
    """Pairs of crops of photographs."""
    texture = photo("gravel", SIDE)[:SIDE, :SIDE]
    write_image(folder / "target.png", from_integers((texture * 255).round().astype("uint8")))
    scene = photo("coffee", 2 * SIDE)
    rows = []
    for number in range(count):
        left = number * (scene.shape[1] - SIDE) // max(1, count - 1)
        crop = scene[SIDE // 2 : SIDE // 2 + SIDE, left : left + SIDE]
        file = folder / f"{number:03}.png"
        write_image(file, from_integers((crop * 255).round().astype("uint8")))
        rows.append(lp.BatchRow(str(file), str(folder / "target.png")))
    return rows


def main(args: argparse.Namespace) -> int:
    """Run the same batch with each number of workers, and print the table."""
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = make_rows(folder, args.rows)
        for repeat in range(args.repeat):
            for workers in args.workers:
                out, start, load = folder / f"out-{repeat}-{workers}", time.monotonic(), os.getloadavg()[0]
                place = lp.BatchPlace(workers=workers, device=args.device, scratch=str(folder / "work"))
                report = lp.run_batch(rows, out, settings=parse_settings(args.set), place=place)
                if report.count("done") != len(rows):
                    errors = "; ".join(row.error for row in report.failed) or "it was stopped"
                    raise lp.UserError(f"{report.count('done')} of {len(rows)} rows are done: {errors}")
                seconds = time.monotonic() - start
                rate, peak = 60 * len(rows) / seconds, max(row.peak_bytes for row in report.rows) / 1e6
                cells = [f"{seconds:.0f}", f"{rate:.1f}", f"{report.cpu_seconds:.0f}", f"{peak:.0f}", f"{load:.1f}"]
                lines.append([str(repeat + 1), str(workers), *cells])
                print(lines[-1], file=sys.stderr, flush=True)
    print(f"{args.rows} rows of {SIDE}x{SIDE}, {args.device}, {' '.join(args.set)}. {date.today()}, {cpu_name()}.\n")
    head = ["pair", "workers", "seconds", "rows a minute", "CPU s", "MB a process", "load before"]
    print("\n".join(table(head, lines, 0)))
    return 0


def parse() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8, help="number of pairs")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2], help="numbers of processes")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda: all processes share one GPU")
    parser.add_argument("--repeat", type=int, default=2, help="how often each number is measured")
    parser.add_argument("--set", nargs="+", default=["preset=draft"], metavar="NAME=VALUE", help="settings of all rows")
    return parser.parse_args()


if __name__ == "__main__":
    ARGS = parse()
    sys.exit(run_benchmark(lambda: main(ARGS)))
