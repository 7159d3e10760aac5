"""Inputs that no output may replace, however both are named: by links, by another case, or inside a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from lonepair.errors import UserError


@dataclass(frozen=True)
class _Inputs:
    files: frozenset[tuple[int, int]]
    """Device and number of each file: the same for all of its names."""
    folders: frozenset[tuple[int, int]]


_NONE = _Inputs(frozenset(), frozenset())
_INPUTS: ContextVar[_Inputs] = ContextVar("_INPUTS", default=_NONE)


@contextlib.contextmanager
def protected(paths: Iterable[Path]) -> Iterator[None]:
    """Context in which `check_not_input` refuses to replace `paths`: files, and all files in folders."""
    files: set[tuple[int, int]] = set()
    folders: set[tuple[int, int]] = set()
    for path in paths:
        if (identity := _identity(path)) is not None:
            (folders if path.is_dir() else files).add(identity)
    token = _INPUTS.set(_Inputs(frozenset(files), frozenset(folders)))
    try:
        yield
    finally:
        _INPUTS.reset(token)


def check_not_input(path: Path) -> None:
    """Refuse an output at `path` that would replace an input.

    Raises:
        UserError: `path` exists and is an input, or lies in a folder that is one.
    """
    inputs = _INPUTS.get()
    if not inputs.files and not inputs.folders:
        return
    identity = _identity(path)
    if identity is None:
        return
    if identity in inputs.files or identity in inputs.folders:
        raise UserError(f"{path}: is an input, which no output replaces; choose another name")
    if _identity(path.parent) in inputs.folders:
        raise UserError(f"{path}: lies in a folder that is an input, and exists; choose another folder")


def check_not_input_folder(folder: Path) -> None:
    """Refuse a folder for numbered files that is an input itself.

    Raises:
        UserError: It is one.
    """
    if _identity(folder) in _INPUTS.get().folders:
        raise UserError(f"{folder}: is an input, which no output replaces; choose another folder")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of the file or folder that `path` names; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    # A file system without numbers: the path itself.
    return (status.st_dev, status.st_ino) if status.st_ino else (0, hash(os.path.realpath(path)))
