"""How well cuts are found: real shots are cut together at random, and played in ways that have no cut.

    python benchmarks/cuts.py CLIP[:CUT,CUT,...] ... [--cuts 40] [--side 220]

Each CLIP is a file, with the numbers of the frames that start a shot (the first frame is 0). A *hard cut* joins frames
of two shots, a *jump cut* two frames of one shot, 18 to 60 frames apart. *Within shots* are successive frames as they
are, every second and every third frame, and frames played backward. A cut is found where no motion explains more than
`cut_share` of the frame.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import torch
from contest import run_benchmark, table
from torch import Tensor

import lonepair as lp
from lonepair.commands.doctor import cpu_name
from lonepair.media.sizes import fit_inside
from lonepair.media.source import open_source
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.render.motion import measure_motion

NEAREST, FARTHEST = 18, 60
"""Distance in frames of the two sides of a jump cut: about one to two seconds."""


def shots(text: str, side: int) -> list[list[Tensor]]:
    """The frames of each shot of `CLIP:CUT,CUT,...`, at `side` pixels at most."""
    name, _, numbers = text.partition(":")
    starts = [0, *(int(number) for number in numbers.split(",") if number)]
    source = open_source(name)
    size = fit_inside(source.size, side)
    frames = [resize_image(frame.image[:, :3], size) for frame in source.frames()]
    if sorted(set(starts)) != starts or starts[-1] >= len(frames):
        raise lp.UserError(f"{name} has {len(frames)} frames: cuts {numbers} must be rising numbers below that")
    return [frames[start:end] for start, end in zip(starts, [*starts[1:], len(frames)], strict=True)]


def joined(before: Tensor, now: Tensor, config: SynthesisConfig) -> float:
    """Share of `now` that no motion from `before` explains; `before` gets the size of `now`."""
    return measure_motion(resize_image(before, (now.shape[-2], now.shape[-1])), now, config).unexplained_share


def row(name: str, shares: Iterable[float], config: SynthesisConfig) -> list[str]:
    """A line of the table."""
    values = sorted(shares)
    count = sum(value > config.cut_share for value in values)
    numbers = [values[0], statistics.median(values), values[-1]] if values else []
    return [name, str(len(values)), str(count), *(f"{value:.2f}" for value in numbers)]


def main(args: argparse.Namespace) -> int:
    """Measure every kind of neighbors, and print the table."""
    torch.set_num_threads(1)
    config, rng = SynthesisConfig(), random.Random(args.seed)
    pools = [(Path(text.partition(":")[0]).stem, shot) for text in args.clips for shot in shots(text, args.side)]
    hard, rows = [], []
    for _ in range(args.cuts):
        (_, one), (_, other) = rng.sample(pools, 2)
        hard.append(joined(rng.choice(one), rng.choice(other), config))
    rows.append(row("hard cuts", hard, config))
    for clip in dict.fromkeys(name for name, _ in pools):
        long = [shot for name, shot in pools if name == clip and len(shot) > FARTHEST]
        jumps = []
        for _ in range(args.cuts // 4 if long else 0):
            shot, distance = rng.choice(long), rng.randint(NEAREST, FARTHEST)
            start = rng.randrange(len(shot) - distance)
            jumps.append(joined(shot[start], shot[start + distance], config))
        if jumps:
            rows.append(row(f"jump cuts, {clip}", jumps, config))
    for name, step in (("as they are", 1), ("every second frame", 2), ("every third frame", 3), ("backward", -1)):
        orders = [shot[::step] for _, shot in pools]
        pairs = [pair for frames in orders for pair in itertools.pairwise(frames)]
        rows.append(row(f"within shots, {name}", [joined(*pair, config) for pair in pairs], config))
    print(f"{len(pools)} shots, {args.side} pixels, seed {args.seed}. {date.today()}, {cpu_name()}.\n")
    print("\n".join(table(["neighbors", "pairs", "taken for cuts", "least", "median", "most"], rows, 1)))
    return 0


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", metavar="CLIP[:CUT,...]", help="files, with the first frames of shots")
    parser.add_argument("--cuts", type=int, default=40, help="number of hard cuts; of jump cuts a quarter for a clip")
    parser.add_argument("--side", type=int, default=220, help="longest side in pixels; frames are never enlarged")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(run_benchmark(lambda: main(arguments)))
