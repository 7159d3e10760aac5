"""Metrics of a translated clip: whether its texture moves with what it lies on, stays sharp, and loses nothing.

One pass over the clip, with a few frames in memory; about 0.05 s a frame at 220 px on one core. Several outputs of one
source, such as a translation and trivial baselines, are measured together: each has a `ClipMeter`, and they share the
motion. `docs/explanation/measuring.md` defines every metric.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.metrics.look import look_distance
from lonepair.metrics.motion import FramePair, Motion, SourceStep, carry, source_steps
from lonepair.metrics.objects import ObjectMeter, ObjectPath
from lonepair.metrics.series import Curve, Series
from lonepair.metrics.structure import structure
from lonepair.metrics.texture import (
    absolute_sum,
    counted_blocks,
    fine_texture,
    gradient_energy,
    new_blocks,
    new_share,
    squared_sum,
)
from lonepair.ops.color import match_channels
from lonepair.ops.flow import estimate_flow

LEAST_FLICKER = 0.25
"""Flicker of the source, in grey levels of 255, that counts at least: less is lost in the rounding to 8 bits."""
MIN_STILL = 0.05
"""Share of the pixels that must stand still for flicker to be measured: the center of a zoom is no still shot."""
STILL_EVERY = 20
"""Look and structure are measured in every 20th frame, since they take 0.5 s each."""


@dataclass(frozen=True)
class Moment:
    """The frame in which a metric is worst, and the frame before it."""

    metric: str
    index: int
    value: float
    before: Float[Tensor, "1 c h w"]
    frame: Float[Tensor, "1 c h w"]


@dataclass(frozen=True)
class ClipMetrics:
    """What was measured of one output."""

    values: dict[str, float]
    """Metric -> value. Metrics that the clip does not allow are missing, such as `flicker` where all moves."""
    curves: dict[str, Curve]
    """Metric -> its value in each frame."""
    moments: list[Moment]
    """The worst moments of swim, flicker, popping and sharpness."""


class StillReference:
    """Look and structure of single frames; outputs of one source share the source's distance to the target."""

    def __init__(self, target: Float[Tensor, "1 c h w"], every: int = STILL_EVERY) -> None:
        """Measure every `every`-th frame (0: none) against `target`, in [-1, 1], at the scale of the outputs."""
        self.target = target
        self._every = every
        self._distance: tuple[int, float] = (-1, 0.0)

    def measure(self, output: Float[Tensor, "1 c h w"], step: SourceStep) -> tuple[float, float] | None:
        """Look and structure of the output; None in the frames between."""
        if self._every == 0 or step.index % self._every:
            return None
        if self._distance[0] != step.index:
            self._distance = step.index, max(look_distance(step.frame, self.target), 1e-9)
        return look_distance(output, self.target) / self._distance[1], structure(output, step.frame)


