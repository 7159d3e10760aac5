"""The field's table of clips: the metrics of `clips.py` for every method that translates clips."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import clips
import torch
from contest import find_image
from field_cells import Cell, budgets, count_processor_time, run_folder, training

import lonepair as lp
from lonepair.evaluate.clips import OUTPUT
from lonepair.media.stills.image import write_image

METHODS = ("lonepair:draft", "representative:draft", "structural-analogy:draft", "closed-form:draft")
METRICS = {
    "swim": -1,
    "swim_moving": -1,
    "flicker_ratio": -1,
    "warp_error": -1,
    "sharpness_first": 1,
    "sharpness_last": 1,
    "look": -1,
    "structure": 1,
}
"""Column -> 1 where a larger value is better, -1 where a smaller one is."""
CLIPS = ("pan", "parallax")
TRAINING_FRAMES = 4
"""Number of frames of the clip, evenly spaced, that a method trains on."""


def cells(args: argparse.Namespace) -> list[Cell]:
    """What the table measures: every clip with every method and limit."""
    result: list[Cell] = []
    for clip in args.clips or CLIPS:
        for text in args.methods or METHODS:
            method, _, preset = text.partition(":")
            cell: Cell = {"table": "clip", "clip": clip, "target": args.target, "method": method}
            cell |= {"preset": preset or args.preset, "side": args.side, "frames": args.frames}
            result += [{**cell, **budget} for budget in budgets(args, method != "closed-form")]
    return result


def measure(cell: Cell, args: argparse.Namespace) -> dict[str, Any]:
    """Train on some frames and the target, translate the clip, and measure it."""
    if not args.wall:
        count_processor_time()
    options = argparse.Namespace(
        side=cell["side"],
        frames=cell["frames"],
        reverse=False,
        set=[],
        no_frame_by_frame=True,
        stills=3,
        device=args.device,
        threads=1,
    )
    clip = clips.open_clip(cell["clip"], options)
    template = args.trained.get(cell["method"])
    if template:
        options.run = Path(template.format(clip=clip.name))
    else:
        options.run = run_folder({**cell, "clip": clip.name}, args.work)
        frames = torch.cat(list(clip.frames()))
        chosen = torch.linspace(0, len(frames) - 1, TRAINING_FRAMES).round().long().tolist()
        stills, target = (
            [frames[index : index + 1] for index in chosen],
            find_image(args.data / "pairs", cell["target"]),
        )
        lp.fit_pair(stills, target, **training(cell, options.run, args.device))
    report, sheet = clips.translate(clip, options)
    folder = args.work / "sheets"
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / f"clip-{options.run.name}.png", sheet, overwrite=True)
    values = {name: value for name, value in report.metrics[OUTPUT].values.items() if name in METRICS}
    return {**values, "frame_seconds": report.cpu_seconds / report.frames}
