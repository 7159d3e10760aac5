"""Clips that are rendered in parts: time of one process and of several, and what the joints of segments cost.

    python benchmarks/workers.py RUN [--side 220] [--frames 30] [--counts 1 2] [--repeat 3] [--only times segments]

RUN is the folder of a run of a pair. *Times*: a clip of four made scenes (`made_clips.py`) is rendered by one process
and by each number of workers in turn, `--repeat` times. A worker has an equal share of the threads; where rounding
depends on their number, files differ. *Segments*: each made clip of one scene is rendered by one process and in
segments, and both are measured (`evaluate/clips.py`); `joint` is the change between the two frames at a joint of
segments along the true motion, over that of the same frames of one process.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import torch
from contest import run_benchmark, table
from made_clips import make_clip
from moving_layers import RATE, MadeClip
from torch import Tensor

import lonepair as lp
from lonepair.commands.doctor import cpu_name
from lonepair.evaluate import open_run
from lonepair.evaluate.clips import OUTPUT, KnownMotion, at_output_scale, measure_clip
from lonepair.media.clips.write import ClipWriter
from lonepair.media.source import open_source
from lonepair.ops.color import match_channels
from lonepair.ops.flow import warp

SCENES = ("pan", "zoom", "rotation", "parallax")
ONE_SCENE = ("pan", "zoom", "rotation", "parallax", "crossing", "noise")
METRICS = ("swim", "swim_moving", "door", "flicker_ratio", "popping", "sharpness_last", "motion_fidelity")


def write_clip(path: Path, frames: Iterator[Tensor], size: tuple[int, int]) -> Path:
    """Write frames as a lossless clip."""
    with ClipWriter(path, size, RATE) as clip:
        for index, frame in enumerate(frames):
            clip.write(frame, index / RATE)
    return path


def cpu_seconds() -> float:
    """CPU time of this process and of its workers that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure_times(model: lp.Model, folder: Path, args: argparse.Namespace) -> list[str]:
    """The lines about the time of one process and of two workers."""
    clips = [make_clip(name, args.side, args.frames) for name in SCENES]
    size = clips[0].size
    source = write_clip(folder / "scenes.mkv", (frame for clip in clips for frame in clip.frames()), size)
    seconds: dict[int, list[float]] = {count: [] for count in args.counts}
    rows, first = [], args.counts[0]
    for repeat in range(args.repeat):
        for workers, values in seconds.items():
            out, start, cpu = folder / f"{workers}.mkv", time.monotonic(), cpu_seconds()
            model.translate(source).save(out, overwrite=True, workers=workers)
            values.append(time.monotonic() - start)
            is_equal = (folder / f"{first}.mkv").read_bytes() == out.read_bytes()
            ratio, cost = seconds[first][-1] / values[-1], cpu_seconds() - cpu
            times = [f"{values[-1]:.1f}", f"{ratio:.2f}", f"{cost:.1f}"]
            rows.append([str(repeat + 1), str(workers), *times, "equal" if is_equal else "differs"])
            print(rows[-1], file=sys.stderr, flush=True)
    about = f"{len(SCENES)} scenes of {args.frames} frames, {size[1]}x{size[0]}."
    head = ["round", "workers", "seconds", f"times as fast as {first}", "CPU s", f"file of {first}"]
    return [about, "", *table(head, rows, 0), ""]


def measure_segments(model: lp.Model, target: Tensor, folder: Path, args: argparse.Namespace) -> list[str]:
    """The lines about segments beside one process."""
    rows = []
    for name in args.clips:
        clip = make_clip(name, args.side, args.length)
        channels = model.method.plan.channels
        known = KnownMotion(clip, clip.cuts, clip.path)
        source = write_clip(folder / f"{name}.mkv", clip.frames(), clip.size)
        size, whole = clip.size, None
        for run_in in (0, *args.run_ins):
            out = folder / f"{name}-{run_in}.mkv"
            workers = lp.Workers(args.workers, args.segment if run_in else 0, run_in or 1)
            model.translate(source).save(out, overwrite=True, workers=workers)
            frames = [match_channels(frame.image, channels) for frame in open_source(out).frames()]
            scaled = at_output_scale(target, size)
            report = measure_clip(iter(frames), clip.frames(), scaled, size, None, known, args.length)
            values = report.metrics[OUTPUT].values
            joints = changes(frames, clip, args.segment, run_in or args.run_ins[0])
            whole = joints if run_in == 0 else whole
            assert whole is not None
            cells = [f"{values[metric]:.3f}" if metric in values else "-" for metric in METRICS]
            label = "one process" if run_in == 0 else f"run-in {run_in}"
            rows.append([name, label, *cells, f"{joints / whole:.2f}"])
            print(rows[-1], file=sys.stderr, flush=True)
    about = f"Segments of {args.segment} frames, clips of {args.length} frames, {args.side} px."
    return [about, "", *table(["clip", "", *METRICS, "joint"], rows, 2), ""]


def changes(frames: list[Tensor], clip: MadeClip, segment: int, run_in: int) -> float:
    """The mean change between successive frames along the true motion, within the run-ins of the segments."""
    total = []
    for index, (before, now) in enumerate(pairwise(frames), 1):
        # The number of the frame after the start of a run-in; joints are the multiples of `segment`.
        place = (index + run_in) % segment
        if index + run_in < segment or place > run_in:
            continue
        flow, visible = clip.between(index, index - 1)
        difference = (now - warp(before, flow)).abs().mean(1, keepdim=True)
        total.append(float(difference[visible].mean()))
    return sum(total) / max(1, len(total))


def main(args: argparse.Namespace) -> int:
    """Measure, and print the tables."""
    run = open_run(args.run, lambda file: lp.load(file, "cpu"))
    lines = [f"{args.run.name}. {date.today()}, {cpu_name()}, {torch.get_num_threads()} threads.", ""]
    with tempfile.TemporaryDirectory() as folder:
        if "times" in args.only:
            load = os.getloadavg()[0]
            lines += measure_times(run.model, Path(folder), args)
            lines += [f"Load of the machine before: {load:.1f}, behind: {os.getloadavg()[0]:.1f}.", ""]
        if "segments" in args.only:
            lines += measure_segments(run.model, run.inputs["b"], Path(folder), args)
    print("\n".join(lines))
    return 0


def parse() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run of a pair")
    parser.add_argument("--only", nargs="+", default=["times", "segments"], choices=["times", "segments"])
    parser.add_argument("--side", type=int, default=220, help="longest side in pixels")
    parser.add_argument("--frames", type=int, default=30, help="frames of each scene of the clip that is timed")
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 2], help="numbers of workers that are timed")
    parser.add_argument("--repeat", type=int, default=3, help="how often each number is timed")
    parser.add_argument("--clips", nargs="+", default=list(ONE_SCENE), help="names of made clips of one scene")
    parser.add_argument("--length", type=int, default=96, help="frames of these clips")
    parser.add_argument("--segment", type=int, default=32, help="frames of a segment")
    parser.add_argument("--run-ins", nargs="+", type=int, default=[4, 12], help="frames of run-in")
    parser.add_argument("--workers", type=int, default=1, help="processes that render segments")
    return parser.parse_args()


if __name__ == "__main__":
    ARGS = parse()
    sys.exit(run_benchmark(lambda: main(ARGS)))
