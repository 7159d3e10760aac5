"""Several styles in one picture: each in its region, with seams that are synthesized rather than cut.

Every style has a pipeline of its own, and patch synthesis runs in step for all of them. After each round, coarse to
fine, the images are blended with the masks, and every style goes on from the blend. So its patches near a seam are
chosen to fit the pixels of the other style, as a patch at the border of a hole fits the known pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.ops.color import common_channels, match_channels
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.seams import SeamFinder, blend_styles, weighted_sum
from lonepair.patches.steps import SharedScales, run_in_step
from lonepair.patches.windows import Window
from lonepair.render.pipeline import FramePipeline, FrameSource, Mix, Prediction
from lonepair.render.results import output_image


@dataclass(frozen=True)
class RegionSource:
    """A frame of the source, as every style's pipeline needs it."""

    parts: list[FrameSource]
    original: Float[Tensor, "1 c h w"]
    """At the output's size, with its own channels."""
    masks: Float[Tensor, "1 k h w"]
    """Weight of each style, 0 to 1, at the output's size; the source shows where the sum is below 1."""
    moving: Float[Tensor, "1 c h w"] | None
    """As of `FrameSource`."""


@dataclass(frozen=True)
class RegionPrediction:
    """A frame after the networks of every style."""

    source: RegionSource
    parts: list[Prediction]


@dataclass(frozen=True)
class RegionPipeline:
    """Translates frames into several styles; the steps are those of `FramePipeline`."""

    pipelines: list[FramePipeline]
    source_size: tuple[int, int]
    """(h, w) of the source's frames."""

    @staticmethod
    def of(pipelines: Sequence[FramePipeline], size: tuple[int, int]) -> RegionPipeline:
        """Pipelines of one size and clip, with shared scales of patch synthesis.

        Args:
            pipelines: One for each style.
            size: (h, w) of the source's frames.
        """
        if not all(pipeline.synthesizes for pipeline in pipelines):
            return RegionPipeline(list(pipelines), size)
        sizes = [pipeline.network_size(size) for pipeline in pipelines]
        first = max(
            pipeline.synthesizer.coarsest_share(own, pipeline.size, pipeline.texture_scale)
            for pipeline, own in zip(pipelines, sizes, strict=True)
        )
        shared = SharedScales(first, max(map(max, sizes)))
        # Numbers of rounds are settings: those of the first style hold for all.
        synthesis = pipelines[0].synthesis
        in_step = [replace(each, shared_scales=shared, synthesis=synthesis) for each in pipelines]
        return RegionPipeline(in_step, size)

    @property
    def engine(self) -> Engine:
        """Where the first style is computed."""
        return self.pipelines[0].engine

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the output."""
        return self.pipelines[0].size

    @property
    def label(self) -> str:
        """What is computed, in a few words."""
        return f"{len(self.pipelines)} styles"

    @property
    def carries(self) -> bool:
        """Whether a frame's pixels are carried to the next one."""
        return self.pipelines[0].carries

    @property
    def has_gain(self) -> bool:
        """As of `FramePipeline`."""
        return False

    @property
    def settings(self) -> SynthesisConfig:
        """Those of the first style."""
        return self.pipelines[0].settings

    @property
    def target_side(self) -> float:
        """The largest one of the styles."""
        return max(pipeline.target_side for pipeline in self.pipelines)

    def reduced(self, side: int) -> RegionPipeline:
        """As of `FramePipeline`."""
        return RegionPipeline.of([pipeline.reduced(side) for pipeline in self.pipelines], self.source_size)

    def fingerprint(self) -> str:
        """SHA-256 of what the frames depend on, besides the source and the masks."""
        return hashlib.sha256(" ".join(pipeline.fingerprint() for pipeline in self.pipelines).encode()).hexdigest()

    # -- steps ----------------------------------------------------------------------------------------------------

    def prepare(self, image: Float[Tensor, "1 c h w"], masks: Float[Tensor, "1 k h2 w2"]) -> RegionSource:
        """A frame at the sizes that the networks and the output take.

        Args:
            masks: One channel for each style, 0 to 1, at the output's size.
        """
        to_device = self.engine.to_device
        parts = [pipeline.prepare(image) for pipeline in self.pipelines]
        return RegionSource(parts, to_device(resize_image(image, self.size)), to_device(masks), parts[0].moving)

    def predict(self, source: RegionSource, before: RegionPrediction | None) -> RegionPrediction:
        """Predict a frame in every style; `before` is an earlier frame of the same scene."""
        befores = [None] * len(self.pipelines) if before is None else before.parts
        each = zip(self.pipelines, source.parts, befores, strict=True)
        return RegionPrediction(source, [pipeline.predict(part, earlier) for pipeline, part, earlier in each])

    def mean_prediction(self, prediction: RegionPrediction) -> Float[Tensor, "1 c h w"]:
        """The predictions of all styles, each in its region."""
        images = [part.image for part in prediction.parts]
        size, channels = (
            (images[0].shape[-2], images[0].shape[-1]),
            common_channels(*(each.shape[1] for each in images)),
        )
        shares = SeamFinder(prediction.source.masks, moves_seams=False).shares(size)
        return weighted_sum([match_channels(resize_image(image, size), channels) for image in images], shares)

    @torch.no_grad()
    def synthesize(
        self, prediction: RegionPrediction, window: Window | None = None, mix: Mix | None = None
    ) -> Float[Tensor, "1 c h w"]:
        """Synthesize a frame, or the part in a window, in every style: in step, if all styles are synthesized.

        Args:
            mix: What replaces the image of all styles after each round.
        """
        size = self.size if window is None else window.size(self.size)
        masks = prediction.source.masks if window is None else window.crop(prediction.source.masks)
        each = list(zip(self.pipelines, prediction.parts, strict=True))
        # In a clip a seam that moves would flicker.
        in_step = all(pipeline.synthesis is not None for pipeline in self.pipelines)
        seams = SeamFinder(masks, in_step and not self.carries)
        if in_step:

            def mix_all(images: list[Tensor]) -> list[Tensor]:
                blend = seams.mix(images)
                return blend if mix is None else [mix(image) for image in blend]

            syntheses = [pipeline.synthesis_steps(part, window) for pipeline, part in each]
            images = [resize_image(result.image, size) for result in run_in_step(syntheses, mix_all)]
        else:
            images = [pipeline.synthesize(part, window, mix) for pipeline, part in each]
        channels = common_channels(*(image.shape[1] for image in images))
        return blend_styles([match_channels(image, channels) for image in images], seams.shares(size))

    def covering_windows(self, prediction: RegionPrediction, mask: Bool[Tensor, "1 1 h w"]) -> list[Window]:
        """Windows for `synthesize` that hold the true pixels of `mask`."""
        return self.pipelines[0].covering_windows(prediction.parts[0], mask)

    @torch.no_grad()
    def output(self, source: RegionSource, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h w"]:
        """The frame at the output's size: float32 in [-1, 1] on the CPU; the source shows where no mask is."""
        colored = self.engine.to_device(self.pipelines[0].output(source.parts[0], image))
        channels = common_channels(source.original.shape[1], colored.shape[1])
        colored, original = match_channels(colored, channels), match_channels(source.original, channels)
        cover = source.masks.sum(1, keepdim=True).clamp(max=1)
        return output_image(original + cover * (colored - original))
