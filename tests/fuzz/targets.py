"""What a case does with a file from a stranger: all that commands do with it, at small sizes."""

from __future__ import annotations

import contextlib
import io
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

from bases import run_job

from lonepair.api.model import load
from lonepair.api.reuse import find_complete_run
from lonepair.commands.about import Info, run_info
from lonepair.errors import UserError
from lonepair.evaluate.curves import loss_charts
from lonepair.evaluate.runs import open_run
from lonepair.media.source import open_source
from lonepair.media.stills.image import read_image, read_metadata
from tiny_settings import picture

MAX_FRAMES = 40


def use_model(path: Path) -> None:
    """Print the model, and translate or generate an image with it."""
    with contextlib.redirect_stdout(io.StringIO()):
        run_info(Info(path))
    model = load(path, "cpu", "float32", 1)
    if "translate" in model.method.uses:
        model.translate(picture(16, 14), size=(16, 14))
    else:
        model.sample(1, size=(16, 14))


def use_run(path: Path) -> None:
    """Read a run's folder as `info`, `eval`, a repeated command and `--resume` do."""
    steps: list[Callable[[], object]] = [
        lambda: use_model(path / "model.safetensors"),
        lambda: loss_charts(open_run(path).history),
        lambda: find_complete_run(run_job(), [path]),
        lambda: run_job().run(run_job().folder(path, True), resume=True),
    ]
    refusal: UserError | None = None
    for step in steps:
        try:
            step()
        except UserError as error:
            refusal = error
    if refusal is not None:
        raise refusal


def use_image(path: Path) -> None:
    """Read an image as an input, and its metadata."""
    read_metadata(path)
    read_image(path)
    use_clip(path)


def use_clip(path: Path) -> None:
    """Read the first frames of a clip, as an input."""
    source = open_source(path)
    for frame in itertools.islice(source.frames(), MAX_FRAMES):
        assert frame.image.isfinite().all()


TARGETS: dict[str, Callable[[Path], None]] = {
    "models": use_model,
    "runs": use_run,
    "images": use_image,
    "clips": use_clip,
}
"""Kind of file -> what is done with one."""


def copy_run(run: Path, changed: str, data: bytes, copy: Path) -> Path:
    """A copy of the folder `run` at `copy` whose file `changed` holds `data`."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    (copy / changed).write_bytes(data)
    return copy
