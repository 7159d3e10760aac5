"""Frames of a clip one after another: the motion of each is measured, and it is finished.

The frames may come in reverse, as a pass backward takes them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lonepair.media.container import Frame
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
    steps = _measure(pipeline, inputs, name, has_cuts, first)
    upcoming, scene = next(steps, None), SceneRenderer(pipeline, start)
    while upcoming is not None:
        step = upcoming
        if step.is_cut or not pipeline.carries:
            scene = SceneRenderer(pipeline)
        render = partial(scene.render, step.source, None if step.is_cut else step.motion)
        calls: list[Callable[[], Any]] = [render, partial(next, steps, None)]
        # Only in a clip two frames are worth two cores.
        run = pipeline.engine.run_parallel if pipeline.carries else _run_in_turn
        finished, upcoming = run(calls)
        yield step, finished


def _measure(
    pipeline: Pipeline, inputs: Iterator[tuple[Frame, Any]], name: str, has_cuts: bool, first: int
) -> Iterator[FrameStep]:
    """Successive frames, each with its motion since the one before."""
    before: FrameStep | None = None
    for index, (frame, source) in enumerate(inputs, first):
        motion, is_cut = None, False
        if before is not None and pipeline.carries:
            motion, is_cut = motion_between(pipeline, before.source, source)
            is_cut = is_cut and has_cuts
        if is_cut:
            logger.info("%s: a cut before frame %d (%.2f s)", name, index, float(frame.time))
        before = FrameStep(frame, source, motion, is_cut)
        yield before


def _run_in_turn(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    return [call() for call in calls]
