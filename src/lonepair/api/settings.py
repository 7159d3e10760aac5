"""The settings of uses and trainings as plain descriptions, from which forms are made. They are those of the commands.

The text of a setting is that of its dataclass, as `--help` shows it. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

import lonepair.methods as methods
from lonepair.apply.base import (
    MediaInput,
    NumberedFiles,
    SizeText,
    SynthesisChanges,
    Use,
    field_docs,
    is_supported,
    mark_of,
    uses,
)
from lonepair.train.options import Options

Kind = Literal["switch", "integer", "number", "text", "choice", "size", "file", "files"]


@dataclass(frozen=True)
class Setting:
    """One setting of a use or of a training."""

    name: str
    kind: Kind
    """Kind of its value: "size" is (h, w) in pixels, "file" a path or an image."""
    help: str
    default: Any
    """None where the setting can be left out or is required."""
    is_required: bool = False
    choices: tuple[str, ...] = ()
    """Words that it takes: all values of a "choice", or those beside a number, such as "auto"."""
    is_optional: bool = False
    """Whether None leaves it out."""
    metavar: str = ""
    """Of a file: what it is, such as "MASK"."""


def use_settings(name: str) -> list[Setting]:
    """The settings of the use `name`, in their order. Changes of patch synthesis are left out.

    Raises:
        UserError: There is no such use.
    """
    use = uses()[name]
    hints, docs = typing.get_type_hints(use, include_extras=True), field_docs(use)
    return [
        _setting(field, hints[field.name], docs[field.name])
        for field in dataclasses.fields(use)
        if not isinstance(mark_of(hints[field.name]), SynthesisChanges)
    ]


def use_summary(name: str) -> str:
    """One sentence that says what the use `name` does."""
    return str(uses()[name].__doc__).split("\n", 1)[0]


def use_names(method: str) -> list[str]:
    """Names of the uses that models of `method` support."""
    kind = methods.get_method(method)
    return [name for name, use in uses().items() if is_supported(use, kind)]


def methods_that_support(use: str) -> list[str]:
    """Names of the methods whose models support a use."""
    kind: type[Use[Any]] = uses()[use]
    return [name for name in methods.names() if is_supported(kind, methods.get_method(name))]


def method_settings(method: str, preset: str = "standard") -> list[Setting]:
    """The settings of a method that its help shows first, with the defaults of `preset`."""
    config = methods.get_method(method).config_class
    values = config.from_preset(preset).to_dict()
    groups = [config, *(type(getattr(config(), field.name)) for field in dataclasses.fields(config))]
    settings: dict[str, Setting] = {}
    for group in groups:
        if not dataclasses.is_dataclass(group):
            continue
        hints, docs = typing.get_type_hints(group, include_extras=True), field_docs(group)
        for field in dataclasses.fields(group):
            if field.name in values and field.name in docs:
                described = _setting(field, hints[field.name], docs[field.name])
                settings[field.name] = dataclasses.replace(described, default=values[field.name])
    return [settings[name] for name in config.basic if name in settings]


def option_settings() -> list[Setting]:
    """The run options of every training."""
    hints, docs = typing.get_type_hints(Options), field_docs(Options)
    return [_setting(field, hints[field.name], docs[field.name]) for field in dataclasses.fields(Options)]


def presets(method: str) -> list[str]:
    """Names of a method's presets."""
    return list(methods.get_method(method).config_class.presets)


def _setting(field: dataclasses.Field[Any], hint: Any, text: str) -> Setting:
    is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    default = None if is_required or field.default is dataclasses.MISSING else field.default
    mark = mark_of(hint)
    plain = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    is_union = isinstance(plain, types.UnionType) or typing.get_origin(plain) is typing.Union
    parts = list(typing.get_args(plain)) if is_union else [plain]
    words = [str(word) for part in parts if typing.get_origin(part) is Literal for word in typing.get_args(part)]
    metavar = mark.metavar if isinstance(mark, MediaInput) else ""
    is_optional = types.NoneType in parts
    return Setting(field.name, _kind(mark, parts), text, default, is_required, tuple(words), is_optional, metavar)


def _kind(mark: object, parts: list[Any]) -> Kind:
    """The kind of a setting with `mark`, whose type allows `parts`."""
    if isinstance(mark, MediaInput):
        return "file"
    if isinstance(mark, NumberedFiles):
        return "files"
    if isinstance(mark, SizeText):
        return "size"
    kinds: dict[Any, Kind] = {bool: "switch", int: "integer", float: "number", str: "text"}
    return next((kinds[part] for part in parts if part in kinds), "choice")
