"""The command `translate`: train on a source and a target and translate the source, or translate with a model."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro

import lonepair.methods as methods
from lonepair.apply.translate import Translate, TranslateStageSheet
from lonepair.commands.flags import BASIC, EXPERT, NOTES, RUN, TRANSLATION, flag_types, form_flags, positionals
from lonepair.commands.forms import MODEL, Compute, OutFile, Training, free_output, parse_size, with_method
from lonepair.commands.train import fit
from lonepair.commands.use import filled_use, synthesis_changes, use_fields
from lonepair.errors import UserError
from lonepair.train.options import Options

if TYPE_CHECKING:
    from lonepair.api.model import Model
    from lonepair.media.source import Source


@dataclass(frozen=True)
class TranslateOutput:
    """The files of a translation."""

    title: ClassVar[str] = "Output"

    out: OutFile = None
    """File to write (.png .jpg .webp .tif; of a clip .mp4 .mov .mkv .gif .webp .png). If omitted, out.png or out.mp4,
    the next free name. A contact sheet NAME-sheet.png is written beside it."""
    save_frames: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Also write every frame of a clip as a numbered PNG into this folder."""
    stage_sheet: bool = False
    """Show translations from every start stage on the contact sheet."""
    overwrite: bool = False
    """Replace existing files."""


def translation_flags(skipped: frozenset[str] = frozenset()) -> type:
    """The part of the form with the settings of the use `Translate`, without those in `skipped`."""
    form = dataclasses.make_dataclass(
        "TranslationFlags", use_fields(Translate, skipped | {"source", "seed"}), frozen=True
    )
    form.title = TRANSLATION  # type: ignore[attr-defined]
    return form


SHARED = frozenset({"--seed", "--device", "--dtype", "--threads"})
"""Run options that a trained model takes, too."""


