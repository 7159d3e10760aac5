"""The parts of one clip: which ones there are, the frames of one of them on disk, and the joined frames of all.

Where a part is rendered does not matter: in a process of this machine (`workers`), or on another machine (a batch).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lonepair.ops.fingerprint import fingerprint
from lonepair.patches.carry import blend_textures
from lonepair.render.folder import RenderFolder, render_key
from lonepair.render.parts import Part, Workers, plan_parts
from lonepair.render.run import FrameRun
from lonepair.render.sequence import FinishedFrame


@runtime_checkable
class ClipTranslation(Protocol):
    """What a worker needs of a translation (`Translation`)."""

    @property
    def run(self) -> FrameRun: ...
    def output(self, number: int, finished: FinishedFrame) -> Tensor: ...


@dataclass(frozen=True)
class ClipParts:
    """The parts of a translated clip. Keys depend on the number of CPU threads: do not change it meanwhile."""

    translation: ClipTranslation
    workers: Workers
    """How the clip is split."""
    bits: int
    """Bits per channel of the output."""
    first: int = 0
    """Index of the first frame."""
    stop: int | None = None
    """Index behind the last frame; None: behind the clip's last."""

    @cached_property
    def key(self) -> str:
        """SHA-256 of everything that the frames of the clip depend on, keyframes included."""
        run = self.translation.run
        keys = {number: fingerprint({}, {"key": key()}) for number, key in sorted(run.keys.items())}
        return _digest([render_key(run.pipeline, run.source, run.companions), run.passes, keys])

    @property
    def plan_key(self) -> str:
        """SHA-256 of everything that the parts and their frames depend on."""
        return _digest([self.key, self.bits, self.first, self.stop, self.workers.segment_frames, self.workers.run_in])

    def part_key(self, part: Part) -> str:
        """SHA-256 of everything that the frames of a part depend on."""
        return _digest([self.key, part.scene, part.start, part.first, part.stop])

    def plan(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Part]:
        """Yield the parts, each when its end is known; arguments and errors are those of `plan_parts`."""
        return plan_parts(self.translation.run, self.first, self.stop, self.workers, should_stop)

    def is_complete(self, part: Part, path: Path) -> bool:
        """Whether the folder `path` has all frames of a part."""
        if not path.is_dir():
            return False
        with RenderFolder(path, is_part=True) as folder:
            folder.open(self.part_key(part), self.bits)
            return folder.is_complete

    def render(self, part: Part, path: Path, should_stop: Callable[[], bool]) -> bool:
        """Render a part in this process; arguments and result as of `render_part`."""
        return render_part(self.translation, part, path, self.part_key(part), self.bits, should_stop)

    def join(self, parts: Iterable[tuple[Part, Path]]) -> Iterator[Tensor]:
        """Yield the frames of all parts in order, rounded to `bits`; two parts are blended where they overlap.

        Args:
            parts: Each part and its folder, which is complete when it is returned.
        """
        before: list[Tensor] = []
        for part, path in parts:
            overlap, before = iter(before), []
            with RenderFolder(path, is_part=True) as folder:
                folder.open(self.part_key(part), self.bits)
                for number, image in enumerate(folder.frames(), part.first):
                    if number < part.joint and (other := next(overlap, None)) is not None:
                        image = self._blend(other, image, part.weight(number))
                    if number < part.blended:
                        yield image
                    else:
                        before.append(image)

    def _blend(self, one: Tensor, other: Tensor, weight: float) -> Tensor:
        weights = torch.full_like(one[:, :1], weight)
        return blend_textures(one, other, weights, self.translation.run.pipeline.settings.max_blend_gain)


def render_part(
    translation: ClipTranslation, part: Part, path: Path, key: str, bits: int, should_stop: Callable[[], bool]
) -> bool:
    """Render a part, from where an earlier call has stopped.

    Args:
        translation: The translation of the clip.
        part: Its frames.
        path: Folder of the part.
        key: `part_key`.
        bits: Bits per channel of the output.
        should_stop: Called after each frame.

    Returns:
        Whether all frames are in the folder.
    """
    run = translation.run
    with RenderFolder(path, is_part=True) as folder:
        folder.open(key, bits)
        if folder.is_complete:
            return True
        # A part that depends on later frames has no state to continue from.
        start, scene = (None, None) if run.goes_both_ways else (folder.start, part.scene)
        frames = run.frames(part.start, part.stop, start, scene)
        for number, (_, finished) in enumerate(frames, part.start):
            if finished is None or number < part.first:
                continue
            folder.add(translation.output(number, finished), finished.state)
            if should_stop() and number + 1 < part.stop:
                with contextlib.suppress(KeyboardInterrupt):
                    folder.stop(finished.state)
                return False
        folder.complete()
    return True


def _digest(values: list[object]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
