"""All uses of a model of one image.

    python examples/one_image.py singan photo.jpg --out results      (or consingan; default: a photo of galaxies)
    python examples/one_image.py singan photo.jpg --edited moved.png --mask mask.png --only editing

Each function is one application. It trains the models that it needs; an existing run is resumed or used again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import inputs
from PIL import Image

import lonepair as lp
import lonepair.methods as methods
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import write_image
from lonepair.media.values import as_image
from lonepair.metrics import psnr, ssim
from lonepair.ops.resize import resize_image

SMALL: dict[str, dict[str, Any]] = {
    "singan": {"max_side": 80, "max_width": 32, "steps": 250},
    "consingan": {"max_side": 72, "stages": 4, "steps": 500},
    "lonepair-single": {"preset": "draft"},
}
"""Settings that take minutes on one core instead of hours: a third of the papers' size, an eighth to a quarter of
their steps."""


OVERRIDES: dict[str, Any] = {}
"""Settings of the command line that replace those of `SMALL` and of the applications."""


def fit_one(out: Path, name: str, image: Any, method: str, **settings: Any) -> lp.Model:
    """Train on `image` in out/runs/NAME, or resume that run, and return the model."""
    run = out / "runs" / name
    return lp.fit(image, method=method, out=run, resume=run.exists(), **{**SMALL[method], **settings, **OVERRIDES})


def save(out: Path, name: str, *rows: list[tuple[str, Any]]) -> None:
    """Write rows of labelled images as out/NAME.png."""
    sheet = contact_sheet([[(label, as_image(image)) for label, image in row] for row in rows], cell=160)
    write_image(out / f"{name}.png", sheet, {}, overwrite=True)
    print(out / f"{name}.png")


def sampling(method: str, photo: Image.Image, out: Path) -> None:
    """Generate images of the photo's size and of others, and from every start stage."""
    model = fit_one(out, method, photo, method)
    first = model.sample(4, seed=0)
    h, w = first.images["a"].shape[-2:]
    samples = [(f"seed 0.{i}", images["a"]) for i, images in enumerate(first)]
    wide, tall = (model.sample(1, seed=0, size=size)[0]["a"] for size in ((h, 2 * w), (2 * h, w)))
    save(out, f"{method}-samples", [("photo", photo), *samples])
    save(out, f"{method}-sizes", [("photo", photo), ("twice as wide", wide), ("twice as tall", tall)])
    model.sample_stage_sheet(4).save(out / f"{method}-start-stages.png", overwrite=True)


def animation(method: str, photo: Image.Image, out: Path) -> None:
    """Animate the photo as a GIF that loops."""
    model = fit_one(out, f"{method}-animation", photo, method, preset="animation")
    moving = model.animate(frames=24, loop=True, start_stage=1)
    frames = list(moving.frames())
    moving.save(out / f"{method}-animation.gif", overwrite=True, progress=lambda _: frames)
    shown = [(f"frame {i}", frames[i].image) for i in range(0, 24, 6)]
    save(out, f"{method}-animation", [("photo", photo), *shown])


def editing(method: str, photo: Image.Image, edited: Any, mask: Any, out: Path) -> None:
    """Make a region that was copied within the photo seamless."""
    if method == "consingan":
        settings = {"preset": "editing", "steps": 250}
        model = fit_one(out, f"{method}-editing", photo, method, **settings)
        starts = {"result": 0}
    else:
        model = fit_one(out, method, photo, method)
        starts = {f"start stage {stage}": stage for stage in (2, 3, 4)}
    results = [
        (label, model.edit(edited, mask, original=photo, start_stage=start, dilate=3, feather=2).image)
        for label, start in starts.items()
    ]
    save(out, f"{method}-editing", [("photo", photo), ("edited", edited), *results])


