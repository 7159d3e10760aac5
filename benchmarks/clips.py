"""Translated clips: every metric over time beside trivial baselines, on made clips of known motion and on files.

    python benchmarks/clips.py RUN [--clips pan zoom FILE ...] [--side 220] [--frames 60] [--set NAME=VALUE ...]
    python benchmarks/clips.py --output FILE --source CLIP --target FILE

RUN is the folder of a run of a pair; its model translates each clip. The second form measures a clip that is already
translated: CLIP is its source, a file or the name of a made clip (`made_clips.py`), which must have the same --side and
--frames. OUT/clips.md holds a table for each clip, OUT/clips.json the values and curves, and OUT/CLIP.png a sheet: six
moments of each row, and three successive frames with their differences, amplified four times.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
from contest import run_benchmark, table
from made_clips import CLIPS, make_clip
from torch import Tensor

import lonepair as lp
from lonepair.apply.translate import Translate
from lonepair.commands.doctor import cpu_name
from lonepair.evaluate import open_run
from lonepair.evaluate.clips import OUTPUT, ClipReport, KnownMotion, at_output_scale, measure_clip
from lonepair.media.sheet import contact_sheet
from lonepair.media.sizes import fit_inside
from lonepair.media.source import open_source
from lonepair.media.stills.image import read_image, write_image
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image
from lonepair.storage.files import atomic_write

COLUMNS = (
    *("look", "structure", "swim", "swim10", "swim_moving", "door", "flicker_ratio", "warp_error", "warp_error10"),
    *("sharpness_first", "sharpness_last", "sharpness_softest", "sharpness_kept", "popping", "motion_fidelity"),
    *("objects_kept", "objects_lowest", "objects_chance", "object_contrast", "ghost"),
)
"""Metrics of the table, in its order; those that no row of a clip has are left out."""
MOMENTS = 6
AMPLIFICATION = 4


@dataclass(frozen=True)
class ClipInput:
    """A clip to translate, or the source of a translated one."""

    name: str
    about: str
    size: tuple[int, int]
    length: int
    frames: Callable[[], Iterator[Tensor]]
    known: KnownMotion


def open_clip(name: str, args: argparse.Namespace) -> ClipInput:
    """The made clip `name`, or the file, at `--side` pixels and of at most `--frames` frames."""
    if name in CLIPS:
        clip = make_clip(name, args.side, args.frames)
        known = KnownMotion(clip, clip.cuts, clip.path)
        return ClipInput(name, clip.about, clip.size, clip.length, clip.frames, known)
    source = open_source(name)
    size = fit_inside(source.size, args.side)

    def frames() -> Iterator[Tensor]:
        for frame in itertools.islice(source.frames(), args.frames):
            yield resize_image(frame.image, size)

    length = sum(1 for _ in itertools.islice(source.frames(), args.frames))
    return ClipInput(Path(name).stem, f"{name}, estimated flow", size, length, frames, KnownMotion())


class Sheet:
    """Collects six moments of each row and, in the middle, three successive frames."""

    def __init__(self, length: int) -> None:
        self._moments = sorted({round(i * (length - 1) / (MOMENTS - 1)) for i in range(MOMENTS)})
        middle = max(0, min(length // 2 + 2, length - 3))
        self._triple = range(middle, min(middle + 3, length))
        self._kept: dict[str, dict[int, Tensor]] = {}

    def __call__(self, index: int, rows: dict[str, Tensor]) -> None:
        if index in self._moments or index in self._triple:
            for name, frame in rows.items():
                self._kept.setdefault(name, {})[index] = frame

    def picture(self) -> Tensor:
        """The sheet: RGB in [-1, 1]."""
        moments = [[(f"{name} {i}", kept[i]) for i in self._moments] for name, kept in self._kept.items()]
        triples = [self._with_differences(name, kept) for name, kept in self._kept.items() if name != "blur"]
        return contact_sheet(moments + triples)

    def _with_differences(self, name: str, kept: dict[int, Tensor]) -> list[tuple[str, Tensor]]:
        cells = [(f"{name} {i}", kept[i]) for i in self._triple]
        for before, now in itertools.pairwise(self._triple):
            difference = (AMPLIFICATION * (kept[now] - kept[before]).abs() - 1).clamp(-1, 1)
            cells.append((f"{now} less {before}, x{AMPLIFICATION}", difference))
        return cells


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `translate` from `--set`: its own fields by name, others as settings of patch synthesis."""
    own = {field.name for field in dataclasses.fields(Translate)}
    values: dict[str, Any] = {}
    for text in args.set:
        name, _, value = text.partition("=")
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        if name in own:
            values[name] = parsed
        else:
            values.setdefault("synthesis", {})[name] = parsed
    return values


def translate(clip: ClipInput, args: argparse.Namespace) -> tuple[ClipReport, Tensor]:
    """Translate a clip with the run's model, and measure it: the report and the sheet."""
    run = open_run(args.run, lambda file: lp.load(file, args.device, threads=args.threads))
    channels = run.model.method.plan.channels
    frames = torch.cat([match_channels(frame, channels) for frame in clip.frames()])
    translation = run.model.translate(frames, reverse=args.reverse, **settings(args))
    target = at_output_scale(run.inputs["a" if args.reverse else "b"], translation.size)
    output = (frame.image for frame in translation.frames())

    def alone(frame: Tensor) -> Tensor:
        return translation.translate(match_channels(frame, channels))

    return measure(clip, output, target, translation.size, None if args.no_frame_by_frame else alone, args)


