"""Several styles in one picture: each in its region, with seams that are synthesized rather than cut.

Every style has a pipeline of its own, and patch synthesis runs in step for all of them. After each round, coarse to
fine, the images are blended with the masks, and every style goes on from the blend. So its patches near a seam are
chosen to fit the pixels of the other style, as a patch at the border of a hole fits the known pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.ops.color import common_channels, match_channels
from lonepair.ops.resize import resize_image
from lonepair.patches.seams import SeamFinder, blend_styles
from lonepair.patches.steps import SharedScales, run_in_step
from lonepair.patches.synthesis import FrameInputs, SynthesisState
from lonepair.render.pipeline import FramePipeline, FrameSource, Prediction
from lonepair.render.results import output_image


@dataclass(frozen=True)
class RegionSource:
    """A frame of the source, as every style's pipeline needs it."""

    parts: list[FrameSource]
    original: Float[Tensor, "1 c h w"]
    """At the output's size, with its own channels."""
    masks: Float[Tensor, "1 k h w"]
    """Weight of each style, 0 to 1, at the output's size; the source shows where the sum is below 1."""


@dataclass(frozen=True)
class RegionPrediction:
    """A frame after the networks of every style."""

    source: RegionSource
    parts: list[Prediction]

    @property
    def is_cut(self) -> bool:
        """Whether a cut lies between this frame and the one before."""
        return self.parts[0].is_cut

    @property
    def inputs(self) -> FrameInputs | None:
        """The first style's: None for an image, and without synthesis."""
        return self.parts[0].inputs


@dataclass(frozen=True)
class RegionState:
    """A synthesized frame."""

    parts: list[SynthesisState | None]
    """One for each style; None without synthesis."""
    seams: SeamFinder


@dataclass(frozen=True)
class RegionPipeline:
    """Translates frames into several styles; the steps are those of `FramePipeline`."""

    pipelines: list[FramePipeline]

    @staticmethod
    def of(pipelines: Sequence[FramePipeline], size: tuple[int, int]) -> RegionPipeline:
        """Pipelines of one size and clip, with shared scales of patch synthesis.

        Args:
            pipelines: One for each style.
            size: (h, w) of the source's frames.
        """
        if not all(pipeline.synthesizes for pipeline in pipelines):
            return RegionPipeline(list(pipelines))
        sizes = [pipeline.network_size(size) for pipeline in pipelines]
        first = max(
            pipeline.synthesizer.coarsest_share(own, pipeline.size, pipeline.texture_scale)
            for pipeline, own in zip(pipelines, sizes, strict=True)
        )
        shared = SharedScales(first, max(map(max, sizes)))
        # Numbers of rounds are settings: those of the first style hold for all.
        synthesis = pipelines[0].synthesis
        return RegionPipeline([replace(each, shared_scales=shared, synthesis=synthesis) for each in pipelines])

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
    def synthesizes(self) -> bool:
        """Whether a frame depends on the one before."""
        return any(pipeline.synthesizes for pipeline in self.pipelines)

    def traced(self, prediction: RegionPrediction, state: RegionState) -> tuple[Prediction, SynthesisState | None]:
        """What `FrameTrace` is made of: the first style's prediction and state."""
        return prediction.parts[0], state.parts[0]

    # -- steps ----------------------------------------------------------------------------------------------------

    def prepare(self, image: Float[Tensor, "1 c h w"], masks: Float[Tensor, "1 k h2 w2"]) -> RegionSource:
        """A frame at the sizes that the networks and the output take.

        Args:
            masks: One channel for each style, 0 to 1, at the output's size.
        """
        to_device = self.engine.to_device
        parts = [pipeline.prepare(image) for pipeline in self.pipelines]
        return RegionSource(parts, to_device(resize_image(image, self.size)), to_device(masks))

    def predict(self, source: RegionSource, before: RegionPrediction | None) -> RegionPrediction:
        """Predict a frame in every style; `before` is a clip's frame before."""
        befores = [None] * len(self.pipelines) if before is None else before.parts
        each = list(zip(self.pipelines, source.parts, befores, strict=True))
        parts = [pipeline.predict(part, earlier) for pipeline, part, earlier in each]
        if any(part.is_cut for part in parts):
            # All styles start again: they run in step.
            alone = [pipeline.predict(part, None) for pipeline, part, _ in each]
            parts = [replace(part, is_cut=True) for part in alone]
        return RegionPrediction(source, parts)

    def is_cut(self, before: RegionSource, now: RegionSource) -> bool:
        """Whether a cut lies between two frames, as `predict` decides it."""
        pairs = zip(self.pipelines, before.parts, now.parts, strict=True)
        return any(pipeline.is_cut(*frames) for pipeline, *frames in pairs if pipeline.synthesizes)

    def synthesize(self, prediction: RegionPrediction, before: RegionState | None) -> RegionState:
        """Synthesize a frame in every style after the frame `before`: in step, if all styles are synthesized."""
        befores = [None] * len(self.pipelines) if before is None else before.parts
        each = list(zip(self.pipelines, prediction.parts, befores, strict=True))
        # In a clip a seam that moves would flicker.
        in_step = all(pipeline.synthesizes for pipeline in self.pipelines)
        seams = SeamFinder(prediction.source.masks, in_step and prediction.inputs is None)
        if not in_step:
            return RegionState([pipeline.synthesize(part, earlier) for pipeline, part, earlier in each], seams)
        syntheses = [pipeline.synthesis_steps(part, earlier) for pipeline, part, earlier in each]
        return RegionState([*run_in_step(syntheses, seams.mix)], seams)

    @torch.no_grad()
    def output(self, prediction: RegionPrediction, state: RegionState) -> Float[Tensor, "1 c h w"]:
        """The frame at the output's size: float32 in [-1, 1] on the CPU."""
        source, each = prediction.source, zip(self.pipelines, prediction.parts, state.parts, strict=True)
        outputs = [self.engine.to_device(pipeline.output(part, own)) for pipeline, part, own in each]
        channels = common_channels(source.original.shape[1], *(output.shape[1] for output in outputs))
        # A soft blend of the styles, and the source where no mask is.
        shares = state.seams.shares(self.size)
        image = blend_styles([match_channels(output, channels) for output in outputs], shares)
        original = match_channels(source.original, channels)
        cover = source.masks.sum(1, keepdim=True).clamp(max=1)
        return output_image(original + cover * (image - original))
