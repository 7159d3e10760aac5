"""The command `translate`: train on a source and a target and translate the source, or translate with a model."""

from __future__ import annotations

import dataclasses
import glob
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro

import lonepair.methods as methods
from lonepair.apply.dial_sheet import TranslateDialSheet
from lonepair.apply.translate import Translate, TranslateStageSheet
from lonepair.commands.advice import print_summary, proposals
from lonepair.commands.flags import BASIC, EXPERT, NOTES, RUN, TRANSLATION, flag_types, form_flags, positionals
from lonepair.commands.forms import MODEL, Compute, Reuse, Training, model_file, parse_size, with_method
from lonepair.commands.outputs import (
    EncodingFlags,
    OutFile,
    SavedFrames,
    WorkerFlags,
    clip_path,
    continues,
    input_name,
    model_name,
    output_path,
    write_translation,
)
from lonepair.commands.preview import check_preview_flags, run_preview
from lonepair.commands.regions import Regions, run_regions, without_masks
from lonepair.commands.roles import PathRole
from lonepair.commands.several import batch_files, run_several
from lonepair.commands.train import complete_run, fit, prepare_job, print_inputs, print_plan
from lonepair.commands.use import filled_use, synthesis_changes, use_fields
from lonepair.errors import UserError
from lonepair.train.options import Options

if TYPE_CHECKING:
    from lonepair.api.model import Model
    from lonepair.media.source import Source

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class TranslateOutput:
    """The files of a translation."""

    title: ClassVar[str] = "Output"

    out: OutFile = None
    """File to write (.png .jpg .webp .tif .exr; of a clip .mp4 .mov .mkv .webm .gif .webp .png, or a sequence such as
    out.%04d.exr), or a folder. If omitted, SOURCE-as-TARGET.png or .mp4 in the current folder. If the name is taken,
    the next number is added. A contact sheet NAME-sheet.png is written beside it."""
    save_frames: SavedFrames = None
    """Also write every frame of a clip as a numbered PNG into this folder."""
    stage_sheet: bool = False
    """Show translations from every start stage on the contact sheet."""
    dial_sheet: bool = False
    """Show translations with five values of `structure` and three of `texture_size` on the contact sheet."""
    preview: bool = False
    """Write a first picture within seconds, of at most 220 pixels, without training; of a clip, its first frame. The
    file is SOURCE-as-TARGET-preview.png."""
    batch: bool = False
    """Translate each image of a folder by itself, even where they look like the frames of a clip."""
    overwrite: bool = False
    """Replace existing files."""
    encoded: EncodingFlags = field(default_factory=EncodingFlags)
    parts: WorkerFlags = field(default_factory=WorkerFlags)


def translation_flags(skipped: frozenset[str] = frozenset()) -> type:
    """The part of the form with the settings of the use `Translate`, without those in `skipped`."""
    form = dataclasses.make_dataclass(
        "TranslationFlags", use_fields(Translate, skipped | {"source", "seed"}), frozen=True
    )
    form.title = TRANSLATION  # type: ignore[attr-defined]
    return form


SHARED = frozenset({"--seed", "--device", "--dtype", "--threads", "--dry-run"})
"""Run options that a trained model takes, too."""


@dataclass(frozen=True)
class TranslateForm:
    """Translate SOURCE into the style of TARGET.

    With an image as TARGET: train on both, then translate; a complete run on the same pair is used again. With a MODEL
    (a model.safetensors or a run's folder): only translate, and several sources at once."""

    examples: ClassVar[Sequence[tuple[str, str]]] = (
        ("lonepair translate a.jpg b.jpg --preview", "write a first picture within seconds: a-as-b-preview.png"),
        ("lonepair translate a.jpg b.jpg", "train, then write a-as-b.png"),
        ("lonepair translate a.jpg b.jpg --reverse", "use the same training: b-as-a.png"),
        ("lonepair translate clip.mp4 b.jpg --preset draft", "train faster, then write clip-as-b.mp4"),
        ("lonepair translate other.jpg runs/a-to-b", "use the trained model"),
        ("lonepair translate photos/*.jpg runs/a-to-b -o out", "many images, each by itself"),
        ("lonepair translate a.jpg b.jpg c.jpg --masks m.png n.png", "two styles, each in its region"),
    )

    notes: ClassVar[Mapping[str, str]] = {
        TRANSLATION: "With an image as TARGET and with a MODEL.",
        RUN: "For training. With a MODEL, only --seed (of the noise), --device, --dtype, --threads, --dry-run apply.",
        BASIC: f"For training only. {NOTES[BASIC]}",
        EXPERT: f"For training only. {NOTES[EXPERT]}",
    }
    """Panel -> when its flags apply."""

    input_texts: ClassVar[Mapping[str, str]] = {
        "SOURCE...": "An image, a video, or a folder of numbered frames. With a MODEL also several, or a folder of "
        "images.",
        "TARGET|MODEL": "The image whose style is to be learned, or a trained model.",
    }
    """What `--help` says of the inputs: the last one of `inputs` is TARGET or MODEL."""

    inputs: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE... TARGET|MODEL"), PathRole.INPUT
    ]
    """Sources and, last, the target or the model."""
    regions: Regions = field(default_factory=Regions)
    output: TranslateOutput = field(default_factory=TranslateOutput)
    training: Training = field(default_factory=Training)
    reuse: Reuse = field(default_factory=Reuse)
    options: Options = field(default_factory=Options)


