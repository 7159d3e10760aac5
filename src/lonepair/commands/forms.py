"""Parts of the forms of several commands: dataclasses whose fields are flags."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

import lonepair.methods as methods
from lonepair.commands.flags import peek
from lonepair.commands.roles import PathRole

if TYPE_CHECKING:
    from lonepair.api.model import Model

MODEL = "model.safetensors"
"""Name of the model file in the folder of a run."""
PREFIX = "synthesis_"
"""Start of the names of the flags of patch synthesis: some settings of methods have the same names."""
ModelPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL"), PathRole.INPUT]
"""A positional that names a model file or the folder of a run."""
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE"), PathRole.INPUT]
"""A file that is read."""
SizeFlag = Annotated[str, tyro.conf.arg(metavar="WxH|N")]


@dataclass(frozen=True)
class Command:
    """A command of the command line."""

    summary: str
    """One line for the list of commands."""
    form: Callable[[list[str]], type]
    """Arguments -> the dataclass of the flags. It depends on the arguments, as each method has its own settings."""
    run: Callable[[Any], int]
    """Runs the command with a filled form; returns the exit status."""


@dataclass(frozen=True)
class Training:
    """Settings of a training beside those of the method and of `Options`."""

    title: ClassVar[str] = "Run options"

    method: str = ""
    """Method to train; `lonepair methods` lists all, with the defaults for one image and for a pair."""
    preset: str = "standard"
    """Size and duration of the training: draft, standard or full. Some methods have more presets, which `lonepair
    methods` lists."""
    run: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER"), PathRole.FOLDER] = None
    """Folder of the run. If omitted, runs/SOURCE-to-TARGET or runs/IMAGE, the next free name."""
    resume: bool = False
    """Continue the run from its last checkpoint."""
    warm_start: Annotated[Path | None, tyro.conf.arg(metavar="MODEL"), PathRole.INPUT] = None
    """A run's folder or a model file of the same method, whose weights initialize the stages."""
    dry_run: bool = False
    """Print what would be read, trained and written, and write nothing."""


@dataclass(frozen=True)
class Reuse:
    """Whether a complete run is used again."""

    title: ClassVar[str] = "Run options"

    retrain: bool = False
    """Train in a new folder even where a complete run has the same inputs and settings. Without this flag that run is
    used."""


@dataclass(frozen=True)
class Compute:
    """How a trained model is used."""

    title: ClassVar[str] = "Run options"

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on; auto uses a GPU where one is available."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of convolutions; auto uses float32 for published methods, as their authors did, and for others bfloat16
    where the hardware supports it."""
    threads: int = 0
    """Number of CPU threads; 0 uses torch's default, one for each core."""

    def load(self, path: Path) -> Model:
        """The model at `path`, a file or the folder of a run, on the device."""
        from lonepair.api.model import load

        return load(path, self.device, self.dtype, self.threads)


# -- forms with a method's settings -----------------------------------------------------------------------------------


def with_method(base: type, default: Callable[[list[str]], str] | None = None) -> Callable[[list[str]], type]:
    """Arguments -> `base` with the settings of the method and preset that the arguments name.

    Args:
        base: The form without a method's settings.
        default: Arguments -> name of the method if the arguments name none.
    """

    def build(arguments: list[str]) -> type:
        name = peek(arguments, "--method") or (default(arguments) if default else methods.DEFAULT)
        method = methods.get_method(name)
        config = method.config_class.from_preset(peek(arguments, "--preset") or "standard")
        training = Training(method=name)
        form = dataclasses.make_dataclass(
            base.__name__,
            [
                ("config", method.config_class, field(default_factory=lambda: config)),
                ("training", Training, field(default_factory=lambda: training)),
            ],
            bases=(base,),
            frozen=True,
            namespace={"__doc__": base.__doc__},
        )
        form.__module__ = base.__module__
        return form

    return build


def model_file(path: Path) -> Path:
    """`path`, or the model file in it if it is the folder of a run."""
    return path / MODEL if path.is_dir() else path


def parse_size(text: str, own: tuple[int, int], flag: str = "--size") -> tuple[int, int]:
    """As `lonepair.media.sizes.parse_size`."""
    from lonepair.media import sizes

    return sizes.parse_size(text, own, flag)
