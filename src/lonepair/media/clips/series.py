"""Which files of a folder are the frames of its clip, and their order: by number, one file for each number."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lonepair.errors import UserError
from lonepair.storage.files import natural_order

_NAME = re.compile(r"(.*?)(-?)(\d+)(\D*)")
"""Text, sign, last number and what follows it: "frame", "-", "1", "_mask"."""

_PREFERRED = (".exr", ".tif", ".tiff", ".png")
"""Of a number's files of several formats these come first where the formats have equally many files."""


@dataclass(frozen=True)
class _Name:
    """The parts of a file's name."""

    file: Path
    prefix: str
    sign: str
    number: int
    tail: str


def choose_frames(folder: Path, files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the frames of a folder in order, and the images that are left out because others have their number.

    A file with nothing behind its number comes before one with more (0001.png before 0001_mask.png), and of several
    formats the one with the most files. A hyphen is a minus sign where the same name exists without it.

    Args:
        folder: The folder, for messages.
        files: Its images.

    Raises:
        UserError: Several files have one number, and nothing tells which of them are the frames.
    """
    names = {file: name for file in files if (name := _parse(file)) is not None}
    signed = _signed_prefixes(list(names.values()))
    by_number: dict[tuple[str, int], list[_Name]] = defaultdict(list)
    for name in names.values():
        value = -name.number if name.sign and name.prefix in signed else name.number
        prefix = name.prefix if name.prefix in signed else name.prefix + name.sign
        by_number[prefix, value].append(name)
    # One file for each number.
    left_out: set[Path] = set()
    if any(len(group) > 1 for group in by_number.values()):
        left_out = _companions(folder, by_number)
    frames = [file for file in files if file not in left_out]
    if not signed:
        return natural_order(frames), natural_order(left_out)
    # With negative numbers the natural order of names is not that of values.
    position = {name.file: key for key, group in by_number.items() for name in group}
    numbered = sorted((file for file in frames if file in position), key=lambda file: (*position[file], file.name))
    return numbered + natural_order(file for file in frames if file not in position), natural_order(left_out)


def parallel_series(frames: Sequence[Path]) -> list[str]:
    """Return the first file names of series that have the same numbers, such as frames and their masks; else nothing.

    Args:
        frames: The frames of a folder (`choose_frames`).
    """
    series: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for file in frames:
        if (name := _parse(file)) is not None:
            series[name.prefix, name.tail].setdefault(name.number, file.name)
    numbers = [frozenset(files) for files in series.values()]
    alike = [files for files in series.values() if len(files) > 1 and numbers.count(frozenset(files)) > 1]
    return sorted(files[min(files)] for files in alike)


def _parse(file: Path) -> _Name | None:
    """Split the name of a file; None where it has no number."""
    match = _NAME.fullmatch(file.stem)
    return None if match is None else _Name(file, match[1], match[2], int(match[3]), match[4])


def _signed_prefixes(names: Sequence[_Name]) -> set[str]:
    """Return the texts before a number that stand both with a hyphen and without: there the hyphen is a sign."""
    with_sign = {name.prefix for name in names if name.sign}
    return {prefix for prefix in with_sign if prefix == "" or any(n.prefix == prefix and not n.sign for n in names)}


def _companions(folder: Path, by_number: dict[tuple[str, int], list[_Name]]) -> set[Path]:
    """Return the files that are left out, so that one file for each number remains."""
    plain = Counter(n.file.suffix.lower() for group in by_number.values() for n in group if not n.tail)
    left_out: set[Path] = set()
    tails: set[str] = set()
    for group in by_number.values():
        if len(group) == 1:
            continue
        candidates = [name for name in group if not name.tail]
        candidates.sort(key=lambda name: (-plain[name.file.suffix.lower()], _rank(name.file), name.file.name))
        suffixes = {name.file.suffix.lower() for name in candidates}
        if not candidates or len(suffixes) < len(candidates):
            first, second = (name.file.name for name in (candidates or group)[:2])
            raise UserError(
                f"{folder}: {first} and {second} have the same number; move one of each two into another folder, or "
                "give the pattern of the frames, such as folder/%04d_rgb.png"
            )
        left_out |= {name.file for name in group if name is not candidates[0]}
        tails |= {name.tail for name in group if name.tail}
    # A mask without its frame is no frame either.
    return left_out | {n.file for group in by_number.values() for n in group if n.tail in tails}


def _rank(file: Path) -> int:
    """Return the place of the file's format among those that come first."""
    suffix = file.suffix.lower()
    return _PREFERRED.index(suffix) if suffix in _PREFERRED else len(_PREFERRED)
