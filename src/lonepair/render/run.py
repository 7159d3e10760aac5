"""The frames of a source, finished in order, from any frame on. A run can continue where an earlier one stopped."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.clips.container import Frame
from lonepair.media.source import Source
from lonepair.render.clip import Pipeline, SceneRenderer, SceneStart
from lonepair.render.passes import TwoWayRenderer
from lonepair.render.sequence import (
    Continuation,
    FinishedFrame,
    FrameStep,
    SequenceState,
    finish_sequence,
    motion_between,
    run_steps,
)

_SEARCH = 32
"""Frames before a frame among which its scene's start is searched first; then among twice as many, and so on."""


@runtime_checkable
class Companions(Protocol):
    """An image beside each frame: its mask (`FrameMasks`), those of several styles (`RegionMasks`), or the frame of a
    stylized clip (`StyledFrames`)."""

    def frames(self, size: tuple[int, int]) -> Iterator[Tensor]: ...
    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class FrameRun:
    """Finishes the frames of a source."""

    pipeline: Pipeline
    source: Source
    companions: Companions | None
    """What is beside each frame; None: nothing."""
    keys: Mapping[int, Callable[[], Tensor]] = field(default_factory=dict)
    """Index of a frame -> its keyframe at the output's size."""
    passes: int = 1
    """2: scenes without keys are carried forward and backward."""

    @property
    def goes_both_ways(self) -> bool:
        """Whether frames depend on later ones, too. Such a run cannot continue an earlier one."""
        return self.pipeline.carries and (bool(self.keys) or self.passes > 1)

    def frames(
        self, first: int = 0, stop: int | None = None, start: SequenceState | None = None, scene: int | None = None
    ) -> Iterator[tuple[Frame, FinishedFrame | None]]:
        """Finish frames `first` to `stop` of the source.

        Args:
            first: Index of the first frame. It starts a scene.
            stop: Index behind the last frame; None: behind the source's last.
            start: The state of an equal run from which this one continues.
            scene: Index of the first frame of the scene that frame `first` belongs to: it decides what the scene's
                frames share. None: frame `first` does. Not with keyframes or two passes.

        Yields:
            Each frame of the source, and what was made of it; None for the frames before `start`.
        """
        if self.goes_both_ways:
            yield from self._both_ways(first, stop)
            return
        inputs = self.inputs(first, stop)
        continuation, scene_start = None, None
        opening = None if scene is None or scene == first else self._prepared(scene)
        if start is not None:
            opening = opening if start.scene_start == 0 else None
            for index, (frame, companion) in enumerate(itertools.islice(inputs, start.count)):
                if index in (start.scene_start, start.count - 1):
                    before = FrameStep(frame, self.pipeline.prepare(frame.image, companion), None, False)
                    opening = before.source if opening is None else opening
                yield frame, None
            assert opening is not None
            renderer = partial(SceneRenderer.from_state, self.pipeline, start.scene, opening)
            continues = run_steps(self.pipeline, [renderer])[0]
            continuation = Continuation(before, continues, start.count, start.scene_start)
        elif opening is not None and self.pipeline.carries:
            prediction = run_steps(self.pipeline, [partial(self.pipeline.predict, opening, None)])[0]
            scene_start = SceneStart(prediction=prediction)
        prepared = ((frame, self.pipeline.prepare(frame.image, companion)) for frame, companion in inputs)
        for finished in finish_sequence(
            self.pipeline, prepared, self.source.name, scene_start, first=first, continuation=continuation
        ):
            yield finished.step.frame, finished

    def _prepared(self, index: int) -> Any:
        """What `Pipeline.prepare` returns for frame `index`."""
        frame, companion = next(self.inputs(index, index + 1))
        return self.pipeline.prepare(frame.image, companion)

    def _both_ways(self, first: int, stop: int | None) -> Iterator[tuple[Frame, FinishedFrame]]:
        """As `frames`, with keys or two passes: frames from `stop` on are read where earlier ones depend on them."""
        renderer = TwoWayRenderer(self.pipeline, self.source.name, self.keys, self.passes)
        for index, step, result in renderer.render(self.inputs(first, None), first):
            yield step.frame, FinishedFrame(step, result, None)
            if index + 1 == stop:
                return

    def scene_start(self, index: int) -> int:
        """Index of the first frame on which frame `index` depends: the one after the last cut.

        Only the source's motion is measured, from `index` backward.

        Raises:
            UserError: if the source has no such frame.
        """
        carries = self.pipeline.carries
        last, length = index, _SEARCH if carries else 0
        while index >= 0:
            first = max(0, last - length)
            before, start, seen = None, None, first - 1
            for seen, (frame, companion) in enumerate(self.inputs(first, last + 1), first):
                # Of all frames only two stay in memory.
                now = self.pipeline.prepare(frame.image, companion) if carries else None
                if before is not None and self.is_cut(before, now):
                    start = seen
                before = now
            if seen < last:
                break
            # Without carried pixels frames do not depend on one another.
            if not carries:
                return index
            if start is not None or first == 0:
                return start or 0
            last, length = first, 2 * length
        count = sum(1 for _ in self.source.frames())
        raise UserError(f"frame is {index}, {self.source.name} has {count} frames: choose 0 to {count - 1}")

    def is_cut(self, before: Any, now: Any) -> bool:
        """Whether a cut lies between two successive frames that `Pipeline.prepare` returned."""
        return bool(run_steps(self.pipeline, [partial(motion_between, self.pipeline, before, now)])[0][1])

    def inputs(self, first: int, stop: int | None) -> Iterator[tuple[Frame, Tensor | None]]:
        """Frames `first` to `stop` of the source, each with its companion at the output's size; None: it has none."""
        companions: Iterator[Tensor | None] = itertools.repeat(None)
        if self.companions is not None:
            companions = itertools.islice(self.companions.frames(self.pipeline.size), first, None)
        for frame in itertools.islice(self.source.frames(first), None if stop is None else stop - first):
            yield frame, next(companions)
