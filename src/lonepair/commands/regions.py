"""`lonepair translate SOURCE TARGET TARGET... --masks FILE FILE...`: several styles, each in its region."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro

from lonepair.apply.translate import Translate
from lonepair.commands.advice import print_summary
from lonepair.commands.flags import TRANSLATION
from lonepair.commands.forms import Compute, model_file
from lonepair.commands.outputs import input_name, model_name, write_translation
from lonepair.commands.roles import PathRole
from lonepair.commands.train import complete_run, fit, prepare_job, print_inputs, print_plan
from lonepair.commands.use import filled_use
from lonepair.errors import UserError

if TYPE_CHECKING:
    from lonepair.api.job import Job
    from lonepair.api.model import Model
    from lonepair.api.reuse import CompleteRun
    from lonepair.media.source import Source


@dataclass(frozen=True)
class Regions:
    """The regions of several styles."""

    title: ClassVar[str] = TRANSLATION

    masks: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE FILE..."), PathRole.INPUT] = ()
    """With several TARGETs or MODELs after one SOURCE: a mask for each, in the same order. White (or opaque) pixels
    take that style; seams are synthesized. What is in no mask keeps the source. For a clip also videos or folders."""


@dataclass(frozen=True)
class Style:
    """One of the styles: a trained model, or a target to train on."""

    path: Path
    """The target, or the model."""
    job: Job | None = None
    """The training; None for a model."""
    run: CompleteRun | None = None
    """A complete run of that training."""


def without_masks(arguments: Sequence[str]) -> list[str]:
    """`arguments` without --masks and its files, so that those that are left are the inputs."""
    kept, is_mask = [], False
    for word in arguments:
        is_mask = word == "--masks" or (is_mask and not word.startswith("-"))
        if not is_mask:
            kept.append(word)
    return kept


def run_regions(source_path: Path, target_paths: Sequence[Path], values: Any, is_model: Sequence[bool]) -> int:
    """Train on the source and each target, or use models, and write one picture or clip.

    Args:
        source_path: An image or a clip.
        target_paths: Targets and models.
        values: The filled form of `translate`.
        is_model: Whether each of `target_paths` is a model.
    """
    from lonepair.api.regions import check_regions, translate_regions
    from lonepair.commands.translate import check_dials, check_files, check_synthesis, sheet_path
    from lonepair.media.source import open_source
    from lonepair.media.stills.image import write_image
    from lonepair.render.frame_masks import RegionMasks

    # Everything that can fail is checked before the training.
    _refuse_single_flags(values)
    masks = values.regions.masks
    check_regions(len(target_paths), masks)
    source = open_source(source_path)
    RegionMasks.of(masks, source)
    names = [_style_name(*each) for each in zip(target_paths, is_model, strict=True)]
    stem = f"{input_name(source_path)}-as-{'-and-'.join(names)}"
    out = check_files(values.output, values.translation.size, source, stem)
    if not all(is_model):
        check_synthesis(values)
    check_dials(values, source)
    styles = [
        Style(path) if trained else _prepared(source_path, source, path, values)
        for path, trained in zip(target_paths, is_model, strict=True)
    ]
    if values.training.dry_run:
        _print_plans(source_path, source, styles, values)
        print(f"writes  {out}\nwrites  {sheet_path(out)}")
        return 0

    # The models, and the translation.
    start = time.monotonic()
    models, directions, folders = zip(*(_model(source_path, style, values) for style in styles), strict=True)
    training, start = time.monotonic() - start, time.monotonic()
    seed = 0 if any(style.job for style in styles) else values.options.seed
    use: Any = filled_use(Translate, values.translation, source.display_size, source=source, seed=seed)
    own = ("source", "reverse", "mask")
    settings = {part.name: getattr(use, part.name) for part in dataclasses.fields(use) if part.name not in own}
    translation = translate_regions(source, models, masks, reverse=directions, **settings)
    paths = write_translation(
        translation,
        out,
        values.output,
        lambda path: write_image(sheet_path(path), translation.sheet(), {}, values.output.overwrite),
    )
    print(*paths, sep="\n")
    words = ["lonepair", "translate", *map(str, [source_path, *folders]), "--masks", *map(str, masks)]
    proposal = ["with the source's own fine edges:", f"  {shlex.join([*words, '--structure', '1'])}"]
    has_training = any(style.job is not None and style.run is None for style in styles)
    print_summary(paths, time.monotonic() - start, training if has_training else None, proposal)
    return 0


def _refuse_single_flags(values: Any) -> None:
    """Refuse flags that are for one style.

    Raises:
        UserError: names the first of them.
    """
    flags = {
        "--mask": values.translation.mask,
        "--reverse": values.translation.reverse,
        "--run": values.training.run,
        "--stage-sheet": values.output.stage_sheet,
        "--dial-sheet": values.output.dial_sheet,
        "--preview": values.output.preview,
        "--batch": values.output.batch,
    }
    for flag, value in flags.items():
        if value:
            raise UserError(f"{flag} is for one style, and --masks is for several: leave one of them out")


def _style_name(path: Path, is_model: bool) -> str:
    from lonepair.train.checkpoint import read_header

    if not is_model:
        return input_name(path)
    return model_name(read_header(model_file(path)).get("settings") or {}, path, "b")


def _prepared(source_path: Path, source: Source, path: Path, values: Any) -> Style:
    """A target whose training is checked, with a complete run if there is one."""
    from lonepair.media.source import open_source

    job = prepare_job(values, {"a": source, "b": open_source(path)})
    return Style(path, job, complete_run(values, job, {"a": source_path, "b": path}))


def _print_plans(source_path: Path, source: Source, styles: Sequence[Style], values: Any) -> None:
    """Print what would be read, trained and used."""
    for style in styles:
        if style.job is not None:
            print_plan(values, style.job, {"a": source_path, "b": style.path}, style.run, [])
        else:
            print_inputs([source])
            print(f"uses    {style.path}")


def _model(source_path: Path, style: Style, values: Any) -> tuple[Model, bool, Path]:
    """The model of a style, whether it is used in its other direction, and its folder or file."""
    options = values.options
    if style.job is None:
        return Compute(options.device, options.dtype, options.threads).load(style.path), False, style.path
    trained = fit(values, style.job, {"a": source_path, "b": style.path}, style.run)
    return trained.model, trained.is_swapped, trained.folder
