"""The installed methods: entry points of the group `lonepair.methods`, ours and those of other packages."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from lonepair.errors import UserError
from lonepair.methods.base import Method, check_class

DEFAULT = "lonepair"
"""Default method of a pair."""
DEFAULT_SINGLE = "consingan"
"""Default method of one image: the one with most uses."""
DEFAULT_SAMPLES = "lonepair-single"
"""Default method of one image for `variations`, which only samples."""


@cache
def _table() -> dict[str, EntryPoint]:
    table: dict[str, EntryPoint] = {}
    for point in entry_points(group="lonepair.methods"):
        if point.name in table and table[point.name].value != point.value:
            raise UserError(
                f"two installed packages offer a method {point.name!r} ({table[point.name].value} and {point.value}); "
                "uninstall one of them"
            )
        table[point.name] = point
    return table


def names() -> list[str]:
    """Names of all methods that are installed."""
    return sorted(_table())


def get_method(name: str) -> type[Method]:
    """The class of the method called `name`.

    Raises:
        UserError: if there is none, with the nearest name, or if its class is incomplete, with what to add.
    """
    if name not in _table():
        near = get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"method {name!r} is unknown; {hint}installed methods: {', '.join(names())}")
    return _load(name)


@cache
def _load(name: str) -> type[Method]:
    """The class of an installed method, after a check that it is complete."""
    method: type[Method] = _table()[name].load()
    check_class(method)
    return method