@dataclass(frozen=True)
class TranslateForm:
    """Translate SOURCE into the style of TARGET.

    With an image as TARGET: train on both, then translate. With a MODEL (a model.safetensors or a run's folder): only
    translate."""

    notes: ClassVar[Mapping[str, str]] = {
        TRANSLATION: "With an image as TARGET and with a MODEL.",
        RUN: "For training. With a MODEL, only --seed (of the noise), --device, --dtype and --threads apply.",
        BASIC: f"For training only. {NOTES[BASIC]}",
        EXPERT: f"For training only. {NOTES[EXPERT]}",
    }
    """Panel -> when its flags apply."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """An image, a video, or a folder of numbered frames."""
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET|MODEL")]
    """The image whose style is to be learned, or a trained model."""
    output: TranslateOutput = field(default_factory=TranslateOutput)
    training: Training = field(default_factory=Training)
    options: Options = field(default_factory=Options)


def translate_form(arguments: list[str]) -> type:
    """The form of `translate`.

    Raises:
        UserError: for a flag of the training beside a trained model.
    """
    training_form: Any = with_method(TranslateForm)(arguments)
    config = training_form.__dataclass_fields__["config"].type
    use_names = {name for name, _, _ in use_fields(Translate)}
    shared = use_names & set(config.setting_names())
    flags = translation_flags()
    words = positionals(arguments, _with_translation(training_form, translation_flags(frozenset(shared))))
    model = next((word for word in words[1:] if is_model(Path(word))), None)
    if model is not None:
        _refuse_training_flags(arguments, config, {f"--{name.replace('_', '-')}" for name in use_names}, model)
        return _with_translation(TranslateForm, flags)
    # A flag of both the use and the method, such as --start-stage, sets the method in a training.
    form = _with_translation(training_form, translation_flags(frozenset(shared)))
    form.use_flags = form_flags(flags, TRANSLATION)  # type: ignore[attr-defined]
    return form


def _with_translation(base: type, flags: type) -> type:
    return dataclasses.make_dataclass(
        base.__name__,
        [("translation", flags, field(default_factory=flags))],
        bases=(base,),
        frozen=True,
        namespace={"__doc__": base.__doc__},
    )


def _refuse_training_flags(arguments: list[str], config: type, use_flags: set[str], model: str) -> None:
    training = {flag for part in (Training, Options) for flag in flag_types(part)} - SHARED
    training |= flag_types(config).keys() - use_flags
    for word in arguments:
        flag = word.partition("=")[0]
        if flag.replace("--no-", "--") in training:
            raise UserError(
                f"{flag} is for training, and {model} is a trained model: leave the flag out, or "
                "give an image as TARGET"
            )


def is_model(path: Path) -> bool:
    """Whether `path` is a model file or the folder of a run that has one."""
    return path.suffix == ".safetensors" or (path / MODEL).is_file()


def run_translate(values: Any) -> int:
    """Train if the target is not a model, and write the translation and its contact sheet."""
    from lonepair.media.source import open_source

    output: TranslateOutput = values.output
    source, options = open_source(values.source), values.options
    if is_model(values.target):
        out = check_files(output, values.translation.size, source)
        compute = Compute(options.device, options.dtype, options.threads)
        _write(compute.load(values.target), source, values, out, options.seed)
        return 0
    target = open_source(values.target)
    translated, style = (target, source) if values.translation.reverse else (source, target)
    out = check_files(output, values.translation.size, translated)
    check_synthesis(values)
    model = fit(values, {"a": values.source, "b": values.target})
    _write(model, translated, values, out, 0, style)
    return 0


def check_synthesis(values: Any) -> None:
    """Check the settings of patch synthesis before the training rather than after it.

    Raises:
        UserError: The method stores no target, or a value is wrong.
    """
    from lonepair.render.synthesizers import with_changes

    changes = synthesis_changes(values.translation.synthesis)
    own = methods.get_method(values.training.method).synthesis
    if changes and own is not None:
        with_changes(own, changes)


def check_files(output: TranslateOutput, size: str, source: Source) -> Path:
    """The file of the translation, after a check of everything that would fail after the training."""
    from lonepair.media.files import check_frames_folder, check_output, next_free
    from lonepair.media.write import ClipWriter
    from lonepair.render.translation import output_suffixes

    parse_size(size, source.size)
    if output.save_frames is not None and not source.is_clip:
        raise UserError(f"{source.name}: is an image and has no frames to save; leave out --save-frames")
    if output.save_frames is not None:
        check_frames_folder(output.save_frames, output.overwrite)
    default, out = "out.mp4" if source.is_clip else "out.png", output.out
    if out is None and not output.overwrite:
        out = next_free(Path(default), lambda path: (path, sheet_path(path)))
    out = free_output(out, default, output_suffixes(source), output.overwrite)
    if source.rate is not None:
        ClipWriter(out, source.size, source.rate, overwrite=output.overwrite)  # fails where the encoder is missing
    check_output(sheet_path(out), (".png",), output.overwrite)
    return out


def sheet_path(out: Path) -> Path:
    """The contact sheet's name beside the output `out`."""
    return out.with_name(f"{out.stem}-sheet.png")


def _write(model: Model, source: Source, values: Any, out: Path, seed: int, style: Source | None = None) -> None:
    from tqdm.auto import tqdm

    from lonepair.media.image import write_image

    output: TranslateOutput = values.output
    use = filled_use(Translate, values.translation, source.size, source=source, seed=seed)
    translation: Any = model.apply(use)
    bar = {"desc": "translating", "total": source.frame_count, "file": sys.stderr}
    translation.save(out, output.overwrite, output.save_frames, lambda frames: iter(tqdm(frames, **bar)))
    if output.stage_sheet:
        sheet = filled_use(TranslateStageSheet, values.translation, source.size, source=source, seed=seed)
        model.apply(sheet).save(sheet_path(out), output.overwrite)
    else:
        target = None if style is None else next(style.frames()).image
        write_image(sheet_path(out), translation.sheet(target), translation.metadata, overwrite=output.overwrite)
    print(out)
    print(sheet_path(out))
