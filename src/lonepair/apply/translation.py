"""Redraw a source, frame by frame, with a trained pair method."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.apply.results import finished
from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.media.container import Frame
from lonepair.media.files import check_output
from lonepair.media.frames import write_frames_folder
from lonepair.media.image import WRITABLE as IMAGE_SUFFIXES
from lonepair.media.image import write_image
from lonepair.media.sheet import contact_sheet
from lonepair.media.sizes import working_size
from lonepair.media.source import Source
from lonepair.media.write import WRITABLE as CLIP_SUFFIXES
from lonepair.media.write import ClipWriter
from lonepair.methods.base import Method
from lonepair.ops.arrays import to_pil
from lonepair.ops.color import match_channels
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.patches.synthesis import FrameInputs, SynthesisState, Synthesizer
from lonepair.patches.temporal import CUT, apart, motion

DIRECTIONS = ("a_to_b", "b_to_a")
MOMENTS = 4
"""Frames of a clip on its contact sheet."""


def output_suffixes(source: Source) -> tuple[str, ...]:
    """What the redrawn `source` can be saved as."""
    return tuple(CLIP_SUFFIXES if source.is_clip else IMAGE_SUFFIXES)


@dataclass(frozen=True)
class _Drawn:
    """A frame before it is finished."""

    ready: Float[Tensor, "1 c h w"]
    """As the networks are shown it."""
    image: Float[Tensor, "1 c h w"]
    """As they draw it."""
    sketch: FrameInputs | None = None
    """Of a clip's frame that is to be finished."""
    flow: Float[Tensor, "1 2 h w"] | None = None
    """How it moved since the frame before; None where none is, or that of another inputs."""


