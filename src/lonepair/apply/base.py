"""What a use of a trained model is: a dataclass of its settings with a name, a summary and a function `run`.

A use is one file of this package. The command line, the methods of `Model` and the reference page are generated from
its dataclass. This module and the uses import torch only when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import itertools
import math
import pkgutil
import sys
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from lonepair.errors import UserError, wrong_types
from lonepair.lazy import lazy
from lonepair.patches.config import SynthesisConfig

if TYPE_CHECKING:
    from torch import Tensor

    from lonepair.media import source
    from lonepair.methods.base import Method
    from lonepair.render.trained_model import TrainedModel
else:
    source = lazy("lonepair.media.source")

Result = TypeVar("Result", covariant=True)
"""What a use returns: `Picture`, `Samples`, `Animation` or `Translation`."""

MAX_SEED = 2**32 - 1
"""The largest random seed."""


# -- types of settings ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MediaInput:
    """Marks a setting that is an image or a clip: an object in Python, a path on the command line."""

    metavar: str
    """How the command line names the path."""
    is_positional: bool = True
    """Whether the command line takes the path without a flag."""


@dataclass(frozen=True)
class SizeText:
    """Marks a setting that is (h, w) in Python, and WIDTHxHEIGHT or the longest side on the command line."""


@dataclass(frozen=True)
class SynthesisChanges:
    """Marks a setting that changes patch synthesis: one flag for each field on the command line."""


@dataclass(frozen=True)
class NumberedFiles:
    """Marks a setting that holds images by number: a list or a mapping in Python, a flag for each file on the command
    line."""

    flag: str
    """Name of the flag as a field of the form."""


Mark = MediaInput | SizeText | SynthesisChanges | NumberedFiles
ImageInput = Annotated[object, MediaInput("IMAGE")]
"""A still: path, PIL image, array or tensor (1, c, h, w) in [-1, 1]."""
ImageOption = Annotated[object, MediaInput("FILE", is_positional=False)]
"""A still that the command line takes behind a flag."""
MaskInput = Annotated[object, MediaInput("MASK")]
"""A mask: path, PIL image, array or tensor."""
MaskOption = Annotated[object, MediaInput("FILE|FOLDER", is_positional=False)]
"""The mask of a still, or those of a clip's frames, that the command line takes behind a flag."""
SourceInput = Annotated[object, MediaInput("SOURCE")]
"""A still or a clip: path, folder of frames, PIL image, array or tensor (n, c, h, w) in [-1, 1]."""
KeysInput = Annotated[object, NumberedFiles("key")]
"""Keyframes: files named by frame number, or a mapping of frame numbers to images."""
SizeInput = Annotated[tuple[int, int], SizeText()]
"""(h, w) in pixels."""
SynthesisInput = Annotated[SynthesisConfig | Mapping[str, Any], SynthesisChanges()]
"""All settings of patch synthesis, or those that replace the model's own, by name."""


# -- uses -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use(ABC, Generic[Result]):
    """A use of a trained model. A subclass adds its settings, each with a docstring.

    Settings before `KW_ONLY` are positional in the generated method of `Model`.
    """

    name: ClassVar[str]
    """Name of the command, of the method of `Model` and, with underscores, of the module."""
    summary: ClassVar[str]
    """One line that starts with a verb and says what the use does."""
    requires: ClassVar[str] = ""
    """Name that a method lists in `Method.uses` to support this use. Empty: the use's own name."""
    needs_synthesis: ClassVar[bool] = False
    """Whether the use needs patch synthesis, and so a method that stores its target."""
    command_defaults: ClassVar[Mapping[str, Any]] = {}
    """Setting -> default of the command line, where it differs from the one in Python."""
    has_command: ClassVar[bool] = True
    """Whether the use is a command of its own. Uses without one are switches of other commands."""

    @abstractmethod
    def run(self, model: TrainedModel) -> Result:
        """The result of the use with `model`, whose method supports it.

        Raises:
            UserError: for inputs that cannot be read, and for settings that the model does not allow.
        """

    def problems(self) -> list[str]:
        """One message for each setting that no model allows, with its value and the remedy."""
        return []

    def __post_init__(self) -> None:
        problems = wrong_types(self)
        if not problems:
            problems = [*_seed_problems(self), *self.problems()]
        if problems:
            raise UserError("; ".join(problems))

    def metadata(self, model: TrainedModel, **changes: Any) -> dict[str, Any]:
        """The text metadata of the result: how the model was trained, and under "use" the name and the settings.

        Args:
            model: The model that ran.
            **changes: Values that replace settings, such as a start stage that the method chose.
        """
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if isinstance(getattr(self, field.name), str | int | float | bool | tuple | None)
            and not isinstance(_mark_of(type(self), field.name), MediaInput | NumberedFiles)
        }
        return {**model.settings, "use": {"name": self.name, **values, **changes}}


