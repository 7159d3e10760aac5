"""Kills the render of a clip at random moments, continues it each time, and compares the file with that of one run.

    python benchmarks/kill_render.py --model RUN > docs/results/kill-render.md

Both renders are `lonepair translate CLIP MODEL` in processes of their own. The clip is a camera that moves over an
image, with a cut in the middle. Kills are by SIGKILL, which a process cannot handle. The comparison is of the files'
bytes: the exit status is 1 if the clip or its contact sheet differs.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path

import torch
from run_folders import run_and_kill, run_to_end
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lonepair.media.clips.write import ClipWriter
from lonepair.media.stills.image import read_image
from lonepair.ops.resize import resize_image
from lonepair.render.folder import RenderFolder

HEADER = """\
# Kill and continue a render: equal byte for byte

`python benchmarks/kill_render.py{flags}`, {date}, on a {machine}. One render of {frames} frames of {width}x{height}
pixels ran to its end. The same render was killed by SIGKILL at random moments (kills: {kills}) and started again by the
same command after each. Each ran as

    lonepair translate {command}
"""


@dataclass
class Kill:
    """What a killed render has left."""

    seconds: float
    """Rendering time from the first frame of this start to the kill."""
    finished: int
    """Frames that the folder holds, counted from the first one of the clip."""
    kept: int
    """Frames before the newest state, after which the next start continues."""


def moving_frames(image: Tensor, size: tuple[int, int], count: int) -> Iterator[Tensor]:
    """A camera that moves over `image` by fractions of a pixel; in the middle it jumps to the mirror image."""
    h, w = size
    large = resize_image(image, (round(1.4 * h), round(1.4 * w)))
    for index in range(count):
        scene = large if index < count // 2 else large.flip(3)
        x, y = 0.7 * (index % (count // 2)) % (0.4 * w - 1), 0.3 * (index % (count // 2)) % (0.4 * h - 1)
        left, top = int(x), int(y)
        part = scene[:, :, top : top + h + 1, left : left + w + 1]
        rows = torch.lerp(part[:, :, :-1], part[:, :, 1:], y - top)
        yield torch.lerp(rows[..., :-1], rows[..., 1:], x - left)


def newest_state(folder: Path) -> int:
    """Number of frames before the newest state of a render's folder; 0 where it has none."""
    try:
        with safe_open(folder / "state.safetensors", "pt") as file:
            return int(json.loads((file.metadata() or {})["render"])["frames"])
    except (FileNotFoundError, SafetensorError):
        return 0


def finished_frames(folder: Path, size: tuple[int, int]) -> int:
    """Number of complete frames of 8-bit RGB in a render's folder."""
    file = folder / "frames.raw"
    return file.stat().st_size // (3 * size[0] * size[1]) if file.exists() else 0


def kill_render(arguments: list[str], folder: Path, log: Path, seconds: float, size: tuple[int, int]) -> Kill | None:
    """Run `lonepair translate` and kill it `seconds` after its first new frame; None if it ends before."""
    earlier = newest_state(folder)
    if run_and_kill("translate", arguments, log, seconds, lambda: finished_frames(folder, size) > earlier):
        return Kill(seconds, finished_frames(folder, size), newest_state(folder))
    return None


def parse() -> tuple[argparse.Namespace, list[str]]:
    """The flags of this script, and further flags, which are passed on to `lonepair translate`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a run's folder or a model file")
    parser.add_argument("--image", type=Path, required=True, help="the image over which the camera moves")
    parser.add_argument("--kills", type=int, default=3, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the kills")
    parser.add_argument("--frames", type=int, default=120, help="frames of the clip")
    parser.add_argument("--size", type=int, nargs=2, default=(144, 220), metavar=("H", "W"), help="pixels of a frame")
    parser.add_argument("--date", default=date.today().isoformat(), help="date in the report")
    parser.add_argument("--machine", default="2-core x86-64 CPU", help="machine in the report")
    return parser.parse_known_args()


def main() -> int:
    """Print the report; returns 0 if the files are equal."""
    args, flags = parse()
    rng, size = random.Random(args.seed), (args.size[0], args.size[1])
    with tempfile.TemporaryDirectory() as temporary:
        folder, log = Path(temporary), Path(temporary) / "log.txt"
        clip, whole, killed = folder / "clip.mkv", folder / "whole.mp4", folder / "killed.mp4"
        with ClipWriter(clip, size, Fraction(25)) as writer:
            for index, image in enumerate(moving_frames(read_image(args.image)[:, :3], size, args.frames)):
                writer.write(image, Fraction(index, 25))
        # The uninterrupted render, whose time says when to kill the other one.
        arguments = [str(clip), str(args.model), "--device", "cpu", *flags]
        seconds = run_to_end("translate", [*arguments, "-o", str(whole)], log)
        kills = []
        for _ in range(args.kills):
            moment = rng.uniform(0.1, 0.9) * seconds / args.kills
            kill = kill_render([*arguments, "-o", str(killed)], RenderFolder.beside(killed).path, log, moment, size)
            if kill is None:
                break
            kills.append(kill)
        if not killed.exists():
            run_to_end("translate", [*arguments, "-o", str(killed)], log)

        # The report.
        words = [clip.name, args.model.name, "--device", "cpu", *flags, "-o", "OUT.mp4"]
        shown = "".join(f" {word}" for word in map(shlex.quote, sys.argv[1:]))
        texts = {"flags": shown, "date": args.date, "machine": args.machine, "command": shlex.join(words)}
        print(HEADER.format(**texts, frames=args.frames, kills=args.kills, height=size[0], width=size[1]))
        print("| kill | seconds since the first new frame | frames finished | frames kept | frames lost |")
        print("| --- | --- | --- | --- | --- |")
        for number, kill in enumerate(kills, 1):
            row = (number, f"{kill.seconds:.1f}", kill.finished, kill.kept, kill.finished - kill.kept)
            print(f"| {' | '.join(map(str, row))} |")
        print(f"\nThe uninterrupted render took {seconds:.0f} s with the start of Python.\n")
        print("| compared | result |\n| --- | --- |")
        is_equal = True
        for one, other in ((whole, killed), (folder / "whole-sheet.png", folder / "killed-sheet.png")):
            alike = one.read_bytes() == other.read_bytes()
            is_equal = is_equal and alike
            text = "equal, byte for byte" if alike else "NOT EQUAL"
            print(f"| {one.name.replace('whole', 'OUT')}, {one.stat().st_size:,} bytes | {text} |")
        rest = sorted(file.name for file in folder.iterdir() if file.name.startswith("."))
        print(f"| files that the killed renders have left | {', '.join(rest) or 'none'} |")
        return 0 if is_equal and kills and not rest else 1


if __name__ == "__main__":
    sys.exit(main())