def translate_form(arguments: list[str]) -> type:
    """The form of `translate`.

    Raises:
        UserError: for a flag of the training beside a trained model.
    """
    if "--preview" in arguments:
        check_preview_flags(arguments)
    training_form: Any = with_method(TranslateForm)(arguments)
    config = training_form.__dataclass_fields__["config"].type
    use_names = {name for name, _, _ in use_fields(Translate)}
    shared = use_names & set(config.setting_names())
    flags = translation_flags()
    words = positionals(
        without_masks(arguments), _with_translation(training_form, translation_flags(frozenset(shared)))
    )
    models = [word for word in words[1:] if is_model(Path(word).expanduser())]
    # With --masks, a target beside a model is trained on.
    model = models[0] if models and ("--masks" not in arguments or len(models) == len(words) - 1) else None
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
    training = {flag for part in (Training, Reuse, Options) for flag in flag_types(part)} - SHARED
    training |= flag_types(config).keys() - use_flags
    for word in arguments:
        flag = word.partition("=")[0]
        if flag.replace("--no-", "--") in training:
            raise UserError(
                f"{flag} is for training, and {model} is a trained model: leave the flag out, or "
                "give an image as TARGET"
            )


def is_model(path: Path) -> bool:
    """Whether `path` is a model file or the folder of a run, which may have lost its model."""
    return path.suffix == ".safetensors" or (path / MODEL).is_file() or (path / "state" / "state.pt").is_file()


# -- the command ------------------------------------------------------------------------------------------------------


def run_translate(values: Any) -> int:
    """Translate with the model that is the last input, or with one that is trained on both inputs."""
    *sources, last = _inputs(values)
    if values.regions.masks:
        targets = [*sources[1:], last]
        return run_regions(sources[0], targets, values, [is_model(target) for target in targets])
    has_model = is_model(last)
    if values.output.preview and has_model:
        raise UserError(f"--preview shows a pair before a training, and {last} is a trained model: leave the flag out")
    files = batch_files(sources, values.output.batch)
    if files is not None and not has_model:
        raise UserError(
            f"{len(files)} sources need a trained model as the last input, and {last} is none: train on one with "
            f"`lonepair translate {files[0]} {last}`, then translate all with the folder of that run"
        )
    if files is not None:
        return run_several(files, sources, last, values)
    if values.output.preview:
        return run_preview(sources[0], last, values)
    return _with_model(sources[0], last, values) if has_model else _with_target(sources[0], last, values)


def _inputs(values: Any) -> list[Path]:
    """The inputs; a pattern that the shell has left is expanded.

    Raises:
        UserError: for fewer than two.
    """
    inputs: list[Path] = []
    for path in (path.expanduser() for path in values.inputs):
        matches = [] if path.exists() else sorted(glob.glob(str(path)))  # noqa: PTH207 - the pattern may be absolute
        inputs += map(Path, matches or [path])
    if len(inputs) < 2:
        missing = "TARGET|MODEL" if inputs else "SOURCE and TARGET|MODEL"
        raise UserError(f"missing: {missing}; `lonepair translate --help` shows examples")
    return inputs


def _with_model(path: Path, model_path: Path, values: Any) -> int:
    """Translate with a trained model."""
    from lonepair.media.source import open_source
    from lonepair.train.checkpoint import read_header

    source, options, reverse = open_source(path), values.options, values.translation.reverse
    settings = read_header(model_file(model_path)).get("settings") or {}
    target = model_name(settings, model_path, "a" if reverse else "b")
    out = check_files(values.output, values.translation.size, source, f"{input_name(path)}-as-{target}")
    if values.training.dry_run:
        print_inputs([source])
        print(f"uses    {model_path}\nwrites  {out}\nwrites  {sheet_path(out)}")
        return 0
    check_dials(values, source)
    start = time.monotonic()
    model = Compute(options.device, options.dtype, options.threads).load(model_path)
    paths = _write(model, source, values, out, options.seed, reverse)
    print_summary(paths, time.monotonic() - start, None, proposals(path, model_path, reverse))
    return 0


