"""Arguments become a form: tyro parses them into the fields that they mention; the others have their defaults.

A form has up to 170 fields, and tyro takes a third of a second for them.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from functools import partial
from typing import Any

import tyro

from lonepair.apply.base import field_types

CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)


def parse_all(form: type, name: str, arguments: Sequence[str]) -> Any:
    """The dataclass `form` of the command `name`, filled from `arguments`, of which tyro explains the wrong ones."""
    return tyro.cli(form, args=list(arguments), prog=f"lonepair {name}", config=CONFIG)


def parse_mentioned(form: type, name: str, arguments: Sequence[str]) -> Any:
    """The same, in less time, for arguments that are right."""
    words = {word.partition("=")[0].replace("_", "-") for word in arguments if word.startswith("-")}
    return _fill(form, parse_all(_reduce(form, words), name, arguments), None)


def _default(part: dataclasses.Field[Any], defaults: Any) -> Any:
    """The default of a field; `dataclasses.MISSING` if it has none."""
    if defaults is not None:
        return getattr(defaults, part.name)
    return part.default if part.default_factory is dataclasses.MISSING else part.default_factory()


def _reduce(form: type, words: set[str], defaults: Any = None) -> type:
    """A dataclass with those fields of `form` that are required or in `words`.

    Args:
        form: A dataclass; those within it are reduced, too.
        words: Flags.
        defaults: An instance whose values are the defaults.
    """
    hints = field_types(form)
    fields: list[tuple[str, Any, Any]] = []
    for part in dataclasses.fields(form):
        default, hint = _default(part, defaults), hints[part.name]
        if dataclasses.is_dataclass(hint):
            group = _reduce(typing.cast(type, hint), words, default)
            if dataclasses.fields(group):
                fields.append((part.name, group, dataclasses.field(default_factory=group)))
        elif default is dataclasses.MISSING:
            fields.append((part.name, hint, dataclasses.field()))
        elif _flags(part.name, hint) & words or tyro.conf.Positional in getattr(hint, "__metadata__", ()):
            fields.append((part.name, hint, dataclasses.field(default_factory=partial(_same, default))))
    return dataclasses.make_dataclass(form.__name__, fields, frozen=True, kw_only=True)


def _same(value: Any) -> Any:
    return value


def _flags(name: str, hint: Any) -> set[str]:
    """The spellings of a field's flag."""
    flag = name.replace("_", "-")
    aliases = [word for mark in getattr(hint, "__metadata__", ()) for word in getattr(mark, "aliases", None) or ()]
    return {f"--{flag}", f"--no-{flag}", *aliases}


def _fill(form: type, values: Any, defaults: Any) -> Any:
    """`form` with the values of a reduced one, and its defaults elsewhere."""
    hints = field_types(form)
    filled: dict[str, Any] = {}
    for part in dataclasses.fields(form):
        if not hasattr(values, part.name):
            continue
        value = getattr(values, part.name)
        if dataclasses.is_dataclass(hints[part.name]):
            value = _fill(typing.cast(type, hints[part.name]), value, _default(part, defaults))
        filled[part.name] = value
    return form(**filled) if defaults is None else dataclasses.replace(defaults, **filled)
