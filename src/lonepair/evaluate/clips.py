"""Measures the translation of a clip beside trivial baselines, in one pass over the clip.

The baselines show what each metric is worth: every frame by itself is sharp and swims, the first frame carried along
the flow does not swim and does not show what is revealed, and a blur is steady without being sharp.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.metrics.clip import STILL_EVERY, ClipMetrics, color_channels, measure_steps
from lonepair.metrics.motion import Motion, SourceStep, carry, chain, source_steps
from lonepair.metrics.objects import ObjectPath
from lonepair.ops.blur import gaussian_blur
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image

OUTPUT, ALONE, CARRIED, SOURCE, BLUR = "output", "frame by frame", "first frame carried", "source", "blur"
"""Names of the rows: the translation, and its baselines."""
BLUR_SIGMA = 2.0
"""Standard deviation in pixels of the blur."""

Output = Callable[[SourceStep], Tensor]
"""Gives the output's frame for a step of the source."""


@dataclass(frozen=True)
class KnownMotion:
    """What is known of a made clip; a clip without is measured with estimated flow."""

    motion: Motion | None = None
    cuts: Collection[int] = ()
    path: ObjectPath | None = None


@dataclass(frozen=True)
class ClipReport:
    """What was measured of a clip."""

    metrics: dict[str, ClipMetrics]
    """Row -> its metrics."""
    frames: int
    first_seconds: float
    """Wall-clock seconds that the first frame of the translation took."""
    seconds: float
    """Wall-clock seconds that all frames of the translation took."""
    cpu_seconds: float
    """CPU time of all frames of the translation, over all cores: it does not depend on other processes."""

    @property
    def rate(self) -> float:
        """Frames a second of the translation, without the first frame, which takes longest."""
        return (self.frames - 1) / max(self.seconds - self.first_seconds, 1e-9)


def measure_clip(
    output: Iterator[Float[Tensor, "1 c h w"]],
    source: Iterable[Float[Tensor, "1 c2 h2 w2"]],
    target: Float[Tensor, "1 c3 h3 w3"],
    size: tuple[int, int],
    translate: Callable[[Tensor], Tensor] | None = None,
    known: KnownMotion | None = None,
    still_every: int = STILL_EVERY,
    watch: Callable[[int, dict[str, Tensor]], None] | None = None,
) -> ClipReport:
    """Measure a translated clip and its baselines.

    Args:
        output: Its frames in [-1, 1].
        source: As many frames of the source in [-1, 1].
        target: The target in [-1, 1], at the scale of the output (`at_output_scale`).
        size: (h, w) of the output.
        translate: Translates one frame by itself; without it the baselines begin with the output's own frames.
        known: The motion of a made clip; None estimates it.
        still_every: Look and structure are measured in every frame of that number.
        watch: Receives the number of each frame, and row -> its frame.

    Raises:
        UserError: The clips differ in length, or the frames are too small for optical flow.
    """
    known, clock = known or KnownMotion(), _Clock(output)
    current = _Latest(clock)
    alone = current if translate is None else _Latest(_FrameByFrame(translate))
    rows: dict[str, Output] = {OUTPUT: current}
    rows |= {} if translate is None else {ALONE: alone}
    rows |= {CARRIED: _Carried(alone), SOURCE: _source, BLUR: _Blur(alone)}
    channels = color_channels(target)
    if watch is not None:
        rows = {name: _Latest(row) for name, row in rows.items()}

    def steps() -> Iterator[SourceStep]:
        for step in source_steps(source, size, channels, known.motion, known.cuts):
            if watch is not None:
                watch(step.index, {name: match_channels(row(step), channels) for name, row in rows.items()})
            yield step

    metrics = measure_steps(steps(), rows, target, known.path, still_every)
    clock.check_end()
    _compare_sharpness(metrics)
    return ClipReport(metrics, clock.frames, clock.first_seconds, clock.seconds, clock.cpu_seconds)


def at_output_scale(target: Float[Tensor, "1 c h w"], size: tuple[int, int]) -> Float[Tensor, "1 c h2 w2"]:
    """`target` as large as an output of (h, w) `size` at most: the scale at which its texture is painted."""
    factor = max(size) / max(target.shape[-2:])
    if factor >= 1:
        return target
    return resize_image(target, (round(target.shape[-2] * factor), round(target.shape[-1] * factor)))


def _compare_sharpness(metrics: Mapping[str, ClipMetrics]) -> None:
    """Add sharpness_kept: the lowest of all frames' sharpness over that of the same frame translated by itself."""
    if ALONE in metrics:
        alone = [value for _, value in metrics[ALONE].curves["sharpness"]]
        for row in metrics.values():
            own = [value for _, value in row.curves["sharpness"]]
            row.values["sharpness_kept"] = min(x / max(y, 1e-9) for x, y in zip(own, alone, strict=True))


# -- rows -------------------------------------------------------------------------------------------------------------


class _Latest:
    """Computes each frame of a row once, although several rows use it."""

    def __init__(self, row: Output) -> None:
        self._row = row
        self._latest: tuple[int, Tensor] | None = None

    def __call__(self, step: SourceStep) -> Tensor:
        if self._latest is None or self._latest[0] != step.index:
            self._latest = step.index, self._row(step)
        return self._latest[1]


class _Clock:
    """The output's own frames, and the seconds that each takes."""

    def __init__(self, frames: Iterator[Tensor]) -> None:
        self._iterator = frames
        self.frames = 0
        self.seconds = self.first_seconds = self.cpu_seconds = 0.0

    def __call__(self, step: SourceStep) -> Tensor:
        start, cpu_start = time.perf_counter(), time.process_time()
        frame = next(self._iterator, None)
        if frame is None:
            raise UserError(f"the output has {step.index} frames, the source has more: give clips of one length")
        self.seconds += time.perf_counter() - start
        self.cpu_seconds += time.process_time() - cpu_start
        self.first_seconds = self.first_seconds or self.seconds
        self.frames += 1
        return frame

    def check_end(self) -> None:
        """Refuse an output that is longer than its source."""
        if next(self._iterator, None) is not None:
            raise UserError(f"the source has {self.frames} frames, the output has more: give clips of one length")


class _FrameByFrame:
    """Each frame of the source, translated by itself."""

    def __init__(self, translate: Callable[[Tensor], Tensor]) -> None:
        self._translate = translate

    def __call__(self, step: SourceStep) -> Tensor:
        return self._translate(step.frame)


class _Carried:
    """The first frame of each scene, moved along the source's flow. Where something is revealed, pixels stretch."""

    def __init__(self, first: Output) -> None:
        self._first = first
        self._frame: Tensor | None = None
        self._flow: Tensor | None = None

    def __call__(self, step: SourceStep) -> Tensor:
        flow = next((pair.flow for pair in step.pairs if pair.gap == 1), None)
        if flow is None or self._frame is None:
            self._frame, self._flow = self._first(step), None
            return self._frame
        # One interpolation from the first frame: many, one after another, would blur it.
        self._flow = flow if self._flow is None else chain(flow, self._flow)
        return carry(self._frame, self._flow).clamp(-1, 1)


class _Blur:
    """A row after a Gaussian."""

    def __init__(self, row: Output) -> None:
        self._row = row

    def __call__(self, step: SourceStep) -> Tensor:
        return gaussian_blur(self._row(step), BLUR_SIGMA)


def _source(step: SourceStep) -> Tensor:
    return step.frame
