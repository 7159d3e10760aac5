"""Measures what each part of `lonepair` contributes: look, structure and copying without it, in both directions.

    python benchmarks/ablation.py DATA [--pairs A/B ...] [--variants NAME ...] [--minutes 4] [--out FOLDER]

DATA is a folder as for quality.py. An existing run in FOLDER is used again. FOLDER/ablation.md has the table,
FOLDER/A-B.png the images of a pair. `full` is the unchanged method. Two variants use its run: `networks alone` is the
prediction without patch synthesis; `patches alone` is patch synthesis of the untranslated source, with its colors
matched to the target's mean and contrast.
"""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import date
from pathlib import Path

import torch
from contest import run_benchmark, table
from quality import Pair, find_pair, means
from torch import Tensor

import lonepair as lp
from lonepair.commands.doctor import cpu_name
from lonepair.evaluate import Run, open_run
from lonepair.evaluate.measure import translation_metrics
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import write_image
from lonepair.render.pipeline import DIRECTIONS
from lonepair.render.synthesizers import synthesizer_for
from lonepair.storage.files import atomic_write, check_writable

TRAINED: dict[str, dict[str, float]] = {
    "full": {},
    "no nearest": {"lambda_nearest": 0.0},
    "no detail": {"lambda_detail": 0.0},
    "no structure": {"lambda_structure": 0.0},
    "no rarity": {"lambda_rarity": 0.0},
    "no structure, no rarity": {"lambda_structure": 0.0, "lambda_rarity": 0.0},
    "structure 0.1": {"lambda_structure": 0.1},
    "structure 1": {"lambda_structure": 1.0},
}
"""Variant with a training of its own -> settings that it changes."""
UNTRAINED = ("networks alone", "patches alone")
"""Variants that use the run of `full`."""


def run_of(pair: Pair, variant: str, args: argparse.Namespace) -> Run:
    """Train the variant `variant` on `pair`, or resume or reuse its run."""
    name = f"{pair.name}-{variant}-{args.preset}-{args.minutes:g}min-{args.seed}"
    name = name.replace("/", "-").replace(" ", "-").replace(",", "")
    folder: Path = args.out / "runs" / name
    settings = {
        "seed": args.seed,
        "max_minutes": args.minutes,
        "device": args.device,
        "threads": args.threads,
    }
    lp.fit_pair(
        pair.a,
        pair.b,
        method="lonepair",
        preset=args.preset,
        out=folder,
        resume=folder.is_dir(),
        **{**TRAINED[variant], **settings},
    )
    return open_run(folder, lambda path: lp.load(path, args.device, threads=args.threads))


def output_of(run: Run, variant: str, direction: str) -> Tensor:
    """The translation of the run's source in `direction` by `variant`."""
    source, target = run.inputs[direction[0]], run.inputs[direction[-1]]
    if variant == "patches alone":
        # Mean and contrast of each channel become the target's.
        contrast = target.std((2, 3), keepdim=True) / source.std((2, 3), keepdim=True).clamp(min=1e-3)
        image = (source - source.mean((2, 3), keepdim=True)) * contrast + target.mean((2, 3), keepdim=True)
        return synthesizer_for(run.model.method, direction[-1]).synthesize(image.clamp(-1, 1)).image
    is_reverse, synthesize = direction == DIRECTIONS[1], variant != "networks alone"
    output = run.model.translate(source, reverse=is_reverse, synthesize=synthesize).image
    assert output is not None
    return output


def run(args: argparse.Namespace) -> int:
    """Train and measure pair by pair; the table and the images are written after each pair."""
    args.out.mkdir(parents=True, exist_ok=True)
    check_writable(args.out)
    values: dict[str, dict[str, dict[str, float]]] = {variant: {} for variant in args.variants}
    for pair in [find_pair(args.data, name) for name in args.pairs]:
        sheet: dict[str, list[tuple[str, Tensor]]] = {}
        for variant in args.variants:
            print(f"{pair.name}, {variant}", file=sys.stderr, flush=True)
            variant_run = run_of(pair, "full" if variant in UNTRAINED else variant, args)
            for direction in DIRECTIONS:
                source, target = variant_run.inputs[direction[0]], variant_run.inputs[direction[-1]]
                output = output_of(variant_run, variant, direction)
                values[variant][pair.title(direction)] = translation_metrics(output, target, source)
                sheet.setdefault(direction, [("source", source), ("target", target)]).append((variant, output))
        write_image(args.out / f"{pair.name.replace('/', '-')}.png", contact_sheet([*sheet.values()]), overwrite=True)
        titles = list(values[args.variants[0]])
        rows = [
            [v, *means(values[v].values()), *(means([values[v][t]])[i] for t in titles for i in (0, 1))] for v in values
        ]
        heads = [f"{t}, {m}" for t in titles for m in ("look", "structure")]
        lines = [
            f"{date.today().isoformat()}, {cpu_name()}, device {args.device}, {torch.get_num_threads()} threads, "
            f"Python {platform.python_version()}, torch {torch.__version__}; seed {args.seed}, preset {args.preset}, "
            f"at most {args.minutes:g} minutes of training each.",
            "",
            *table(["variant", "look", "structure", "copying", *heads], rows, 1),
        ]
        with atomic_write(args.out / "ablation.md") as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(args.out / "ablation.md")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the input images")
    parser.add_argument("--pairs", nargs="+", default=["eggs/bowls", "plant/logs"], metavar="A/B")
    parser.add_argument("--variants", nargs="+", default=[*TRAINED, *UNTRAINED], choices=[*TRAINED, *UNTRAINED])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("ablation"))
    return run_benchmark(lambda: run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
