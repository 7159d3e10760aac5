"""Everything that a model of a pair is used for.

    python examples/pair.py structural-analogy a.jpg b.jpg --out results    (without pictures, ones that ship)

Each function below is one application. It trains what it needs, once: a run that is there already is used again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import inputs
from one_image import save, trained
from PIL import Image

import lonepair as lp
from lonepair.commands.demo import demo_inputs

SMALL: dict[str, dict[str, Any]] = {
    "lonepair": {"preset": "draft"},
    "structural-analogy": {"max_side": 72, "max_width": 32, "steps": 160},
    "representative": {"max_side": 80, "stages": 5, "steps": 200, "finest_steps": 40},
}
"""Minutes on one core instead of days."""


def trained_pair(out: Path, name: str, method: str, a: Any, b: Any, **settings: Any) -> lp.Model:
    """The model of `a` and `b` in out/runs/`name`."""
    run = out / "runs" / name
    return lp.fit_pair(a, b, method=method, out=run, resume=run.exists(), **{**SMALL[method], **settings})


def analogy(method: str, a: Image.Image, b: Image.Image, out: Path, name: str = "analogy", **settings: Any) -> None:
    """Each picture in the other's look, and random pairs that correspond."""
    model = trained_pair(out, f"{method}-{name}", method, a, b, **settings)
    a_as_b, b_as_a = model.translate(a), model.translate(b, reverse=True)
    save(out, f"{method}-{name}", [("A", a), ("B", b), ("A as B", a_as_b.image), ("B as A", b_as_a.image)])
    if name == "analogy":
        pairs = model.sample(2, seed=0)
        save(out, f"{method}-paired", [(f"{d} {i}", images[d]) for i, images in enumerate(pairs) for d in ("a", "b")])


def entry_stages(method: str, a: Image.Image, b: Image.Image, out: Path) -> None:
    """A, entered at several stages: the coarser, the more is drawn anew."""
    model = trained_pair(out, f"{method}-analogy", method, a, b)
    stages = range(0, model.method.stage + 1, 2)
    entered = [(f"entry {stage}", model.translate(a, start_stage=stage).image) for stage in stages]
    save(out, f"{method}-entry", [("A", a), *entered])


def refinement(method: str, a: Image.Image, b: Image.Image, out: Path) -> None:
    """A translation whose fine texture a model of B alone draws anew."""
    rough = trained_pair(out, f"{method}-analogy", method, a, b).translate(a).image
    model = trained(out, "singan", b, "singan")
    refined = [(f"refined from {start}", model.refine(rough, start=start).image) for start in (3, 4)]
    save(out, f"{method}-refinement", [("A", a), ("B", b), ("A as B", rough), *refined])


def video(method: str, out: Path, **settings: Any) -> None:
    """A clip in the look of a picture."""
    _, clip, target = demo_inputs(out / "inputs")
    model = trained_pair(out, f"{method}-video", method, clip, target, **settings)
    redrawn = model.translate(clip)
    frames = list(redrawn.frames())
    redrawn.save(out / f"{method}-video.mp4", overwrite=True, progress=lambda _: frames)
    shown = list(redrawn.source.frames())[:: len(frames) // 3][:3]
    above = [(f"{float(frame.time):.1f} s", frame.image) for i, frame in enumerate(shown)]
    below = [("redrawn", frames[i * (len(frames) // 3)].image) for i in range(3)]
    save(out, f"{method}-video", [*above, ("look", Image.open(target))], below)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=list(SMALL))
    parser.add_argument("pictures", nargs="*", type=Path, metavar="A B")
    parser.add_argument("--out", type=Path, default=Path("results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    a, b = inputs.coins(), inputs.galaxies()
    if given.pictures:
        a, b = (Image.open(path).convert("RGB") for path in given.pictures)
    analogy(given.method, a, b, given.out)
    if given.method != "lonepair":  # which finishes its pictures itself
        refinement(given.method, a, b, given.out)
    entry_stages(given.method, a, b, given.out)
    if given.pictures:
        return
    tasks = {"lambda_self": 1.0} if given.method == "structural-analogy" else {}
    video(given.method, given.out, **tasks)
    if given.method == "lonepair":
        analogy(given.method, inputs.brick(), inputs.gravel(), given.out, "texture")
        analogy(given.method, inputs.glyph("S"), inputs.glyph("R"), given.out, "glyph")
    if given.method == "structural-analogy":
        analogy(given.method, inputs.brick(), inputs.gravel(), given.out, "texture", preset="texture")
        analogy(given.method, inputs.coins(), inputs.grass(), given.out, "style", preset="style")
        analogy(given.method, inputs.glyph("S"), inputs.glyph("R"), given.out, "glyph", preset="glyph")
        analogy(given.method, inputs.frame_inputs(), inputs.coins(), given.out, "sketch", preset="sketch")


if __name__ == "__main__":
    main()