class ClipMeter:
    """Measures one output of a clip, frame by frame."""

    def __init__(self, reference: StillReference, path: ObjectPath | None = None) -> None:
        """Prepare to measure a clip.

        Args:
            reference: The target, and the frames in which look and structure are measured.
            path: The path of an object that the source shows, where it is known.
        """
        self._reference = reference
        self._target_energy = max(gradient_energy(reference.target), 1e-9)
        self._object = None if path is None else ObjectMeter(path)
        self._series: dict[str, Series] = {}
        self._moments: dict[str, Moment] = {}
        # Number of a frame -> the frame and its fine texture.
        self._memory: dict[int, tuple[Tensor, Tensor]] = {}

    # -- one frame ----------------------------------------------------------------------------------------------------

    def add(self, output: Float[Tensor, "1 c h w"], step: SourceStep) -> None:
        """Measure the output's frame that belongs to `step` of the source, of its size and channels."""
        assert output.shape == step.frame.shape, (output.shape, step.frame.shape)
        self._memory[step.index] = output, fine_texture(output)
        # The frame by itself.
        energy = gradient_energy(output)
        self._add("energy", step, energy)
        self._add("sharpness", step, energy / self._target_energy)
        if (still := self._reference.measure(output, step)) is not None:
            self._add("look", step, still[0])
            self._add("structure", step, still[1])
        if self._object is not None:
            self._object.add(step.index, output, step.frame)
        # Beside earlier frames.
        for pair in step.pairs:
            carried = self._compare_textures(step, pair, "" if pair.gap == 1 else str(pair.gap))
            if pair.gap == 1:
                self._compare_neighbors(step, pair, carried)
        self._keep_worst(step)
        self._memory = {index: frame for index, frame in self._memory.items() if index in step.needed}

    def _compare_textures(self, step: SourceStep, pair: FramePair, suffix: str) -> Tensor:
        """Measure what is new along the source's flow; return the earlier frame's texture, carried along it."""
        (output, texture), (earlier, earlier_texture) = self._memory[step.index], self._memory[pair.earlier]
        carried = carry(earlier_texture, pair.flow)
        self._add(f"swim{suffix}", step, *new_share(texture, carried, pair.mask))
        # Lai et al., ECCV 2018, eq. 11.
        error = squared_sum(output - carry(earlier, pair.flow), pair.mask)
        self._add(f"error{suffix}", step, error, float(pair.mask.sum()))
        return carried

    def _compare_neighbors(self, step: SourceStep, pair: FramePair, carried: Tensor) -> None:
        """Measure what only successive frames show."""
        (output, texture), (before, texture_before) = self._memory[step.index], self._memory[pair.earlier]
        self._add("tracked_fraction", step, float(pair.mask.float().mean()))
        # Where the source moves: along its flow, and at the same place of the screen.
        self._add("swim_moving", step, *new_share(texture, carried, pair.moving))
        self._add("door", step, *new_share(texture, texture_before, pair.moving))
        # Where it stands still: in grey levels of 255.
        pixels = float(pair.still.sum())
        pixels = pixels if pixels >= MIN_STILL * pair.still.numel() else 0.0
        self._add("flicker", step, 127.5 * absolute_sum(output - before, pair.still), pixels)
        self._add("source_flicker", step, 127.5 * absolute_sum(pair.frame - pair.earlier_frame, pair.still), pixels)
        # Blocks whose texture is new although the source's is not.
        counted = counted_blocks(pair.mask)
        new = new_blocks(texture, carried, pair.mask) & ~pair.new_blocks & counted
        self._add("new_blocks", step, float(new.sum()), float(counted.sum()))
        # The output's own motion, in the manner of KITTI (Menze, Geiger, CVPR 2015): the share of pixels whose error is
        # at most half a pixel, or a tenth of the motion.
        own = estimate_flow(output, before)
        distance = (own - pair.flow).norm(dim=1, keepdim=True)
        right = distance <= (0.1 * pair.flow.norm(dim=1, keepdim=True)).clamp_min(0.5)
        seen = pair.visibly_moving
        self._add("motion_fidelity", step, float((right & seen).sum()), float(seen.sum()))

    def _add(self, metric: str, step: SourceStep, numerator: float, denominator: float = 1.0) -> None:
        self._series.setdefault(metric, Series()).add(step.index, numerator, denominator)

    def _keep_worst(self, step: SourceStep) -> None:
        """Keep this frame and the one before it if one of its values is the worst so far."""
        before = self._memory.get(step.index - 1)
        if before is None:
            return
        for metric, sign in (("swim", 1), ("flicker", 1), ("new_blocks", 1), ("sharpness", -1)):
            curve = self._series[metric].curve[-1:] if metric in self._series else []
            for index, value in curve:
                worst = self._moments.get(metric)
                if index == step.index and (worst is None or sign * value > sign * worst.value):
                    self._moments[metric] = Moment(metric, index, value, before[0], self._memory[index][0])

    # -- result -------------------------------------------------------------------------------------------------------

    def result(self) -> ClipMetrics:
        """The metrics of all frames that were added."""
        means = {name: series.value for name, series in self._series.items() if series.value is not None}
        curves = {name: series.curve for name, series in self._series.items() if series.frames}
        values = {name: means[name] for name in _MEANS if name in means}
        sharpness = [value for _, value in curves["sharpness"]]
        values["sharpness_first"], values["sharpness_last"] = sharpness[0], sharpness[-1]
        values["sharpness_softest"] = min(sharpness)
        # The errors that the clip would have if its contrast were scaled until its gradients have the target's energy:
        # both are quadratic in the contrast.
        for suffix in ("", "10"):
            if (error := means.get(f"error{suffix}")) is not None:
                values[f"warp_error{suffix}"] = error * self._target_energy / max(means["energy"], 1e-9)
        if "flicker" in means:
            values["flicker_ratio"] = means["flicker"] / max(means["source_flicker"], LEAST_FLICKER)
        if shares := [value for _, value in curves.get("new_blocks", [])]:
            values["popping"] = max(shares) - statistics.median(shares)
        if self._object is not None:
            values |= self._object.values
            curves |= {"objects_kept": self._object.kept_curve, "ghost": self._object.ghost_curve}
        return ClipMetrics(values, curves, list(self._moments.values()))