@cache
def uses() -> dict[str, type[Use[Any]]]:
    """Name -> class of every use, in alphabetical order. Each module of this package may define several."""
    table: dict[str, type[Use[Any]]] = {}
    package = importlib.import_module(__package__ or "lonepair.apply")
    for module in pkgutil.iter_modules(package.__path__):
        members = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
        for value in members.values():
            if inspect.isclass(value) and issubclass(value, Use) and not inspect.isabstract(value):
                table[value.name] = value
    return dict(sorted(table.items()))


def check_support(use: type[Use[Any]], method: type[Method]) -> None:
    """Raise a `UserError` where `method` does not support `use`; the message names the methods that do."""
    from lonepair import methods

    if not is_supported(use, method):
        able = [name for name in methods.names() if is_supported(use, methods.get_method(name))]
        raise UserError(f"{method.name!r} does not support {use.name}; methods that do: {', '.join(able)}")


def is_supported(use: type[Use[Any]], method: type[Method]) -> bool:
    """Whether `method` supports `use`."""
    has_synthesis = method.synthesis is not None or not use.needs_synthesis
    return (use.requires or use.name) in method.uses and has_synthesis


def result_name(use: type[Use[Any]]) -> str:
    """Name of the class that `use.run` returns, from the parameter of its base `Use["..."]`."""
    for base in use.__mro__:
        for generic in base.__dict__.get("__orig_bases__", ()):
            if typing.get_origin(generic) is Use:
                result: Any = typing.get_args(generic)[0]
                return str(getattr(result, "__forward_arg__", result))
    raise TypeError(f"{use.__name__} must derive from Use['NAME OF ITS RESULT']")


@cache
def field_docs(kind: type) -> dict[str, str]:
    """Name of a field -> the docstring under it, one line, of the dataclass `kind` and of its bases."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base) or base.__module__ == __name__:
            continue
        body = _class_bodies(base.__module__).get(base.__name__, [])  # empty for a class without source
        for statement, following in itertools.pairwise(body):
            is_doc = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if is_doc and isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                docs[statement.target.id] = " ".join(str(following.value.value).split())  # type: ignore[attr-defined]
    return docs


@cache
def field_types(kind: type) -> dict[str, Any]:
    """Field of the dataclass `kind` -> its type, with marks. `get_type_hints` compiles each annotation at each call."""
    return typing.get_type_hints(kind, include_extras=True)


@cache
def _class_bodies(module: str) -> dict[str, list[ast.stmt]]:
    """Name of a class -> its statements, for every class of `module`. `inspect.getsource` parses it for each class."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return {}
    return {node.name: node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def mark_of(hint: Any) -> Mark | None:
    """The mark in the type `hint` of a setting, also where None is allowed; None without a mark."""
    for part in (hint, *typing.get_args(hint)):
        for mark in getattr(part, "__metadata__", ()):
            if isinstance(mark, Mark):
                return mark
    return None


def _mark_of(use: type[Use[Any]], name: str) -> Mark | None:
    return mark_of(field_types(use)[name])


# -- checks that uses share -------------------------------------------------------------------------------------------


def _seed_problems(use: Use[Any]) -> list[str]:
    seed = getattr(use, "seed", 0)
    return [] if 0 <= seed <= MAX_SEED else [f"seed is {seed}: choose 0 to {MAX_SEED}"]


def number_problems(use: Use[Any], least: float, most: float, *names: str, unit: str = "") -> list[str]:
    """One message for each of the settings `names` outside [least, most], NaN included. None is a value left out."""
    limits = f"{least:g} or more" if math.isinf(most) else f"{least:g} to {most:g}"
    return [
        f"{name} is {value}: choose {limits}{unit and ' ' + unit}"
        for name, value in ((name, getattr(use, name)) for name in names)
        if value is not None and not least <= value <= most
    ]


@dataclass(frozen=True)
class StillInput:
    """An image that a use works on."""

    image: Tensor
    """(1, c, h, w) in [-1, 1]."""
    bits: int = 8
    """Bits per channel."""
    gain: Tensor | None = None
    """As `Frame.gain`, (1, 1, h, w); None where nothing exceeds 1."""


def read_still(value: object) -> StillInput:
    """The image that `value` is.

    Args:
        value: Path, PIL image, array or tensor.

    Raises:
        UserError: for a clip, and for an image that cannot be read.
    """
    opened = source.open_source(value)
    if opened.is_clip:
        raise UserError(f"{opened.name}: is a clip; give an image, such as one of its frames")
    frame = next(opened.frames())
    return StillInput(frame.image, opened.bits, frame.gain)
