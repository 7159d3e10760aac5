"""How good single-image methods are under one limit of time: patches, diversity and copying of what they rng.

    python benchmarks/generation.py DATA [--methods M ...] [--images NAME ...] [--minutes 4 ...] [--out FOLDER]

DATA is a folder with generate/NAME.jpg (or .png). Every method learns every image within the same minutes of training,
and draws eight samples.
FOLDER/generation.md has the tables, FOLDER/NAME.png the image and samples of all methods, FOLDER/runs the runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from contest import Entrant, arguments, contest, entrants, find_image, heading, run_of, shown_at, table, told
from torch import Tensor

import lonepair as lp
from lonepair.evaluate.definitions import format_value
from lonepair.media.files import atomic_write
from lonepair.media.image import write_image
from lonepair.media.sheet import contact_sheet
from lonepair.metrics import copy_map, diversity, look_distance
from lonepair.ops.resize import resize_image

IMAGES = ("angkorwat", "colusseum", "marinabaysands", "sigd16_5", "sigd16_8", "stonehenge")
METRICS = ("look_distance", "diversity", "copying")
SAMPLES, SHOWN = 8, 4


@dataclass(frozen=True)
class Measured:
    """The samples of one run."""

    image: str
    entrant: str
    minutes: float
    """Of training."""
    drawing: float
    """Seconds a sample."""
    values: dict[str, float]
    """Metric -> mean over samples."""
    learnt: Tensor
    samples: list[Tensor]


def measured(name: str, entrant: Entrant, seed: int, given: argparse.Namespace) -> Measured:
    """Train on the image `name`, or go on with it, rng samples and measure them."""
    run = run_of(partial(lp.fit, find_image(given.data / "generate", name)), name, entrant, seed, given)
    began = time.perf_counter()
    images = run.model.sample(SAMPLES, seed=seed).images["a"]
    drawing = (time.perf_counter() - began) / SAMPLES
    learnt = shown_at(find_image(given.data / "generate", name), given.side, run.model.method.plan.channels)
    images = resize_image(images, (learnt.shape[-2], learnt.shape[-1]))
    each = [images[i : i + 1] for i in range(SAMPLES)]
    values = {
        "look_distance": sum(look_distance(image, learnt) for image in each) / SAMPLES,
        "diversity": diversity(images, learnt),
        "copying": sum(float(copy_map(image, learnt).float().mean()) for image in each) / SAMPLES,
    }
    return Measured(name, entrant.name, run.seconds / 60, drawing, values, learnt, each)


def means(found: Sequence[Measured]) -> list[str]:
    """The metrics' means, as cells."""
    return [format_value(metric, sum(each.values[metric] for each in found) / len(found)) for metric in METRICS]


def report(found: Sequence[Measured], lost: Sequence[str], given: argparse.Namespace) -> str:
    """generation.md; `lost` names the runs that diverged."""
    rows, by_image = [], []
    names = [entrant.name for entrant in entrants(given)]
    for entrant in names:
        if own := [each for each in found if each.entrant == entrant]:
            minutes, seconds = sum(each.minutes for each in own), sum(each.drawing for each in own)
            rows.append([entrant, *means(own), f"{minutes / len(own):.1f}", f"{seconds / len(own):.1f}", str(len(own))])
    for name in given.images:
        for entrant in names:
            if own := [each for each in found if (each.image, each.entrant) == (name, entrant)]:
                by_image.append([name, entrant, *means(own)])
    lines = [
        *heading("Samples of one image under one limit of training time", given, "images"),
        f"Means over {SAMPLES} samples, images and seeds.",
        "look_distance: of a sample's patches to the image's, lower is better. diversity: 0 where all samples are one",
        "picture; SinGAN reports 0.5. copying: share of a sample cut out of the image in large pieces. All at "
        f"{given.side} px.",
        "",
        *table(["method", *METRICS, "training, minutes", "a sample, s", "runs"], rows, 1),
        "",
        "## By image",
        "",
        *table(["image", "method", *METRICS], by_image, 2),
    ]
    if lost:
        lines += ["", f"Diverged, and left out: {'; '.join(lost)}."]
    return "\n".join(lines) + "\n"


def sheet(found: Sequence[Measured]) -> Tensor:
    """A row a run: the image and some of the samples."""
    rows = []
    for each in found:
        samples = [(f"{each.entrant} {i + 1}", sample) for i, sample in enumerate(each.samples[:SHOWN])]
        rows.append([("image", each.learnt), *samples])
    return contact_sheet(rows, cell=220)


def main() -> int:
    parser = arguments(__doc__, domains=1, minutes=4.0, out="generation")
    parser.add_argument("--images", nargs="+", default=list(IMAGES))
    return told(lambda: run(parser.parse_args()))


def run(given: argparse.Namespace) -> int:
    """Train and measure all that `given` asks for, image by image; tables and pictures are written after each."""
    for name in given.images:
        find_image(given.data / "generate", name)
    found: list[Measured] = []

    def ended(name: str, lost: Sequence[str]) -> None:
        write_image(given.out / f"{name}.png", sheet([each for each in found if each.image == name]), overwrite=True)
        with atomic_write(given.out / "generation.md") as temporary:
            temporary.write_text(report(found, lost, given), encoding="utf-8")
        print(given.out / f"{name}.png")

    contest(given, given.images, lambda name, entrant, seed: found.append(measured(name, entrant, seed, given)), ended)
    print(given.out / "generation.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
