"""The path of a frame through a translation: network input, prediction, patch synthesis, output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.media.sizes import working_size
from lonepair.methods.base import Method
from lonepair.ops.color import match_channels
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.synthesis import FrameInputs, SynthesisState, Synthesizer
from lonepair.patches.temporal import estimate_flow, frame_difference
from lonepair.render.results import output_image
from lonepair.render.synthesizers import synthesizer_for


@dataclass(frozen=True)
class Prediction:
    """A frame after the networks, before patch synthesis."""

    network_input: Float[Tensor, "1 c h w"]
    image: Float[Tensor, "1 c h w"]
    """The prediction, in [-1, 1]."""
    inputs: FrameInputs | None = None
    """For the synthesis of a clip's frame; None for an image, and without synthesis."""
    flow: Float[Tensor, "1 2 h w"] | None = None
    """Motion since the frame before; None where there is none before, after a cut, and without synthesis."""
    difference: float | None = None
    """Mean absolute difference to the frame before after motion, where motion was estimated."""
    is_cut: bool = False
    """Whether a cut lies between this frame and the one before."""


@dataclass(frozen=True)
class FramePipeline:
    """Translates frames one after another. Only `synthesize` depends on the result of the frame before."""

    method: Method
    engine: Engine
    domain: str
    """The domain that frames are translated to."""
    start_stage: int | None
    size: tuple[int, int]
    """(h, w) of the output."""
    seed: int
    synthesis: SynthesisConfig | None
    """Settings of patch synthesis; None: the prediction is the output."""
    is_clip: bool
    """Whether frames follow one another; an image is synthesized without motion."""
    _noise: dict[tuple[int, int], list[Tensor]] = field(default_factory=dict, repr=False, compare=False)
    """Noise by size of the network input. All frames share it, so that the texture that depends on it does not
    flicker."""

    # -- prediction -----------------------------------------------------------------------------------------------

    def network_input(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h2 w2"]:
        """`image` at the size and with the channels that the networks take, on the device."""
        method = self.method
        full = working_size(
            (image.shape[-2], image.shape[-1]), method.config.size.min_side, method.config.size.max_side
        )
        if method.plan.square:
            full = (method.config.size.max_side, method.config.size.max_side)
        h, w = method.plan.sizes(full)[method.stage]
        return self.engine.to_device(resize_image(match_channels(image, method.plan.channels), (h, w)))

    @torch.no_grad()
    def predict(self, network_input: Float[Tensor, "1 c h w"], before: Tensor | None) -> Prediction:
        """Predict a frame, and prepare its synthesis.

        Args:
            before: The network input of a clip's frame before; None for the first.
        """
        if self.synthesis is None or not self.is_clip:
            return Prediction(network_input, self._predict_only(network_input)[0])
        if before is None or before.shape != network_input.shape:
            image, *rest = self._predict_frame(network_input)
            return Prediction(network_input, image, FrameInputs(image, *rest), is_cut=before is not None)
        image, large_prediction, layout, similarity, flow, difference = self._predict_frame(network_input, before)
        inputs, distance = FrameInputs(image, large_prediction, layout, similarity), float(difference)
        is_cut = distance > self.synthesis.cut_threshold
        return Prediction(network_input, image, inputs, None if is_cut else flow, distance, is_cut)

    def is_cut(self, before: Tensor, now: Tensor) -> bool:
        """Whether a cut lies between two network inputs, as `predict` decides it."""
        assert self.synthesis is not None
        if before.shape != now.shape:
            return True
        difference = frame_difference(before, now, estimate_flow(before, now, self.synthesis))
        return float(difference) > self.synthesis.cut_threshold

    @cached_property
    def _predict_only(self) -> Callable[..., tuple[Tensor, ...]]:
        return self.engine.accelerate(lambda network_input: (self._run_networks(network_input),))

    @cached_property
    def _predict_frame(self) -> Callable[..., tuple[Tensor, ...]]:
        return self.engine.accelerate(self._frame_tensors)

    def _frame_tensors(self, network_input: Tensor, before: Tensor | None = None) -> tuple[Tensor, ...]:
        """The fields of `FrameInputs` and, after another frame, the flow and the difference to it."""
        prediction = self._run_networks(network_input)
        inputs = self.synthesizer.frame_inputs(prediction, self.size)
        tensors = (prediction, inputs.large_prediction, inputs.layout, inputs.similarity)
        if before is None:
            return tensors
        assert self.synthesis is not None
        flow = estimate_flow(before, network_input, self.synthesis)
        return (*tensors, flow, frame_difference(before, network_input, flow))

    def _run_networks(self, network_input: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """The networks' prediction, in [-1, 1]."""
        method, stages, (h, w) = self.method, self.method.stage + 1, network_input.shape[-2:]
        # Extend the image by reflection; the prediction is cropped back.
        fraction = method.config.to_dict().get("reflect_pad_fraction", 0.0)
        top, left = round(fraction * h), round(fraction * w)
        padded = self.engine.to_device(F.pad(network_input, (left, left, top, top), mode="reflect"))
        # The sizes of all stages. A model that was saved during its training ends below the planned finest stage.
        factor = method.plan.factors[stages - 1]
        sizes = method.plan.sizes((round((h + 2 * top) / factor), round((w + 2 * left) / factor)))[:stages]
        sizes[-1] = (h + 2 * top, w + 2 * left)
        rng = RandomStream(self.seed, place=self.engine.device, lazy=True, reuse=self._noise.setdefault((h, w), []))
        with self.engine.autocast():
            prediction = method.translate(padded, sizes, self.domain, self.start_stage, rng)
        return prediction[:, :, top : top + h, left : left + w].float().clamp(-1, 1)

    # -- synthesis and output -------------------------------------------------------------------------------------

    @torch.no_grad()
    def synthesize(self, prediction: Prediction, before: SynthesisState | None) -> SynthesisState | None:
        """Synthesize a frame after the frame `before`; None without synthesis."""
        if self.synthesis is None:
            return None
        if before is not None and prediction.flow is not None and prediction.inputs is not None:
            return self.synthesizer.next(prediction.inputs, before, prediction.flow)
        state = self.synthesizer.synthesize(prediction.image, self.size)
        # A clip's first frame takes the later frames' rounds, too. Otherwise the second frame would differ visibly.
        return self.synthesizer.next(prediction.inputs, state) if prediction.inputs is not None else state

    @cached_property
    def synthesizer(self) -> Synthesizer:
        return synthesizer_for(self.method, self.domain, self.synthesis, accelerate=self.engine.accelerate)

    def output(self, prediction: Prediction, state: SynthesisState | None) -> Float[Tensor, "1 c h w"]:
        """The frame at the output's size: float32 in [-1, 1] on the CPU."""
        return resize_image(output_image(prediction.image if state is None else state.image), self.size)
