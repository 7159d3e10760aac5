"""What a command does with the files that a field of its form names: the mark of every field that holds paths."""

from __future__ import annotations

import typing
from enum import Enum, auto


class PathRole(Enum):
    """What a command does with a path."""

    INPUT = auto()
    """It is read, and no output replaces it."""
    FILE = auto()
    """It is written, perhaps with a contact sheet beside it: a file, a sequence, or an existing folder for the file."""
    FRAMES = auto()
    """Numbered files are written into it."""
    FOLDER = auto()
    """Files of the command's own names are written into it."""


def path_role(hint: object) -> PathRole | None:
    """Return the role that the type of a field states; None without one."""
    marks = getattr(hint, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, PathRole)), None)


def holds_paths(hint: object) -> bool:
    """Return whether a field of type `hint` holds paths: one, several, or perhaps none."""
    return "Path" in {getattr(part, "__name__", "") for part in _parts(hint)}


def _parts(hint: object) -> list[object]:
    """Return a type and all types within it."""
    return [hint, *(part for inner in typing.get_args(hint) for part in _parts(inner))]
