"""The figure of docs/explanation/closed-form.md: one translation by `closed-form`, step by step.

python examples/gallery.py --inputs-only
python examples/closed_form_steps.py gallery/dandelions.png gallery/galaxies.png docs/images/closed-form.jpg
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import torch

from lonepair.media.sheet import contact_sheet
from lonepair.media.sizes import fit_inside
from lonepair.media.stills.image import read_image, write_image
from lonepair.methods.closed_form import (
    ClosedFormConfig,
    alpha_at,
    ddim_step,
    invert,
    reconstruct,
    with_low_frequencies,
)
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.patches.closed_form import ClosedFormDenoiser


def steps(source: torch.Tensor, target: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    """Labeled pictures, from the source at the coarsest scale to the result at the finest."""
    config = ClosedFormConfig()
    sizes = [fit_inside((source.shape[-2], source.shape[-1]), side) for side in (55, 110, 220)]
    targets = [resize_image(target, fit_inside((target.shape[-2], target.shape[-1]), side)) for side in (55, 110, 220)]
    # The coarsest scale: invert and reconstruct.
    coarse = resize_image(source, sizes[0])
    levels = torch.linspace(0, config.inversion_sigma, config.coarse_steps + 1).tolist()
    inverted = invert(coarse, ClosedFormDenoiser(coarse), levels)
    image = reconstruct(inverted, ClosedFormDenoiser(targets[0]), levels[::-1]).clamp(-1, 1)
    pictures = [("source, 55 px", coarse), ("inverted, sigma 0.5", inverted.clamp(-1, 1)), ("translated, 55 px", image)]
    # The finer scales: from noise, with the low frequencies of the scale below.
    for size, scale in zip(sizes[1:], targets[1:], strict=True):
        denoiser = ClosedFormDenoiser(scale, neighbors=config.neighbors)
        x = RandomStream(0).normal(1, 3, *size)
        levels = torch.linspace(1, 0, config.fine_steps + 1).tolist()
        for sigma, next_sigma in itertools.pairwise(levels):
            picture = denoiser(x, sigma, alpha_at(sigma), config.patch_stride)
            x = ddim_step(x, with_low_frequencies(picture, image), sigma, next_sigma)
        image = x.clamp(-1, 1)
        pictures.append((f"{max(size)} px", image))
    return pictures


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    source, target = (read_image(path) for path in (arguments.source, arguments.target))
    with torch.no_grad():
        row = [("target", target), *steps(source, target)]
    write_image(arguments.out, contact_sheet([row], cell=220), overwrite=True)


if __name__ == "__main__":
    main()
