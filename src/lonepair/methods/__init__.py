"""The installed methods: entry points of the group `lonepair.methods`, of this package and of others."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from lonepair.errors import UserError
from lonepair.methods.base import Method

DEFAULT = "lonepair"
"""Default method of a pair of images."""
DEFAULT_SINGLE = "consingan"
"""Default method of one image, the method with most uses."""
DEFAULT_SAMPLES = "lonepair-single"
"""Default method of one image for `generate`, which only samples."""
PREVIEW = "closed-form"
"""Method of a first picture without a training; its preset `preview` is made for it."""

ATTRIBUTES = {
    "name": (str, "the name of its entry point, such as 'mine'"),
    "domains": (tuple, "('a',) for one image or ('a', 'b') for a pair: derive from SingleMethod or PairMethod"),
    "config_class": (type, "its subclass of Config"),
    "citation": (str, "BibTeX of the publication"),
    "inference_nets": (tuple, "the names in `nets` that use needs, such as ('g',)"),
    "uses": (frozenset, "names of uses, such as frozenset({'sample'})"),
    "accepts_several": (bool, "True if it trains on several images or a clip, else False"),
}
"""Required class attribute of a method -> its type, and the value to set."""


@cache
def _table() -> dict[str, EntryPoint]:
    """Method name -> its entry point."""
    table: dict[str, EntryPoint] = {}
    for point in entry_points(group="lonepair.methods"):
        # One entry point may be listed twice with one value, for example by an editable installation.
        if point.name in table and table[point.name].value != point.value:
            raise UserError(
                f"two installed packages offer a method {point.name!r} ({table[point.name].value} and {point.value}); "
                "uninstall one of them"
            )
        table[point.name] = point
    return table


def names() -> list[str]:
    """Names of all installed methods, sorted."""
    return sorted(_table())


def get_method(name: str) -> type[Method]:
    """The class of the method `name`.

    Raises:
        UserError: if no installed method has that name, or if the class is incomplete; the message says what to do.
    """
    if name not in _table():
        near = get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"method {name!r} is unknown; {hint}installed methods: {', '.join(names())}")
    return _load(name)


@cache
def _load(name: str) -> type[Method]:
    """The class of the installed method `name`, checked once."""
    method: type[Method] = _table()[name].load()
    check_class(method)
    return method


def check_class(method: type[Method]) -> None:
    """Check that a method's class has every attribute and function, and settings with unique names.

    Raises:
        UserError: one line that names the class, the missing attribute or functions, and the remedy.
    """
    where = f"method class {method.__module__}.{method.__qualname__}"
    for attribute, (kind, what) in ATTRIBUTES.items():
        if not hasattr(method, attribute):
            raise UserError(f"{where} has no attribute {attribute!r}; set {attribute} to {what}")
        if not isinstance(getattr(method, attribute), kind):
            value = getattr(method, attribute)
            raise UserError(f"{where} has {attribute} = {value!r}; set {attribute} to {what}")
    # Python itself reports them only when the class is used, after the inputs were decoded.
    if missing := sorted(method.__abstractmethods__):
        raise UserError(f"{where} has no {', '.join(missing)}; define each as lonepair.methods.base.Method describes")
    # It asserts that no two groups have a setting of one name.
    method.config_class.setting_groups()
