"""Commands that use a trained model of one image (and `sample`, of a pair, too)."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from lonepair.commands.forms import Compute, ImageOutput, ModelPath, free_output, parse_size
from lonepair.errors import UserError

if TYPE_CHECKING:
    from lonepair.api.model import Model
    from lonepair.apply.results import Picture, Samples

ImagePath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
Size = Annotated[str, tyro.conf.arg(metavar="WxH|N")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]


@dataclass(frozen=True)
class SampleOutput:
    """Where samples go."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """Folder for NUMBER.png and sheet.png. Default: samples, the next free name."""
    overwrite: bool = False
    """Replace files that exist."""

    def folder(self) -> Path:
        """The folder's name; refuses now what would fail in the end."""
        from lonepair.media.files import check_frames_folder, check_writable, next_free

        if self.out is None:
            return Path("samples") if self.overwrite else next_free(Path("samples"))
        check_frames_folder(self.out, self.overwrite)
        check_writable(self.out if self.out.is_dir() else self.out.parent)
        return self.out


@dataclass(frozen=True)
class Sample:
    """Draw random images from a model; of a pair, random images that correspond."""

    model: ModelPath
    """A model.safetensors, or the folder of a run."""
    count: int = 8
    """How many."""
    seed: int = 0
    """The same pictures whatever the count."""
    size: Size = ""
    """Size in pixels: WIDTHxHEIGHT, or the longest side alone. Default: as trained."""
    start: int = 0
    """Stage at which randomness begins; those below keep the training image's layout."""
    finish: bool = True
    """Finish pictures with the learnt images' own patches, where the method remembers them."""
    detail: bool = True
    """Finish them at the size of the images as they were given, rather than at the networks'."""
    scales: bool = False
    """Also write scales.png: every start stage in a row of its own."""
    output: SampleOutput = field(default_factory=SampleOutput)
    compute: Compute = field(default_factory=Compute)


def run_sample(given: Sample) -> int:
    folder = given.output.folder()
    model = given.compute.load(given.model)
    samples = model.sample(
        given.count,
        seed=given.seed,
        size=_size(model, given.size),
        start_stage=given.start,
        synthesize=given.finish,
        full_size=given.detail,
    )
    write_samples(samples, folder, given.output.overwrite)
    if given.scales:
        size = _size(model, given.size)
        print(model.sample_stage_sheet(seed=given.seed, size=size).save(folder / "scales.png", given.output.overwrite))
    return 0


def write_samples(samples: Samples, folder: Path, overwrite: bool) -> None:
    """Samples as numbered files, and all on one sheet."""
    from lonepair.media.image import write_image

    samples.save(folder, overwrite)
    write_image(folder / "sheet.png", samples.sheet(), {}, overwrite)
    print(folder / "sheet.png")


@dataclass(frozen=True)
class Retarget:
    """Draw what a model has learnt at another size and aspect."""

    model: ModelPath
    """A model.safetensors, or the folder of a run."""
    size: Size
    """Size in pixels: WIDTHxHEIGHT, or the longest side alone."""
    seed: int = 0
    """Of the noise: another seed, another picture."""
    start: int = 0
    """Stage at which randomness begins; those below stretch the training image's layout."""
    output: ImageOutput = field(default_factory=ImageOutput)
    compute: Compute = field(default_factory=Compute)


def run_retarget(given: Retarget) -> int:
    out = given.output.path()
    model = given.compute.load(given.model)
    samples = model.sample(1, seed=given.seed, size=_size(model, given.size), start_stage=given.start)
    return _written(samples.picture(), out, given.output.overwrite)


