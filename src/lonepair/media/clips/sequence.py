"""Clips as numbered files: `name.%04d.exr` or `name.####.png` stands for all files of that name with a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lonepair.errors import UserError
from lonepair.media.stills.image import check_image_output
from lonepair.storage.files import error_reason

_FIELD = re.compile(r"%(?:0(\d{1,2}))?d|(#{2,})")
"""The place of the number: `%d`, `%04d`, or two or more `#`. A single `#` is an ordinary character of names."""

PATTERN_EXAMPLE = "name.%04d.exr or name.####.png"
"""How messages show a pattern."""


@dataclass(frozen=True)
class SequencePattern:
    """A folder and the common part of the names of numbered files."""

    folder: Path
    prefix: str
    """Name before the number."""
    digits: int
    """Smallest number of digits; shorter numbers begin with zeros."""
    suffix: str
    """Name behind the number, such as ".exr"."""
    text: Path
    """The pattern as the user wrote it."""

    def path(self, number: int) -> Path:
        """Return the file of `number`, 0 or more."""
        return self.folder / f"{self.prefix}{number:0{self.digits}d}{self.suffix}"

    def numbers(self) -> list[int]:
        """Return the numbers of all files that exist, in order.

        Raises:
            UserError: The folder is missing or cannot be read.
        """
        name = re.compile(re.escape(self.prefix) + r"(-?\d+)" + re.escape(self.suffix))
        try:
            matches = [match for file in self.folder.iterdir() if (match := name.fullmatch(file.name))]
        except FileNotFoundError:
            raise UserError(f"{self.text}: the folder {self.folder} does not exist; check the name") from None
        except OSError as error:
            raise UserError(f"{self.text}: cannot be read ({error_reason(error)}); check the folder") from error
        # With four digits 0007 is number 7, and 00007 or 7 belong to another sequence.
        return sorted(int(match[1]) for match in matches if match[0] == self.path(int(match[1])).name)

    def files(self) -> dict[int, Path]:
        """Return the file of each number, in order.

        Raises:
            UserError: No file exists, a number between the first and the last is missing, or the folder is missing.
        """
        numbers = self.numbers()
        if not numbers:
            raise UserError(f"{self.text}: no file has such a name, for instance {self.path(1).name}; check the name")
        first, last = numbers[0], numbers[-1]
        if missing := last - first + 1 - len(numbers):
            first_missing = next(number + 1 for number, after in pairwise(numbers) if after > number + 1)
            count = "1 file is" if missing == 1 else f"{missing} files are"
            raise UserError(
                f"{self.text}: {count} missing between {self.path(first).name} and {self.path(last).name}, first "
                f"{self.path(first_missing).name}; add what is missing, or number the files without gaps"
            )
        return {number: self.path(number) for number in numbers}


def parse_pattern(path: Path) -> SequencePattern | None:
    """Return the pattern that the name of `path` is, such as `name.%04d.exr`; None where it is an ordinary name.

    A name with several places for a number is an ordinary one.
    """
    matches = list(_FIELD.finditer(path.name))
    if len(matches) != 1:
        return None
    (match,) = matches
    digits = len(match[2]) if match[2] else int(match[1] or 1)
    return SequencePattern(path.parent, path.name[: match.start()], digits, path.name[match.end() :], path)


def input_pattern(path: Path) -> SequencePattern | None:
    """Return the pattern that an input's `path` is; None for an ordinary name, and for a file that has this name."""
    return None if path.exists() else parse_pattern(path)


def check_sequence_output(pattern: SequencePattern, overwrite: bool) -> None:
    """Refuse a sequence that could not be written, before any work is done for it.

    Raises:
        UserError: The suffix is not that of an image that can be written, the folder does not exist, or files of the
            sequence exist and `overwrite` is off.
    """
    check_image_output(pattern.path(0), True)
    if not overwrite and (numbers := pattern.numbers()):
        raise UserError(
            f"{pattern.text}: {pattern.path(numbers[0]).name} exists already; give overwrite=True to replace files, or "
            "another name"
        )


def stem(path: Path) -> str:
    """Return the name of a file without suffix, of a pattern also without the number: "name" of name.%04d.exr.

    A pattern that has nothing before the number is named for its folder.
    """
    pattern = parse_pattern(path)
    return path.stem if pattern is None else pattern.prefix.rstrip("._- ") or path.absolute().parent.name


def first_number(files: list[Path]) -> int:
    """Return the number of the first of `files` if their names end with consecutive numbers, else 0."""
    matches = [re.search(r"(\d+)$", file.stem) for file in files]
    numbers = [int(match[1]) for match in matches if match]
    is_consecutive = len(numbers) == len(files) and all(after == number + 1 for number, after in pairwise(numbers))
    return numbers[0] if numbers and is_consecutive else 0
