"""The commands: what each takes, and what it does. Their heavy imports wait until they run."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import lonepair.methods as methods
from lonepair.errors import UserError
from lonepair.train.options import Options

if TYPE_CHECKING:
    from lonepair.model import Model
    from lonepair.source import Source

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class Command:
    """A command of the command line."""

    summary: str
    arguments: Callable[[list[str]], type]
    """The dataclass of its flags; it may depend on what was typed, as a method has its own."""
    run: Callable[[Any], int]


# -- translate --------------------------------------------------------------------------------------------------------


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
    overwrite: bool = False
    """Replace output files that exist."""


@dataclass(frozen=True)
class Training:
    """What a training needs beside the method's own settings."""

    method: str = methods.DEFAULT
    """Which system to train; `lonepair methods` lists them."""
    preset: str = "standard"
    """draft, standard or full: how large and how long."""
    run: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """The run's folder. Default: runs/SOURCE-to-TARGET, the next free name."""
    resume: bool = False
    """Go on with the run where it stopped."""


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
    entry: int | None = None
    """Stage at which each frame enters: 0 redraws large shapes, later stages only texture. Default: as trained."""
    noise_seed: int = 0
    """Seed of the noise that feeds fine texture."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes a GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of convolutions; auto takes bfloat16 where the hardware computes in it, else float32."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch (one a core)."""


@dataclass(frozen=True)
class Train:
    """Train on SOURCE and TARGET and keep the model; `lonepair translate SOURCE MODEL` uses it."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """An image, a video, or a folder of numbered frames."""
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]
    """The image whose look is wanted."""
    training: Training = field(default_factory=Training)
    options: Options = field(default_factory=Options)


def with_method(base: type) -> Callable[[list[str]], type]:
    """`base` with the settings of the method and preset that the arguments name, for flags, help and defaults."""

    def build(arguments: list[str]) -> type:
        method = methods.get_method(_peek(arguments, "--method") or methods.DEFAULT)
        config = method.config_class.from_preset(_peek(arguments, "--preset") or "standard")
        extended = dataclasses.make_dataclass(
            base.__name__,
            [("config", method.config_class, field(default_factory=lambda: config))],
            bases=(base,),
            frozen=True,
            namespace={"__doc__": base.__doc__},
        )
        extended.__module__ = __name__
        return extended

    return build


def _translate_arguments(arguments: list[str]) -> type:
    takes_a_path = {"-o", "--out", "--run", "--save-frames"}
    inputs = [a for before, a in itertools.pairwise(["", *arguments]) if before not in takes_a_path]
    if any(a.endswith(".safetensors") or (Path(a) / MODEL).is_file() for a in inputs):
        return Redraw
    return with_method(Translate)(arguments)


MODEL = "model.safetensors"


def model_file(path: Path) -> Path:
    """`path`, or the model of the run whose folder it is."""
    return path / MODEL if path.is_dir() else path


def _peek(arguments: list[str], flag: str) -> str | None:
    """The value of `flag`, before the arguments as a whole can be understood."""
    for index, argument in enumerate(arguments):
        if argument == flag and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"{flag}="):
            return argument.split("=", 1)[1]
    return None


def _run_translate(given: Any) -> int:
    from lonepair.source import open_source

    source = open_source(given.source)
    if isinstance(given, Redraw):
        from lonepair.model import load

        out = _check_output(given.output, source)
        pair = load(model_file(given.model), given.device, given.dtype, given.threads)
        _redraw(pair, source, given.output, out, given.entry, given.noise_seed)
        return 0
    shown = open_source(given.target) if given.output.reverse else source
    out = _check_output(given.output, shown)
    pair = _train(given)
    _redraw(pair, shown, given.output, out, None, 0, look=source if given.output.reverse else open_source(given.target))
    return 0


def _run_train(given: Any) -> int:
    _train(given)
    return 0


def _train(given: Any) -> Model:
    """Plan, and train with a progress bar; Ctrl-C says how to go on."""
    from lonepair.fit import Job
    from lonepair.train.loop import Interrupted
    from lonepair.train.watchers import ProgressBar

    training: Training = given.training
    settings = {**dataclasses.asdict(given.config), **dataclasses.asdict(given.options)}
    job = Job.plan({"a": given.source, "b": given.target}, training.method, training.preset, settings)
    name = f"{Path(given.source).stem}-to-{Path(given.target).stem}"
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
    from lonepair.apply.translate import output_suffixes
    from lonepair.files import check_frames_folder, check_output, check_writable, next_free
    from lonepair.video.write import ClipWriter

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


def parse_size(text: str, own: tuple[int, int]) -> tuple[int, int]:
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
            f"--size {text}: not a size; write WIDTHxHEIGHT, such as 640x360, or the longest side, such as 640"
        )
    if min(size) < 1 or max(size) > 16384:
        raise UserError(f"--size {text}: both sides must be 1 to 16384 pixels")
    return size


def _redraw(
    pair: Model, source: Source, output: Output, out: Path, entry: int | None, seed: int, look: Source | None = None
) -> None:
    from tqdm.auto import tqdm

    from lonepair.image import write_image

    size = parse_size(output.size, source.size)
    translation = pair.translate(source, reverse=output.reverse, entry=entry, size=size, seed=seed)
    translation.save(
        out,
        output.overwrite,
        output.save_frames,
        lambda frames: iter(tqdm(frames, desc="redrawing", total=source.count, file=sys.stderr)),
    )
    target = None if look is None else next(look.frames()).image
    write_image(sheet_path(out), translation.sheet(target), translation.metadata, overwrite=output.overwrite)
    print(out)
    print(sheet_path(out))


# -- info, methods, doctor, demo --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Info:
    """Show what a model file or a run's folder holds; without one, a method's parameter counts at its defaults."""

    model: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")] = None
    """A model.safetensors or a run's folder."""
    method: str = methods.DEFAULT
    """Method whose defaults are shown where no model is named."""
    preset: str = "standard"
    """Preset whose counts are shown where no model is named."""