@dataclass(frozen=True)
class Translation:
    """A source as redrawn; pictures are computed when they are asked for, so that a clip of any length fits."""

    method: Method
    engine: Engine
    source: Source
    size: tuple[int, int]
    """(h, w) of the output."""
    direction: str
    start_stage: int | None
    finished: bool
    """Whether frames are finished with the target's own patches."""
    seed: int
    settings: Mapping[str, Any]
    """Written into the metadata of what is saved."""
    _passed: dict[int, Tensor] = field(default_factory=dict, repr=False, compare=False)
    """Frames for the contact sheet, by index, of those that were redrawn in turn."""
    _noise: dict[tuple[int, int], list[Tensor]] = field(default_factory=dict, repr=False, compare=False)
    """What was drawn for frames of such a size."""

    @property
    def metadata(self) -> dict[str, str]:
        """How the pictures were made, as written into each file: {"lonepair": JSON}."""
        return {"lonepair": json.dumps({"version": version("lonepair"), **self.settings}, sort_keys=True)}

    def translate(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h2 w2"]:
        """One frame redrawn by itself, on the CPU, [-1, 1], at the output's size."""
        return self._shown(self._made(self._drawn(image, None), None))

    def _ready(self, image: Tensor) -> Tensor:
        """A frame as the network is shown it."""
        method, stages = self.method, self.method.stage + 1
        full = working_size(
            (image.shape[-2], image.shape[-1]), method.config.size.min_side, method.config.size.max_side
        )
        if method.plan.square:
            full = (method.config.size.max_side, method.config.size.max_side)
        h, w = method.plan.sizes(full)[stages - 1]
        return self.engine.to_device(resize_image(match_channels(image, method.plan.channels), (h, w)))

    @torch.no_grad()
    def _drawn(self, image: Tensor, before: _Drawn | None) -> _Drawn:
        """A frame as the networks draw it, after the frame `before`."""
        ready = self._ready(image)
        if not self.finished or not self.source.is_clip:
            return _Drawn(ready, self._draw(ready)[0])
        if before is None or before.ready.shape != ready.shape:
            drawn, *sketch = self._draw_and_sketch(ready)
            return _Drawn(ready, drawn, FrameInputs(drawn, *sketch))
        drawn, large, kept, share, flow, unlike = self._draw_and_sketch(ready, before.ready)
        return _Drawn(ready, drawn, FrameInputs(drawn, large, kept, share), None if float(unlike) > CUT else flow)

    @cached_property
    def _draw(self) -> Callable[..., tuple[Tensor, ...]]:
        return self.engine.accelerate(lambda ready: (self._redrawn(ready),))

    @cached_property
    def _draw_and_sketch(self) -> Callable[..., tuple[Tensor, ...]]:
        return self.engine.accelerate(self._sketched)

    def _sketched(self, ready: Tensor, before: Tensor | None = None) -> tuple[Tensor, ...]:
        """What networks draw of a frame, the rest of its sketch and, after another, its motion and unlikeness."""
        drawn = self._redrawn(ready)
        sketch = self._synthesizer.frame_inputs(drawn, self.size)
        found = (drawn, sketch.large, sketch.kept, sketch.share)
        if before is None:
            return found
        flow = motion(before, ready)
        return (*found, flow, apart(before, ready, flow))

    def _redrawn(self, ready: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """What the networks draw of a frame that is ready for them.

        All frames share one draw of noise: what noise adds to the texture must not flicker.
        """
        method, stages, (h, w) = self.method, self.method.stage + 1, ready.shape[-2:]
        fraction = method.config.to_dict().get("reflect_pad_fraction", 0.0)
        top, left = round(fraction * h), round(fraction * w)
        padded = self.engine.to_device(F.pad(ready, (left, left, top, top), mode="reflect"))
        shrunk = method.plan.factors[stages - 1]  # a model that was cut short has not reached the finest stage
        sizes = method.plan.sizes((round((h + 2 * top) / shrunk), round((w + 2 * left) / shrunk)))[:stages]
        sizes[-1] = (h + 2 * top, w + 2 * left)
        rng = RandomStream(self.seed, place=self.engine.device, lazy=True, reuse=self._noise.setdefault((h, w), []))
        with self.engine.autocast():
            redrawn = method.translate(padded, sizes, self.direction[-1], self.start_stage, rng)
        return redrawn[:, :, top : top + h, left : left + w].float().clamp(-1, 1)

    @torch.no_grad()
    def _made(self, drawn: _Drawn, before: SynthesisState | None) -> SynthesisState:
        """That frame, finished, after the frame `before`."""
        if not self.finished:
            return SynthesisState(drawn.image)
        if before is not None and drawn.flow is not None and drawn.sketch is not None:
            return self._synthesizer.next(drawn.sketch, before, drawn.flow)
        made = self._synthesizer.synthesize(drawn.image, self.size)
        # A clip's first frame, too, is made as those that come after it, lest the second look otherwise.
        return self._synthesizer.next(drawn.sketch, made) if drawn.sketch is not None else made

    @cached_property
    def _synthesizer(self) -> Synthesizer:
        return Synthesizer.of(self.method, self.direction[-1]).repeating(self.engine)

    def _shown(self, redrawn: SynthesisState) -> Tensor:
        return resize_image(finished(redrawn.image), self.size)

    def frames(self) -> Iterator[Frame]:
        """Every frame, redrawn, at its own time."""
        made, drawn = None, self._all_drawn()
        ahead = next(drawn, None)
        wanted = self._moments(self.source.frame_count or 1, MOMENTS)
        for index in itertools.count():
            if ahead is None:
                return
            time, now = ahead
            finish, predict = partial(self._made, now, made), partial(next, drawn, None)
            # While a clip's frame is finished, networks draw the next; where there is no such work each has all cores.
            made, ahead = (
                self.engine.run_parallel([finish, predict]) if now.sketch is not None else (finish(), predict())
            )
            shown = self._shown(made)
            if index in wanted:
                self._passed[index] = shown
            yield Frame(time, shown)

    def _all_drawn(self) -> Iterator[tuple[Fraction, _Drawn]]:
        """Every frame's time, and what networks draw of it."""
        before = None
        for frame in self.source.frames():
            before = self._drawn(frame.image, before)
            yield frame.time, before

    @cached_property
    def image(self) -> Float[Tensor, "1 c h w"]:
        """The redrawn image; of a clip, its first frame."""
        return next(self.frames()).image

    def pil(self) -> Any:
        """`image` as a PIL image."""
        return to_pil(self.image)

    def save(
        self,
        path: str | Path,
        overwrite: bool = False,
        frames_folder: str | Path | None = None,
        progress: Callable[[Iterator[Frame]], Iterable[Frame]] = iter,
    ) -> Path:
        """Write an image (PNG, JPEG, WebP, TIFF) or a clip (MP4 with the source's sound, MKV lossless, GIF, ...).

        Args:
            path: Its suffix says what to write.
            overwrite: Replace what is there.
            frames_folder: Also write every frame as a numbered PNG into this folder.
            progress: Passes frames through; such as `tqdm`, to show how far it is.

        Raises:
            UserError: where it cannot be written, before anything is computed.
        """
        path = Path(path).expanduser()
        check_output(path, output_suffixes(self.source), overwrite)
        metadata = self.metadata
        if not self.source.is_clip:
            if frames_folder is not None:
                raise UserError(f"{self.source.name}: is an image and has no frames to save; leave out --save-frames")
            write_image(path, self.image, metadata, overwrite)
            return path
        assert self.source.rate is not None
        writer = ClipWriter(
            path, self.size, self.source.rate, self.source.audio_path, metadata, overwrite, self.source.pixel_aspect
        )
        with writer as clip:
            written = _written(clip, progress(self.frames()))
            if frames_folder is None:
                for _ in written:
                    pass
            else:
                write_frames_folder(frames_folder, written, overwrite, metadata)
        return path

    def sheet(
        self, target: Float[Tensor, "1 c h w"] | None = None, moments: int = MOMENTS
    ) -> Float[Tensor, "1 3 h2 w2"]:
        """Contact sheet: source above output at up to `moments` moments, the target beside them."""
        count = sum(1 for _ in self.source.frames())
        wanted = self._moments(count, moments)
        above, below = [], []
        for index, frame in enumerate(self.source.frames()):
            if index in wanted:
                when = f" {float(frame.time):.1f} s" if self.source.is_clip else ""
                above.append((f"source{when}", frame.image))
                shown = self._passed[index] if index in self._passed else self.translate(frame.image)
                below.append((f"redrawn{when}", shown))
        look = [] if target is None else [("target", target)]
        if self.source.is_clip:
            return contact_sheet([[*above, *look], below])
        return contact_sheet([[*above, *look, *below]])

    @staticmethod
    def _moments(count: int, moments: int) -> set[int]:
        """`moments` of `count` frames, evenly spaced from the first to the last."""
        return {round(i * (count - 1) / max(1, moments - 1)) for i in range(moments)}


def _written(clip: ClipWriter, frames: Iterable[Frame]) -> Iterator[Frame]:
    """`frames`, each written to `clip` as it passes."""
    for frame in frames:
        clip.write(frame.image, frame.time)
        yield frame
