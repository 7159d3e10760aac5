"""Computes digests of weights and images, to show that a change of the code changes neither.

    python benchmarks/regression.py digests before.json     # with the code before the change
    python benchmarks/regression.py digests after.json      # with the code after it, on the same machine
    python benchmarks/regression.py compare before.json after.json

They cover tiny trainings of every method, every use of each, a translated clip and resumed runs. Equal digests mean
bitwise equal results. Results differ by rounding between machines, numbers of threads and versions of torch, so both
files must come from one machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lonepair as lp
from lonepair.train.events import Report, Watcher
from lonepair.train.loop import Interrupted

CROPPED = {"crop_size": 28, "max_side": 72, "min_side": 14, "stages": 3}
"""Settings under which tiny images are trained on crops."""

TRAININGS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "consingan": ("consingan", 1, {"stages": 3, "width": 8, "steps": 6, "min_side": 16, "max_side": 40}),
    "consingan crops": ("consingan", 1, {"width": 8, "steps": 4, **CROPPED}),
    "consingan animation": (
        "consingan",
        1,
        {"preset": "animation", "stages": 3, "width": 8, "steps": 4, "min_side": 16, "max_side": 40},
    ),
    "consingan harmonization": (
        "consingan",
        1,
        {"preset": "harmonization", "width": 8, "steps": 4, "min_side": 16, "max_side": 40},
    ),
    "consingan editing": (
        "consingan",
        1,
        {"preset": "editing", "stages": 3, "width": 8, "steps": 4, "min_side": 16, "max_side": 40},
    ),
    "singan": ("singan", 1, {"width": 8, "steps": 4, "min_side": 16, "max_side": 40}),
    "lonepair-single": (
        "lonepair-single",
        1,
        {"stages": 3, "width": 8, "steps": 8, "finest_steps": 4, "min_side": 16, "max_side": 40},
    ),
    "lonepair-single crops": ("lonepair-single", 1, {"width": 8, "steps": 4, "finest_steps": 3, **CROPPED}),
    "structural-analogy": ("structural-analogy", 2, {"width": 8, "steps": 4, "min_side": 16, "max_side": 40}),
    "structural-analogy as released": (
        "structural-analogy",
        2,
        {"as_released": True, "lambda_self": 0.5, "width": 8, "steps": 4, "min_side": 16, "max_side": 40},
    ),
    "representative": (
        "representative",
        2,
        {"stages": 3, "width": 8, "steps": 5, "finest_steps": 3, "min_side": 16, "max_side": 40},
    ),
    "representative crops": (
        "representative",
        2,
        {"width": 8, "steps": 4, "finest_steps": 3, "window_fraction": 1.0, "border_padding": "reflect", **CROPPED},
    ),
    "lonepair": (
        "lonepair",
        2,
        {"stages": 3, "width": 8, "steps": 10, "finest_steps": 6, "min_side": 16, "max_side": 40, "coarse_stages": 1},
    ),
    "lonepair crops": ("lonepair", 2, {"width": 8, "steps": 5, "finest_steps": 4, "coarse_stages": 1, **CROPPED}),
    "lonepair clip": (
        "lonepair",
        0,
        {"stages": 3, "width": 8, "steps": 10, "finest_steps": 6, "min_side": 16, "max_side": 40, "coarse_stages": 1},
    ),
    "representative clip": (
        "representative",
        0,
        {"stages": 2, "width": 8, "steps": 5, "finest_steps": 3, "min_side": 16, "max_side": 40},
    ),
}
"""Name -> method, number of images (0: a clip and an image), settings."""


def picture(h: int, w: int, seed: int, channels: int = 3) -> Tensor:
    """A random image (1, c, h, w) in [-1, 1] with large shapes and grain, drawn with numpy."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    image = np.zeros((channels, h, w))
    for _ in range(6):
        centre, radius, color = random.random(2), 0.1 + 0.25 * random.random(), random.random(channels) * 2 - 1
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        image[:, inside] = color[:, None]
    image += 0.15 * random.standard_normal((channels, h, w))
    return torch.from_numpy(image.clip(-1, 1).astype(np.float32))[None]


def clip(frames: int = 7) -> Tensor:
    """A clip (n, 3, 60, 76) that pans over a picture, with a cut before the last two frames."""
    world, other = picture(60, 110, 21), picture(60, 76, 22)
    panned = [world[:, :, :, 3 * i : 3 * i + 76] for i in range(frames - 2)]
    return torch.cat([*panned, other, other])


