"""Translate a source, frame by frame, with a trained pair method."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.codecs import Encoding, resolve_image_bits
from lonepair.media.container import Frame
from lonepair.media.exr import fit_gain
from lonepair.media.image import WRITABLE as IMAGE_SUFFIXES
from lonepair.media.image import check_image_output, write_image
from lonepair.media.numbered import write_frames_folder
from lonepair.media.sheet import contact_sheet
from lonepair.media.source import Source
from lonepair.media.write import WRITABLE as CLIP_SUFFIXES
from lonepair.media.write import ClipWriter
from lonepair.ops.arrays import to_pil
from lonepair.ops.color import match_channels
from lonepair.render.clip import Pipeline, SynthesizedFrame
from lonepair.render.keys import Keys
from lonepair.render.passes import TwoWayRenderer
from lonepair.render.results import metadata_of, png_bytes
from lonepair.render.sequence import FrameStep, motion_between, render_sequence
from lonepair.render.thumbnails import Thumbnails

MOMENTS = 4
"""Frames of a clip on its contact sheet."""


def output_suffixes(source: Source) -> tuple[str, ...]:
    """Suffixes of the files that the translation of `source` can be saved as."""
    return tuple(CLIP_SUFFIXES if source.is_clip else IMAGE_SUFFIXES)


@dataclass(frozen=True)
class FrameTrace:
    """How one frame was computed, to find the reason of flicker or of a wrong patch. Tensors are on the CPU."""

    index: int
    time: Fraction
    """In seconds."""
    is_cut: bool
    """Whether a cut lies between this frame and the one before: a new scene starts here."""
    unexplained_share: float | None
    """Share of the pixels that no motion explains; above `cut_share` it is a cut. None for the first frame, and where
    nothing is carried from frame to frame."""
    flow: Float[Tensor, "1 2 h w"] | None
    """(dx, dy) in pixels of each pixel's position in the frame before, less its own; None like `unexplained_share`."""
    is_new: Bool[Tensor, "1 1 h w"]
    """Which pixels were synthesized for this frame; the others are carried from the frame before."""


@runtime_checkable
class Companions(Protocol):
    """An image beside each frame: its mask (`FrameMasks`), those of several styles (`RegionMasks`), or the frame of a
    stylized clip (`StyledFrames`)."""

    def frames(self, size: tuple[int, int]) -> Iterator[Tensor]: ...


