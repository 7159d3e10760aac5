"""The table of methods: entry points of the group `lonepair.methods`, ours and those of other packages."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from lonepair.errors import UserError
from lonepair.methods.base import Method

DEFAULT = "lonepair"
"""The method that is used for a pair where none is named."""
DEFAULT_SINGLE = "consingan"
"""The method that is used for one image where none is named: the one with most uses."""
DEFAULT_SAMPLES = "lonepair-single"
"""The method that is used for one image where all that is wanted is others like it."""


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
    """The method called `name`.

    Raises:
        UserError: where there is none, with the nearest name.
    """
    if name not in _table():
        near = get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"method {name!r} is unknown; {hint}installed methods: {', '.join(names())}")
    method: type[Method] = _table()[name].load()
    return method