def compare(clip: ClipInput, args: argparse.Namespace) -> tuple[ClipReport, Tensor]:
    """Measure the clip of `--output` beside its source."""
    translated = open_source(args.output)
    target = at_output_scale(read_image(args.target), translated.size)
    output = (frame.image for frame in itertools.islice(translated.frames(), clip.length))
    return measure(clip, output, target, translated.size, None, args)


def measure(
    clip: ClipInput,
    output: Iterator[Tensor],
    target: Tensor,
    size: tuple[int, int],
    alone: Callable[[Tensor], Tensor] | None,
    args: argparse.Namespace,
) -> tuple[ClipReport, Tensor]:
    """Measure one output of `clip` and its baselines: the report and the sheet."""
    if clip.known.motion is not None and size != clip.size:
        raise lp.UserError(
            f"the output has {size[1]}x{size[0]} pixels, the made clip {clip.name} has {clip.size[1]}x{clip.size[0]}: "
            "choose the --side that it was made with"
        )
    sheet = Sheet(clip.length)
    every = max(1, clip.length // args.stills)
    report = measure_clip(output, clip.frames(), target, size, alone, clip.known, every, sheet)
    return report, sheet.picture()


def clip_table(clip: ClipInput, report: ClipReport, translated_here: bool) -> list[str]:
    """The lines of a clip's section."""
    names = [name for name in COLUMNS if any(name in metrics.values for metrics in report.metrics.values())]
    rows = []
    for row, metrics in report.metrics.items():
        cells = [f"{metrics.values[name]:.3f}" if name in metrics.values else "-" for name in names]
        costs = [f"{report.rate:.1f}", f"{report.cpu_seconds / report.frames:.3f}"]
        rows.append([row, *cells, *(costs if row == OUTPUT and translated_here else "--")])
    return [
        f"## {clip.name}",
        "",
        f"{clip.about}; {clip.length} frames.",
        "",
        *table(["", *names, "fps", "CPU s"], rows, 1),
        "",
    ]


def main(args: argparse.Namespace) -> int:
    """Measure every clip; the files are written after each."""
    args.out.mkdir(parents=True, exist_ok=True)
    # cv2's threads would share the cores with the translation, whose time is measured.
    if args.threads:
        __import__("cv2").setNumThreads(args.threads)
    what = str(args.output) if args.output else f"{args.run.name}{', reverse' if args.reverse else ''}"
    head = [f"{what}, {args.side} px. {date.today()}, {cpu_name()}, {args.threads or 'all'} threads."]
    head += [f"Settings: {' '.join(args.set)}."] if args.set else []
    lines, values = [*head, ""], {}
    for name in [args.source] if args.output else args.clips:
        clip = open_clip(name, args)
        print(clip.name, file=sys.stderr, flush=True)
        report, sheet = compare(clip, args) if args.output else translate(clip, args)
        write_image(args.out / f"{clip.name}.png", sheet, overwrite=True)
        lines += clip_table(clip, report, args.output is None)
        values[clip.name] = {
            "rate": report.rate,
            "first_seconds": report.first_seconds,
            "cpu_seconds": report.cpu_seconds,
            "rows": {row: {"values": m.values, "curves": m.curves} for row, m in report.metrics.items()},
        }
        for path, text in (("clips.md", "\n".join(lines)), ("clips.json", json.dumps(values))):
            with atomic_write(args.out / path) as file:
                file.write_text(text + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0


def parse() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="folder of a run of a pair")
    parser.add_argument("--clips", nargs="+", default=list(CLIPS), help="names of made clips, and files")
    parser.add_argument("--side", type=int, default=220, help="longest side in pixels; files are never enlarged")
    parser.add_argument("--frames", type=int, default=60, help="frames of a made clip; of a file, at most")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="dials and synthesis settings")
    parser.add_argument("--reverse", action="store_true", help="translate into the style of the run's source")
    parser.add_argument("--no-frame-by-frame", action="store_true", help="leave this baseline out, which is slow")
    parser.add_argument("--stills", type=int, default=4, help="frames in which look and structure are measured, about")
    parser.add_argument("--output", type=Path, help="a clip that is already translated")
    parser.add_argument("--source", help="the source of --output: a file, or the name of a made clip")
    parser.add_argument("--target", type=Path, help="the target of --output")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's number")
    parser.add_argument("--out", type=Path, default=Path("clips"), help="folder of the results")
    args = parser.parse_args()
    if (args.run is None) == (args.output is None):
        parser.error("give either RUN, or --output with --source and --target")
    if args.output and not (args.source and args.target):
        parser.error("--output needs --source and --target")
    return args


if __name__ == "__main__":
    arguments = parse()
    sys.exit(run_benchmark(lambda: main(arguments)))
