"""Commands that train a model: `train`, and `generate`, which also samples from it."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro

import lonepair.methods as methods
from lonepair.apply.sample import Sample
from lonepair.commands.flags import positionals
from lonepair.commands.forms import File, Reuse, Training, with_method
from lonepair.commands.outputs import FolderOutput, input_name
from lonepair.commands.roles import PathRole
from lonepair.commands.use import sample_with_bar, write_samples
from lonepair.train.options import Options

if TYPE_CHECKING:
    from lonepair.api.job import Job
    from lonepair.api.model import Model
    from lonepair.api.reuse import CompleteRun
    from lonepair.media.source import Source

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class Train:
    """Train on one image, or on a source and a target, and save the model."""

    examples: ClassVar[Sequence[tuple[str, str]]] = (
        ("lonepair train a.jpg b.jpg", "a model of a pair, for translate"),
        ("lonepair train photo.jpg", "a model of one image, for animate, edit, ..."),
        ("lonepair train photo.jpg --method singan", "a published method"),
    )

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE"), PathRole.INPUT]
    """An image, a video, or a folder of images or numbered frames."""
    target: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TARGET]"), PathRole.INPUT] = None
    """The image whose style is to be learned, to train on a pair."""
    composite: File = None
    """SOURCE with a pasted or moved object, on which to fine-tune the model of --warm-start for edit and harmonize."""
    training: Training = field(default_factory=Training)
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class Generate:
    """Train on one image, then generate images like it. A complete run on the same image is used again."""

    examples: ClassVar[Sequence[tuple[str, str]]] = (
        ("lonepair generate photo.jpg", "train, then write photo-samples/"),
        ("lonepair generate photo.jpg --count 20", "use the same training: photo-samples-2/"),
    )

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE"), PathRole.INPUT]
    """An image; if the method allows it, a folder of images."""
    count: int = 8
    """Number of images to generate; `lonepair sample` generates more."""
    output: FolderOutput = field(default_factory=FolderOutput)
    training: Training = field(default_factory=Training)
    reuse: Reuse = field(default_factory=Reuse)
    options: Options = field(default_factory=Options)


def sampling_method(_: list[str]) -> str:
    """The method of `generate` if the arguments name none."""
    return methods.DEFAULT_SAMPLES


def method_for_inputs(arguments: list[str]) -> str:
    """The method of `train` if the arguments name none: for one image or for a pair, by the number of inputs."""
    forms = [with_method(Train)(["--method", name]) for name in (methods.DEFAULT, methods.DEFAULT_SINGLE)]
    is_single = all(len(positionals(arguments, form)) == 1 for form in forms)
    return methods.DEFAULT_SINGLE if is_single else methods.DEFAULT


@dataclass(frozen=True)
class Trained:
    """A trained model, and where it comes from."""

    model: Model
    folder: Path
    """The folder of the run."""
    is_swapped: bool = False
    """Whether the run has source and target exchanged."""
    seconds: float | None = None
    """Duration of the training; None where a complete run was used."""


def run_train(values: Any) -> int:
    """Train and save the model."""
    named = {"a": values.source, "b": values.target, "composite": values.composite}
    inputs = {name: path for name, path in named.items() if path is not None}
    job = prepare_job(values, inputs)
    if values.training.dry_run:
        print_plan(values, job, inputs, None, [])
    else:
        fit(values, job, inputs)
    return 0


def run_generate(values: Any) -> int:
    """Train, or use a complete run, then write samples."""
    values.output.check()
    inputs = {"a": values.source}
    job = prepare_job(values, inputs)
    run = complete_run(values, job, inputs)
    name = f"{input_name(values.source)}-samples"
    if values.training.dry_run:
        print_plan(values, job, inputs, run, [values.output.out or Path(name)])
        return 0
    trained = fit(values, job, inputs, run)
    samples = sample_with_bar(trained.model, Sample(values.count, seed=values.options.seed))
    write_samples(samples, values.output, name)
    words = ["lonepair", "sample", str(trained.folder), "--seed", str(values.options.seed + 1)]
    logger.info("other images of the same model:\n  %s", shlex.join(words))
    return 0


# -- runs -------------------------------------------------------------------------------------------------------------


def prepare_job(values: Any, inputs: Mapping[str, object]) -> Job:
    """The training of a filled form, checked.

    Args:
        values: The form.
        inputs: Domain or optional input -> its path, or what is opened from it.

    Raises:
        UserError: for anything wrong with inputs or settings.
    """
    from lonepair.api.job import Job

    training: Training = values.training
    settings = {**values.config.to_dict(), **dataclasses.asdict(values.options)}
    return Job.prepare(inputs, training.method, training.preset, settings, training.warm_start)


def run_folder(values: Any, inputs: Mapping[str, Path]) -> Path:
    """The folder of a form's run, before a number is added: that of --run, or runs/SOURCE-to-TARGET."""
    name = "-to-".join(input_name(path) for domain, path in inputs.items() if domain in ("a", "b"))
    return values.training.run or Path("runs") / name


