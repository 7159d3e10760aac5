"""Frames between keyframes: pixels of the nearest key are carried both ways within a scene, and two keys are blended.

A pass backward takes the frames in reverse. They lie on disk meanwhile, and so do its results, so that memory does not
grow with the length of a scene. A second pass over a scene without keys works alike: its last frame is a key.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.media.clips.container import Frame
from lonepair.media.store import TensorStore
from lonepair.ops.blur import gaussian_blur
from lonepair.ops.color import match_channels
from lonepair.ops.flow import warp
from lonepair.patches.carry import blend_textures
from lonepair.render.clip import Pipeline, SceneStart, SynthesizedFrame
from lonepair.render.sequence import FrameStep, motion_between, render_sequence

logger = logging.getLogger("lonepair")

RawFrame = tuple[Frame, Tensor | None]
"""A frame of the source and what is beside it."""
Finished = tuple[int, FrameStep, SynthesizedFrame]
"""Number of a frame, the frame, and its result."""


@dataclass
class TwoWayRenderer:
    """Finishes a clip with keyframes, or in two passes."""

    pipeline: Pipeline
    name: str
    """Name of the source in messages."""
    keys: Mapping[int, Callable[[], Tensor]]
    """Number of a frame -> its key at the output's size."""
    passes: int
    """2: scenes without keys are carried forward and backward."""
    _store: TensorStore = field(default_factory=TensorStore, repr=False)
    _frames: dict[int, Frame] = field(default_factory=dict, repr=False)
    """Frames on disk, without their images."""
    _scene: Any = None
    """The prediction that holds what the newest scene's frames share."""
    _done: int | None = None
    """Number of the key that ended the chunk before."""

    def render(self, frames: Iterator[RawFrame], first: int = 0) -> Iterator[Finished]:
        """Finish all frames.

        Args:
            frames: The source's frames from number `first` on, which begins a scene.
            first: That number.
        """
        with self._store:
            yield from self._render(enumerate(frames, first), first)

    def _render(self, frames: Iterator[tuple[int, RawFrame]], start: int) -> Iterator[Finished]:
        before, number = None, start - 1
        for number, raw in frames:
            source = self.pipeline.prepare(raw[0].image, raw[1])
            if before is not None and motion_between(self.pipeline, before, source)[1]:
                logger.info("%s: a cut before frame %d (%.2f s)", self.name, number, float(raw[0].time))
                yield from self._chunk(start, number - 1)
                self._forget(start, number)
                start, before = number, None
            if before is None:
                self._scene = self.pipeline.predict(source, None)
            before = source
            self._remember(number, raw)
            # A chunk ends at a key, which begins the next one, too.
            if number in self.keys and number > start:
                yield from self._chunk(start, number)
                self._forget(start, number)
                start = number
            # After the last key nothing comes that earlier frames depend on.
            if self.passes == 1 and not any(key > number for key in self.keys):
                stored = map(self._recall, range(start, number + 1))
                rest = itertools.chain(stored, _prepared(self.pipeline, frames))
                done = render_sequence(self.pipeline, rest, self.name, self._start(start), first=start)
                for index, (step, finished) in enumerate(done, start):
                    if index > start or not self._is_done(start):
                        yield index, step, finished
                return
        if number >= start:
            yield from self._chunk(start, number)

    # -- chunks: frames of one scene, of which only the first and the last can be keys --------------------------------

    def _chunk(self, first: int, last: int) -> Iterator[Finished]:
        """Finish frames `first` to `last`; a first one that ended the chunk before is done."""
        is_backward = last > first and last in self.keys
        is_blend = is_backward and first in self.keys
        if self.passes == 2 and last > first and first not in self.keys and last not in self.keys:
            is_backward = is_blend = True
        if is_backward:
            self._run_backward(first, last)
        if is_backward and not is_blend:
            yield from self._stored(first, last)
            return
        begin = self._start(first)
        if is_blend and first not in self.keys:
            begin = SceneStart(self._backward(first)[0], self._scene)
        valid: Tensor | None = None
        done = self._sequence(iter(range(first, last + 1)), begin)
        for number, (step, finished) in zip(range(first, last + 1), done, strict=True):
            valid = _still_valid(valid, step, finished)
            if number == first and self._is_done(first):
                continue
            if is_blend:
                image = self._blend(finished.image, valid, number, (number - first) / (last - first))
                finished = SynthesizedFrame(image, finished.is_new)
            yield number, step, finished

    def _run_backward(self, first: int, last: int) -> None:
        """Carry the last frame of a chunk backward, and store the results."""
        valid: Tensor | None = None
        numbers = range(last, first - 1, -1)
        for number, (step, finished) in zip(numbers, self._sequence(iter(numbers), self._start(last)), strict=True):
            valid = _still_valid(valid, step, finished)
            self._store.write(f"image-{number}", finished.image, is_rounded=True)
            self._store.write(f"valid-{number}", valid, is_rounded=True)
            self._store.write(f"new-{number}", finished.is_new.float())

    def _stored(self, first: int, last: int) -> Iterator[Finished]:
        """The results of the pass backward, in order."""
        for number in range(first, last + 1):
            frame, source = self._recall(number)
            image, _ = self._backward(number)
            finished = SynthesizedFrame(image, self._store.read(f"new-{number}") > 0)
            yield number, FrameStep(frame, source, None, False), finished

    def _sequence(self, numbers: Iterator[int], start: SceneStart) -> Iterator[tuple[FrameStep, SynthesizedFrame]]:
        return render_sequence(self.pipeline, map(self._recall, numbers), self.name, start, has_cuts=False)

    def _start(self, number: int) -> SceneStart:
        """What is known of the newest scene if frame `number` comes first."""
        if number not in self.keys:
            return SceneStart(None, self._scene)
        source = self._recall(number)[1]
        return SceneStart(_before_dials(self.pipeline, source, self._scene, self.keys[number]()), self._scene)

    def _blend(self, forward: Tensor, valid: Tensor, number: int, position: float) -> Float[Tensor, "1 c h w"]:
        """Frame `number` from both passes, at `position`, 0 to 1, between the first and the last frame of its chunk."""
        backward, other_valid = self._backward(number)
        config = self.pipeline.settings
        # Two weights: where both passes have synthesized, one texture shows and not two.
        one = (1 - position) * (gaussian_blur(valid, 1.0) + config.synthesized_weight)
        other = position * (gaussian_blur(other_valid, 1.0) + config.synthesized_weight**2)
        return blend_textures(forward, backward, other / (one + other), config.max_blend_gain)

    # -- frames on disk -----------------------------------------------------------------------------------------------

    def _remember(self, number: int, raw: RawFrame) -> None:
        frame, companion = raw
        self._frames[number] = replace(frame, image=frame.image[..., :0, :0])
        self._store.write(f"frame-{number}", frame.image)
        if companion is not None:
            self._store.write(f"companion-{number}", companion)

    def _recall(self, number: int) -> tuple[Frame, Any]:
        """Frame `number`, and what `Pipeline.prepare` returns for it."""
        frame = replace(self._frames[number], image=self._store.read(f"frame-{number}"))
        companion = self._store.read(f"companion-{number}") if self._store.has(f"companion-{number}") else None
        return frame, self.pipeline.prepare(frame.image, companion)

    def _backward(self, number: int) -> tuple[Tensor, Tensor]:
        """The result of the pass backward for frame `number`, and where it is valid."""
        image, valid = (self._store.read(f"{name}-{number}") for name in ("image", "valid"))
        return self.pipeline.engine.to_device(image), valid.to(self.pipeline.engine.device)

    def _forget(self, first: int, stop: int) -> None:
        """Delete frames `first` to `stop` and their results."""
        for number in range(first, stop):
            del self._frames[number]
            self._store.delete(*(f"{name}-{number}" for name in ("frame", "companion", "image", "valid", "new")))
        self._done = stop if stop in self._frames else None

    def _is_done(self, number: int) -> bool:
        """Whether frame `number` ended the chunk before."""
        return self._done == number


