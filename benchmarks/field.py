"""The field's tables: every method on the same images, pairs and clips, with time, parameters and memory.

    python benchmarks/field.py one DATA [--every 6] [--minutes 0 ...] [--methods M ...] [--weights FILE]
    python benchmarks/field.py pair DATA [--pairs A/B ...] [--methods METHOD:PRESET ...]
    python benchmarks/field.py clip DATA [--clips NAME ...] [--target NAME]
    python benchmarks/field.py page

DATA is a folder with field/, generate/, pairs/ and published/, as the other comparisons take it. Each cell of a table
is measured in a process of its own and appended to OUT/TABLE.jsonl, or OUT/TABLE-gpu.jsonl with `--device cuda`; cells
that are there are not measured again. PAGE is written after each command, with a plot for each file of lines; WORK
holds the runs, and a sheet of pictures for each cell.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import field_clip
import field_one
import field_pair
from contest import run_benchmark
from field_cells import measure_cells, print_result, single_thread
from field_page import GPU, write_page

from lonepair.errors import UserError

TABLES = {"one": field_one, "pair": field_pair, "clip": field_clip}


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=[*TABLES, "page"], help="what to measure; page: write the page alone")
    parser.add_argument("data", type=Path, nargs="?", help="folder of the inputs")
    parser.add_argument("--methods", nargs="+", help="methods; for pairs and clips METHOD:PRESET")
    parser.add_argument("--preset", default="draft", help="preset of methods that are named without one")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="random seeds")
    parser.add_argument("--minutes", nargs="+", type=float, default=[0.0], help="limits of training; 0: the preset's")
    parser.add_argument("--every", type=int, default=6, help="one: every how many images; 1: all")
    parser.add_argument("--samples", type=int, default=8, help="one: samples of each image, 2 or more")
    parser.add_argument(
        "--synthesis", nargs="+", default=[], metavar="NAME=VALUE", help="one: changes to patch synthesis"
    )
    parser.add_argument("--baseline-side", type=int, default=128, help="one: longest side of gpnn-like and gpdm-like")
    parser.add_argument("--weights", type=Path, help="one: Inception weights; adds SIFID")
    parser.add_argument("--pairs", nargs="+", help="pair: A/B ...")
    parser.add_argument("--max-side", type=int, default=0, help="finest stage's longest side; 0: the preset's")
    parser.add_argument("--clips", nargs="+", help="clip: names of made clips, or files")
    parser.add_argument("--target", default="mosaic", help="clip: the target, of DATA/pairs")
    parser.add_argument("--side", type=int, default=160, help="clip: longest side in pixels")
    parser.add_argument("--frames", type=int, default=20, help="clip: number of frames")
    parser.add_argument(
        "--trained", nargs="+", default=[], help="METHOD=FOLDER of existing runs, with {image}, {a} and {b}, or {clip}"
    )
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    parser.add_argument("--wall", action="store_true", help="count wall time rather than processor time, as on a GPU")
    parser.add_argument("--out", type=Path, default=Path("docs/results/field"), help="folder of the lines and plots")
    parser.add_argument("--page", type=Path, default=Path("docs/results/field.md"), help="the page")
    parser.add_argument("--work", type=Path, default=Path("field"), help="folder of runs and sheets")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.table != "page" and args.data is None:
        parser.error(f"{args.table} needs DATA, the folder of the inputs")
    if args.samples < 2:
        parser.error(f"--samples is {args.samples}: diversity needs 2 or more")
    return args


def main(args: argparse.Namespace) -> int:
    """Measure a table, or one cell of it, and write the page."""
    args.trained = dict(text.split("=", 1) for text in args.trained)
    if args.table != "page":
        if not args.data.is_dir():
            raise UserError(f"{args.data}: no such folder; give one with field/, generate/, pairs/ and published/")
        module = TABLES[args.table]
        if args.cell:
            if not args.wall:
                single_thread()
            cell = json.loads(args.cell)
            print_result(module.measure(cell, args))
            return 0
        name = args.table if args.device == "cpu" else f"{args.table}{GPU}"
        measure_cells(module.cells(args), args.out / f"{name}.jsonl", sys.argv[1:])
    args.out.mkdir(parents=True, exist_ok=True)
    write_page(args.out, args.page)
    print(args.page)
    return 0


if __name__ == "__main__":
    arguments = parse()
    sys.exit(run_benchmark(lambda: main(arguments)))
