"""The error that a user's input raises.

Whatever the user can correct (a file, a setting, a size) is a `UserError`: one line that names the thing, both values
and the remedy. It names settings as Python does, in backticks: `out`; the command line prints them as flags and exits
with status 2. Broken invariants of the package are `assert`s.
"""

import dataclasses
import functools
import re
import typing
from collections.abc import Mapping
from typing import Any


class UserError(ValueError):
    """A mistake in the user's input; `str(error)` is one line with the problem and the remedy."""


class OutOfMemoryError(UserError):
    """Memory is missing, on the CPU or a GPU; the text says how much, and which setting to lower."""


_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, with ESC, which starts a terminal's commands, and line breaks
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators, and marks that reverse the order of characters
    "\ud800-\udfff\ufeff\U000e0000-\U000e007f]"  # halves of characters, and characters that are never visible
)


def printable(text: object, longest: int = 0) -> str:
    r"""`text` on one line that can be shown anywhere: what a terminal would obey is escaped, such as ESC as \x1b.

    Every text from a file passes through here before it is printed, logged or drawn.

    Args:
        text: A string, or a value that is converted to one.
        longest: Largest number of characters; a longer text ends in "...". 0: any.
    """
    plain = str(text)
    if longest and len(plain) > longest:
        plain = plain[: max(0, longest - 3)] + "..."
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], plain)


def printable_lines(text: str) -> str:
    """`text` as `printable` changes it, with its line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def name_flags(message: str, flags: Mapping[str, str]) -> str:
    """`message` with each setting in backticks replaced by its flag.

    Args:
        message: Text of a `UserError`.
        flags: Setting -> its flag, where that is not "--" and the setting's name with hyphens.
    """
    return re.sub(r"`([a-z]\w*)`", lambda m: flags.get(m[1], f"--{m[1].replace('_', '-')}"), message)


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    """Field of the dataclass `kind` -> its type. `get_type_hints` compiles each annotation at each call."""
    return typing.get_type_hints(kind)


def wrong_types(settings: Any) -> list[str]:
    """One message for each field of the dataclass `settings` whose value does not fit its annotation.

    Python does not check types; the command line does, but a keyword or a model file may hold anything.
    """
    problems = []
    kinds = _field_types(settings.__class__)
    for name in (field.name for field in dataclasses.fields(settings)):
        kind, value = kinds[name], getattr(settings, name)
        # An optional setting: None, or the other type.
        if type(None) in typing.get_args(kind):
            if value is None:
                continue
            kind = next((part for part in typing.get_args(kind) if part is not type(None)), kind)
        if typing.get_origin(kind) is typing.Literal:
            choices = typing.get_args(kind)
            if value not in choices:
                problems.append(f"{name} is {value!r}: choose one of {', '.join(map(str, choices))}")
        # Python counts True as 1, which is never what the user means here.
        elif kind is float and (isinstance(value, bool) or not isinstance(value, int | float)):
            problems.append(f"{name} is {value!r}: give a number")
        elif kind is int and (isinstance(value, bool) or not isinstance(value, int)):
            problems.append(f"{name} is {value!r}: give a whole number")
        # Larger ones overflow where they are computed with.
        elif kind in (int, float) and abs(value) >= 2**63:
            problems.append(f"{name} is too large: give a number below 2^63")
        elif kind is bool and not isinstance(value, bool):
            problems.append(f"{name} is {value!r}: give True or False")
    return problems
