"""Commands that train: `translate`, `generate`, `train`; and the redrawing that follows."""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

import lonepair.methods as methods
from lonepair.commands.forms import MODEL, Compute, Training, parse_size, positionals, with_method
from lonepair.commands.use import SampleOutput, write_samples
from lonepair.errors import UserError
from lonepair.train.options import Options

if TYPE_CHECKING:
    from lonepair.api.model import Model
    from lonepair.media.source import Source

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class Output:
    """Where the redrawn source goes."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """File to write (.png .jpg .webp .tif; .mp4 .mov .mkv .gif .webp .png for clips). Default: out.png or out.mp4."""
    size: Annotated[str, tyro.conf.arg(metavar="WxH|N")] = ""
    """Size of the output in pixels: WIDTHxHEIGHT, or the longest side alone. Default: the source's own."""
    save_frames: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Also write every frame of a clip as a numbered PNG into this folder."""
    reverse: bool = False
    """The other direction: TARGET in the look of SOURCE; with a model: SOURCE in the look of the model's own source."""
    finish: bool = True
    """Finish pictures with the target's own patches, where the method can: sharper, slower."""
    overwrite: bool = False
    """Replace output files that exist."""


@dataclass(frozen=True)
class Translate:
    """Train on SOURCE and TARGET, then redraw SOURCE in TARGET's look (with a model file as TARGET: only redraw)."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """An image, a video, or a folder of numbered frames."""
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]
    """The image whose look is wanted, or a model.safetensors (or a run's folder) that was trained before."""
    output: Output = field(default_factory=Output)
    training: Training = field(default_factory=Training)
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class Redraw:
    """Redraw SOURCE with a model that was trained before."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """An image, a video, or a folder of numbered frames."""
    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model.safetensors, or the folder of a run."""
    output: Output = field(default_factory=Output)
    start_stage: int | None = None
    """Stage at which each frame enters: 0 redraws large shapes, later stages only texture. Default: as trained."""
    entries: bool = False
    """The contact sheet shows SOURCE redrawn from every start stage."""
    noise_seed: int = 0
    """Seed of the noise that feeds fine texture."""
    compute: Compute = field(default_factory=Compute)


@dataclass(frozen=True)
class Train:
    """Train on one image, or on SOURCE and TARGET, and keep the model."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """An image, a video, or a folder of images or numbered frames."""
    target: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TARGET]")] = None
    """The image whose look is wanted, where a pair is to be learnt."""
    composite: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """SOURCE with something pasted or moved: train further on it, from --warm-start, for `edit` and `harmonize`."""
    training: Training = field(default_factory=Training)
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class Generate:
    """Train on one image, then draw others like it."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
    """An image; where the method allows it, a folder of images."""
    count: int = 8
    """How many images to draw; `lonepair sample` draws more."""
    output: SampleOutput = field(default_factory=SampleOutput)
    training: Training = field(default_factory=Training)
    options: Options = field(default_factory=Options)


def for_samples(arguments: list[str]) -> str:
    """The method for drawing others like one image where none is named."""
    return methods.DEFAULT_SAMPLES


def by_inputs(arguments: list[str]) -> str:
    """The method where none is named: for one image or for a pair, by how many inputs there are."""
    kinds = [with_method(Train)(["--method", name]) for name in (methods.DEFAULT, methods.DEFAULT_SINGLE)]
    one = all(len(positionals(arguments, kind)) == 1 for kind in kinds)
    return methods.DEFAULT_SINGLE if one else methods.DEFAULT


def translate_arguments(arguments: list[str]) -> type:
    """The flags of `translate`: without a training's where the target is a model."""
    inputs = positionals(arguments, with_method(Translate)([]))
    if any(a.endswith(".safetensors") or (Path(a) / MODEL).is_file() for a in inputs):
        return Redraw
    return with_method(Translate)(arguments)


def run_translate(given: Any) -> int:
    from lonepair.media.source import open_source

    source = open_source(given.source)
    if isinstance(given, Redraw):
        out = _check_output(given.output, source)
        pair = given.compute.load(given.model)
        _redraw(pair, source, given.output, out, given.start_stage, given.noise_seed, entries=given.entries)
        return 0
    shown = open_source(given.target) if given.output.reverse else source
    out = _check_output(given.output, shown)
    pair = _train(given, {"a": given.source, "b": given.target})
    _redraw(pair, shown, given.output, out, None, 0, look=source if given.output.reverse else open_source(given.target))
    return 0


def run_train(given: Any) -> int:
    named = {"a": given.source, "b": given.target, "composite": given.composite}
    _train(given, {name: path for name, path in named.items() if path is not None})
    return 0


def run_generate(given: Any) -> int:
    folder = given.output.folder()
    model = _train(given, {"a": given.source})
    samples = model.sample(given.count, seed=given.options.seed)
    write_samples(samples, folder, given.output.overwrite)
    return 0


def _train(given: Any, inputs: dict[str, Path]) -> Model:
    """Plan, and train with a progress bar; Ctrl-C says how to go on."""
    from lonepair.api.job import Job
    from lonepair.train.loop import Interrupted
    from lonepair.train.watchers import ProgressBar

    training: Training = given.training
    settings = {**given.config.to_dict(), **dataclasses.asdict(given.options)}
    job = Job.prepare(inputs, training.method, training.preset, settings, training.warm_start)
    name = "-to-".join(Path(path).stem for domain, path in inputs.items() if domain in ("a", "b"))
    folder = job.folder(training.run or Path("runs") / re.sub(r"[^\w.-]+", "_", name), training.resume)
    try:
        pair = job.run(folder, training.resume, [ProgressBar()])
    except Interrupted:
        again = f"the same command with --resume --run {folder.path} goes on"
        raise KeyboardInterrupt(f"stopped; {again}, {folder.model} can be used as it is") from None
    logger.info("model: %s", folder.model)
    return pair


def _check_output(output: Output, source: Source) -> Path:
    """Where the output will go; refuses now what would fail after the training."""
    from lonepair.apply.translation import output_suffixes
    from lonepair.media.files import check_frames_folder, check_output, check_writable, next_free
    from lonepair.media.write import ClipWriter

    parse_size(output.size, source.size)
    if output.save_frames is not None and not source.is_clip:
        raise UserError(f"{source.name}: is an image and has no frames to save; leave out --save-frames")
    if output.save_frames is not None:
        check_frames_folder(output.save_frames, output.overwrite)
    out = output.out
    if out is None:
        out = Path("out.mp4" if source.is_clip else "out.png")
        out = out if output.overwrite else next_free(out, lambda path: (path, sheet_path(path)))
    check_output(out, output_suffixes(source), output.overwrite)
    if source.rate is not None:
        ClipWriter(out, source.size, source.rate, overwrite=output.overwrite)  # says so where the encoder is missing
    check_output(sheet_path(out), (".png",), output.overwrite)
    check_writable(out.parent)
    return out


def sheet_path(out: Path) -> Path:
    """The contact sheet's name beside the output `out`."""
    return out.with_name(f"{out.stem}-sheet.png")


def _redraw(
    pair: Model,
    source: Source,
    output: Output,
    out: Path,
    start_stage: int | None,
    seed: int,
    look: Source | None = None,
    entries: bool = False,
) -> None:
    from tqdm.auto import tqdm

    from lonepair.media.image import write_image

    size = parse_size(output.size, source.size)
    translation = pair.translate(
        source, reverse=output.reverse, start_stage=start_stage, synthesize=output.finish, size=size, seed=seed
    )
    translation.save(
        out,
        output.overwrite,
        output.save_frames,
        lambda frames: iter(tqdm(frames, desc="redrawing", total=source.frame_count, file=sys.stderr)),
    )
    target = None if look is None else next(look.frames()).image
    if entries:
        pair.translate_stage_sheet(source, reverse=output.reverse, synthesize=output.finish, seed=seed).save(
            sheet_path(out), output.overwrite
        )
    else:
        write_image(sheet_path(out), translation.sheet(target), translation.metadata, overwrite=output.overwrite)
    print(out)
    print(sheet_path(out))
