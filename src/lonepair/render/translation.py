"""Translate a source, frame by frame, with a trained pair method."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from threading import Event
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.clips.codecs import Encoding, resolve_image_bits
from lonepair.media.clips.container import Frame
from lonepair.media.clips.excerpt import Excerpt
from lonepair.media.clips.numbered import write_frames_folder
from lonepair.media.clips.sequence import parse_pattern
from lonepair.media.clips.write import WRITABLE as CLIP_SUFFIXES
from lonepair.media.clips.write import ClipWriter
from lonepair.media.sheet import contact_sheet
from lonepair.media.source import Source
from lonepair.media.stills.exr import fit_gain
from lonepair.media.stills.image import WRITABLE as IMAGE_SUFFIXES
from lonepair.media.stills.image import check_image_output, write_image
from lonepair.ops.arrays import to_pil
from lonepair.ops.color import match_channels
from lonepair.render.clip import Pipeline
from lonepair.render.folder import RenderFolder, render_key
from lonepair.render.keys import Keys
from lonepair.render.parts import Workers
from lonepair.render.results import metadata_of, png_bytes
from lonepair.render.run import Companions, FrameRun
from lonepair.render.sequence import FinishedFrame, SequenceState
from lonepair.render.styled import without_gain
from lonepair.render.thumbnails import Thumbnails
from lonepair.render.workers import PartRenderer
from lonepair.storage.protect import check_not_input, protected

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

    def preview(self, side: int, target_side: int | None = None) -> Translation:
        """This translation in at most `side` pixels, much faster, with texture as large beside the picture as here.

        Args:
            side: Limit of the output's longest side in pixels.
            target_side: Limit of the longest side, in pixels, of the target whose patches are searched. Where
                `texture_size` makes the target larger, the output has fewer pixels. None: no limit.
        """
        pipeline = self.pipeline.reduced(side)
        if target_side is not None and pipeline.target_side > target_side:
            side = max(1, round(max(pipeline.size) * target_side / pipeline.target_side))
            pipeline = self.pipeline.reduced(side)
        settings = {**self.settings, "preview_side": side}
        return replace(self, pipeline=pipeline, settings=settings, _thumbnails=[])

    # -- frames ---------------------------------------------------------------------------------------------------

    def translate(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h2 w2"]:
        """Translate one frame by itself, with the first mask: in [-1, 1] on the CPU, at the output's size."""
        pipeline = self.pipeline
        mask = None if self.companions is None else next(self.companions.frames(self.size))
        source = pipeline.prepare(image, mask)
        output = pipeline.output(source, pipeline.synthesize(pipeline.predict(source, None)))
        return without_gain(output)[0] if pipeline.has_gain else output

    def frames(self, trace: Callable[[FrameTrace], None] | None = None) -> Iterator[Frame]:
        """Translate every frame in one decoding pass. A complete pass also prepares the contact sheet.

        Args:
            trace: Called with each frame's trace, before the frame is returned.

        Yields:
            Each frame with its time in the source, at the output's size.
        """
        thumbnails = Thumbnails()
        for index, (frame, finished) in enumerate(self._finished()):
            assert finished is not None
            result = self._frame(frame, self.output(self._offset + index, finished))
            if trace is not None:
                trace(_trace(index, finished))
            thumbnails.add(frame.time, frame.image, result.image)
            yield result
        self._thumbnails[:] = [thumbnails]

    def frame(self, index: int, trace: Callable[[FrameTrace], None] | None = None) -> Frame:
        """Translate frame number `index`, equal to that of `frames`.

        In a clip a frame depends on the source's frames from the last cut up to itself, which are computed, too, unless
        nothing is carried from frame to frame. It depends on later frames only with keyframes or two passes. All frames
        up to it are decoded.

        Args:
            trace: Called with this frame's trace.

        Raises:
            UserError: if the source has no frame of that number.
        """
        source = self.source
        if isinstance(source, Excerpt) and not 0 <= index < source.count:
            raise UserError(
                f"frame is {index}, {source.name} has {source.count} frames: choose 0 to {source.count - 1}"
            )
        *_, (frame, finished) = self._finished(index, index + 1)
        assert finished is not None
        if trace is not None:
            trace(_trace(index, finished))
        return self._frame(frame, self.output(self._offset + index, finished))

    def _finished(
        self, first: int = 0, stop: int | None = None, start: SequenceState | None = None
    ) -> Iterator[tuple[Frame, FinishedFrame | None]]:
        """As `FrameRun.frames`, but `first` need not start a scene: frames from the last cut on are finished before it.

        Raises:
            UserError: if the source has no frame `first`.
        """
        # A part of a clip has the frames of the whole clip.
        offset, time, run = self._offset, Fraction(0), self.run
        if isinstance(self.source, Excerpt):
            time = self.source.start
            stop = self.source.count if stop is None else stop
        first, stop = offset + first, None if stop is None else offset + stop
        scene = run.scene_start(first) if first else 0
        for frame, finished in itertools.islice(run.frames(scene, stop, start), first - scene, None):
            yield Frame(frame.time - time, frame.image, frame.gain), finished

    @property
    def run(self) -> FrameRun:
        """Finishes the frames of the whole clip, of which the source may be a part."""
        whole = self.source.clip if isinstance(self.source, Excerpt) else self.source
        keys = {} if self.keys is None else {n: partial(self.keys.image, n, self.size) for n in self.keys.values}
        return FrameRun(self.pipeline, whole, self.companions, keys, self.passes)

    @property
    def frame_range(self) -> tuple[int, int | None]:
        """The source's first frame and the one behind its last, as indices in the whole clip; None: behind its end."""
        stop = self.source.first + self.source.count if isinstance(self.source, Excerpt) else None
        return self._offset, stop

    @property
    def _offset(self) -> int:
        """Index, in the whole clip, of the source's first frame."""
        return self.source.first if isinstance(self.source, Excerpt) else 0

    def output(self, number: int, finished: FinishedFrame) -> Float[Tensor, "1 c h w"]:
        """Frame `number` of the whole clip as it is written: its key, or the finished frame with the dials."""
        output = self.pipeline.output(finished.step.source, finished.result.image)
        if self.keys is not None and number in self.keys.values:
            output = match_channels(self.keys.image(number, self.size), output.shape[1])
        return output

    def _frame(self, frame: Frame, output: Float[Tensor, "1 c h w"]) -> Frame:
        """The `output` of a frame of the source: with its time and gain, or with the gain that the output holds."""
        image, gain = without_gain(output) if self.pipeline.has_gain else (output, frame.gain)
        return Frame(frame.time, image, gain)

    def _saved_frames(self, folder: RenderFolder, stop: Event | None) -> Iterator[Frame]:
        """The frames as `frames` yields them, each kept in `folder`; those that are there already are read."""
        thumbnails, start = Thumbnails(), folder.start
        kept = folder.frames()
        for index, (frame, finished) in enumerate(self._finished(start=start)):
            state = None
            if finished is None:
                output = next(kept)
            else:
                state = finished.state
                assert state is not None
                output = folder.add(self.output(self._offset + index, finished), state)
            result = self._frame(frame, output)
            thumbnails.add(frame.time, frame.image, result.image)
            yield result
            if stop is not None and stop.is_set():
                folder.stop(state)
        self._thumbnails[:] = [thumbnails]

    def _part_frames(self, renderer: PartRenderer) -> Iterator[Frame]:
        """The frames as `frames` yields them, rendered in parts."""
        thumbnails = Thumbnails()
        for frame, output in zip(self.source.frames(), renderer.frames(*self.frame_range), strict=True):
            result = self._frame(frame, output)
            thumbnails.add(frame.time, frame.image, result.image)
            yield result
        self._thumbnails[:] = [thumbnails]

    def _unkept_frames(self, stop: Event | None) -> Iterator[Frame]:
        """The frames as `frames` yields them; a render that stops starts again at its beginning."""
        for count, frame in enumerate(self.frames(), 1):
            yield frame
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt(
                    f"stopped after {count} frame{'' if count == 1 else 's'}; a render with keys or two passes does "
                    "not continue: start the same again to render all frames"
                )

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
        folder: RenderFolder | None = None,
        stop: Event | None = None,
        workers: int | Workers = 1,
    ) -> Path:
        """Write an image (PNG, JPEG, WebP, TIFF, EXR) or a clip (MP4 with the source's sound, MKV lossless, GIF, ...).

        If a clip is not written to its end, the same call continues where it stopped; the file is the same one. With
        keyframes or two passes it starts again at its beginning.

        Args:
            path: Its suffix decides the format. A pattern such as `name.%04d.exr` makes a sequence of a clip.
            overwrite: Replace an existing file.
            frames_folder: Folder into which every frame is also written as a numbered PNG.
            progress: Receives the frames and passes them on, such as `tqdm`.
            encoding: Codec, quality, bits per channel and first number; None: as the suffix and the source have it.
            folder: Keeps the frames until the file is complete; None: `RenderFolder.beside(path)`.
            stop: Where it is set, the clip's render stops after the current frame.
            workers: Number of processes that render the scenes of a clip side by side, or `Workers`, which can also
                split scenes. Frames of scenes are those of one process. A script that gives more than 1 needs
                `if __name__ == "__main__":`, as everywhere in `multiprocessing`.

        Raises:
            KeyboardInterrupt: `stop` was set; the text says how to continue.
            UserError: if the file cannot be written; nothing is computed then.
        """
        path, encoding = Path(path).expanduser(), encoding or Encoding()
        metadata = self.metadata
        if self.source.path is not None:
            with protected([self.source.path]):
                check_not_input(path)
        if self.source.is_clip:
            with contextlib.nullcontext(folder) if folder is not None else RenderFolder.beside(path) as render:
                chosen = workers if isinstance(workers, Workers) else Workers(workers)
                self._save_clip(path, overwrite, frames_folder, progress, encoding, render, stop, chosen)
            return path
        if frames_folder is not None:
            raise UserError(f"{self.source.name}: is an image and has no frames to save; leave out `frames_folder`")
        check_image_output(path, overwrite)
        bits = resolve_image_bits(path, encoding, self.source.bits)
        gain = fit_gain(next(self.source.frames()).gain, self.size)
        write_image(path, self.image, metadata, overwrite, bits, gain)
        return path

    def _save_clip(
        self,
        path: Path,
        overwrite: bool,
        frames_folder: str | Path | None,
        progress: Callable[[Iterator[Frame]], Iterable[Frame]],
        encoding: Encoding,
        folder: RenderFolder,
        stop: Event | None,
        workers: Workers,
    ) -> None:
        def writer(may_replace: bool) -> ClipWriter:
            return ClipWriter.for_source(self.source, path, self.size, self.metadata, may_replace, encoding)

        # Of files in place, those that this render wrote before it stopped may be replaced, and no others.
        in_place = parse_pattern(path) is not None
        folder_bits = 8 if frames_folder is None else encoding.bits or self.source.bits
        bits = max(writer(overwrite or (in_place and folder.has_state)).bits, folder_bits)
        can_continue = not self.run.goes_both_ways
        continues = folder.has_state
        if workers.is_parallel:
            frames = self._part_frames(PartRenderer(self, folder, bits, workers, stop))
        elif can_continue:
            folder.open(render_key(self.pipeline, self.source, self.companions), bits)
            continues = folder.start is not None
            frames = self._saved_frames(folder, stop)
        else:
            frames = self._unkept_frames(stop)
        with writer(overwrite or (in_place and continues)) as clip:
            written = _written(clip, progress(frames))
            if frames_folder is None:
                for _ in written:
                    pass
            else:
                write_frames_folder(frames_folder, written, overwrite or continues, self.metadata, folder_bits)

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


def _trace(index: int, finished: FinishedFrame) -> FrameTrace:
    step, motion = finished.step, finished.step.motion
    share, flow = (None, None) if motion is None else (motion.unexplained_share, motion.flow)
    return FrameTrace(index, step.frame.time, step.is_cut, share, flow, finished.result.is_new.cpu())


def _written(clip: ClipWriter, frames: Iterable[Frame]) -> Iterator[Frame]:
    """`frames`, each written to `clip` as it passes."""
    for frame in frames:
        clip.write(frame.image, frame.time, frame.gain)
        yield frame