def _with_target(source_path: Path, target_path: Path, values: Any) -> int:
    """Train on a source and a target, or use a complete run that did, and translate."""
    from lonepair.media.source import open_source

    # Everything that can fail is checked before the training.
    source, target, reverse = open_source(source_path), open_source(target_path), values.translation.reverse
    translated, style = (target, source) if reverse else (source, target)
    names = [input_name(source_path), input_name(target_path)]
    stem = "-as-".join(reversed(names) if reverse else names)
    out = check_files(values.output, values.translation.size, translated, stem)
    check_synthesis(values)
    check_dials(values, translated)
    inputs = {"a": source_path, "b": target_path}
    job = prepare_job(values, {"a": source, "b": target})
    run = complete_run(values, job, inputs)
    if values.training.dry_run:
        print_plan(values, job, inputs, run, [out, sheet_path(out)])
        return 0

    # The model, and the translation.
    trained = fit(values, job, inputs, run)
    start = time.monotonic()
    direction = reverse != trained.is_swapped
    paths = _write(trained.model, translated, values, out, 0, direction, style)
    path, other = (target_path, source_path) if reverse else (source_path, target_path)
    advice = proposals(path, trained.folder, direction, other)
    print_summary(paths, time.monotonic() - start, trained.seconds, advice)
    return 0


def check_dials(values: Any, source: Source) -> None:
    """Check the settings of the translation and its mask before the training rather than after it.

    Raises:
        UserError: A value is wrong, the mask or a keyframe cannot be read or does not fit the source, or it has no such
            frames.
    """
    use: Any = filled_use(Translate, values.translation, source.display_size, source=source)
    use.open_masks(source)
    use.open_keys(use.part(source))
    if values.output.dial_sheet and values.output.stage_sheet:
        raise UserError("`dial_sheet` and `stage_sheet` are both given: choose one, there is one contact sheet")


def check_synthesis(values: Any) -> None:
    """Check the settings of patch synthesis before the training rather than after it.

    Raises:
        UserError: The method stores no target, or a value is wrong.
    """
    from lonepair.render.synthesizers import with_changes

    changes = synthesis_changes(values.translation.synthesis)
    own = methods.get_method(values.training.method).synthesis
    if own is None and values.output.dial_sheet:
        raise UserError(f"`dial_sheet`: {values.training.method!r} stores no target to synthesize from; leave it out")
    if changes and own is not None:
        with_changes(own, changes)


# -- files ------------------------------------------------------------------------------------------------------------


def check_files(output: TranslateOutput, size: str, source: Source, stem: str) -> Path:
    """The file of the translation, after a check of everything that would fail after the training.

    Args:
        output: Where the user wants it.
        size: The size that the user wants, as text.
        source: What is translated.
        stem: Name of the file without suffix if the user gave none.
    """
    from lonepair.media.clips.codecs import resolve_image_bits
    from lonepair.media.clips.write import ClipWriter
    from lonepair.media.stills.image import WRITABLE
    from lonepair.storage.files import check_frames_folder, check_output

    parse_size(size, source.display_size)
    output.parts.chosen()
    if output.save_frames is not None and not source.is_clip:
        raise UserError(f"{source.name}: is an image and has no frames to save; leave out --save-frames")
    if not source.is_clip and output.parts != WorkerFlags():
        flags = "--workers, --segment-frames and --run-in"
        raise UserError(f"{source.name}: is an image, which one process translates; leave out {flags}")
    default = f"{stem}.mp4" if source.is_clip else f"{stem}.png"
    encoding = output.encoded.encoding()
    if source.is_clip:
        out = clip_path(output.out, default, output.overwrite)
        # Fails where a flag does not go with the file. A name that is made gets its number later.
        overwrite = output.overwrite or out != output.out or continues(out)
        ClipWriter.for_source(source, out, source.size, None, overwrite, encoding)
    else:
        out = output_path(output.out, default, WRITABLE, output.overwrite)
        resolve_image_bits(out, encoding, source.bits)
    if output.save_frames is not None:
        check_frames_folder(output.save_frames, output.overwrite or continues(out))
    if out == output.out:
        check_output(sheet_path(out), (".png",), output.overwrite)
    return out


def sheet_path(out: Path) -> Path:
    """The contact sheet's name beside the output `out`."""
    from lonepair.media.clips.sequence import stem

    return out.with_name(f"{stem(out)}-sheet.png")


def _write(
    model: Model, source: Source, values: Any, out: Path, seed: int, reverse: bool, style: Source | None = None
) -> list[Path]:
    """Write a translation and its contact sheet, and print their names.

    Args:
        model: The model.
        source: What is translated.
        values: The filled form.
        out: File of the translation; if the name is taken, the next number is added.
        seed: Random seed of the noise.
        reverse: Whether to translate from the model's b to its a.
        style: The image that the contact sheet shows beside the source.
    """
    from lonepair.media.stills.image import write_image

    output: TranslateOutput = values.output
    changes: dict[str, Any] = {"source": source, "seed": seed, "reverse": reverse}
    own = source.display_size
    translation: Any = model.apply(filled_use(Translate, values.translation, own, **changes))

    def write_sheet(path: Path) -> None:
        if output.stage_sheet or output.dial_sheet:
            kind = TranslateDialSheet if output.dial_sheet else TranslateStageSheet
            sheet = model.apply(filled_use(kind, values.translation, own, **changes))
            sheet.save(sheet_path(path), output.overwrite)
        else:
            target = None if style is None else next(style.frames()).image
            write_image(sheet_path(path), translation.sheet(target), translation.metadata, output.overwrite)

    paths = write_translation(translation, out, output, write_sheet)
    print(*paths, sep="\n")
    return paths