def _run_info(given: Info) -> int:
    from lonepair.checkpoint import load_model

    settings: dict[str, Any]
    if given.model is None:
        method_class = methods.get_method(given.method)
        config = method_class.config_class.from_preset(given.preset)
        side = config.max_side
        square = dict.fromkeys(method_class.domains, (side, side))
        plan = method_class.plan_for(config, 3, square, square)
        method, settings = method_class(config, plan), {"method": given.method, "preset": given.preset}
    else:
        path = model_file(given.model)
        method, settings = load_model(path)
        print(f"file         {path} ({path.stat().st_size / 1e6:.1f} MB)")
        print(f"trained to   stage {method.stage + 1} of {method.plan.stages}")
    for name in ("method", "preset", "seed"):
        if name in settings:
            print(f"{name:12} {settings[name]}")
    for domain, source in settings.get("inputs", {}).items():
        print(f"{'input ' + domain:12} {source['name']}")
    for domain, full in method.plan.full_sizes.items():
        print(f"{'stages ' + domain:12} {' '.join(f'{w}x{h}' for h, w in method.plan.sizes(full))} (width x height)")
    print("generator parameters, all stages")
    for part, count in method.parts().items():
        print(f"  {part:12} {count:>10,}")
    print(f"  {'total':12} {sum(method.parts().values()):>10,}")
    print("settings")
    for name, value in method.config.to_dict().items():
        print(f"  {name:18} {value}")
    print(f"cite\n{method.citation}")
    return 0


@dataclass(frozen=True)
class Methods:
    """List the methods that can be trained."""


def _run_methods(given: Methods) -> int:
    for name in methods.names():
        method = methods.get_method(name)
        summary = (sys.modules[method.__module__].__doc__ or "").split("\n")[0].split(": ", 1)[-1]
        default = " (default)" if name == methods.DEFAULT else ""
        print(f"{name}{default}: {summary}\n  presets: {', '.join(method.config_class.presets)}")
    return 0


@dataclass(frozen=True)
class Doctor:
    """Report versions, devices, codecs, memory and what sizes fit."""


def _run_doctor(given: Doctor) -> int:
    from lonepair import doctor

    return doctor.main()


@dataclass(frozen=True)
class Demo:
    """Crop a source clip and a target from photographs that come along, then redraw the clip: about five minutes."""

    folder: Path = Path("demo")
    """Where inputs and results go."""
    max_minutes: float = 0.0
    """Finish training within so many minutes; 0 is no limit."""


def _run_demo(given: Demo) -> int:
    from lonepair.demo import demo_inputs

    _, clip, target = demo_inputs(given.folder)
    out = given.folder / "redrawn.mp4"
    logger.info("lonepair translate %s %s --preset draft -o %s", clip, target, out)
    translate = with_method(Translate)(["--preset", "draft"])
    status = _run_translate(
        translate(
            source=clip,
            target=target,
            output=Output(out=out, overwrite=True),
            training=Training(preset="draft", run=given.folder / "run"),
            options=Options(max_minutes=given.max_minutes),
        )
    )
    logger.info("open %s: source, target and result side by side; and %s", sheet_path(out), out)
    return status


COMMANDS = {
    "translate": Command(
        "train on a source and a target, then redraw the source", _translate_arguments, _run_translate
    ),
    "train": Command("train only, and keep the model", with_method(Train), _run_train),
    "info": Command("what a model holds; parameter counts", lambda _: Info, _run_info),
    "methods": Command("list the methods", lambda _: Methods, _run_methods),
    "doctor": Command("versions, devices, codecs, memory, what fits", lambda _: Doctor, _run_doctor),
    "demo": Command("the main job on pictures that come along", lambda _: Demo, _run_demo),
}
