"""The pictures of docs/start/gallery.md: crops of public photographs, and what `lonepair` makes of them.

    python examples/gallery.py --inputs-only             write the inputs into gallery/
    python examples/gallery.py coins-dahlia              train on one pair and translate both ways
    python examples/gallery.py --pictures docs/images/pairs     all pairs and clips, with small copies

The photographs come from installed packages: scikit-image (extra `demo`), scikit-learn, and the Debian package
lomiri-wallpapers-16.04, which installs into /usr/share/backgrounds. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

SIZE = (320, 240)
"""(width, height) of every input, in pixels."""
SMALL = (240, 180)
"""(width, height) of the pictures in the documentation."""
TINY = (240, 180)
"""(width, height) of the animations in the documentation."""
BACKGROUNDS = Path("/usr/share/backgrounds")
"""Where the package lomiri-wallpapers-16.04 installs its photographs."""
FRAMES, RATE = 48, 16
"""Frames of a clip, and frames per second."""

Box = tuple[float, float, float]
"""(left, top, width) of a crop of aspect 4:3, as shares of the photograph's width, height and width."""


@dataclass(frozen=True)
class Photo:
    """A photograph that a package includes, and the crop of it that is used."""

    package: str
    file: str
    box: Box
    license: str
    author: str


LOMIRI = "lomiri-wallpapers-16.04"
PHOTOS = {
    "coins": Photo("skimage", "data/coins.png", (72 / 384, 92 / 303, 180 / 384), "public domain", "Brooklyn Museum"),
    "galaxies": Photo("skimage", "data/hubble_deep_field.jpg", (0.262, 38 / 872, 0.212), "public domain", "NASA, ESA"),
    "gravel": Photo("skimage", "data/gravel.png", (0, 0, 0.5), "CC0", "CC0Textures"),
    "glands": Photo("skimage", "data/ihc.png", (0, 0.25, 1), "no known restrictions", "CMMI"),
    "coffee": Photo("skimage", "data/coffee.png", (0.02, 0, 0.88), "CC0", "Rachel Michetti"),
    "dahlia": Photo("sklearn", "datasets/images/flower.jpg", (0.12, 0, 0.87), "CC BY 2.0", "vultilion"),
    "dandelions": Photo(LOMIRI, "seeding_by_Clements_Engelhardt.jpg", (0.42, 0.12, 0.58), "CC0", "Clemens Engelhardt"),
    "ivy": Photo(LOMIRI, "Dragonfly_by_Bolly.jpg", (0, 0.1, 0.7), "CC BY-SA 4.0", "Bolly"),
    "fig": Photo(LOMIRI, "Picture_0B_by_freespace.jpg", (0.1, 0, 0.88), "CC BY 4.0", "Trevor “Freespace”"),
    "stream": Photo(LOMIRI, "life_by_Aitzol_Berasategi.jpg", (0.05, 0, 0.88), "CC BY 4.0", "Aitzol Berasategi"),
    "hills": Photo(LOMIRI, "aitzgorri_by_Aitzol_Berasategi.jpg", (0, 0.0425, 0.85), "CC BY 4.0", "Aitzol Berasategi"),
    "mountain": Photo(LOMIRI, "picosdeeuropa_by_Aitzol_Berasategi.jpg", (0, 0, 1), "CC BY 4.0", "Aitzol Berasategi"),
}
PAIRS = (
    ("coins", "dahlia"),
    ("coins", "dandelions"),
    ("dandelions", "galaxies"),
    ("mountain", "stream"),
    ("gravel", "ivy"),
    ("glands", "gravel"),
    ("hills", "stream"),
    ("fig", "coffee"),
)
"""Each is trained once and translated in both directions."""


@dataclass(frozen=True)
class Clip:
    """A camera that moves over a photograph on an ellipse, and the pair of which it is one."""

    photo: str
    box: Box
    move: tuple[float, float]
    """Half the way to the side and the whole way down, as shares of the photograph's width and height."""
    pair: tuple[str, str]


CLIPS = (
    Clip("coins", (0.15, 0.25, 0.47), (0.13, 0.2), ("coins", "dahlia")),
    Clip("dandelions", (0.40, 0.10, 0.50), (0.09, 0.08), ("dandelions", "galaxies")),
    Clip("stream", (0.12, 0.02, 0.72), (0.10, 0.08), ("mountain", "stream")),
)


def open_photo(photo: Photo, backgrounds: Path) -> Image.Image:
    """Return the full photograph as RGB."""
    if photo.package == LOMIRI:
        path = backgrounds / photo.file
    else:
        spec = importlib.util.find_spec(photo.package)
        path = Path(spec.origin).parent / photo.file if spec and spec.origin else Path(photo.package)
    if not path.exists():
        raise SystemExit(f"{path}: no such file; install {photo.package.replace('sk', 'scikit-', 1)}")
    return Image.open(path).convert("RGB")


