"""The inputs and outputs of a filled form: before any work, an output that would replace an input is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUTPUTS = frozenset({"out", "save_frames", "run", "model_out", "folder"})
"""Fields of forms that name what is written."""


def form_paths(values: Any) -> Iterator[tuple[str, Path]]:
    """Yield the field and the value of each path in a filled form and its parts."""
    for part in dataclasses.fields(values):
        value = getattr(values, part.name)
        if dataclasses.is_dataclass(value):
            yield from form_paths(value)
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, Path):
                yield part.name, item.expanduser()


@contextlib.contextmanager
def inputs_protected(values: Any) -> Iterator[None]:
    """Context in which no output of the form's command replaces one of its inputs.

    Raises:
        UserError: An output that the form names would do so.
    """
    if not dataclasses.is_dataclass(values):
        yield
        return
    paths = list(form_paths(values))
    if not any(name not in OUTPUTS for name, _ in paths):
        yield
        return
    from lonepair.storage.protect import check_not_input, check_not_input_folder, protected

    inputs = [file for name, path in paths if name not in OUTPUTS for file in _files(path)]
    with protected(inputs):
        for name, path in paths:
            if name == "out" and not path.is_dir():
                for file in _written_beside(path):
                    check_not_input(file)
            elif name in ("out", "save_frames"):
                is_folder_of_numbers = name == "save_frames" or hasattr(getattr(values, "output", None), "folder")
                if is_folder_of_numbers:
                    check_not_input_folder(path)
                    for file in inputs:
                        if re.fullmatch(r"\d+(-\w)?\.\w+|sheet\.png", file.name):
                            check_not_input(path / file.name)
        yield


def _files(path: Path) -> list[Path]:
    """The files that an input names: itself, those of a sequence, and the model in the folder of a run."""
    from lonepair.media.clips.sequence import input_pattern

    if pattern := input_pattern(path):
        return list(pattern.files().values())
    return [path]


def _written_beside(path: Path) -> list[Path]:
    """The output `path`, or all files of a sequence, and its contact sheet."""
    from lonepair.media.clips.sequence import parse_pattern, stem

    pattern = parse_pattern(path)
    sheet = path.with_name(f"{stem(path)}-sheet.png")
    if pattern is None:
        return [path, sheet]
    files = [pattern.path(number) for number in pattern.numbers()] if pattern.folder.is_dir() else []
    return [*files, sheet]
