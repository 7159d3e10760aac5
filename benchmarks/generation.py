"""How good single-image methods are under one limit of time: patches, diversity and copying of what they draw.

    python benchmarks/generation.py DATA [--methods M ...] [--images NAME ...] [--seeds 0] [--minutes 4] [--out FOLDER]

DATA is a folder with generate/NAME.jpg (or .png). Every method learns every image within the same minutes of training,
and draws eight samples. A run that is in FOLDER already is used again, or goes on where it stopped.
FOLDER/generation.md has the tables, FOLDER/NAME.png the image and samples of all methods, FOLDER/runs the runs.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from quality import command, find_image, table, told
from torch import Tensor

import lonepair as lp
import lonepair.methods as methods
from lonepair.doctor import _cpu_name
from lonepair.evaluate import open_run
from lonepair.evaluate.meanings import shown
from lonepair.files import atomic_write, check_writable
from lonepair.image import write_image
from lonepair.metrics import copy_map, diversity, look_distance
from lonepair.resize import resize_image
from lonepair.sheet import contact_sheet
from lonepair.train.loop import Diverged

IMAGES = ("angkorwat", "colusseum", "marinabaysands", "sigd16_5", "sigd16_8", "stonehenge")
METRICS = ("look_distance", "diversity", "copying")
SAMPLES, SHOWN = 8, 4


@dataclass(frozen=True)
class Measured:
    """The samples of one run."""

    image: str
    method: str
    minutes: float
    """Of training."""
    drawing: float
    """Seconds a sample."""
    values: dict[str, float]
    """Metric -> mean over samples."""
    learnt: Tensor
    samples: list[Tensor]


def measured(name: str, method: str, seed: int, given: argparse.Namespace) -> Measured:
    """Train `method` on the image `name`, or go on with it, draw its samples and measure them."""
    folder: Path = given.out / "runs" / f"{name}-{method}-{given.preset}-{given.minutes:g}min-{seed}"
    lp.fit(
        find_image(given.data / "generate", name),
        method=method,
        preset=given.preset,
        out=folder,
        resume=folder.is_dir(),
        seed=seed,
        max_minutes=given.minutes,
        device=given.device,
        threads=given.threads,
    )
    run = open_run(folder, lambda path: lp.load(path, given.device, threads=given.threads))
    began = time.perf_counter()
    images = run.model.sample(SAMPLES, seed=seed, detail=False).images["a"]
    drawing = (time.perf_counter() - began) / SAMPLES
    # A training that ran out of time draws smaller than it was to learn.
    learnt = resize_image(run.inputs["a"], (images.shape[-2], images.shape[-1]))
    each = [images[i : i + 1] for i in range(SAMPLES)]
    values = {
        "look_distance": sum(look_distance(image, learnt) for image in each) / SAMPLES,
        "diversity": diversity(images, learnt),
        "copying": sum(float(copy_map(image, learnt).float().mean()) for image in each) / SAMPLES,
    }
    return Measured(name, method, run.seconds / 60, drawing, values, learnt, each)


def means(found: Sequence[Measured]) -> list[str]:
    """The metrics' means, as cells."""
    return [shown(metric, sum(each.values[metric] for each in found) / len(found)) for metric in METRICS]


def report(found: Sequence[Measured], lost: Sequence[str], given: argparse.Namespace) -> str:
    """generation.md; `lost` names the runs that diverged."""
    rows, by_image = [], []
    for method in given.methods:
        if own := [each for each in found if each.method == method]:
            minutes, seconds = sum(each.minutes for each in own), sum(each.drawing for each in own)
            rows.append([method, *means(own), f"{minutes / len(own):.1f}", f"{seconds / len(own):.1f}", str(len(own))])
    for name in given.images:
        for method in given.methods:
            if own := [each for each in found if (each.image, each.method) == (name, method)]:
                by_image.append([name, method, *means(own)])
    lines = [
        "# Samples of one image under one limit of training time",
        "",
        f"{date.today().isoformat()}, {_cpu_name()}, device {given.device}, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}. Means over "
        f"{SAMPLES} samples, images and seeds.",
        "",
        f"`{command(given, 'images')}`",
        "",
        "look_distance: of a sample's patches to the image's, lower is better. diversity: 0 where all samples are one",
        "picture; SinGAN reports 0.5. copying: share of a sample cut out of the image in large pieces.",
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
        samples = [(f"{each.method} {i + 1}", sample) for i, sample in enumerate(each.samples[:SHOWN])]
        rows.append([("image", each.learnt), *samples])
    return contact_sheet(rows, cell=220)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    singles = [name for name in methods.names() if len(methods.get_method(name).domains) == 1]
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", nargs="+", default=singles, choices=singles)
    parser.add_argument("--images", nargs="+", default=list(IMAGES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("generation"))
    return told(lambda: run(parser.parse_args()))


def run(given: argparse.Namespace) -> int:
    """Train and measure all that `given` asks for, image by image; tables and pictures are written after each."""
    for name in given.images:
        find_image(given.data / "generate", name)
    given.out.mkdir(parents=True, exist_ok=True)
    check_writable(given.out)
    found: list[Measured] = []
    lost: list[str] = []
    for name in given.images:
        own: list[Measured] = []
        for method in given.methods:
            for seed in given.seeds:
                title = f"{name}, {method}, seed {seed}"
                print(title, file=sys.stderr, flush=True)
                try:
                    own.append(measured(name, method, seed, given))
                except Diverged as error:
                    print(f"generation: {title}: {error}", file=sys.stderr, flush=True)
                    lost.append(title)
        found += own
        write_image(given.out / f"{name}.png", sheet(own), overwrite=True)
        with atomic_write(given.out / "generation.md") as temporary:
            temporary.write_text(report(found, lost, given), encoding="utf-8")
        print(given.out / f"{name}.png")
    print(given.out / "generation.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