def digest(*tensors: Tensor) -> str:
    """SHA-256 of the tensors' shapes and bytes, in any order: names of weights may change."""
    each = []
    for tensor in tensors:
        data = tensor.detach().cpu().contiguous()
        shape = f"{tuple(data.shape)} {data.dtype}".encode()
        each.append(hashlib.sha256(shape + data.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest())
    return hashlib.sha256("".join(sorted(each)).encode()).hexdigest()[:16]


class StopAfter(Watcher):
    """Interrupts a training after `steps` steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def stepped(self, method: Any, report: Report) -> None:
        self._left -= 1
        if self._left == 0:
            raise Interrupted


def train(method: str, images: int, settings: dict[str, Any], **more: Any) -> lp.Model:
    """The model that a tiny training gives."""
    settings = {"device": "cpu", "seed": 3, "method": method, **settings, **more}
    if images == 1:
        return lp.fit(picture(72, 88, 1), **settings)
    source = clip() if images == 0 else picture(72, 88, 1)
    return lp.fit_pair(source, picture(64, 90, 2), **settings)


def weights(model: lp.Model) -> Iterator[Tensor]:
    """Everything that the model file holds, without empty and unset tensors."""
    return (tensor for tensor in model.method.model_state().values() if tensor.numel())


def pair_uses(model: lp.Model) -> dict[str, Callable[[], list[Tensor]]]:
    """Name -> pictures, for every use of a pair."""
    source = picture(150, 120, 5)
    uses: dict[str, Callable[[], list[Tensor]]] = {
        "translate": lambda: [model.translate(source).image],
        "translate reverse": lambda: [model.translate(source, reverse=True, seed=4).image],
        "translate without synthesis": lambda: [model.translate(source, synthesize=False).image],
        "translate start stage": lambda: [model.translate(source, start_stage=1).image],
        "translate size": lambda: [model.translate(source, size=(200, 161)).image],
        "translate clip": lambda: [frame.image for frame in model.translate(clip()).frames()],
        "translate clip without synthesis": lambda: [
            f.image for f in model.translate(clip(), synthesize=False).frames()
        ],
        "sample": lambda: [image for pair in model.sample(2, seed=1) for image in pair.values()],
    }
    return uses


def single_uses(model: lp.Model) -> dict[str, Callable[[], list[Tensor]]]:
    """Name -> function that returns images, for every use that the method of a single image supports."""
    image, mask = picture(72, 88, 1), torch.zeros(1, 1, 72, 88) - 1
    image[:, :, 20:40, 30:50] = -image[:, :, 5:25, 60:80]
    mask[:, :, 20:40, 30:50] = 1
    uses: dict[str, Callable[[], list[Tensor]]] = {
        "sample": lambda: [image for item in model.sample(3, seed=1) for image in item.values()],
        "sample size": lambda: [image for item in model.sample(2, size=(90, 140)) for image in item.values()],
        "scale_sheet": lambda: [model.sample_stage_sheet(2).image],
        "animate": lambda: [frame.image for frame in model.animate(frames=4).frames()],
        "animate loop": lambda: [frame.image for frame in model.animate(frames=4, loop=True, seed=2).frames()],
        "edit": lambda: [model.edit(image, mask).image],
        "harmonize": lambda: [model.harmonize(image, mask, original=picture(72, 88, 1), seed=1).image],
        "paint": lambda: [model.paint(image).image, model.paint(image, colors=4).image],
        "refine": lambda: [model.refine(picture(60, 60, 8)).image],
        "superresolve": lambda: [model.superresolve(2.5).image, model.superresolve(1.7, image).image],
    }
    supported = model.method.uses
    renamed = {"scale_sheet": "sample_stage_sheet"}
    return {name: use for name, use in uses.items() if renamed.get(name, name.split()[0]) in supported}


def resumed(method: str, images: int, settings: dict[str, Any]) -> lp.Model:
    """Train a method, stop in the middle, and resume."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        try:
            train(method, images, settings, out=out, callbacks=[StopAfter(7)], checkpoint_minutes=0)
        except Interrupted:
            return train(method, images, settings, out=out, resume=True, checkpoint_minutes=0)
    raise AssertionError("the training was not interrupted")


def large_sample() -> list[Tensor]:
    """Samples of more than a megapixel, which are computed in bands of rows."""
    images = []
    for method in ("consingan", "lonepair-single", "singan"):
        settings: dict[str, Any] = {} if method == "singan" else {"stages": 2}
        settings |= {"finest_steps": 2} if method == "lonepair-single" else {}
        model = train(method, 1, {**settings, "width": 4, "steps": 2, "min_side": 16, "max_side": 24})
        sizes: dict[str, Any] = {"size": (1030, 1100)}
        if method == "lonepair-single":
            sizes |= {"synthesize": False, "full_size": False}
        images += [image for item in model.sample(1, **sizes) for image in item.values()]
    return images


def digests() -> dict[str, str]:
    """Train every method and apply every use; returns "training: use" -> digest."""
    results = {}
    for name, (method, images, settings) in TRAININGS.items():
        model = train(method, images, settings)
        results[f"{name}: weights"] = digest(*weights(model))
        for use, pictures in (single_uses(model) if images == 1 else pair_uses(model)).items():
            results[f"{name}: {use}"] = digest(*pictures())
        if name in ("consingan", "singan", "structural-analogy", "representative", "lonepair", "lonepair clip"):
            results[f"{name}: resumed weights"] = digest(*weights(resumed(method, images, settings)))
        print(name, file=sys.stderr)
    results["large samples"] = digest(*large_sample())
    return results


def compare(before: dict[str, str], after: dict[str, str]) -> int:
    """Print what differs; returns the number of differences."""
    names = sorted({*before, *after})
    different = [name for name in names if before.get(name) != after.get(name)]
    for name in different:
        print(f"differs: {name} ({before.get(name, 'missing')} before, {after.get(name, 'missing')} after)")
    print(f"{len(names) - len(different)} of {len(names)} are equal to the bit")
    return len(different)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    computation = commands.add_parser("digests")
    computation.add_argument("file", type=Path)
    comparison = commands.add_parser("compare")
    comparison.add_argument("before", type=Path)
    comparison.add_argument("after", type=Path)
    args = parser.parse_args()
    if args.command == "digests":
        torch.set_num_threads(2)
        args.file.write_text(json.dumps(digests(), indent=1, sort_keys=True) + "\n")
        return 0
    return int(bool(compare(*(json.loads(path.read_text()) for path in (args.before, args.after)))))


if __name__ == "__main__":
    sys.exit(main())