def crop(image: Image.Image, box: Box) -> Image.Image:
    """Crop `image` to `box`, and return it at SIZE."""
    left, top, width = box[0] * image.width, box[1] * image.height, box[2] * image.width
    right, bottom = min(left + width, image.width), min(top + width * 0.75, image.height)
    return image.resize(SIZE, Image.Resampling.LANCZOS, box=(left, top, right, bottom))


def write_clip(clip: Clip, path: Path, image: Image.Image) -> None:
    """Write the frames that the moving camera sees as an MP4 file that loops."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE), options={"crf": "12"})
        stream.width, stream.height = SIZE
        for index in range(FRAMES):
            angle = 2 * math.pi * index / FRAMES
            left = clip.box[0] + clip.move[0] * math.sin(angle)
            top = clip.box[1] + clip.move[1] * (1 - math.cos(angle)) / 2
            frame = av.VideoFrame.from_image(crop(image, (left, top, clip.box[2])))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def lonepair(*arguments: object) -> None:
    """Print and run a command line."""
    command = ["lonepair", *map(str, arguments)]
    print(*command)
    subprocess.run([sys.executable, "-m", *command], check=True)


def translate_pair(out: Path, a: str, b: str, preset: str) -> None:
    """Train on the pair, and write both directions. Existing files are kept."""
    run = out / "runs" / f"{a}-{b}"
    if not (out / f"{a}-{b}.png").exists():
        lonepair("translate", out / f"{a}.png", out / f"{b}.png", "--preset", preset, "--run", run,
                 "-o", out / f"{a}-{b}.png")  # fmt: skip
    if not (out / f"{b}-{a}.png").exists():
        lonepair("translate", out / f"{b}.png", run, "--reverse", "-o", out / f"{b}-{a}.png")


def translate_clip(out: Path, clip: Clip, preset: str) -> None:
    """Train on the clip and the other photograph of its pair, and translate the clip."""
    (target,) = set(clip.pair) - {clip.photo}
    result = out / f"{clip.photo}-clip.mp4"
    if not result.exists():
        lonepair("translate", out / f"{clip.photo}.mp4", out / f"{target}.png", "--preset", preset,
                 "--run", out / "runs" / f"{clip.photo}-clip", "-o", result)  # fmt: skip


def frames(path: Path) -> Iterator[Image.Image]:
    """Decode a clip."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_image()


def write_small(out: Path, pictures: Path) -> None:
    """Write existing inputs and results as small JPEGs, and each clip beside its source as an animated WebP."""
    pictures.mkdir(parents=True, exist_ok=True)
    names = {f"in-{name}": out / f"{name}.png" for name in PHOTOS}
    names |= {f"out-{x}-{y}": out / f"{x}-{y}.png" for a, b in PAIRS for x, y in ((a, b), (b, a))}
    for name, path in names.items():
        if path.exists():
            small = Image.open(path).convert("RGB").resize(SMALL, Image.Resampling.LANCZOS)
            small.save(pictures / f"{name}.jpg", quality=80, optimize=True)
    for clip in CLIPS:
        source, result = out / f"{clip.photo}.mp4", out / f"{clip.photo}-clip.mp4"
        if not result.exists():
            continue
        sheets = []
        for before, after in zip(frames(source), frames(result), strict=True):
            sheet = Image.new("RGB", (2 * TINY[0] + 6, TINY[1]), "white")
            sheet.paste(before.resize(TINY, Image.Resampling.LANCZOS), (0, 0))
            sheet.paste(after.resize(TINY, Image.Resampling.LANCZOS), (TINY[0] + 6, 0))
            sheets.append(sheet)
        path, duration = pictures / f"clip-{clip.photo}.webp", 1000 // RATE
        sheets[0].save(path, save_all=True, append_images=sheets[1:], duration=duration, loop=0, quality=35, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", metavar="A-B", help="pairs to train, such as coins-dahlia; default: all")
    parser.add_argument("--out", type=Path, default=Path("gallery"), help="folder for inputs, runs and results")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--inputs-only", action="store_true", help="write the inputs and train nothing")
    parser.add_argument("--backgrounds", type=Path, default=BACKGROUNDS)
    parser.add_argument("--pictures", type=Path, help="folder for small copies of the images in --out")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)

    pairs = [pair for pair in PAIRS if not arguments.pairs or "-".join(pair) in arguments.pairs]
    clips = [clip for clip in CLIPS if clip.pair in pairs]
    for name in {name for pair in pairs for name in pair}:
        crop(open_photo(PHOTOS[name], arguments.backgrounds), PHOTOS[name].box).save(out / f"{name}.png")
    for clip in clips:
        write_clip(clip, out / f"{clip.photo}.mp4", open_photo(PHOTOS[clip.photo], arguments.backgrounds))
    if not arguments.inputs_only:
        for pair in pairs:
            translate_pair(out, *pair, arguments.preset)
        for clip in clips:
            translate_clip(out, clip, arguments.preset)
    if arguments.pictures:
        write_small(out, arguments.pictures)


if __name__ == "__main__":
    main()
