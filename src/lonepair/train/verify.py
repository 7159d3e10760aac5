"""Checks of the files in a run's folder before it is continued. What can be made again is; the rest is named."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.stills.image import read_image, write_image
from lonepair.methods.base import Method
from lonepair.storage.files import atomic_write, separate, special_kind
from lonepair.storage.temporary import remove_all
from lonepair.train.checkpoint import PROGRESS, load_model, save_model
from lonepair.train.validation import MAX_LINE, parse_json

logger = logging.getLogger("lonepair")

FOLDERS = ("state", "previews", "inputs", "tensorboard")
"""Folders in that of a run."""
_GROWING = ("log.txt", "metrics.jsonl", "state/lock")
"""Files that are written in place."""


def check_places(run: Path) -> None:
    """Refuse a run's folder through which files outside it would be written, or that has folders in place of files.

    Raises:
        UserError: A folder in it, or a file that grows, is a link that leads out of it, or is of another kind.
    """
    root = run.resolve()
    for name in (*FOLDERS, *_GROWING):
        path = run / name
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise UserError(f"{path}: is a link that leads out of the run's folder; put what it names in its place")
        is_folder = name in FOLDERS
        if path.exists() and path.is_dir() != is_folder and name != "log.txt":
            raise UserError(f"{path}: is {'no folder' if is_folder else 'no file'}; move it away to continue the run")
        if kind := special_kind(path):
            raise UserError(f"{path}: is {kind}; move it away to continue the run")


def tidy(run: Path) -> None:
    """Make missing folders, remove temporary files of killed processes, and name previews that cannot be read.

    The caller has the run's lock.
    """
    for folder in (run, *(run / name for name in FOLDERS)):
        remove_all(folder)
    for name in ("state", "previews"):
        (run / name).mkdir(exist_ok=True)
    for path in sorted((run / "previews").glob("stage-*.png")):
        if not _is_readable(path):
            logger.warning("%s: cannot be read; the preview of an earlier stage cannot be made again", path)
    _repair_log(run / "log.txt")


def _is_readable(path: Path) -> bool:
    try:
        read_image(path)
    except UserError:
        return False
    return True


def _repair_log(path: Path) -> None:
    """Cut zero bytes, which a loss of power leaves, off the end of log.txt, and end its last line."""
    if not path.is_file():
        return
    separate(path)
    with path.open("r+b") as file:
        data = file.read()
        text = data.rstrip(b"\0")
        if len(text) < len(data):
            logger.warning("%s: %d bytes at its end were lost", path, len(data) - len(text))
            file.truncate(len(text))
        if text and not text.endswith(b"\n"):
            file.seek(len(text))
            file.write(b"\n")


def repair_inputs(folder: Path, images: Mapping[str, Float[Tensor, "1 c h w"]]) -> None:
    """Write DOMAIN.png for each domain where it is missing or shows other pixels.

    Args:
        folder: The run's folder `inputs`.
        images: Domain -> image at training size, in [-1, 1]. Files have 8 bits.

    Raises:
        UserError: One cannot be written.
    """
    for domain, image in images.items():
        path = folder / f"{domain}.png"
        if os.path.lexists(path):
            if _shows(path, image):
                continue
            logger.warning("%s: does not show the input; it is written again", path)
        write_image(path, image, overwrite=True)


def _shows(path: Path, image: Tensor) -> bool:
    """Whether the file has the pixels of `image`, up to the rounding to 8 bits."""
    try:
        saved = read_image(path)
    except UserError:
        return False
    return saved.shape == image.shape and bool((saved - image.cpu().clamp(-1, 1)).abs().max() < 1.01 / 255)


def cut_metrics(path: Path, size: int) -> None:
    """Cut metrics.jsonl to `size` bytes, since a resumed training reports all later steps again, and check the rest.

    Lines that hold no report are removed and named. The file then has content of its own.

    Args:
        path: The file; it need not exist.
        size: Its length when the state was saved.

    Raises:
        UserError: It cannot be written.
    """
    data = path.read_bytes() if path.exists() else b""
    lines = data[:size].splitlines(keepends=True)
    reports = [line for line in lines if _is_report(line)]
    missing = max(0, size - len(data)) + sum(map(len, lines)) - sum(map(len, reports))
    if missing:
        message = "%s: %d bytes of its lines are lost; the training does not need them, curves will have a gap"
        logger.warning(message, path, missing)
    text = b"".join(reports)
    if path.exists() and (text != data or path.stat().st_nlink > 1):
        with atomic_write(path) as temporary:
            temporary.write_bytes(text)


def _is_report(line: bytes) -> bool:
    try:
        value = parse_json(line, MAX_LINE)
    except ValueError:
        return False
    return line.endswith(b"\n") and {"stage", "step"} <= value.keys()


def repair_model(path: Path, method: Method, settings: dict[str, Any]) -> None:
    """Write the model file again if it is not that of the state.

    Args:
        path: The model file.
        method: The method as the state has it.
        settings: What `save_model` gets at this state.

    Raises:
        UserError: It cannot be written.
    """
    if problem := _model_problem(path, method, settings):
        logger.warning("%s: %s; it is written again from the state", path, problem)
        save_model(path, method, settings)


def _model_problem(path: Path, method: Method, settings: Mapping[str, Any]) -> str:
    """How the model file differs from the state; empty where it does not."""
    if not os.path.lexists(path):
        return "is missing"
    try:
        saved, saved_settings = load_model(path)
    except UserError:
        return "cannot be read"
    if saved.stage != method.stage or saved_settings.get(PROGRESS) != settings.get(PROGRESS):
        return "is of another moment than the state"
    return "" if _same(saved.model_state(), method.model_state()) else "has other weights than the state"


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether the tensors have the same names and bits."""
    return one.keys() == other.keys() and all(
        torch.equal(tensor, other[name].detach().cpu()) for name, tensor in _on_cpu(one)
    )


def _on_cpu(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    return ((name, tensor.detach().cpu()) for name, tensor in tensors.items())
