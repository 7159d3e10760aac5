"""Commands that use a trained model: a form and a run for every use, generated from its dataclass."""

from __future__ import annotations

import dataclasses
import sys
import typing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import tyro

from lonepair.apply.base import (
    MediaInput,
    NumberedFiles,
    SizeText,
    SynthesisChanges,
    Use,
    check_support,
    field_docs,
    field_types,
    mark_of,
    result_name,
)
from lonepair.commands.flags import SYNTHESIS, name_known_flags
from lonepair.commands.forms import PREFIX, Compute, ModelPath, parse_size
from lonepair.commands.outputs import ClipOutput, FolderOutput, ImageOutput, input_name, model_name, write_result
from lonepair.commands.roles import PathRole
from lonepair.patches.config import SynthesisConfig

if TYPE_CHECKING:
    from lonepair.api.model import Model
    from lonepair.apply.sample import Sample
    from lonepair.render.results import Samples

OUTPUTS = {"Picture": ImageOutput, "Samples": FolderOutput, "Animation": ClipOutput}
"""Result of a use -> the part of the form that says where it goes."""
SIZE_HELP = " Write WIDTHxHEIGHT, or the longest side alone."


@dataclass(frozen=True)
class UseForm:
    """Base of the generated forms."""

    use: ClassVar[type[Use[Any]]]


@cache
def synthesis_flags() -> type:
    """A form with one flag for each setting of patch synthesis; flags that are left out keep the model's value."""
    docs = field_docs(SynthesisConfig)
    hints = typing.get_type_hints(SynthesisConfig)
    fields = []
    names = {name: f"`{PREFIX}{name}`" for name in docs}
    for part in dataclasses.fields(SynthesisConfig):
        optional: Any = hints[part.name] | None
        hint = Annotated[optional, tyro.conf.arg(help=name_known_flags(docs[part.name], names))]
        fields.append((f"{PREFIX}{part.name}", hint, field(default=None)))
    form = dataclasses.make_dataclass("SynthesisFlags", fields, frozen=True)
    form.title = SYNTHESIS  # type: ignore[attr-defined]
    return form


def use_fields(use: type[Use[Any]], skipped: frozenset[str] = frozenset()) -> list[tuple[str, Any, Any]]:
    """The fields of a form for `use`: (name, type with help, field), without those in `skipped`."""
    docs = field_docs(use)
    hints = field_types(use)
    fields: list[tuple[str, Any, Any]] = []
    for part in dataclasses.fields(use):
        if part.name in skipped:
            continue
        hint, mark, default = hints[part.name], mark_of(hints[part.name]), part.default
        is_required = default is dataclasses.MISSING
        text = docs[part.name]
        if isinstance(mark, SynthesisChanges):
            fields.append((part.name, synthesis_flags(), field(default_factory=synthesis_flags())))
            continue
        if isinstance(mark, NumberedFiles):
            argument = tyro.conf.arg(metavar="FILE", help=text)
            files: Any = Annotated[tuple[Path, ...], tyro.conf.UseAppendAction, argument, PathRole.INPUT]
            fields.append((mark.flag, files, field(default=(), kw_only=True)))
            continue
        if isinstance(mark, MediaInput):
            metavar = mark.metavar if is_required or not mark.is_positional else f"[{mark.metavar}]"
            argument = tyro.conf.arg(metavar=metavar, help=text)
            kind: Any = Path if is_required else Path | None
            hint = Annotated[kind, argument, PathRole.INPUT]
            hint = Annotated[hint, tyro.conf.Positional] if mark.is_positional else hint
        elif isinstance(mark, SizeText):
            hint = Annotated[str, tyro.conf.arg(metavar="WxH|N", help=text + SIZE_HELP)]
            default = default if is_required else ""
        else:
            hint = Annotated[hint, tyro.conf.arg(help=text)]
            default = use.command_defaults.get(part.name, default)
        fields.append((part.name, hint, field(kw_only=True) if is_required else field(default=default, kw_only=True)))
    # Positional arguments come in the order of the form.
    return sorted(fields, key=lambda item: "Positional" not in str(item[1]))


def use_form(use: type[Use[Any]], *extra: tuple[str, Any, Any]) -> type:
    """The form of the command for `use`, with the fields `extra` after its own."""
    output = OUTPUTS[result_name(use)]
    model = Annotated[ModelPath, tyro.conf.arg(metavar="MODEL", help="A model.safetensors, or the folder of a run.")]
    return dataclasses.make_dataclass(
        use.__name__,
        [
            ("model", model, field(kw_only=True)),
            *use_fields(use),
            *extra,
            ("output", output, field(default_factory=output, kw_only=True)),
            ("compute", Compute, field(default_factory=Compute, kw_only=True)),
        ],
        bases=(UseForm,),
        frozen=True,
        namespace={"__doc__": use.__doc__, "use": use},
    )