def _prepared(pipeline: Pipeline, frames: Iterator[tuple[int, RawFrame]]) -> Iterator[tuple[Frame, Any]]:
    for _, (frame, companion) in frames:
        yield frame, pipeline.prepare(frame.image, companion)


def _still_valid(valid: Tensor | None, step: FrameStep, finished: SynthesizedFrame) -> Float[Tensor, "1 1 h w"]:
    """Where pixels are still those of the pass's first frame, 1, or newer ones, 0.

    Args:
        valid: The same of the frame before; None for the first frame.
        step: The frame.
        finished: Its result.
    """
    if valid is None or step.motion is None:
        return torch.ones_like(finished.image[:, :1])
    device = finished.image.device
    is_lost = finished.is_new | step.motion.is_unexplained.to(device)
    return warp(valid, step.motion.flow.to(device)).masked_fill(is_lost, 0)


def _before_dials(
    pipeline: Pipeline, source: Any, scene: Any, key: Float[Tensor, "1 c h w"]
) -> Float[Tensor, "1 c2 h w"]:
    """The finished frame that the dials of color, strength and mask turn into `key`, as far as there is one.

    It is found by fixed-point iteration; without dials it is the key.
    """
    channels = pipeline.mean_prediction(pipeline.predict(source, scene)).shape[1]
    key = pipeline.engine.to_device(match_channels(key, channels))
    image = key
    for _ in range(pipeline.settings.dial_iterations):
        output = pipeline.engine.to_device(match_channels(pipeline.output(source, image), channels))
        image = (image + key - output).clamp(-1, 1)
    return image