def harmonization(method: str, photo: Image.Image, composite: Any, mask: Any, out: Path) -> None:
    """Give an object that was pasted into the photo the photo's style."""
    results = []
    if method == "consingan":
        small = {"stages": 3, "min_side": 36, "steps": 250}
        settings: dict[str, Any] = {"preset": "harmonization", **small}
        model = fit_one(out, f"{method}-harmonization", photo, method, **settings)
        warm = out / "runs" / f"{method}-harmonization"
        settings |= {"steps": 120, "composite": composite, "warm_start": warm}
        tuned = fit_one(out, f"{method}-fine-tuned", photo, method, **settings)
        for label, each in (("trained", model), ("fine-tuned", tuned)):
            results.append((label, each.harmonize(composite, mask, original=composite, dilate=2, feather=1).image))
    else:
        model = fit_one(out, method, photo, method)
        for start in (2, 3, 4):
            image = model.harmonize(composite, mask, original=composite, start_stage=start, dilate=2, feather=1).image
            results.append((f"start stage {start}", image))
    save(out, f"{method}-harmonization", [("photo", photo), ("composite", composite), *results])


def painting(method: str, photo: Image.Image, painted: Any, out: Path) -> None:
    """Turn a rough painting into an image like the photo."""
    model = fit_one(out, method, photo, method)
    results = [
        (f"stage {start}, {colors or 'all'} colors", model.paint(painted, start_stage=start, colors=colors).image)
        for start in (1, 2)
        for colors in (0, 5)
    ]
    save(out, f"{method}-painting", [("photo", photo), ("painting", painted), *results])


def superresolution(method: str, photo: Image.Image, out: Path) -> None:
    """Enlarge the reduced photo with its own detail, and compare the result with the photo."""
    assert method == "singan"
    truth = as_image(photo)
    h, w = (side // 2 for side in truth.shape[-2:])
    small = resize_image(truth, (h, w))
    model = fit_one(out, "singan-superresolution", small, method, preset="superresolution")
    large = model.superresolve(2, small).image
    bicubic = resize_image(small, (2 * h, 2 * w))
    row = [("reduced", small)]
    for label, image in (("bicubic", bicubic), ("super-resolved", large)):
        even = truth[..., : 2 * h, : 2 * w]  # without an odd last row or column
        row.append((f"{label}, {float(psnr(image, even)):.1f} dB, {float(ssim(image, even)):.2f}", image))
    save(out, "singan-superresolution", [*row, ("photo", photo)])


def main() -> None:
    uses = {"sampling": "sample", "animation": "animate", "editing": "edit", "harmonization": "harmonize"}
    uses |= {"painting": "paint", "superresolution": "superresolve"}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=list(SMALL))
    parser.add_argument("photo", nargs="?", type=Path)
    parser.add_argument("--edited", type=Path, help="PHOTO with an object moved or copied")
    parser.add_argument("--composite", type=Path, help="PHOTO with an object pasted in")
    parser.add_argument("--mask", type=Path, help="white where PHOTO was edited")
    parser.add_argument("--painting", type=Path, help="a rough painting of something like PHOTO")
    parser.add_argument("--only", nargs="+", choices=list(uses), default=list(uses))
    parser.add_argument("--steps", type=int, help="training steps of each stage")
    parser.add_argument("--out", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    method, out = arguments.method, arguments.out
    chosen = {use for use in arguments.only if uses[use] in methods.get_method(method).uses}
    if arguments.steps:
        OVERRIDES["steps"] = arguments.steps

    def with_mask(path: Path | None, default: tuple[Image.Image, Image.Image]) -> tuple[Any, Any] | None:
        """Return the user's image and mask; without a user's photo, the default ones."""
        return (path, arguments.mask) if path else None if arguments.photo else default

    photo = Image.open(arguments.photo).convert("RGB") if arguments.photo else inputs.galaxies()
    edited, composite = with_mask(arguments.edited, inputs.moved()), with_mask(arguments.composite, inputs.pasted())
    painted = arguments.painting or (None if arguments.photo else inputs.painting())
    if "sampling" in chosen:
        sampling(method, photo, out)
    if "animation" in chosen:
        animation(method, photo, out)
    if "editing" in chosen and edited:
        editing(method, photo, *edited, out)
    if "harmonization" in chosen and composite:
        harmonization(method, photo, *composite, out)
    if method == "singan" and "painting" in chosen and painted:
        painting(method, photo, painted, out)
    if "superresolution" in chosen:
        superresolution(method, photo, out)


if __name__ == "__main__":
    main()
