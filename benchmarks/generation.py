"""Compares the methods for single images under one limit of training time: look, diversity and copying of samples.

    python benchmarks/generation.py DATA [--methods M ...] [--images NAME ...] [--minutes 4 ...] [--out FOLDER]

DATA is a folder with generate/NAME.jpg (or .png). Every method trains on every image for the same number of minutes,
and generates eight samples.
FOLDER/generation.md has the tables, FOLDER/NAME.png the image and samples of all methods, FOLDER/runs the runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

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
from lonepair.evaluate.definitions import format_value
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import write_image
from lonepair.metrics import copy_map, diversity, look_distance
from lonepair.ops.resize import resize_image
from lonepair.storage.files import atomic_write

IMAGES = ("angkorwat", "colusseum", "marinabaysands", "sigd16_5", "sigd16_8", "stonehenge")
METRICS = ("look_distance", "diversity", "copying")
SAMPLES, SHEET_SAMPLES = 8, 4
"""Number of samples that are measured, and that the sheet shows."""


@dataclass(frozen=True)
class Measurement:
    """The samples of one run."""

    image: str
    entrant: str
    minutes: float
    """Training time."""
    sample_seconds: float
    """Time of one sample."""
    values: dict[str, float]
    """Metric -> mean over samples."""
    reference: Tensor
    """The training image, at the size at which samples are measured."""
    samples: list[Tensor]


def measure_image(name: str, entrant: Entrant, seed: int, args: argparse.Namespace) -> Measurement:
    """Train on the image `name`, or resume its run, and measure its samples."""
    run = run_of(partial(lp.fit, find_image(args.data / "generate", name)), name, entrant, seed, args)
    start = time.perf_counter()
    images = run.model.sample(SAMPLES, seed=seed).images["a"]
    seconds = (time.perf_counter() - start) / SAMPLES
    reference = read_at(find_image(args.data / "generate", name), args.side, run.model.method.plan.channels)
    images = resize_image(images, (reference.shape[-2], reference.shape[-1]))
    each = [images[i : i + 1] for i in range(SAMPLES)]
    values = {
        "look_distance": sum(look_distance(image, reference) for image in each) / SAMPLES,
        "diversity": diversity(images, reference),
        "copying": sum(float(copy_map(image, reference).float().mean()) for image in each) / SAMPLES,
    }
    return Measurement(name, entrant.name, run.seconds / 60, seconds, values, reference, each)


def means(results: Sequence[Measurement]) -> list[str]:
    """Return the means of the metrics, as cells."""
    return [format_value(metric, sum(each.values[metric] for each in results) / len(results)) for metric in METRICS]


def report(results: Sequence[Measurement], diverged: Sequence[str], args: argparse.Namespace) -> str:
    """Return the text of generation.md; `diverged` names the runs that diverged."""
    rows, by_image = [], []
    names = [entrant.name for entrant in entrants(args)]
    for entrant in names:
        if matches := [result for result in results if result.entrant == entrant]:
            count = len(matches)
            minutes = sum(result.minutes for result in matches) / count
            seconds = sum(result.sample_seconds for result in matches) / count
            rows.append([entrant, *means(matches), f"{minutes:.1f}", f"{seconds:.1f}", str(count)])
    for name in args.images:
        for entrant in names:
            if matches := [result for result in results if (result.image, result.entrant) == (name, entrant)]:
                by_image.append([name, entrant, *means(matches)])
    lines = [
        *heading("Samples of one image under one limit of training time", args, "images"),
        f"Means over {SAMPLES} samples, images and seeds.",
        "look_distance: distance between the patches of a sample and of the image; lower is better. diversity: 0 if",
        "all samples are equal; SinGAN reports 0.5. copying: share of a sample that is copied from the image in large "
        f"regions. Measured at {args.side} px.",
        "",
        *table(["method", *METRICS, "training, minutes", "one sample, s", "runs"], rows, 1),
        "",
        "## By image",
        "",
        *table(["image", "method", *METRICS], by_image, 2),
    ]
    if diverged:
        lines += ["", f"Diverged, and not included: {'; '.join(diverged)}."]
    return "\n".join(lines) + "\n"


def sheet(results: Sequence[Measurement]) -> Tensor:
    """Return a sheet with a row per run: the image and some of the samples."""
    rows = []
    for each in results:
        samples = [(f"{each.entrant} {i + 1}", sample) for i, sample in enumerate(each.samples[:SHEET_SAMPLES])]
        rows.append([("image", each.reference), *samples])
    return contact_sheet(rows, cell=220)


def main() -> int:
    parser = argument_parser(__doc__, domains=1, minutes=4.0, out="generation")
    parser.add_argument("--images", nargs="+", default=list(IMAGES))
    return run_benchmark(lambda: run(parser.parse_args()))


def run(args: argparse.Namespace) -> int:
    """Train and measure image by image; the tables and sheets are written after each image."""
    for name in args.images:
        find_image(args.data / "generate", name)
    results: list[Measurement] = []

    def on_image_end(name: str, diverged: Sequence[str]) -> None:
        write_image(args.out / f"{name}.png", sheet([each for each in results if each.image == name]), overwrite=True)
        with atomic_write(args.out / "generation.md") as temporary:
            temporary.write_text(report(results, diverged, args), encoding="utf-8")
        print(args.out / f"{name}.png")

    compare(
        args,
        args.images,
        lambda name, entrant, seed: results.append(measure_image(name, entrant, seed, args)),
        on_image_end,
    )
    print(args.out / "generation.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
