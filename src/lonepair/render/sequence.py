"""Frames of a clip one after another: the motion of each is measured, and it is finished.

The frames may come in reverse, as a pass backward takes them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from lonepair.media.clips.container import Frame
from lonepair.render.clip import Pipeline, SceneRenderer, SceneStart, SynthesizedFrame
from lonepair.render.motion import Motion, measure_motion

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class FrameStep:
    """A frame before it is finished."""

    frame: Frame
    source: Any
    """What `Pipeline.prepare` returned."""
    motion: Motion | None
    """Since the frame before; None for the first frame, and where nothing is carried."""
    is_cut: bool


def motion_between(pipeline: Pipeline, before: Any, now: Any) -> tuple[Motion, bool]:
    """The motion between two frames that `Pipeline.prepare` returned, and whether a cut lies between them."""
    config = pipeline.settings
    motion = measure_motion(before.moving, now.moving, config)
    return motion, motion.unexplained_share > config.cut_share


@dataclass(frozen=True)
class SequenceState:
    """What a sequence needs to continue after some of its frames."""

    count: int
    """Number of finished frames, 1 or more."""
    scene_start: int
    """Index, among these frames, of the first one of the scene to which the last one belongs."""
    scene: Mapping[str, Tensor]
    """`SceneRenderer.state`."""


@dataclass(frozen=True)
class Continuation:
    """Where a sequence continues."""

    before: FrameStep
    """The last finished frame."""
    scene: SceneRenderer
    count: int
    scene_start: int
    """As of `SequenceState`."""


@dataclass(frozen=True)
class FinishedFrame:
    """A frame that is finished."""

    step: FrameStep
    result: SynthesizedFrame
    state: Callable[[], SequenceState] | None
    """The state behind this frame, valid until the next frame is requested; None: a render cannot continue here."""


def render_sequence(
    pipeline: Pipeline,
    inputs: Iterator[tuple[Frame, Any]],
    name: str,
    start: SceneStart | None = None,
    has_cuts: bool = True,
    first: int = 0,
) -> Iterator[tuple[FrameStep, SynthesizedFrame]]:
    """Finish successive frames; the motion of the next frame is measured while one is synthesized.

    Args:
        pipeline: The path of a frame.
        inputs: The frames, each with what `Pipeline.prepare` returned.
        name: Name of the source in messages.
        start: What is known of the first frame's scene.
        has_cuts: Whether cuts are searched for; otherwise all frames are of one scene.
        first: Number of the first frame in messages.
    """
    for finished in finish_sequence(pipeline, inputs, name, start, has_cuts, first):
        yield finished.step, finished.result


def finish_sequence(
    pipeline: Pipeline,
    inputs: Iterator[tuple[Frame, Any]],
    name: str,
    start: SceneStart | None = None,
    has_cuts: bool = True,
    first: int = 0,
    continuation: Continuation | None = None,
) -> Iterator[FinishedFrame]:
    """As `render_sequence`, with the state behind each frame.

    Args:
        pipeline: As of `render_sequence`, like `inputs`, `name`, `start`, `has_cuts` and `first`.
        continuation: Where an equal sequence continues; None: at its beginning.
    """
    before, scene, count, scene_start = None, SceneRenderer(pipeline, start), 0, 0
    if continuation is not None:
        before, scene = continuation.before, continuation.scene
        count, scene_start = continuation.count, continuation.scene_start
    steps = _measure(pipeline, inputs, name, has_cuts, before, first + count)
    upcoming = run_steps(pipeline, [partial(next, steps, None)])[0]
    while upcoming is not None:
        step = upcoming
        if step.is_cut or not pipeline.carries:
            scene, scene_start = SceneRenderer(pipeline), count
        render = partial(scene.render, step.source, None if step.is_cut else step.motion)
        result, upcoming = run_steps(pipeline, [render, partial(next, steps, None)])
        count += 1
        yield FinishedFrame(step, result, partial(_state, count, scene_start, scene))


def _state(count: int, scene_start: int, scene: SceneRenderer) -> SequenceState:
    return SequenceState(count, scene_start, scene.state())


def run_steps(pipeline: Pipeline, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of one or two calls, each on a core of its own."""
    # Only in a clip two frames are worth two cores.
    if not pipeline.carries:
        return [call() for call in calls]
    # Rounding depends on the number of threads: one call, too, has a core.
    calls = [*calls, _do_nothing] if len(calls) == 1 else calls
    return pipeline.engine.run_parallel(calls)


def _do_nothing() -> None:
    """Nothing, beside another call."""


def _measure(
    pipeline: Pipeline,
    inputs: Iterator[tuple[Frame, Any]],
    name: str,
    has_cuts: bool,
    before: FrameStep | None,
    first: int,
) -> Iterator[FrameStep]:
    """Successive frames from index `first` on, each with its motion since the one before."""
    for index, (frame, source) in enumerate(inputs, first):
        motion, is_cut = None, False
        if before is not None and pipeline.carries:
            motion, is_cut = motion_between(pipeline, before.source, source)
            is_cut = is_cut and has_cuts
        if is_cut:
            logger.info("%s: a cut before frame %d (%.2f s)", name, index, float(frame.time))
        before = FrameStep(frame, source, motion, is_cut)
        yield before
