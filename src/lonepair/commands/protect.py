"""The inputs and outputs of a filled form: before any work, an output that would replace an input is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lonepair.apply.base import field_types
from lonepair.commands.roles import PathRole, path_role


def form_paths(values: Any) -> Iterator[tuple[PathRole, Path]]:
    """Yield the role and the value of each path in a filled form and its parts."""
    hints = field_types(values.__class__)
    for part in dataclasses.fields(values):
        value = getattr(values, part.name)
        if dataclasses.is_dataclass(value):
            yield from form_paths(value)
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, Path):
                yield path_role(hints[part.name]) or PathRole.INPUT, item.expanduser()


@contextlib.contextmanager
def inputs_protected(values: Any) -> Iterator[None]:
    """Context in which no output of the form's command replaces one of its inputs.

    Raises:
        UserError: An output that the form names would do so.
    """
    paths = list(form_paths(values)) if dataclasses.is_dataclass(values) else []
    if not any(role is PathRole.INPUT for role, _ in paths):
        yield
        return
    from lonepair.storage.protect import check_not_input, check_not_input_folder, protected

    inputs = [file for role, path in paths if role is PathRole.INPUT for file in _files(path)]
    with protected(inputs):
        for role, path in paths:
            if role is PathRole.FILE and not path.is_dir():
                for file in _written_beside(path):
                    check_not_input(file)
            elif role is PathRole.FRAMES:
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