def clip_metrics(
    output: Iterable[Float[Tensor, "1 c h w"]],
    source: Iterable[Float[Tensor, "1 c2 h2 w2"]],
    target: Float[Tensor, "1 c3 h3 w3"],
    motion: Motion | None = None,
    cuts: Collection[int] = (),
    path: ObjectPath | None = None,
    still_every: int = STILL_EVERY,
) -> ClipMetrics:
    """Measure one output of a clip.

    Args:
        output: Frames in [-1, 1]. RGBA is composited over white.
        source: As many frames in [-1, 1]; they are resized to the output's size.
        target: An image in [-1, 1], at the scale of the output.
        motion: The source's known motion, at the output's size; None estimates it.
        cuts: Numbers of the frames that begin a scene, where they are known.
        path: The path of an object of the source, where it is known.
        still_every: Look and structure are measured in every frame of that number; 0: in none.

    Raises:
        UserError: OpenCV is not installed, the frames are too small for optical flow, or the clips differ in length.
    """
    return measure_outputs({"": output}, source, target, motion, cuts, path, still_every)[""]


def measure_outputs(
    outputs: Mapping[str, Iterable[Float[Tensor, "1 c h w"]]],
    source: Iterable[Float[Tensor, "1 c2 h2 w2"]],
    target: Float[Tensor, "1 c3 h3 w3"],
    motion: Motion | None = None,
    cuts: Collection[int] = (),
    path: ObjectPath | None = None,
    still_every: int = STILL_EVERY,
) -> dict[str, ClipMetrics]:
    """`clip_metrics` of several outputs of one source, in one pass; all have the size of the first."""
    iterators = {name: iter(frames) for name, frames in outputs.items()}
    # The first frame of an output tells the size.
    first_name = next(iter(iterators))
    first = next(iterators[first_name])
    iterators[first_name] = itertools.chain([first], iterators[first_name])

    def take(name: str, step: SourceStep) -> Tensor:
        output = next(iterators[name], None)
        if output is None:
            raise UserError(
                f"the source has more than {step.index} frames, the output '{name}' has {step.index}: "
                "give clips of one length"
            )
        return output

    steps = source_steps(source, (first.shape[-2], first.shape[-1]), color_channels(target), motion, cuts)
    metrics = measure_steps(steps, {name: partial(take, name) for name in outputs}, target, path, still_every)
    for name, frames in iterators.items():
        if next(frames, None) is not None:
            raise UserError(f"the output '{name}' has more frames than the source: give clips of one length")
    return metrics


def measure_steps(
    steps: Iterable[SourceStep],
    outputs: Mapping[str, Callable[[SourceStep], Float[Tensor, "1 c h w"]]],
    target: Float[Tensor, "1 c2 h2 w2"],
    path: ObjectPath | None = None,
    still_every: int = STILL_EVERY,
) -> dict[str, ClipMetrics]:
    """As `measure_outputs`, for outputs that are computed from the steps, such as baselines that need the flow."""
    channels = color_channels(target)
    reference = StillReference(match_channels(target, channels), still_every)
    meters = {name: ClipMeter(reference, path) for name in outputs}
    for step in steps:
        for name, meter in meters.items():
            meter.add(match_channels(outputs[name](step), channels), step)
    return {name: meter.result() for name, meter in meters.items()}


def color_channels(target: Float[Tensor, "1 c h w"]) -> int:
    """Channels in which outputs are measured: 1 if the target is grey, else 3; RGBA is composited over white."""
    return 1 if target.shape[1] == 1 else 3


_MEANS = (
    *("look", "structure", "swim", "swim10", "swim_moving", "door", "flicker", "source_flicker", "error", "error10"),
    *("motion_fidelity", "tracked_fraction"),
)
"""Metrics whose value is the mean of their curve over all pixels."""
