"""Commands that train a model: `train`, and `generate`, which also samples from it."""

from __future__ import annotations

import dataclasses
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

import lonepair.methods as methods
from lonepair.commands.flags import positionals
from lonepair.commands.forms import File, FolderOutput, Training, with_method
from lonepair.commands.use import write_samples
from lonepair.train.options import Options

if TYPE_CHECKING:
    from lonepair.api.model import Model

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class Train:
    """Train on one image, or on a source and a target, and save the model."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """An image, a video, or a folder of images or numbered frames."""
    target: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TARGET]")] = None
    """The image whose style is to be learned, to train on a pair."""
    composite: File = None
    """SOURCE with a pasted or moved object, on which to fine-tune the model of --warm-start for edit and harmonize."""
    training: Training = field(default_factory=Training)
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class Generate:
    """Train on one image, then generate images like it."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
    """An image; if the method allows it, a folder of images."""
    count: int = 8
    """Number of images to generate; `lonepair sample` generates more."""
    output: FolderOutput = field(default_factory=FolderOutput)
    training: Training = field(default_factory=Training)
    options: Options = field(default_factory=Options)


def sampling_method(_: list[str]) -> str:
    """The method of `generate` if the arguments name none."""
    return methods.DEFAULT_SAMPLES


def method_for_inputs(arguments: list[str]) -> str:
    """The method of `train` if the arguments name none: for one image or for a pair, by the number of inputs."""
    forms = [with_method(Train)(["--method", name]) for name in (methods.DEFAULT, methods.DEFAULT_SINGLE)]
    is_single = all(len(positionals(arguments, form)) == 1 for form in forms)
    return methods.DEFAULT_SINGLE if is_single else methods.DEFAULT


def run_train(values: Any) -> int:
    """Train and save the model."""
    inputs = {"a": values.source, "b": values.target, "composite": values.composite}
    fit(values, {name: path for name, path in inputs.items() if path is not None})
    return 0


def run_generate(values: Any) -> int:
    """Train, then write samples."""
    folder = values.output.path()
    model = fit(values, {"a": values.source})
    write_samples(model.sample(values.count, seed=values.options.seed), folder, values.output.overwrite)
    return 0


def fit(values: Any, inputs: dict[str, Path]) -> Model:
    """Train with the settings of a filled form, with a progress bar, and return the model.

    Raises:
        KeyboardInterrupt: after Ctrl-C; its text says how to continue.
        UserError: for anything wrong with inputs or settings.
    """
    from lonepair.api.job import Job
    from lonepair.train.loop import Interrupted
    from lonepair.train.watchers import ProgressBar

    training: Training = values.training
    settings = {**values.config.to_dict(), **dataclasses.asdict(values.options)}
    job = Job.prepare(inputs, training.method, training.preset, settings, training.warm_start)
    name = "-to-".join(Path(path).stem for domain, path in inputs.items() if domain in ("a", "b"))
    folder = job.folder(training.run or Path("runs") / re.sub(r"[^\w.-]+", "_", name), training.resume)
    try:
        model = job.run(folder, training.resume, [ProgressBar()])
    except Interrupted:
        again = f"the same command with --resume --run {folder.path} continues"
        raise KeyboardInterrupt(f"stopped; {again}, {folder.model} can be used already") from None
    logger.info("model: %s", folder.model)
    return model