@dataclass(frozen=True)
class Animate:
    """Set the training image in motion: a random walk through the noise."""

    model: ModelPath
    """A model.safetensors, or the folder of a run."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """File to write (.mp4 .mov .mkv .gif .webp .png). Default: out.mp4, the next free name."""
    overwrite: bool = False
    """Replace the file if it exists."""
    frames: int = 60
    """How many."""
    rate: float = 10.0
    """Frames per second."""
    alpha: float = 0.1
    """Pull towards the image, between 0 and 1: larger stays closer to it."""
    beta: float = 0.9
    """Between 0 and 1: larger is smoother."""
    start: int | None = None
    """Stage at which movement begins; 0 moves the layout, too. Default: 1."""
    loop: bool = False
    """Lead back to the beginning without a seam."""
    seed: int = 0
    """Another seed, another walk."""
    size: Size = ""
    """Size of the frames: WIDTHxHEIGHT, or the longest side alone. Default: as trained."""
    compute: Compute = field(default_factory=Compute)


def run_animate(given: Animate) -> int:
    from tqdm.auto import tqdm

    from lonepair.media.write import WRITABLE

    out = free_output(given.out, "out.mp4", WRITABLE, given.overwrite)
    model = given.compute.load(given.model)
    animation = model.animate(
        frames=given.frames,
        rate=given.rate,
        alpha=given.alpha,
        beta=given.beta,
        start_stage=given.start,
        loop=given.loop,
        seed=given.seed,
        size=_size(model, given.size),
    )
    saved = animation.save(
        out, given.overwrite, lambda frames: iter(tqdm(frames, desc="animating", total=given.frames, file=sys.stderr))
    )
    print(saved)
    return 0


@dataclass(frozen=True)
class Edit:
    """Make seamless what was moved, copied or pasted in IMAGE."""

    model: ModelPath
    """A model of the image before the edit."""
    image: ImagePath
    """The edited image."""
    mask: File = None
    """White (or opaque) where it was edited. Default: where IMAGE differs from --original."""
    original: File = None
    """The image before the edit; it stays outside the mask. Default: IMAGE itself."""
    start: int | None = None
    """Stage at which the image enters: later ones keep more of it. Default: the method's own choice."""
    dilate: int = 20
    """The mask grows by so many pixels."""
    feather: float = 5.0
    """Standard deviation, in pixels, of the mask's soft edge."""
    seed: int = 0
    """Of the noise."""
    output: ImageOutput = field(default_factory=ImageOutput)
    compute: Compute = field(default_factory=Compute)


@dataclass(frozen=True)
class Harmonize(Edit):
    """Give an object that was pasted into IMAGE the look of the image that was learnt."""

    dilate: int = 7
    """The mask grows by so many pixels."""


def run_edit(given: Edit) -> int:
    out = given.output.path()
    if given.mask is None and given.original is None:
        raise UserError("give --mask, or --original: the image before the edit, with which it is compared")
    model = given.compute.load(given.model)
    use = model.harmonize if isinstance(given, Harmonize) else model.edit
    picture = use(
        given.image,
        given.mask,
        original=given.original,
        start_stage=given.start,
        dilate=given.dilate,
        feather=given.feather,
        seed=given.seed,
    )
    return _written(picture, out, given.output.overwrite)


@dataclass(frozen=True)
class Paint:
    """Turn a rough painting into an image like the one that was learnt."""

    model: ModelPath
    """A model.safetensors, or the folder of a run."""
    image: ImagePath
    """The painting."""
    start: int | None = None
    """Stage at which the painting enters: later ones keep more of it. Default: 1."""
    colours: int = 0
    """First reduce the painting to so many colours of the palette; 0 leaves it as it is."""
    palette: File = None
    """Image whose colours are taken. Default: what the model reconstructs of its training image."""
    seed: int = 0
    """Of the noise."""
    output: ImageOutput = field(default_factory=ImageOutput)
    compute: Compute = field(default_factory=Compute)


def run_paint(given: Paint) -> int:
    out = given.output.path()
    model = given.compute.load(given.model)
    picture = model.paint(
        given.image, start_stage=given.start, colors=given.colours, palette=given.palette, seed=given.seed
    )
    return _written(picture, out, given.output.overwrite)


@dataclass(frozen=True)
class Superres:
    """Enlarge IMAGE, or the model's own training image, with the detail that the model has learnt."""

    model: ModelPath
    """A model.safetensors, or the folder of a run."""
    image: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[IMAGE]")] = None
    """The image. Default: what the model reconstructs of its training image."""
    factor: float = 4.0
    """How many times larger each side becomes; any number above 1."""
    seed: int = 0
    """Of the noise."""
    output: ImageOutput = field(default_factory=ImageOutput)
    compute: Compute = field(default_factory=Compute)


def run_superres(given: Superres) -> int:
    out = given.output.path()
    model = given.compute.load(given.model)
    return _written(model.superresolve(given.factor, given.image, seed=given.seed), out, given.output.overwrite)


@dataclass(frozen=True)
class Refine:
    """Draw the fine texture of IMAGE anew, such as a pair's translation, with a model of the target alone."""

    model: ModelPath
    """A model of the image whose texture is wanted."""
    image: ImagePath
    """The image."""
    start: int | None = None
    """Stage at which it enters: later ones keep more of it. Default: halfway."""
    seed: int = 0
    """Of the noise."""
    output: ImageOutput = field(default_factory=ImageOutput)
    compute: Compute = field(default_factory=Compute)


def run_refine(given: Refine) -> int:
    out = given.output.path()
    model = given.compute.load(given.model)
    return _written(model.refine(given.image, start_stage=given.start, seed=given.seed), out, given.output.overwrite)


def _size(model: Model, text: str) -> tuple[int, int] | None:
    """(h, w) that `text` says; None, as trained, for nothing."""
    return parse_size(text, next(iter(model.method.sizes.values()))[-1]) if text else None


def _written(picture: Picture, out: Path, overwrite: bool) -> int:
    print(picture.save(out, overwrite))
    return 0
