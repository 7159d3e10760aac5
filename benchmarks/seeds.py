"""Trains methods of one image with several seeds and prints the mean and standard deviation of each metric.

    python benchmarks/seeds.py IMAGE [--methods singan consingan] [--set generator_steps=1] [--seeds 0 1 2]
                               [--max-side 64] [--steps 100] [--loops lonepair plain] --out OUT

For each seed: the mean squared error of the reconstruction, in [-1, 1], and the diversity of samples: their standard
deviation at a pixel, over samples, divided by that of the image (SinGAN, sec. 3). One training says little, since
rounding alone leads two equal trainings apart. `OUT/METHOD-LOOP.png` has the image, the reconstruction and samples of
each seed, `OUT/METHOD-LOOP.json` the numbers.

The loop `plain` is that of `plain_loops.py`, an independent training as the authors' code runs it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from plain_loops import LOOPS
from torch import Tensor

from lonepair.api.job import Job
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import write_image
from lonepair.methods.single import SingleMethod
from lonepair.ops.noise import RandomStream
from lonepair.render.sampling import reconstruction

SAMPLES = 12
"""Random images of a seed, from which diversity is computed."""
SHOWN = 4
"""Random images of a seed on the sheet."""


@dataclass
class Outputs:
    """Images of a trained model, (n, c, h, w) in [-1, 1] on the CPU."""

    real: Tensor
    reconstruction: Tensor
    samples: Tensor

    def numbers(self) -> dict[str, float]:
        """Measure -> value."""
        return {
            "reconstruction_mse": float((self.reconstruction - self.real).square().mean()),
            "diversity": float(self.samples.std(0).mean() / self.real.std()),
        }

    def row(self, seed: int) -> list[tuple[str, Tensor]]:
        """(label, image) pairs of a row of the sheet."""
        shown = [(f"random {i + 1}", self.samples[i : i + 1]) for i in range(SHOWN)]
        return [(f"image, seed {seed}", self.real), ("reconstruction", self.reconstruction), *shown]


def train_lonepair(job: Job) -> Outputs:
    """Train the method of `job` with the package's loop."""
    model = job.run()
    method = model.method
    assert isinstance(method, SingleMethod)
    with torch.no_grad():
        images = [
            method.sample(method.sizes, RandomStream.for_sample(0, i, model.engine.device))["a"] for i in range(SAMPLES)
        ]
    samples = torch.cat(images).float().cpu().clamp(-1, 1)
    return Outputs(job.levels()["a"][-1].cpu(), reconstruction(method, model.engine).cpu(), samples)


def train_plain(job: Job) -> Outputs:
    """Train the image of `job`, for as many steps, with the loop of the method in `plain_loops.py`."""
    image = job.levels()["a"][-1]
    torch.manual_seed(job.options.seed)
    loop = LOOPS[job.method_class.name](job.sources["a"].size, image)
    loop.train(job.config.to_dict()["steps"])
    samples = torch.cat([loop.output(is_random=True) for _ in range(SAMPLES)])
    return Outputs(image.cpu(), loop.output(is_random=False), samples)


TRAININGS = {"lonepair": train_lonepair, "plain": train_plain}
"""Name of a loop -> the function that trains with it."""


def parse_setting(text: str) -> tuple[str, Any]:
    """The name and the value of `--set NAME=VALUE`; a number if it reads as one."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--methods", nargs="+", default=["singan", "consingan"])
    parser.add_argument("--set", nargs="+", type=parse_setting, default=[], metavar="NAME=VALUE")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--max-side", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--loops", nargs="+", choices=TRAININGS, default=["lonepair"])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if "plain" in args.loops and (others := dict(args.set).keys() - {"device"}):
        parser.error(f"the loop plain has the published settings: --set {' '.join(others)} would not change it")
    args.out.mkdir(parents=True, exist_ok=True)
    settings = {"max_side": args.max_side, "steps": args.steps, **dict(args.set)}

    print("| method | loop | measure | mean | standard deviation | each seed |")
    print("| --- | --- | --- | ---: | ---: | --- |", flush=True)
    for method, loop in itertools.product(args.methods, args.loops):
        results = {}
        for seed in args.seeds:
            job = Job.prepare({"a": args.image}, method, "full", {**settings, "seed": seed})
            results[seed] = TRAININGS[loop](job)
        numbers = {seed: outputs.numbers() for seed, outputs in results.items()}
        for measure in numbers[args.seeds[0]]:
            values = [each[measure] for each in numbers.values()]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            each = " ".join(f"{value:.4f}" for value in values)
            mean = statistics.mean(values)
            print(f"| `{method}` | {loop} | {measure} | {mean:.4f} | {deviation:.4f} | {each} |", flush=True)
        report = {"settings": settings, "loop": loop, "seeds": numbers}
        (args.out / f"{method}-{loop}.json").write_text(json.dumps(report, indent=1))
        sheet = contact_sheet([outputs.row(seed) for seed, outputs in results.items()])
        write_image(args.out / f"{method}-{loop}.png", sheet, overwrite=True)


if __name__ == "__main__":
    main()
