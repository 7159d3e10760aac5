"""The dials of a translation: look, structure, copying and sharpness along each dial, over trained runs.

    python benchmarks/dials.py RUN ... [--side 220] [--dials structure colour ...] [--saved-settings] [--out FOLDER]

RUN is the folder of a run of `lonepair`; both of its directions are measured. FOLDER/dials.md has the tables, and
FOLDER/RUN-DIRECTION.png a sheet with a row for each dial. In each row one dial changes, and all others keep their
defaults. Seconds are those of the CPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from contest import run_benchmark, table
from torch import Tensor

import lonepair as lp
from lonepair.commands.doctor import cpu_name
from lonepair.evaluate import Run, open_run
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import write_image
from lonepair.metrics import copying, look, structure
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.dials import Dials
from lonepair.render.pipeline import DIRECTIONS
from lonepair.storage.files import atomic_write

ROWS: dict[str, tuple[Any, ...]] = {
    "structure": (0.0, 0.25, 0.5, 0.75, 1.0),
    "texture_size": (0.5, 0.7, 1.0, 1.4, 2.0),
    "colour": (0.0, 0.25, 0.5, 0.75, 1.0),
    "strength": (0.0, 0.25, 0.5, 0.75, 1.0),
    "tone": ("auto", "keep", "swap"),
}
"""Dial -> its values. Texture sizes are multiples of the size that `auto` takes."""
METRICS = ("look", "structure", "copying", "sharpness", "seconds")


def gradient_energy(image: Tensor) -> float:
    """Mean squared difference of neighboring pixels."""
    across, down = image[..., 1:] - image[..., :-1], image[..., 1:, :] - image[..., :-1, :]
    return float(across.square().mean() + down.square().mean())


def setting(dial: str, value: Any, output: Tensor, target: Tensor) -> Any:
    """The value of `dial` for one picture: a texture size relative to that of `auto` in absolute units."""
    if dial != "texture_size":
        return value
    return value * Dials().texture_scale(max(output.shape[-2:]), max(target.shape[-2:]))


def measure(output: Tensor, source: Tensor, target: Tensor, seconds: float) -> dict[str, float]:
    """The metrics of one translation; all images have one size of the longest side."""
    return {
        "look": look(output, target, source),
        "structure": structure(output, source),
        "copying": copying(output, target),
        "sharpness": gradient_energy(output) / gradient_energy(target),
        "seconds": seconds,
    }


def measure_direction(
    run: Run, direction: str, args: argparse.Namespace
) -> tuple[dict[tuple[str, Any], dict[str, float]], Tensor]:
    """(dial, value) -> the metrics of one direction of a run, and the sheet of its pictures."""
    source, target = (at_side(run.inputs[domain], args.side) for domain in (direction[0], direction[-1]))
    exemplar = run.model.method.exemplar(direction[-1])
    assert exemplar is not None
    stored = exemplar() if exemplar.detail is None else exemplar.detail
    synthesis = None if args.saved_settings else SynthesisConfig()
    values, sheet = {}, [[("source", source), ("target", target)]]
    for dial in args.dials:
        row = []
        for value in ROWS[dial]:
            dials: Mapping[str, Any] = {dial: setting(dial, value, source, stored)}
            start = time.process_time()
            reverse = direction == DIRECTIONS[1]
            output = run.model.translate(source, reverse=reverse, synthesis=synthesis, **dials).image
            values[dial, value] = measure(output, source, target, time.process_time() - start)
            row.append((f"{dial} {value}", output))
        sheet.append(row)
    return values, contact_sheet(sheet)


def at_side(image: Tensor, side: int) -> Tensor:
    """`image` at `side` pixels on the longest side."""
    factor = side / max(image.shape[-2:])
    return resize_image(image, (round(image.shape[-2] * factor), round(image.shape[-1] * factor)))


def tables(values: Mapping[str, Mapping[tuple[str, Any], Mapping[str, float]]], args: argparse.Namespace) -> str:
    """Means over all directions, a row for each value, and the look and structure of each direction."""
    count = len(values)
    rows = []
    for dial in args.dials:
        for value in ROWS[dial]:
            means = [sum(each[dial, value][name] for each in values.values()) / count for name in METRICS]
            rows.append([dial, str(value), *(f"{mean:.3f}" for mean in means)])
    lines = [
        f"{date.today()}, {cpu_name()}, {args.threads or 'all'} threads. {count} directions at {args.side} pixels.",
        "",
        *table(["dial", "value", *METRICS], rows, 2),
        "",
    ]
    if "structure" in args.dials:
        heads = [f"{name} at {value:g}" for name in ("look", "structure") for value in ROWS["structure"]]
        cells = [
            [title, *(f"{each['structure', v][name]:.3f}" for name in ("look", "structure") for v in ROWS["structure"])]
            for title, each in values.items()
        ]
        lines += table(["direction", *heads], cells, 1)
    return "\n".join(lines) + "\n"


def main(args: argparse.Namespace) -> int:
    """Measure every run; the tables are written after each."""
    args.out.mkdir(parents=True, exist_ok=True)
    values: dict[str, dict[tuple[str, Any], dict[str, float]]] = {}
    for path in args.runs:
        run = open_run(path, lambda file: lp.load(file, args.device, threads=args.threads))
        for direction in DIRECTIONS:
            title = f"{path.name}, {direction}"
            print(title, file=sys.stderr, flush=True)
            values[title], sheet = measure_direction(run, direction, args)
            write_image(args.out / f"{path.name}-{direction}.png", sheet, overwrite=True)
        with atomic_write(args.out / "dials.md") as file:
            file.write_text(tables(values, args), encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run of lonepair")
    parser.add_argument("--side", type=int, default=220, help="longest side in pixels of the pictures")
    parser.add_argument("--dials", nargs="+", default=list(ROWS), choices=list(ROWS), help="dials to measure")
    parser.add_argument(
        "--saved-settings",
        action="store_true",
        help="use the settings of patch synthesis that each model was saved with, not today's defaults",
    )
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's number")
    parser.add_argument("--out", type=Path, default=Path("dials"), help="folder of the results")
    arguments = parser.parse_args()
    sys.exit(run_benchmark(lambda: main(arguments)))
