"""All uses of a model of a pair.

    python examples/pair.py structural-analogy a.jpg b.jpg --out results    (default: coins and galaxies)

Each function is one application. It trains the models that it needs; an existing run is resumed or used again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import inputs
from one_image import OVERRIDES, fit_one, save
from PIL import Image

import lonepair as lp
from lonepair.commands.demo import demo_inputs

SMALL: dict[str, dict[str, Any]] = {
    "lonepair": {"preset": "draft"},
    "structural-analogy": {"max_side": 72, "max_width": 32, "steps": 160},
    "representative": {"max_side": 80, "stages": 5, "steps": 200, "finest_steps": 40},
}
"""Settings that take minutes on one core instead of days."""


def fit_both(out: Path, name: str, method: str, a: Any, b: Any, **settings: Any) -> lp.Model:
    """Train on `a` and `b` in out/runs/NAME, or resume that run, and return the model."""
    run = out / "runs" / name
    return lp.fit_pair(a, b, method=method, out=run, resume=run.exists(), **{**SMALL[method], **settings, **OVERRIDES})


def analogy(method: str, a: Image.Image, b: Image.Image, out: Path, name: str = "analogy", **settings: Any) -> None:
    """Translate each image into the style of the other, and generate aligned pairs."""
    model = fit_both(out, f"{method}-{name}", method, a, b, **settings)
    a_as_b, b_as_a = model.translate(a), model.translate(b, reverse=True)
    save(out, f"{method}-{name}", [("A", a), ("B", b), ("A as B", a_as_b.image), ("B as A", b_as_a.image)])
    if name == "analogy":
        pairs = model.sample(2, seed=0)
        save(out, f"{method}-paired", [(f"{d} {i}", images[d]) for i, images in enumerate(pairs) for d in ("a", "b")])


def start_stages(method: str, a: Image.Image, b: Image.Image, out: Path) -> None:
    """Translate A from several start stages: the coarser the stage, the more it changes."""
    model = fit_both(out, f"{method}-analogy", method, a, b)
    stages = range(0, model.method.stage + 1, 2)
    results = [(f"start stage {stage}", model.translate(a, start_stage=stage).image) for stage in stages]
    save(out, f"{method}-start-stages", [("A", a), *results])


def refinement(method: str, a: Image.Image, b: Image.Image, out: Path) -> None:
    """Replace the fine texture of a translation with a model of B alone."""
    rough = fit_both(out, f"{method}-analogy", method, a, b).translate(a).image
    model = fit_one(out, "singan", b, "singan")
    refined = [(f"refined from {start}", model.refine(rough, start_stage=start).image) for start in (3, 4)]
    save(out, f"{method}-refinement", [("A", a), ("B", b), ("A as B", rough), *refined])


def video(method: str, out: Path, **settings: Any) -> None:
    """Translate a clip into the style of an image."""
    _, clip, target = demo_inputs(out / "inputs")
    model = fit_both(out, f"{method}-video", method, clip, target, **settings)
    translation = model.translate(clip)
    frames = list(translation.frames())
    translation.save(out / f"{method}-video.mp4", overwrite=True, progress=lambda _: frames)
    sources = list(translation.source.frames())[:: len(frames) // 3][:3]
    above = [(f"{float(frame.time):.1f} s", frame.image) for frame in sources]
    below = [("translation", frames[i * (len(frames) // 3)].image) for i in range(3)]
    save(out, f"{method}-video", [*above, ("target", Image.open(target))], below)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=list(SMALL))
    parser.add_argument("pictures", nargs="*", type=Path, metavar="A B")
    parser.add_argument("--steps", type=int, help="training steps of each stage")
    parser.add_argument("--out", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.steps:
        OVERRIDES["steps"] = arguments.steps
    a, b = inputs.coins(), inputs.galaxies()
    if arguments.pictures:
        a, b = (Image.open(path).convert("RGB") for path in arguments.pictures)
    analogy(arguments.method, a, b, arguments.out)
    if arguments.method != "lonepair":  # whose patch synthesis makes fine texture
        refinement(arguments.method, a, b, arguments.out)
    start_stages(arguments.method, a, b, arguments.out)
    if arguments.pictures:
        return
    tasks = {"lambda_self": 1.0} if arguments.method == "structural-analogy" else {}
    video(arguments.method, arguments.out, **tasks)
    if arguments.method == "lonepair":
        analogy(arguments.method, inputs.brick(), inputs.gravel(), arguments.out, "texture")
        analogy(arguments.method, inputs.glyph("S"), inputs.glyph("R"), arguments.out, "glyph")
    if arguments.method == "structural-analogy":
        analogy(arguments.method, inputs.brick(), inputs.gravel(), arguments.out, "texture", preset="texture")
        analogy(arguments.method, inputs.coins(), inputs.grass(), arguments.out, "style", preset="style")
        analogy(arguments.method, inputs.glyph("S"), inputs.glyph("R"), arguments.out, "glyph", preset="glyph")
        analogy(arguments.method, inputs.sketch(), inputs.coins(), arguments.out, "sketch", preset="sketch")


if __name__ == "__main__":
    main()
