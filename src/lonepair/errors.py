"""The one error family that a user's input can raise.

Everything the user can mend (a file, a flag, a size) is a `UserError`: one line that names the thing, both values
and the remedy. The command line prints that line and exits with status 2. Our own broken invariants are `assert`s.
"""

import dataclasses
import typing
from typing import Any


class UserError(ValueError):
    """A mistake in what the user gave; `str(error)` is one line that says what it is and what to do."""


def wrong_types(settings: Any) -> list[str]:
    """Every field of the dataclass `settings` whose value is not what its annotation says, with the remedy.

    Python does not check; the command line does, but a keyword or a model file may hold anything.
    """
    found = []
    kinds = typing.get_type_hints(type(settings))
    for name in (field.name for field in dataclasses.fields(settings)):
        kind, value = kinds[name], getattr(settings, name)
        if type(None) in typing.get_args(kind):
            if value is None:
                continue
            kind = next((part for part in typing.get_args(kind) if part is not type(None)), kind)
        if typing.get_origin(kind) is typing.Literal:
            choices = typing.get_args(kind)
            if value not in choices:
                found.append(f"{name} is {value!r}: choose one of {', '.join(map(str, choices))}")
        elif kind is float and (isinstance(value, bool) or not isinstance(value, int | float)):
            found.append(f"{name} is {value!r}: give a number")
        elif kind is int and (isinstance(value, bool) or not isinstance(value, int)):
            found.append(f"{name} is {value!r}: give a whole number")
        elif kind is bool and not isinstance(value, bool):
            found.append(f"{name} is {value!r}: give True or False")
    return found
