"""Trains methods of one image with several seeds and prints the mean and standard deviation of each metric.

    python benchmarks/seeds.py IMAGE [--methods singan consingan] [--set generator_steps=1] [--seeds 0 1 2]
                               [--max-side 64] [--steps 100] --out OUT

For each seed: the mean squared error of the reconstruction, in [-1, 1], and the diversity of samples: their standard
deviation at a pixel, over samples, divided by that of the image (SinGAN, sec. 3). One training says little, since
rounding alone leads two equal trainings apart. `OUT/METHOD.png` has the image, the reconstruction and samples of each
seed, `OUT/METHOD.json` the numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
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


def train_one(
    image: Path, method: str, seed: int, settings: dict[str, Any]
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Train `method` with `seed`; returns its numbers and its images for the sheet."""
    job = Job.prepare({"a": image}, method, "full", {**settings, "seed": seed})
    model = job.run()
    trained = model.method
    assert isinstance(trained, SingleMethod)
    real = job.levels()["a"][-1].cpu()
    rebuilt = reconstruction(trained, model.engine).cpu()
    with torch.no_grad():
        images = [
            trained.sample(trained.sizes, RandomStream.for_sample(0, i, model.engine.device))["a"]
            for i in range(SAMPLES)
        ]
    samples = torch.cat(images).float().cpu().clamp(-1, 1)
    numbers = {
        "reconstruction_mse": float((rebuilt - real).square().mean()),
        "diversity": float(samples.std(0).mean() / real.std()),
    }
    shown = {f"random {i + 1}": samples[i : i + 1] for i in range(SHOWN)}
    return numbers, {f"image, seed {seed}": real, "reconstruction": rebuilt, **shown}


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
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    settings = {"max_side": args.max_side, "steps": args.steps, **dict(args.set)}

    print("| method | measure | mean | standard deviation | each seed |\n| --- | --- | ---: | ---: | --- |")
    for method in args.methods:
        results = [train_one(args.image, method, seed, settings) for seed in args.seeds]
        for measure in results[0][0]:
            values = [numbers[measure] for numbers, _ in results]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            each = " ".join(f"{value:.4f}" for value in values)
            print(f"| `{method}` | {measure} | {statistics.mean(values):.4f} | {deviation:.4f} | {each} |", flush=True)
        report = {
            "settings": settings,
            "seeds": dict(zip(args.seeds, [numbers for numbers, _ in results], strict=True)),
        }
        (args.out / f"{method}.json").write_text(json.dumps(report, indent=1))
        sheet = contact_sheet([list(images.items()) for _, images in results])
        write_image(args.out / f"{method}.png", sheet, overwrite=True)


if __name__ == "__main__":
    main()
