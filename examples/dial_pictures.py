"""The pictures of the pages on dials, masks, regions, inpaint, outpaint and tile.

    python examples/dial_pictures.py docs/images         write docs/images/dials/*.jpg and docs/images/completion/*.jpg

It takes the pairs of `gallery.py`, from the folder of its `--out`, and trains those that have no run yet.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gallery
import numpy as np
from PIL import Image, ImageDraw

import lonepair as lp
from lonepair.media.sheet import contact_sheet
from lonepair.media.values import as_image
from lonepair.patches.config import SynthesisConfig

DIAL_STRIPS: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {
    "structure": ("coins-dahlia", {"structure": (0, 0.25, 0.5, 0.75, 1)}),
    "texture-size": ("glands-gravel", {"texture_size": (0.5, 0.7, 1, 1.4, 2)}),
    "colour": ("mountain-stream", {"colour": (0, 0.25, 0.5, 0.75, 1)}),
    "tone": ("coins-dahlia", {"tone": ("keep", "swap")}),
    "strength": ("mountain-stream", {"strength": (0.15, 0.3, 0.5, 0.75, 1)}),
}
"""Name of a picture -> pair, and the values of one dial."""
SYNTHESIS = SynthesisConfig()
"""Today's settings of patch synthesis, also for runs that were trained with others."""
CELL = 200
"""Longest side in pixels of an image in a strip."""


def photo(out: Path, name: str) -> Image.Image:
    """Return an input of the gallery, written if it is not there."""
    path = out / f"{name}.png"
    if not path.exists():
        source = gallery.PHOTOS[name]
        gallery.crop(gallery.open_photo(source, gallery.BACKGROUNDS), source.box).save(path)
    return Image.open(path).convert("RGB")


def model(out: Path, run: str, **settings: Any) -> lp.Model:
    """Return the model of a run, trained with the preset draft if there is none. A run is a pair A-B or one photo A."""
    folder = out / "runs" / run
    if (folder / "model.safetensors").exists():
        return lp.load(folder, "cpu")
    images = [photo(out, name) for name in run.split("-")]
    fit = lp.fit_pair if len(images) == 2 else lp.fit
    return fit(*images, preset="draft", out=folder, device="cpu", **settings)


def write_strip(path: Path, images: Mapping[str, Any], columns: int = 0) -> None:
    """Write labelled images side by side as a JPEG, in rows of `columns`."""
    cells = [(label, as_image(image)) for label, image in images.items()]
    columns = columns or len(cells)
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    sheet = contact_sheet(rows, cell=CELL)[0].permute(1, 2, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(((sheet + 1) * 127.5).round().byte().numpy()).save(path, quality=80, optimize=True)
    print(path)


def mask_of(size: tuple[int, int], soft: bool) -> Image.Image:
    """Return a soft disk, or the left half behind an oblique line, in white on black."""
    width, height = size
    if not soft:
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).polygon([(0, 0), (0.6 * width, 0), (0.4 * width, height), (0, height)], fill=255)
        return mask
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - width / 2, y - height / 2) / (0.45 * math.hypot(width, height) / 2)
    return Image.fromarray((255 * np.clip(3 * (1 - distance) + 0.5, 0, 1)).astype(np.uint8))


def dials(out: Path, pictures: Path) -> None:
    """Write a strip for each dial, the dial sheet, and the pictures of masks and regions."""
    for name, (pair, values) in DIAL_STRIPS.items():
        source = photo(out, pair.split("-")[0])
        trained = model(out, pair)
        strip: dict[str, Any] = {"source": source}
        for dial, settings in values.items():
            for setting in settings:
                strip[f"{setting}"] = trained.translate(source, synthesis=SYNTHESIS, **{dial: setting}).image
        write_strip(pictures / f"{name}.jpg", strip, columns=3)
    # The dial sheet: three of its rows.
    tissue = photo(out, "glands")
    gravel = model(out, "glands-gravel")
    cells = {
        f"structure {structure}, texture {size}": gravel.translate(
            tissue, structure=structure, texture_size=size, synthesis=SYNTHESIS
        ).image
        for structure in (0, 0.5, 1)
        for size in (0.5, 1, 2)
    }
    write_strip(pictures / "dial-sheet.jpg", cells, columns=3)
    # Masks and regions.
    coins = photo(out, "coins")
    mask = mask_of(coins.size, soft=True)
    masked = model(out, "coins-dahlia").translate(coins, mask=mask, synthesis=SYNTHESIS).image
    write_strip(pictures / "mask.jpg", {"source": coins, "mask": mask.convert("RGB"), "output": masked})
    left = mask_of(tissue.size, soft=False)
    right = Image.eval(left, lambda value: 255 - value)
    galaxies = model(out, "glands-galaxies")
    parts = [Image.fromarray(pixels(each.translate(tissue, synthesis=SYNTHESIS).image)) for each in (gravel, galaxies)]
    cut = Image.composite(parts[0], parts[1], left)
    joined = lp.translate_regions(tissue, [gravel, galaxies], [left, right]).image
    write_strip(pictures / "regions.jpg", {"cut along the mask": cut, "synthesized seam": joined})


def pixels(image: Any) -> np.ndarray:
    """Return a (1, 3, h, w) image in [-1, 1] as (h, w, 3) bytes."""
    array: np.ndarray = ((image[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    return array


def completion(out: Path, pictures: Path) -> None:
    """Write the pictures of inpaint, outpaint and tile."""

    def single(name: str) -> tuple[Image.Image, lp.Model]:
        return photo(out, name), model(out, name, method="lonepair-single")

    # Inpaint: a rectangle in the middle of the hills.
    hills, trained = single("hills")
    width, height = hills.size
    hole = Image.new("L", hills.size)
    ImageDraw.Draw(hole).rectangle((0.4 * width, 0.45 * height, 0.6 * width, 0.75 * height), fill=255)
    shown = Image.composite(Image.new("RGB", hills.size, "white"), hills, hole)
    filled = trained.inpaint(hills, hole).image
    write_strip(pictures / "inpaint-hills.jpg", {"photograph": hills, "hole": shown, "filled": filled})
    # Outpaint: the mountain on three sides.
    mountain, trained = single("mountain")
    larger = trained.outpaint(mountain, left=80, right=80, top=60).image
    write_strip(pictures / "outpaint-mountain.jpg", {"photograph": mountain, "continued on three sides": larger})
    # Tile: four copies of the gravel, and of its tile.
    gravel, trained = single("gravel")
    tile = as_image(trained.tile(gravel).image)
    copies = {"four copies": as_image(gravel).repeat(1, 1, 2, 2), "four copies of the tile": tile.repeat(1, 1, 2, 2)}
    write_strip(pictures / "tile-gravel.jpg", copies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of the pictures; they go into its folders of each page")
    parser.add_argument("--out", type=Path, default=Path("gallery"), help="folder of inputs and runs")
    parser.add_argument("--only", choices=["dials", "completion"])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, write in (("dials", dials), ("completion", completion)):
        if arguments.only in (None, name):
            write(arguments.out, arguments.pictures / name)


if __name__ == "__main__":
    main()
