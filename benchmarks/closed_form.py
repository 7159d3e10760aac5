"""Compares `closed-form` with trained models of `lonepair`: look, structure, copying and time, in both directions.

    python benchmarks/closed_form.py IMAGES --pairs A/B ... [--presets standard preview] [--runs RUNS] [--side 220]

IMAGES is a folder with A.png or A.jpg. RUNS is a folder with a trained run A-B for some of the pairs. Pictures are
reduced to SIDE pixels on the longest side before they are translated, and measured at that size. Times are processor
time of one thread: of the translation and, for `closed-form`, of storing both images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import lonepair as lp
from lonepair.evaluate.measure import translation_metrics
from lonepair.media.sizes import fit_inside
from lonepair.media.stills.image import read_image, write_image
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image


def main() -> None:
    """Print one row of a table for each direction and entrant."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("--pairs", nargs="+", required=True)
    parser.add_argument("--presets", nargs="*", default=["standard", "preview"])
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--side", type=int, default=220)
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| pair | picture | look | structure | copying | seconds |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for pair in arguments.pairs:
        names = pair.split("/")
        images = {name: read_reduced(arguments.images, name, arguments.side) for name in names}
        for entrant, model in entrants(names, images, arguments.presets, arguments.runs):
            for source, target in (names, names[::-1]):
                start = time.process_time()
                output = model().translate(images[source], reverse=source != names[0]).image
                seconds = time.process_time() - start
                values = translation_metrics(output, images[target], images[source])
                numbers = " | ".join(f"{value:.3f}" for value in values.values())
                print(f"| {source} → {target} | {entrant} | {numbers} | {seconds:.1f} |", flush=True)
                if arguments.out is not None:
                    arguments.out.mkdir(parents=True, exist_ok=True)
                    write_image(arguments.out / f"{source}-{target}-{entrant}.png", output, overwrite=True)


def read_reduced(folder: Path, name: str, side: int) -> Tensor:
    """The picture `name` of `folder` as RGB, with at most `side` pixels a side."""
    file = next(path for path in sorted(folder.iterdir()) if path.stem == name and path.suffix in (".png", ".jpg"))
    image = match_channels(read_image(file), 3)
    return resize_image(image, fit_inside((image.shape[-2], image.shape[-1]), side)).contiguous()


def entrants(
    names: list[str], images: dict[str, Tensor], presets: list[str], runs: Path | None
) -> Iterator[tuple[str, Callable[[], lp.Model]]]:
    """Names and models: the trained run, if there is one, and `closed-form` with each preset, stored for this call."""
    if runs is not None and (runs / "-".join(names)).is_dir():
        trained = lp.load(runs / "-".join(names), threads=1)
        yield "lonepair", lambda: trained
    for preset in presets:
        yield f"closed-form {preset}", partial(store, [images[name] for name in names], preset)


def store(images: list[Tensor], preset: str) -> lp.Model:
    """The model of `closed-form`, which holds both images."""
    return lp.fit_pair(*images, method="closed-form", preset=preset, threads=1)


if __name__ == "__main__":
    main()
