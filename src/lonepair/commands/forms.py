"""What several commands share: flags, names of outputs, and the settings of the method that was typed."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import lonepair.methods as methods
from lonepair.errors import UserError

if TYPE_CHECKING:
    from lonepair.api.model import Model

MODEL = "model.safetensors"
ModelPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
"""A positional that names a model file or the folder of a run."""


@dataclass(frozen=True)
class Command:
    """A command of the command line."""

    summary: str
    arguments: Callable[[list[str]], type]
    """The dataclass of its flags; it may depend on what was typed, as a method has its own."""
    run: Callable[[Any], int]


@dataclass(frozen=True)
class Training:
    """What a training needs beside the method's own settings."""

    method: str = ""
    """Which system to train; `lonepair methods` lists them. Default: one for a pair, another for one image."""
    preset: str = "standard"
    """draft, standard or full: how large and how long; some methods have more."""
    run: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """The run's folder. Default: runs/SOURCE-to-TARGET or runs/IMAGE, the next free name."""
    resume: bool = False
    """Go on with the run where it stopped."""
    warm_start: Annotated[Path | None, tyro.conf.arg(metavar="MODEL")] = None
    """A run's folder or a model file of the same method, whose weights the stages start from."""


@dataclass(frozen=True)
class Compute:
    """How a trained model is used."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes a GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of convolutions; auto takes bfloat16 where the hardware computes in it, else float32."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch (one a core)."""

    def load(self, path: Path) -> Model:
        """The model at `path`, or of the run whose folder it is, on the device."""
        from lonepair.api.model import load

        return load(model_file(path), self.device, self.dtype, self.threads)


@dataclass(frozen=True)
class ImageOutput:
    """Where an image goes."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """File to write (.png .jpg .webp .tif). Default: out.png, the next free name."""
    overwrite: bool = False
    """Replace the file if it exists."""

    def path(self) -> Path:
        """The checked name: refuses now what would fail in the end."""
        from lonepair.media.image import WRITABLE

        return free_output(self.out, "out.png", WRITABLE, self.overwrite)


def free_output(out: Path | None, default: str, suffixes: Sequence[str], overwrite: bool) -> Path:
    """`out`, or the next free name like `default`, after checking that it can be written."""
    from lonepair.media.files import check_output, check_writable, next_free

    if out is None:
        out = Path(default) if overwrite else next_free(Path(default))
    check_output(out, suffixes, overwrite)
    check_writable(out.parent)
    return out


def with_method(base: type, default: Callable[[list[str]], str] | None = None) -> Callable[[list[str]], type]:
    """`base` with the settings of the method and preset that the arguments name, for flags, help and defaults.

    `default`: the method's name where the arguments name none.
    """

    def build(arguments: list[str]) -> type:
        name = peek(arguments, "--method") or (default(arguments) if default else methods.DEFAULT)
        method = methods.get_method(name)
        config = method.config_class.from_preset(peek(arguments, "--preset") or "standard")
        training = Training(method=name)
        extended = dataclasses.make_dataclass(
            base.__name__,
            [
                ("config", method.config_class, field(default_factory=lambda: config)),
                ("training", Training, field(default_factory=lambda: training)),
            ],
            bases=(base,),
            frozen=True,
            namespace={"__doc__": base.__doc__},
        )
        extended.__module__ = base.__module__
        return extended

    return build


def peek(arguments: Sequence[str], flag: str) -> str | None:
    """The value of `flag`, before the arguments as a whole can be understood."""
    for index, argument in enumerate(arguments):
        if argument == flag and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"{flag}="):
            return argument.split("=", 1)[1]
    return None


def positionals(arguments: Sequence[str], kind: type) -> list[str]:
    """Those of `arguments` that are neither flags of `kind` nor their values."""
    switches = {flag for flag, hint in flags(kind).items() if hint is bool} | {"-h", "--help"}
    found, rest = [], list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            found.append(word)
        elif word not in switches and "=" not in word and rest:
            rest.pop(0)
    return found


def flags(kind: Any) -> dict[str, Any]:
    """Every flag of `kind`, nested dataclasses included, and its type; positional arguments count as flags, too."""
    hints = typing.get_type_hints(kind)
    found: dict[str, Any] = {}
    for part in dataclasses.fields(kind):
        hint = hints[part.name]
        found |= flags(hint) if dataclasses.is_dataclass(hint) else {"--" + part.name.replace("_", "-"): hint}
    return found


def model_file(path: Path) -> Path:
    """`path`, or the model of the run whose folder it is."""
    return path / MODEL if path.is_dir() else path


def parse_size(text: str, own: tuple[int, int], flag: str = "--size") -> tuple[int, int]:
    """(h, w) for "640x360" (width x height) or "640" (longest side, aspect of `own` kept); "" is `own`."""
    if not text:
        return own
    if match := re.fullmatch(r"(\d+)[xX](\d+)", text):
        size = (int(match[2]), int(match[1]))
    elif text.isdecimal() and int(text):
        scale = int(text) / max(own)
        size = (max(1, round(own[0] * scale)), max(1, round(own[1] * scale)))
    else:
        raise UserError(
            f"{flag} {text}: not a size; write WIDTHxHEIGHT, such as 640x360, or the longest side, such as 640"
        )
    if min(size) < 1 or max(size) > 16384:
        raise UserError(f"{flag} {text}: both sides must be 1 to 16384 pixels")
    return size
