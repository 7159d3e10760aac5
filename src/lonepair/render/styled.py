"""A stylized clip whose flicker is taken out: its own pixels are carried along the motion of the clip it was made from.

`StyledPipeline` takes the frame of the stylized clip where a translation would synthesize one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.media.clips.frames import is_numbered
from lonepair.media.clips.numbered import clip_files
from lonepair.media.sizes import fit_inside
from lonepair.media.source import Source
from lonepair.media.stills.exr import fit_gain, is_exr
from lonepair.ops.blur import gaussian_blur
from lonepair.ops.fingerprint import fingerprint
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.windows import Window
from lonepair.render.results import output_image

_STOPS = 16.0
"""Largest binary logarithm of a gain: half floats reach 65504."""


@dataclass(frozen=True)
class StyledFrame:
    """A frame of the stylized clip and that of the clip it was made from."""

    image: Float[Tensor, "1 c h w"]
    """The stylized frame, on the device; where its clip has a gain, with `gain_channel` as the last one."""
    moving: Float[Tensor, "1 c2 h w"] | None
    """The source's frame at the same size, on the CPU; None where nothing is carried."""


@dataclass(frozen=True)
class StyledPrediction:
    """A stylized frame and its coarse picture."""

    source: StyledFrame
    coarse: Float[Tensor, "1 c h2 w2"]


@dataclass(frozen=True)
class StyledFrames:
    """The frames of a stylized clip, beside those of its source."""

    clip: Source
    source_name: str
    has_gain: bool = False
    """Whether the clip can hold values above 1: its frames are EXR files."""

    @staticmethod
    def of(clip: Source, source: Source) -> StyledFrames:
        """Check that a stylized clip fits its source.

        Raises:
            UserError: One of both is an image, or they have different numbers of frames.
        """
        for opened, what in ((source, "SOURCE"), (clip, "STYLED")):
            if not opened.is_clip:
                raise UserError(f"{opened.name}: is an image; give a clip as {what}")
        counts = [each.frame_count or sum(1 for _ in each.frames()) for each in (clip, source)]
        if counts[0] != counts[1]:
            raise UserError(
                f"{clip.name} has {counts[0]} frames, {source.name} has {counts[1]}: give the clip that it was made "
                "from, with one frame for each"
            )
        path = clip.path
        has_gain = path is not None and is_numbered(path) and is_exr(clip_files(path)[0])
        return StyledFrames(clip, source.name, has_gain)

    def frames(self, size: tuple[int, int]) -> Iterator[Float[Tensor, "1 c h w"]]:
        """Yield each frame at (h, w) `size`, with `has_gain` a channel more.

        Raises:
            UserError: More frames are asked for than can be decoded.
        """
        count = 0
        for frame in self.clip.frames():
            count += 1
            image = resize_image(frame.image, size)
            yield torch.cat([image, gain_channel(frame.gain, size)], 1) if self.has_gain else image
        raise UserError(f"{self.clip.name}: only {count} frames can be decoded, {self.source_name} has more")

    def fingerprint(self) -> str:
        """SHA-256 of the stylized clip's content."""
        return self.clip.fingerprint()


@dataclass(frozen=True)
class StyledPipeline:
    """The path of a frame of a stylized clip; nothing is synthesized."""

    engine: Engine
    size: tuple[int, int]
    """(h, w) of the stylized clip."""
    carries: bool
    settings: SynthesisConfig
    """Of those, the ones that decide what is carried."""
    has_gain: bool = False
    """Whether the last channel of a frame is a `gain_channel`, which is carried like a color."""
    label: str = "stabilized"

    def prepare(self, image: Tensor, mask: Float[Tensor, "1 c h w"]) -> StyledFrame:
        """A frame of the source and, as `mask`, that of the stylized clip."""
        moving = resize_image(image, self.size) if self.carries else None
        return StyledFrame(self.engine.to_device(mask), moving)

    def predict(self, source: StyledFrame, before: StyledPrediction | None) -> StyledPrediction:
        """The coarse picture of the stylized frame."""
        coarse, side = source.image, self.settings.change_side
        if max(self.size) > side:
            coarse = resize_image(coarse, fit_inside(self.size, side))
        # Flicker of a texture averages out.
        return StyledPrediction(source, gaussian_blur(coarse, self.settings.renewal_window))

    def mean_prediction(self, prediction: StyledPrediction) -> Float[Tensor, "1 c h w"]:
        """The coarse picture."""
        return prediction.coarse

    def synthesize(
        self, prediction: StyledPrediction, window: Window | None = None, mix: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "1 c h w"]:
        """The stylized frame, or the part in the window."""
        image = prediction.source.image
        return image if window is None else window.crop(image)

    def covering_windows(self, prediction: StyledPrediction, mask: Bool[Tensor, "1 1 h w"]) -> Sequence[Window]:
        """One window: the frame."""
        return [Window((0, 1), (0, 1), (1, 1))]

    @property
    def target_side(self) -> float:
        """No target is searched."""
        return 0.0

    def reduced(self, side: int) -> StyledPipeline:
        """This pipeline for an output of at most `side` pixels."""
        return replace(self, size=fit_inside(self.size, side))

    def fingerprint(self) -> str:
        """SHA-256 of what the frames depend on, besides both clips."""
        settings = {"label": self.label, "size": self.size, "carries": self.carries, **self.settings.to_dict()}
        return fingerprint({**settings, "rounding": self.engine.rounding}, {})

    @torch.no_grad()
    def output(self, source: StyledFrame, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """The frame as float32 in [-1, 1] on the CPU."""
        return output_image(image)


def gain_channel(gain: Float[Tensor, "1 1 h w"] | None, size: tuple[int, int]) -> Float[Tensor, "1 1 h2 w2"]:
    """A gain (`Frame.gain`) at (h, w) `size` as values in [-1, 1], linear in its logarithm; -1 is a gain of 1."""
    fitted = fit_gain(gain, size)
    if fitted is None:
        return torch.full((1, 1, *size), -1.0)
    return (fitted.log2() * (2 / _STOPS) - 1).clamp(-1, 1)


def without_gain(
    image: Float[Tensor, "1 c h w"],
) -> tuple[Float[Tensor, "1 c2 h w"], Float[Tensor, "1 1 h w"] | None]:
    """The image without its `gain_channel`, and the gain; None where it is 1 everywhere."""
    stops = (image[:, -1:] + 1) * (_STOPS / 2)
    return image[:, :-1], stops.exp2() if bool((stops > 1e-3).any()) else None