def synthesis_changes(values: Any) -> dict[str, Any]:
    """Setting of patch synthesis -> value, for those that the form `values` of `synthesis_flags` has."""
    return {name.removeprefix(PREFIX): value for name, value in dataclasses.asdict(values).items() if value is not None}


def filled_use(use: type[Use[Any]], values: Any, own: tuple[int, int], **changes: Any) -> Use[Any]:
    """The use with the settings of a filled form.

    Args:
        use: Its class.
        values: The form.
        own: (h, w) whose aspect a size without height takes.
        **changes: Settings that the form does not have.
    """
    hints = field_types(use)
    settings: dict[str, Any] = {}
    for part in dataclasses.fields(use):
        mark = mark_of(hints[part.name])
        flag = mark.flag if isinstance(mark, NumberedFiles) else part.name
        if part.name in changes or not hasattr(values, flag):
            continue
        value = getattr(values, flag)
        if isinstance(mark, SizeText):
            value = parse_size(value, own) if value else None
        elif isinstance(mark, SynthesisChanges):
            value = synthesis_changes(value) or None
        elif isinstance(mark, NumberedFiles):
            value = value or None
        settings[part.name] = value
    return use(**settings, **changes)


def training_size(model: Model) -> tuple[int, int]:
    """(h, w) of the first domain's images as the model was trained."""
    return next(iter(model.method.sizes.values()))[-1]


def run_use(values: Any) -> int:
    """Run the use of a filled form, save its result and print the file's name."""
    from tqdm.auto import tqdm

    output = values.output
    output.check()
    model = values.compute.load(values.model)
    use = filled_use(values.use, values, training_size(model))
    name = f"{_input_name(values) or model_name(model.settings, values.model)}-{values.use.name}"
    if isinstance(output, FolderOutput):
        write_samples(model.apply(use), output, name)
        return 0
    path = output.path(name)
    result = model.apply(use)
    if isinstance(output, ClipOutput):
        bar = {"desc": values.use.name, "total": getattr(values, "frames", None), "file": sys.stderr}

        def show(frames: Any) -> Any:
            return iter(tqdm(frames, **bar))

        paths = write_result(
            path, output.overwrite, lambda file: result.save(file, progress=show, encoding=output.encoded.encoding())
        )
    else:
        paths = write_result(path, output.overwrite, result.save)
    print(*paths, sep="\n")
    return 0


def _input_name(values: Any) -> str:
    """The name of the image that a filled form names as the input of its use; empty where there is none."""
    hints = field_types(values.use)
    for part in dataclasses.fields(values.use):
        mark, value = mark_of(hints[part.name]), getattr(values, part.name, None)
        if isinstance(mark, MediaInput) and mark.is_positional and mark.metavar != "MASK" and value is not None:
            return input_name(value)
    return ""


def sample_form(_: list[str]) -> type:
    """The form of `sample`: the use's, and a switch for the sheet of start stages."""
    from lonepair.apply.sample import Sample

    text = "Also write stage-sheet.png: random images from every start stage, a row each."
    switch = ("stage_sheet", Annotated[bool, tyro.conf.arg(help=text)], field(default=False, kw_only=True))
    return use_form(Sample, switch)


def run_sample(values: Any) -> int:
    """Write samples, a sheet of them and, if asked for, a sheet of start stages."""
    from lonepair.apply.sample import SampleStageSheet

    values.output.check()
    model = values.compute.load(values.model)
    own = training_size(model)
    samples = sample_with_bar(model, cast(Any, filled_use(values.use, values, own)))
    folder = write_samples(samples, values.output, f"{model_name(model.settings, values.model)}-samples")
    if values.stage_sheet:
        sheet = model.apply(filled_use(SampleStageSheet, values, own, count=4))
        print(sheet.save(folder / "stage-sheet.png", values.output.overwrite))
    return 0


def sample_with_bar(model: Model, use: Sample) -> Samples:
    """The samples of `use`, with a progress bar."""
    from tqdm.auto import tqdm

    check_support(type(use), type(model.method))
    bar: Any = None

    def advance(count: int) -> None:
        nonlocal bar
        if bar is None:  # a size that is refused needs no bar
            total = use.count * len(model.method.domains)
            bar = tqdm(desc="sampling", total=total, unit="image", file=sys.stderr)
        bar.update(count)

    samples = use.run_with_progress(model, advance)
    if bar is not None:
        bar.close()
    return samples


def write_samples(samples: Samples, output: FolderOutput, name: str) -> Path:
    """Write samples as numbered files, and all of them on one sheet.

    Args:
        samples: The images.
        output: Where the user wants them.
        name: Name of the folder if the user gave none.

    Returns:
        The folder.
    """
    from lonepair.media.stills.image import write_image

    folder = output.folder(name)
    samples.save(folder, output.overwrite)
    write_image(folder / "sheet.png", samples.sheet(), {}, output.overwrite)
    print(folder / "sheet.png")
    return folder