def complete_run(values: Any, job: Job, inputs: Mapping[str, Path]) -> CompleteRun | None:
    """A complete run that has the inputs and settings of a form; None where there is none or it is not wanted.

    Without --run, every run beside the default folder counts; with --run, that folder and its numbered ones.
    """
    from lonepair.api.reuse import find_complete_run
    from lonepair.train.records import numbered_paths

    if values.reuse.retrain or values.training.resume:
        return None
    folder = run_folder(values, inputs)
    if values.training.run is not None:
        return find_complete_run(job, numbered_paths(folder))
    return find_complete_run(job, folder.parent.iterdir()) if folder.parent.is_dir() else None


def fit(values: Any, job: Job, inputs: Mapping[str, Path], run: CompleteRun | None = None) -> Trained:
    """The model of the complete run `run`; without one, train with a progress bar.

    Raises:
        KeyboardInterrupt: after Ctrl-C; its text says how to continue.
        UserError: as `Job.run` and `load` do.
    """
    from lonepair.api.model import load
    from lonepair.train.loop import Interrupted
    from lonepair.train.watchers import ProgressBar, TimeEstimate

    training, options = values.training, values.options
    if run is not None:
        logger.info("%s; --retrain trains again", run_text(run))
        model = load(run.folder.model, options.device, options.dtype, options.threads)
        return Trained(model, run.folder.path, run.is_swapped)
    start = time.monotonic()
    folder = job.folder(run_folder(values, inputs), training.resume)
    try:
        model = job.run(folder, training.resume, [ProgressBar(), TimeEstimate()])
    except Interrupted:
        again = f"the same command with --resume --run {folder.path} continues"
        raise KeyboardInterrupt(f"stopped; {again}, {folder.model} can be used already") from None
    logger.info("model: %s", folder.model)
    return Trained(model, folder.path, seconds=time.monotonic() - start)


def run_text(run: CompleteRun) -> str:
    """What is said of a complete run that is used."""
    direction = " (its other direction)" if run.is_swapped else ""
    return f"uses {run.folder.path}{direction}, trained on {run.date}"


# -- dry run ----------------------------------------------------------------------------------------------------------


def print_plan(values: Any, job: Job, inputs: Mapping[str, Path], run: CompleteRun | None, outputs: list[Path]) -> None:
    """Print what a form's command would read, train and write. The names of outputs are those that are free now."""
    from lonepair.storage.files import next_free

    print_inputs(job.sources.values())
    if run is not None:
        print(f"{run_text(run)}; --retrain trains again")
    else:
        print(f"trains  {job.settings['method']}, preset {job.settings['preset']}, on {job.engine}")
        for domain, full in job.plan.full_sizes.items():
            sizes = " ".join(f"{w}x{h}" for h, w in job.plan.sizes(full))
            print(f"        stages of {job.sources[domain].name}: {sizes} (width x height)")
        limit = values.options.max_minutes
        if limit:
            print(f"        at most {limit:g} minutes")
        folder = run_folder(values, inputs)
        print(f"writes  {folder if values.training.resume else next_free(folder)}/")
    for path in outputs:
        print(f"writes  {path if values.output.overwrite else next_free(path)}")


def print_inputs(sources: Iterable[Source]) -> None:
    """Print what is known of each input."""
    for source in sources:
        h, w = source.size
        frames = f", {source.frame_count or 'an unknown number of'} frames" if source.is_clip else ""
        print(f"reads   {source.path or source.name} ({w}x{h} pixels{frames})")
