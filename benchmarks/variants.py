"""Compares settings of one pair method over several seeds: mean and standard deviation of look, structure and copying.

    python benchmarks/variants.py DATA METHOD NAME [SETTING=VALUE ...] [--pair A/B] [--preset P] [--seeds 0 1 2]
        [--out FOLDER]

DATA is a folder as for quality.py. One call trains one variant, which NAME names, with each seed; an existing run in
FOLDER is used again. FOLDER/NAME-SEED.json has the metrics of a run. After every call FOLDER/variants.md has the table
of all variants that have results there, and FOLDER/variants.png their pictures. A variant of another version of the
package is a call of that version with the same FOLDER.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from datetime import date
from pathlib import Path
from typing import Any

import torch
from contest import find_image, read_at, run_benchmark, table
from quality import METRICS

import lonepair as lp
from lonepair.commands.doctor import cpu_name
from lonepair.evaluate.measure import translation_metrics
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.image import read_image, write_image
from lonepair.render.pipeline import DIRECTIONS
from lonepair.storage.files import atomic_write, check_writable


def settings_of(words: list[str]) -> dict[str, Any]:
    """Return the settings of the words NAME=VALUE; a value is a number, true, false or a text.

    Raises:
        UserError: A word has no "=".
    """
    settings = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise lp.UserError(f"setting {word!r} is not of the form NAME=VALUE; write it so")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def measure(args: argparse.Namespace, seed: int, a: Path, b: Path) -> None:
    """Train with `seed`, measure both directions, and write FOLDER/NAME-SEED.json and the translations."""
    stem = f"{args.name}-{seed}"
    folder = args.out / "runs" / stem
    settings = {"seed": seed, "device": args.device, "threads": args.threads, **settings_of(args.settings)}
    model = lp.fit_pair(a, b, method=args.method, preset=args.preset, out=folder, resume=folder.is_dir(), **settings)
    channels = model.method.plan.channels
    inputs = {"a": read_at(a, args.side, channels), "b": read_at(b, args.side, channels)}
    values: dict[str, Any] = {}
    for direction in DIRECTIONS:
        source, target = inputs[direction[0]], inputs[direction[-1]]
        output = model.translate(source, reverse=direction == DIRECTIONS[1], seed=0).image
        assert output is not None
        values[direction] = translation_metrics(output, target, source)
        write_image(args.out / f"{stem}-{direction}.png", output, overwrite=True)
    # The last logged losses, and the noise of every stage.
    values["losses"] = json.loads((folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    nets = model.method.nets
    values["amplitudes"] = {d: nets[f"g_{d}"].amplitudes.tolist() for d in "ab"}  # type: ignore[operator]
    with atomic_write(args.out / f"{stem}.json") as temporary:
        temporary.write_text(json.dumps(values, indent=1), encoding="utf-8")


def report(args: argparse.Namespace, a: Path, b: Path) -> None:
    """Write the table and the pictures of all variants that have results in FOLDER."""
    results: dict[str, list[dict[str, Any]]] = {}
    sheet: dict[str, list[Any]] = {}
    for path in sorted(args.out.glob("*.json")):
        name, _, _ = path.stem.rpartition("-")
        results.setdefault(name, []).append(json.loads(path.read_text(encoding="utf-8")))
        for direction in DIRECTIONS:
            picture = read_image(args.out / f"{path.stem}-{direction}.png")
            sheet.setdefault(f"{name} {direction}", []).append((path.stem, picture))
    rows = []
    for name, runs in results.items():
        for direction in DIRECTIONS:
            columns = [[run[direction][metric] for run in runs] for metric in METRICS]
            cells = [f"{statistics.mean(c):.3f} ± {statistics.stdev(c) if len(c) > 1 else 0:.3f}" for c in columns]
            rows.append([name, direction, str(len(runs)), *cells])
    lines = [
        f"{date.today().isoformat()}, {cpu_name()}, {args.threads or torch.get_num_threads()} threads, Python "
        f"{platform.python_version()}, torch {torch.__version__}; mean and standard deviation over the seeds.",
        "",
        *table(["variant", "direction", "seeds", *METRICS], rows, 3),
    ]
    with atomic_write(args.out / "variants.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    inputs = [("a", read_at(a, args.side, 3)), ("b", read_at(b, args.side, 3))]
    write_image(args.out / "variants.png", contact_sheet([inputs, *sheet.values()]), overwrite=True)
    print(args.out / "variants.md")


def run(args: argparse.Namespace) -> int:
    """Train and measure the variant with every seed, then write the table of all variants."""
    args.out.mkdir(parents=True, exist_ok=True)
    check_writable(args.out)
    first, _, second = args.pair.partition("/")
    a, b = (find_image(args.data / "pairs", stem) for stem in (first, second))
    for seed in args.seeds:
        print(f"{args.name}, seed {seed}", file=sys.stderr, flush=True)
        measure(args, seed, a, b)
        report(args, a, b)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("method")
    parser.add_argument("name")
    parser.add_argument("settings", nargs="*", metavar="SETTING=VALUE")
    parser.add_argument("--pair", default="eggs/bowls", metavar="A/B")
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--side", type=int, default=96, help="longest side in pixels at which images are measured")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("variants"))
    return run_benchmark(lambda: run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
