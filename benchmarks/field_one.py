"""The field's table of single images: samples of each method, and samples that the authors published."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import field_baselines as baselines
import torch
from contest import find_image, read_at
from field_cells import Cell, Stopwatch, budgets, count_processor_time, run_folder, training
from torch import Tensor

import lonepair as lp
import lonepair.methods as methods
from lonepair.api.batch.rows import parse_settings
from lonepair.errors import UserError
from lonepair.evaluate import open_run
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import read_image, write_image
from lonepair.metrics import (
    bidirectional,
    copied_share,
    copying,
    diversity,
    layout_distance,
    look_distance,
    patch_swd,
    sifid,
)
from lonepair.ops.resize import resize_image

METHODS = (
    *("lonepair-single", "consingan", "singan", "closed-form", "gpnn-like", "gpdm-like"),
    *("SinGAN, published", "GPNN, published"),
)
TRAINED = ("lonepair-single", "consingan", "singan")
"""Methods that take a preset and a limit of minutes."""
METRICS = {
    "look_distance": -1,
    "patch_swd": -1,
    "coherence": -1,
    "completeness": -1,
    "layout_distance": -1,
    "sifid": -1,
    "diversity": 1,
    "copied_share": -1,
    "copying": -1,
}
"""Column -> 1 where a larger value is better, -1 where a smaller one is."""
SIDE = 128
"""Longest side in pixels at which samples are measured; the metrics reduce them further."""


def image_names(data: Path) -> list[str]:
    """All images of Places50 and SIGD16 in `data`, by number: places50-1, ..., sigd16-1, ..."""
    places = [int(file.stem) for file in (data / "field" / "Places50").glob("*.jpg")]
    sigd16 = [int(file.stem.partition("_")[2]) for file in (data / "generate").glob("sigd16_*.jpg")]
    names = [f"places50-{number}" for number in sorted(places)] + [f"sigd16-{number}" for number in sorted(sigd16)]
    if not names:
        raise UserError(f"{data}: holds neither field/Places50/1.jpg ... nor generate/sigd16_1.jpg ...")
    return names


def image_file(data: Path, name: str) -> Path:
    """The file of an image of `image_names`."""
    collection, number = name.split("-")
    if collection == "places50":
        return find_image(data / "field" / "Places50", number)
    return find_image(data / "generate", f"sigd16_{number}")


def published_file(data: Path, name: str, method: str) -> Path | None:
    """The sample that the authors of `method` published for an image; None where there is none."""
    author, (collection, number) = method.split(",")[0].upper(), name.split("-")
    folder = f"Places50_{author}_high_var" if collection == "places50" else f"SIGD16_{author}"
    file = data / "field" / folder / f"{number}.png"
    return file if file.is_file() else None


def cells(args: argparse.Namespace) -> list[Cell]:
    """What the table measures: every `--every`-th image, with every method, seed and limit."""
    result: list[Cell] = []
    for name in image_names(args.data)[:: args.every]:
        for method in args.methods or METHODS:
            cell: Cell = {"table": "one", "image": name, "method": method}
            if method.endswith("published"):
                result += [cell] if published_file(args.data, name, method) else []
                continue
            if method in TRAINED or method == "closed-form":
                cell["preset"] = args.preset
            if method in TRAINED and args.max_side:
                cell["max_side"] = args.max_side
            if method in TRAINED and args.synthesis and methods.get_method(method).synthesis is not None:
                cell["synthesis"] = parse_settings(args.synthesis)
            result += [{**cell, **budget} for budget in budgets(args, method in TRAINED)]
    return result


def measure(cell: Cell, args: argparse.Namespace) -> dict[str, float]:
    """Train where the method does, generate samples, and measure them."""
    if not args.wall:
        count_processor_time()
    file = image_file(args.data, cell["image"])
    image = read_at(file, SIDE, 3)
    costs: dict[str, float] = {}
    if cell["method"].endswith("published"):
        published = published_file(args.data, cell["image"], cell["method"])
        assert published is not None
        samples = read_image(published)[:, :3]
    else:
        samples, costs = generate(file, cell, args)
    samples = resize_image(samples[:, :3], (image.shape[-2], image.shape[-1]))
    each = [samples[number : number + 1] for number in range(len(samples))]
    write_sheet(cell, image, each, args.work)
    values = [sample_metrics(sample, image, args.weights) for sample in each]
    means = {name: sum(value[name] for value in values) / len(values) for name in values[0]}
    return {**means, **({"diversity": diversity(samples, image)} if len(each) > 1 else {}), **costs}


def generate(file: Path, cell: Cell, args: argparse.Namespace) -> tuple[Tensor, dict[str, float]]:
    """Samples (n, 3, h, w) of one method in [-1, 1], and what they cost."""
    watch = Stopwatch(args.wall)
    if cell["method"] in baselines.BASELINES:
        image = read_at(file, args.baseline_side, 3)
        samples = torch.cat([baselines.BASELINES[cell["method"]](image, cell["seed"] + n) for n in range(args.samples)])
        return samples, {"sample_seconds": watch.seconds() / args.samples}
    template = args.trained.get(cell["method"])
    if cell["method"] == "closed-form":
        # A pair of the image and itself: a sample of either is one of the image.
        model = lp.fit_pair(file, file, method="closed-form", preset=cell["preset"], device=args.device)
        train_seconds = 0.0
    else:
        folder = Path(template.format(image=cell["image"])) if template else run_folder(cell, args.work)
        if not template:
            lp.fit(file, **training(cell, folder, args.device))
        run = open_run(folder, lambda path: lp.load(path, args.device))
        model, train_seconds = run.model, run.seconds
    watch = Stopwatch(args.wall)
    samples = model.sample(args.samples, seed=cell["seed"], synthesis=cell.get("synthesis")).images["a"]
    parameters = sum(model.method.parameter_counts().values())
    costs = {"train_minutes": train_seconds / 60, "sample_seconds": watch.seconds() / args.samples}
    return samples, {**costs, "parameters": parameters}


def sample_metrics(sample: Tensor, image: Tensor, weights: Path | None) -> dict[str, float]:
    """The metrics of one sample."""
    coherence, completeness = bidirectional(sample, image)
    values = {
        "look_distance": look_distance(sample, image),
        "patch_swd": patch_swd(sample, image),
        "coherence": coherence,
        "completeness": completeness,
        "layout_distance": layout_distance(sample, image),
        "copied_share": copied_share(sample, image),
        "copying": copying(sample, image),
    }
    return values if weights is None else {**values, "sifid": sifid(sample, image, weights)}


def write_sheet(cell: Cell, image: Tensor, samples: Sequence[Tensor], work: Path) -> None:
    """Write the image and its samples side by side, for looking at."""
    words = (cell["image"], cell["method"], cell.get("preset", ""), cell.get("minutes", ""), cell.get("synthesis", ""))
    name = re.sub(r"[^a-z0-9.]+", "-", " ".join(map(str, words)).lower())
    cells = [("image", image), *((f"{number + 1}", sample) for number, sample in enumerate(samples))]
    folder = work / "sheets"
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / f"one-{name.strip('-')}.png", contact_sheet([cells], cell=200), overwrite=True)
