"""The command `convert`: a model from a checkpoint of the authors' code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from lonepair.commands.outputs import OutFile
from lonepair.commands.roles import PathRole
from lonepair.errors import UserError


@dataclass(frozen=True)
class Convert:
    """Convert a model that the authors' own code of SinGAN, ConSinGAN or Structural Analogy saved.

    No code of the files runs. `sample`, `translate` and the other commands use the result like any other model."""

    examples: ClassVar[tuple[tuple[str, str], ...]] = (
        ("lonepair convert TrainedModels/stone/scale_factor=0.750000,alpha=10 -o stone.safetensors", "SinGAN"),
        ("lonepair convert output0 -o eggs.safetensors", "Structural Analogy, of `--img_size 220`"),
    )

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER"), PathRole.INPUT]
    """The folder with Gs.pth, Zs.pth and NoiseAmp.pth (SinGAN), with G.pth, fixed_noise.pth and noise_amp.pth
    (ConSinGAN), or with Gs_a.pth, Gs_b.pth and their NoiseAmp files (Structural Analogy)."""
    out: OutFile = None
    """File to write (.safetensors). If omitted, FOLDER.safetensors in the current folder."""
    overwrite: bool = False
    """Replace an existing file."""
    image_size: int = 220
    """--img_size of the training, for Structural Analogy alone, whose files do not state it."""
    min_size: int = 0
    """--min_size of the training, for Structural Analogy alone. If omitted, 18 for 11 stages and 25 for 10."""


def run_convert(values: Convert) -> int:
    """Write the model, and print its name.

    Raises:
        UserError: for a folder that cannot be converted, and for an output that cannot be written.
    """
    from lonepair.storage.files import check_output
    from lonepair.train.checkpoint import SUFFIX, save_model
    from lonepair.train.conversion import convert

    if values.image_size < 12 or values.min_size < 0:
        raise UserError(f"image_size is {values.image_size}, min_size {values.min_size}: give those of the training")
    folder = values.folder.expanduser()
    out = Path(f"{folder.resolve().name}{SUFFIX}") if values.out is None else values.out.expanduser()
    check_output(out, (SUFFIX,), values.overwrite)
    method, settings = convert(folder, values.image_size, values.min_size)
    print(save_model(out, method, settings))
    return 0
