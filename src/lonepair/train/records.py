"""Records of runs: their numbered folders, their JSON files, and how the settings of two trainings differ."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lonepair.errors import printable
from lonepair.media.files import natural_order
from lonepair.train.validation import read_record


def numbered_paths(path: Path) -> list[Path]:
    """`path`, and those of path-2, path-3, ... that exist, by their numbers."""
    siblings = path.parent.glob(f"{glob.escape(path.name)}-*")
    numbered = [p for p in siblings if re.fullmatch(r"-([2-9]|[1-9]\d+)", p.name[len(path.name) :])]
    return [path, *natural_order(numbered)]


def same_settings(saved: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Whether two trainings have the same settings and inputs; names of files do not count, their content does."""
    return all(name.endswith(".name") for name, _, _ in differences("", dict(saved), dict(current)))


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None where the file is missing, cannot be read or holds no object."""
    return read_record(path)


def difference_text(name: str, old: Any, new: Any) -> str:
    """Describe one difference of two settings in words."""
    if name.endswith(".sha256"):
        return f"the content of input {name.split('.')[1]} has changed"
    return f"{name.removeprefix('config.')} was {printable(old, 100)}, is now {printable(new, 100)}"


def differences(prefix: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """List (dotted name, old value, new value) for all values that differ in two nested settings."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [d for name in names for d in differences(f"{prefix}{name}.", old.get(name), new.get(name))]
    return [] if old == new else [(prefix.rstrip("."), old, new)]