@dataclass(frozen=True)
class Translation:
    """A translated source. Its frames are computed when they are requested; a clip of any length fits in memory.

    A notebook shows the image; of a clip its contact sheet if all frames were computed, else its first frame.
    """

    pipeline: Pipeline
    source: Source
    companions: Companions | None
    """What `Pipeline.prepare` takes beside each frame, such as where the translation shows; None: nothing."""
    settings: Mapping[str, Any]
    """How the model was trained and used; `save` writes them into each file's metadata."""
    keys: Keys | None = None
    """Frames that an artist painted or corrected; None: none."""
    passes: int = 1
    """2: scenes without keys are carried forward and backward."""
    _thumbnails: list[Thumbnails] = field(default_factory=list, repr=False, compare=False)
    """Frames for the contact sheet, of the last complete pass."""

    def __repr__(self) -> str:
        h, w = self.size
        kind = "clip" if self.source.is_clip else "image"
        return f"Translation({self.source.name}, {kind}, {w}x{h}, {self.pipeline.label})"

    def _repr_png_(self) -> bytes:
        image = self.sheet() if self._thumbnails else self.image
        return png_bytes(image)

    @property
    def metadata(self) -> dict[str, str]:
        """The settings as `save` writes them into each file: {"lonepair": JSON}."""
        return metadata_of(self.settings)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the output."""
        return self.pipeline.size

    # -- frames ---------------------------------------------------------------------------------------------------

    def translate(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h2 w2"]:
        """Translate one frame by itself, with the first mask: in [-1, 1] on the CPU, at the output's size."""
        pipeline = self.pipeline
        source = pipeline.prepare(image, next(self._companions()))
        return pipeline.output(source, pipeline.synthesize(pipeline.predict(source, None)))

    def frames(self, trace: Callable[[FrameTrace], None] | None = None) -> Iterator[Frame]:
        """Translate every frame in one decoding pass. A complete pass also prepares the contact sheet.

        Args:
            trace: Called with each frame's trace, before the frame is returned.

        Yields:
            Each frame with its time in the source, at the output's size.
        """
        thumbnails = Thumbnails()
        for index, step, finished in self._run():
            output = self._output(index, step, finished)
            if trace is not None:
                trace(_trace(index, step, finished))
            thumbnails.add(step.frame.time, step.frame.image, output)
            yield Frame(step.frame.time, output, step.frame.gain)
        self._thumbnails[:] = [thumbnails]

    def frame(self, index: int, trace: Callable[[FrameTrace], None] | None = None) -> Frame:
        """Translate frame number `index`, equal to that of `frames` but for rounding.

        In a clip a frame depends on the source's frames from the last cut up to itself, which are computed, too, unless
        the method has no patch synthesis. It depends on later frames only with keyframes or two passes. All frames up
        to it are decoded.

        Args:
            trace: Called with this frame's trace.

        Raises:
            UserError: if the source has no frame of that number.
        """
        done = self._run(self._scene_start(index), index + 1)
        *_, (_, step, finished) = itertools.takewhile(lambda item: item[0] <= index, done)
        if trace is not None:
            trace(_trace(index, step, finished))
        return Frame(step.frame.time, self._output(index, step, finished), step.frame.gain)

    def _output(self, index: int, step: FrameStep, finished: SynthesizedFrame) -> Float[Tensor, "1 c h w"]:
        """Frame `index` as it is written: its key, or the finished frame with the dials."""
        output = self.pipeline.output(step.source, finished.image)
        if self.keys is not None and index in self.keys.values:
            output = match_channels(self.keys.image(index, self.size), output.shape[1])
        return output

    def _scene_start(self, index: int) -> int:
        """Number of the first frame on which frame `index` depends: the one after the last cut.

        Raises:
            UserError: if the source has no frame of that number.
        """
        pipeline = self.pipeline
        # Without carried pixels frames do not depend on one another; an image has one frame.
        stands_alone = index == 0 or not pipeline.carries
        if stands_alone and 0 <= index < (self.source.frame_count or 0):
            return index
        last, start, before = -1, 0, None
        for last, (_, now) in enumerate(self._inputs()):
            # Of all frames only two stay in memory.
            if not pipeline.carries or (before is not None and motion_between(pipeline, before, now)[1]):
                start = last
            before = now
            if last == index:
                return start
        raise UserError(f"frame is {index}, {self.source.name} has {last + 1} frames: choose 0 to {last}")

    def _inputs(self, first: int = 0, stop: int | None = None) -> Iterator[tuple[Frame, Any]]:
        """Frames `first` to `stop` of the source, each as the networks and the output need it."""
        for frame, companion in self._raw(first, stop):
            yield frame, self.pipeline.prepare(frame.image, companion)

    def _raw(self, first: int, stop: int | None = None) -> Iterator[tuple[Frame, Tensor | None]]:
        """Frames `first` to `stop` of the source, each with what is beside it."""
        companions = itertools.islice(self._companions(), first, None)
        for frame in itertools.islice(self.source.frames(), first, stop):
            yield frame, next(companions)

    def _companions(self) -> Iterator[Tensor | None]:
        """What is beside each frame, at the output's size, without end."""
        return itertools.repeat(None) if self.companions is None else self.companions.frames(self.size)

    def _run(self, first: int = 0, stop: int | None = None) -> Iterator[tuple[int, FrameStep, SynthesizedFrame]]:
        """Finish successive frames, each with its number; with keys or two passes `stop` has no effect."""
        if not self.pipeline.carries or (self.keys is None and self.passes == 1):
            done = render_sequence(self.pipeline, self._inputs(first, stop), self.source.name, first=first)
            return ((index, *pair) for index, pair in enumerate(done, first))
        keys = {} if self.keys is None else {n: partial(self.keys.image, n, self.size) for n in self.keys.values}
        return TwoWayRenderer(self.pipeline, self.source.name, keys, self.passes).render(self._raw(first), first)

    @cached_property
    def image(self) -> Float[Tensor, "1 c h w"]:
        """The translated image; of a clip, its first frame. In [-1, 1] on the CPU."""
        return self.frame(0).image

    # -- output ---------------------------------------------------------------------------------------------------

    def pil(self) -> Any:
        """`image` as a PIL image."""
        return to_pil(self.image)

    def save(
        self,
        path: str | Path,
        overwrite: bool = False,
        frames_folder: str | Path | None = None,
        progress: Callable[[Iterator[Frame]], Iterable[Frame]] = iter,
        encoding: Encoding | None = None,
    ) -> Path:
        """Write an image (PNG, JPEG, WebP, TIFF, EXR) or a clip (MP4 with the source's sound, MKV lossless, GIF, ...).

        Args:
            path: Its suffix decides the format. A pattern such as `name.%04d.exr` makes a sequence of a clip.
            overwrite: Replace an existing file.
            frames_folder: Folder into which every frame is also written as a numbered PNG.
            progress: Receives the frames and passes them on, such as `tqdm`.
            encoding: Codec, quality, bits per channel and first number; None: as the suffix and the source have it.

        Raises:
            UserError: if the file cannot be written; nothing is computed then.
        """
        path, encoding = Path(path).expanduser(), encoding or Encoding()
        metadata = self.metadata
        if not self.source.is_clip:
            if frames_folder is not None:
                raise UserError(f"{self.source.name}: is an image and has no frames to save; leave out `frames_folder`")
            check_image_output(path, overwrite)
            bits = resolve_image_bits(path, encoding, self.source.bits)
            gain = fit_gain(next(self.source.frames()).gain, self.size)
            write_image(path, self.image, metadata, overwrite, bits, gain)
            return path
        with ClipWriter.for_source(self.source, path, self.size, metadata, overwrite, encoding) as clip:
            written = _written(clip, progress(self.frames()))
            if frames_folder is None:
                for _ in written:
                    pass
            else:
                write_frames_folder(frames_folder, written, overwrite, metadata, encoding.bits or self.source.bits)
        return path

    def sheet(
        self, target: Float[Tensor, "1 c h w"] | None = None, moments: int = MOMENTS
    ) -> Float[Tensor, "1 3 h2 w2"]:
        """Contact sheet: the source, the target and the translation.

        A clip's sheet has the source above the translation, at evenly spaced times. It shows frames of the last
        complete pass of `save` or `frames`. Without such a pass it decodes and translates all frames, which takes as
        long as `save`, and keeps small copies of some; call it after `save`.

        Args:
            target: Image to show between both, in [-1, 1]; of a clip, beside the source.
            moments: Largest number of a clip's frames on the sheet, 1 or more.
        """
        targets = [] if target is None else [("target", target)]
        if not self.source.is_clip:
            source = next(self.source.frames()).image
            return contact_sheet([[("source", source), *targets, ("translation", self.image)]])
        if not self._thumbnails:
            for _ in self.frames():
                pass
        selected = self._thumbnails[0].select(moments)
        sources = [(f"source {float(time):.1f} s", source) for time, source, _ in selected]
        outputs = [(f"translation {float(time):.1f} s", output) for time, _, output in selected]
        return contact_sheet([[*sources, *targets], outputs])


def _trace(index: int, step: FrameStep, finished: SynthesizedFrame) -> FrameTrace:
    motion = step.motion
    share, flow = (None, None) if motion is None else (motion.unexplained_share, motion.flow)
    return FrameTrace(index, step.frame.time, step.is_cut, share, flow, finished.is_new.cpu())


def _written(clip: ClipWriter, frames: Iterable[Frame]) -> Iterator[Frame]:
    """`frames`, each written to `clip` as it passes."""
    for frame in frames:
        clip.write(frame.image, frame.time, frame.gain)
        yield frame
