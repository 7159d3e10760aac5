"""Parts of a clip that are rendered independently of each other: its scenes, and segments of long scenes.

A scene starts without anything of the scene before, so that scenes that are rendered apart are those of the whole clip,
bit for bit. A segment starts some frames before its own first one, the run-in, and its frames are blended with those of
the segment before over the run-in, so that the texture changes without a jump.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lonepair.errors import UserError
from lonepair.ops.resize import resize_image
from lonepair.render.run import FrameRun

logger = logging.getLogger("lonepair")

_INDEPENDENT = 16
"""Number of frames of a part where no frame depends on another one."""
_SMALL = (24, 32)
"""(h, w) at which successive frames are compared, before their motion is measured."""
_HISTORY = 8
"""Number of frames whose changes a frame's change is compared with."""
_SUDDEN = 1.3
"""Change of a frame over the median of those before it from which on there may be a cut."""


@dataclass(frozen=True)
class Workers:
    """Processes that render the parts of a clip side by side."""

    count: int = 1
    """Number of processes. Each has a copy of the model, and an equal share of the CPU threads."""
    segment_frames: int = 0
    """Also split scenes into segments of this many frames; 0 does not, and gives the frames of one process."""
    run_in: int = 12
    """Number of frames that a segment is rendered before its own first one, and over which it is blended with the
    segment before."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UserError: One is out of its range.
        """
        names = {"count": "workers", "segment_frames": "segment_frames", "run_in": "run_in"}
        for name, lowest in (("count", 1), ("segment_frames", 0), ("run_in", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise UserError(f"{names[name]} is {value}: give a whole number from {lowest} on")
        if 0 < self.segment_frames < 2 * self.run_in:
            raise UserError(
                f"segment_frames is {self.segment_frames} and run_in is {self.run_in}: a segment needs twice its "
                f"run-in; give segment_frames {2 * self.run_in} or more, or a smaller run_in"
            )

    def check_passes(self, goes_both_ways: bool) -> None:
        """Refuse segments of a clip with keys or two passes.

        Raises:
            UserError: Scenes are split, and `goes_both_ways` says that frames depend on later ones.
        """
        if self.segment_frames and goes_both_ways:
            raise UserError(
                f"segment_frames is {self.segment_frames}, and with keys or two passes a scene is rendered as one: "
                "leave one of both out"
            )

    @property
    def is_parallel(self) -> bool:
        """Whether a clip is rendered in parts."""
        return self.count > 1 or self.segment_frames > 0


@dataclass(frozen=True)
class Part:
    """Frames that are rendered by themselves, by their indices in the whole clip."""

    scene: int
    """First frame of the scene to which `start` belongs."""
    start: int
    """First frame that is rendered."""
    first: int
    """First frame that is kept."""
    joint: int
    """First frame that is not blended with the part before."""
    stop: int
    """Index behind the last frame."""
    blended: int
    """First frame that is blended with the part behind; `stop` where there is none."""

    def weight(self, frame: int) -> float:
        """Weight of this part, 0 to 1, in the blend of `frame` with the part before."""
        return min(1.0, (frame - self.start + 1) / (self.joint - self.start + 1))


def plan_parts(
    run: FrameRun,
    first: int,
    stop: int | None,
    workers: Workers,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Part]:
    """Yield the parts that frames `first` to `stop` of a clip consist of, each as soon as it is known.

    Args:
        run: The clip, and how its frames are finished.
        first: Index of the first frame.
        stop: Index behind the last frame; None: behind the clip's last.
        workers: How scenes are split.
        should_stop: Called after each frame; True ends the parts.

    Raises:
        UserError: `workers` splits scenes, and frames depend on later ones; the clip has no frame `first`.
    """
    workers.check_passes(run.goes_both_ways)
    if not run.pipeline.carries:
        yield from _independent_parts(run, first, stop)
        return
    length, run_in = workers.segment_frames, workers.run_in
    scene = start = run.scene_start(first) if first else 0
    number = start - 1
    # Segments of a range are those of the whole clip: what is behind it can decide where the last one ends.
    end = None if stop is None else stop + length
    for number, is_cut in _cuts(run, start, end):
        if should_stop():
            return
        if is_cut:
            yield from _clipped(Part(scene, start, start, _joint(scene, start, run_in), number, number), first, stop)
            scene = start = number
        joint = scene + length if start == scene else start + run_in + length
        if length and number >= joint + length // 2:
            part = Part(scene, start, start, _joint(scene, start, run_in), joint, joint - run_in)
            yield from _clipped(part, first, stop)
            start = joint - run_in
    last = number + 1
    yield from _clipped(Part(scene, start, start, _joint(scene, start, run_in), last, last), first, stop)


def _joint(scene: int, start: int, run_in: int) -> int:
    return start if start == scene else start + run_in


def _clipped(part: Part, first: int, stop: int | None) -> Iterator[Part]:
    """`part` without the frames before `first` and from `stop` on; nothing where none is left."""
    if part.stop <= first or (stop is not None and part.start >= stop):
        return
    last = part.stop if stop is None else min(part.stop, stop)
    yield replace(part, first=max(part.start, first), stop=last, blended=min(max(part.blended, first), last))


def _independent_parts(run: FrameRun, first: int, stop: int | None) -> Iterator[Part]:
    """Parts of frames that do not depend on one another."""
    count = len(run.source.times())
    stop = count if stop is None else min(stop, count)
    for start in range(first, stop, _INDEPENDENT):
        last = min(start + _INDEPENDENT, stop)
        yield Part(start, start, start, start, last, last)


def _cuts(run: FrameRun, start: int, stop: int | None) -> Iterator[tuple[int, bool]]:
    """Yield the index of each frame from `start` on, and whether a cut before it is known.

    Every cut that is known is one of the sequence's. Motion is measured only where the frame changes suddenly, so that
    a cut between similar frames is not known: that part is longer than it must be.
    """
    changes: deque[float] = deque(maxlen=_HISTORY)
    before: tuple[Tensor, Tensor | None, Tensor] | None = None
    for index, (frame, companion) in enumerate(run.inputs(start, stop), start):
        small, is_cut = resize_image(frame.image, _SMALL), False
        if before is not None:
            change = float((small - before[2]).abs().mean())
            if change > _SUDDEN * _median(changes):
                images = (before[:2], (frame.image, companion))
                is_cut = run.is_cut(*(run.pipeline.prepare(*each) for each in images))
            changes.append(change)
        if is_cut:
            logger.info("%s: a cut before frame %d (%.2f s)", run.source.name, index, float(frame.time))
            changes.clear()
        before = (frame.image, companion, small)
        yield index, is_cut


def _median(values: deque[float]) -> float:
    return float(torch.tensor(list(values)).median()) if values else 0.0
