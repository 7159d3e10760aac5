"""How much the networks' prediction changes along a known motion, and how many pixels a translated clip renews for it.

    python benchmarks/prediction_change.py RUN [RUN ...] --images FOLDER [--side 220] [--frames 60] [--render]

Each RUN is the folder of a run of a pair of images, whose source is in FOLDER. Three clips show the source under a
camera that pans, zooms and turns (the motions of `made_clips.py`). The run's model predicts them without noise. The
table has, as means over the frames t of a clip,

- change: |G(x_t) - W G(x_s)| over the standard deviation of G(x_t), mean over the pixels that frame s = t - `distance`
  shows, too. W moves an image along the true flow. 0: the prediction moves with the source.
- changed: the share of these pixels that a translation would renew for it (`renewal_change`, `renewal_window`).
- source: the change of the networks' input. Moved pixels are interpolated, so that the least change is not 0.
- new: the share of the pixels that a translation synthesizes, in all frames but the first; then metrics of the
  translated clip, and what is copied in its last frame (with --render).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from contest import run_benchmark, table
from moving_layers import DETAIL, Layer, MadeClip, Place, back_and_forth, shift
from torch import Tensor

import lonepair as lp
from lonepair.evaluate.clips import OUTPUT, at_output_scale
from lonepair.media.stills.image import read_image
from lonepair.metrics.clip import measure_steps
from lonepair.metrics.copying import copying
from lonepair.metrics.motion import SourceStep, source_steps
from lonepair.ops.blur import gaussian_blur
from lonepair.ops.color import match_channels
from lonepair.ops.flow import warp
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.render.translation import FrameTrace, Translation

DISTANCES = (1, 10, 25)
"""Frames between the two predictions."""
NETWORK_SIDE = 80
"""Longest side in pixels of the networks' images, `max_side`."""
METRICS = ("swim", "swim10", "look", "structure")
"""Metrics of a translated clip (`lonepair.metrics.clip`)."""
CAMERAS: dict[str, Place] = {
    "pan": lambda index: shift(back_and_forth(index, 1.25, 48) - 30),
    "zoom": lambda index: shift(zoom=1.006**index),
    "rotation": lambda index: shift(angle=0.6 * index),
}
"""Name of a clip -> its motion."""


def moving_still(name: str, image: Tensor, side: int, length: int) -> MadeClip:
    """A clip of `image` (1, c, h, w) under the camera `name`, `side` pixels wide at 4:3."""
    h = round(side * 0.75)
    height = round(1.5 * DETAIL * h)
    large = resize_image(match_channels(image, 3), (height, round(height * image.shape[-1] / image.shape[-2])))
    scene = ((large[0].clamp(-1, 1) + 1) / 2).permute(1, 2, 0).contiguous().numpy()
    return MadeClip(name, name, (h, side), length, lambda index: [Layer(scene, CAMERAS[name])])


@torch.no_grad()
def changes(clip: MadeClip, translation: Translation) -> list[float]:
    """The table's change and changed for each of `DISTANCES`, then the source's change."""
    outputs: list[list[Tensor]] = [[], []]
    before = None
    for frame in clip.frames():
        before = translation.pipeline.predict(translation.pipeline.prepare(frame, None), before)
        for images, image in zip(outputs, (before.image, before.source.network_input), strict=True):
            images.append(resize_image(image, clip.size))
    config = translation.pipeline.settings
    means = torch.zeros(2, len(DISTANCES), 2)
    for row, images in zip(means, outputs, strict=True):
        for cell, distance in zip(row, DISTANCES, strict=True):
            pairs = [change(clip, images, t, t - distance, config) for t in range(distance, clip.length)]
            cell.copy_(torch.tensor(pairs).mean(0))
    return [*means[0].T.flatten().tolist(), *means[1, :, 0].tolist()]


def change(
    clip: MadeClip, images: list[Tensor], now: int, earlier: int, config: SynthesisConfig
) -> tuple[float, float]:
    """Change of image `now` from the moved `earlier` one: its mean, and the share of pixels that it would renew."""
    flow, visible = clip.between(now, earlier)
    difference = (images[now] - warp(images[earlier], flow)) / images[now].std()
    # The networks' pixels are larger than the clip's, and so is the window.
    window = config.renewal_window * clip.size[1] / NETWORK_SIDE
    mean = gaussian_blur(difference * visible, window).abs().mean(1, keepdim=True)
    share = (mean[visible] > config.renewal_change).float().mean()
    return float(difference.abs().mean(1, keepdim=True)[visible].mean()), float(share)


def rendered(clip: MadeClip, translation: Translation, target: Tensor) -> list[float]:
    """The table's new, then `METRICS` and copying of the translated clip."""
    shares: list[float] = []
    images: list[Tensor] = []

    def trace(frame: FrameTrace) -> None:
        shares.append(float(frame.is_new.float().mean()))

    def output(step: SourceStep) -> Tensor:
        images[:] = [next(frames)]
        return images[0]

    frames = (frame.image for frame in translation.frames(trace))
    target = at_output_scale(target, translation.size)
    steps = source_steps(clip.frames(), translation.size, 3, clip, clip.cuts)
    metrics = measure_steps(steps, {OUTPUT: output}, target, None, max(1, clip.length // 3))[OUTPUT]
    # The last frame is copied the least, if at all; the first one is a translated still.
    new = sum(shares[1:]) / max(1, len(shares) - 1)
    return [new, *(metrics.values[name] for name in METRICS), copying(images[0], target)]


def main(args: argparse.Namespace) -> int:
    """Print one line for each run and clip."""
    rows = []
    for run in args.runs:
        model = lp.load(run / "model.safetensors", "cpu", threads=args.threads)
        inputs = json.loads((run / "config.json").read_text())["inputs"]
        target = read_image(args.images / inputs["b"]["name"])
        for name in args.clips:
            clip = moving_still(name, read_image(args.images / inputs["a"]["name"]), args.side, args.frames)
            translation = model.translate(torch.cat(list(clip.frames())))
            cells = [f"{value:.3f}" for value in changes(clip, translation)]
            if args.render:
                cells += [f"{value:.3f}" for value in rendered(clip, translation, target)]
            rows.append([run.name, name, *cells])
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    head = [f"{what}, {distance} apart" for what in ("change", "changed", "source") for distance in DISTANCES]
    print("\n".join(table(["run", "clip", *head, *(["new", *METRICS, "copying"] if args.render else [])], rows, 2)))
    return 0


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run of a pair")
    parser.add_argument("--clips", nargs="+", default=list(CAMERAS), choices=list(CAMERAS), help="motions")
    parser.add_argument("--images", type=Path, required=True, help="folder of the runs' sources")
    parser.add_argument("--side", type=int, default=220, help="width in pixels")
    parser.add_argument("--frames", type=int, default=60, help="frames of a clip")
    parser.add_argument("--render", action="store_true", help="translate and measure each clip, too")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's number")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(run_benchmark(lambda: main(arguments)))
