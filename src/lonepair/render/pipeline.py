"""The path of a frame through a translation: network input, prediction, patch synthesis, output."""

from __future__ import annotations

import math
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
from lonepair.ops.color import common_channels, match_channels, negative
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.dials import Dials
from lonepair.patches.guide import Guide, fit_affine_map, source_transfer, tone_sign
from lonepair.patches.steps import SharedScales, Steps, run_in_step
from lonepair.patches.synthesis import FrameInputs, SynthesisState, Synthesizer
from lonepair.patches.temporal import estimate_flow, frame_difference
from lonepair.render.results import output_image
from lonepair.render.synthesizers import synthesizer_for

DIRECTIONS = ("a_to_b", "b_to_a")


@dataclass(frozen=True)
class FrameSource:
    """A frame of the source, as the networks and as the output need it."""

    network_input: Float[Tensor, "1 c h w"]
    """At the size and with the channels that the networks take, on the device."""
    image: Float[Tensor, "1 c h2 w2"] | None
    """At the output's size, with the same channels, on the device; None where no dial needs it."""
    original: Float[Tensor, "1 c3 h2 w2"] | None = None
    """At the output's size, with the source's own channels, on the device; None where nothing of it shows."""
    mask: Float[Tensor, "1 1 h2 w2"] | None = None
    """Where the translation shows, 0 to 1, at the output's size; None: everywhere."""


@dataclass(frozen=True)
class Prediction:
    """A frame after the networks, before patch synthesis."""

    source: FrameSource
    image: Float[Tensor, "1 c h w"]
    """The prediction, in [-1, 1]."""
    scene: Scene
    """What its scene shares."""
    guide: Guide | None = None
    """None where no dial needs it."""
    inputs: FrameInputs | None = None
    """For the synthesis of a clip's frame; None for an image, and without synthesis."""
    flow: Float[Tensor, "1 2 h w"] | None = None
    """Motion since the frame before; None where there is none before, after a cut, and without synthesis."""
    difference: float | None = None
    """Mean absolute difference to the frame before after motion, where motion was estimated."""
    is_cut: bool = False
    """Whether a cut lies between this frame and the one before."""


@dataclass(frozen=True)
class Scene:
    """What all frames between two cuts share, decided at the first one, so that they do not flicker."""

    is_negative: bool
    """Whether the networks get the negative of each frame, which swaps light and dark."""
    transfer: Float[Tensor, "c c"] | None
    """`guide.source_transfer`; None where no dial needs a guide."""


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
    dials: Dials = Dials(structure=0.0)
    """How the source and the target are mixed; `structure` and `texture_size` act in patch synthesis."""
    shared_scales: SharedScales | None = None
    """Scales of patch synthesis that pipelines of several styles share; None: this pipeline's own."""
    _noise: dict[tuple[int, int], list[Tensor]] = field(default_factory=dict, repr=False, compare=False)
    """Noise by size of the network input. All frames share it, so that the texture that depends on it does not
    flicker."""

    # -- prediction -----------------------------------------------------------------------------------------------

    def prepare(self, image: Float[Tensor, "1 c h w"], mask: Tensor | None = None) -> FrameSource:
        """A frame at the sizes that the networks and the output take, on the device.

        Args:
            mask: (1, 1, h2, w2) at the output's size, 0 to 1; None: the translation shows everywhere.
        """
        matched = match_channels(image, self.method.plan.channels)
        network_size = self.network_size((image.shape[-2], image.shape[-1]))
        network_input = self.engine.to_device(resize_image(matched, network_size))
        needs_image = self._needs_guide or self.dials.path.colour < 1
        shows_source = self.dials.opacity < 1 or mask is not None
        large, original = (
            self.engine.to_device(resize_image(value, self.size)) if is_needed else None
            for value, is_needed in ((matched, needs_image), (image, shows_source))
        )
        return FrameSource(network_input, large, original, None if mask is None else self.engine.to_device(mask))

    def network_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) at which the networks take a frame of (h, w) `size`."""
        method, limits = self.method, self.method.config.size
        full = working_size(size, limits.min_side, limits.max_side)
        if method.plan.square:
            full = (limits.max_side, limits.max_side)
        return method.plan.sizes(full)[method.stage]

    @property
    def _needs_guide(self) -> bool:
        return self.dials.path.structure > 0 and self.synthesis is not None

    @torch.no_grad()
    def predict(self, source: FrameSource, before: Prediction | None) -> Prediction:
        """Predict a frame, and prepare its synthesis.

        Args:
            before: A clip's frame before; None for the first.
        """
        # Motion, and whether a new scene starts here.
        flow, difference, is_cut = None, None, False
        if before is not None and self.synthesis is not None and self.is_clip:
            flow, difference = self._motion(before.source.network_input, source.network_input)
            is_cut = flow is None or difference > self.synthesis.cut_threshold
        # Without synthesis each frame stands alone.
        scene = None if before is None or is_cut or self.synthesis is None else before.scene
        # The networks.
        is_negative = self._is_negative(source.network_input) if scene is None else scene.is_negative
        network_input = negative(source.network_input) if is_negative else source.network_input
        image = self._predict_only(network_input)[0]
        # The guide.
        if scene is None:
            scene = Scene(is_negative, self._transfer(source.network_input, image))
        guide = None
        if scene.transfer is not None:
            assert source.image is not None
            assert self.synthesis is not None
            structure = self.dials.path.structure
            guide = Guide.fit(source.network_input, image, source.image, scene.transfer, structure, self.synthesis)
        # The part of the synthesis that does not depend on the frame before.
        inputs = None
        if self.synthesis is not None and self.is_clip:
            inputs = self.synthesizer.frame_inputs(image, self.size, guide, self._texture_scale, self.shared_scales)
        return Prediction(source, image, scene, guide, inputs, None if is_cut else flow, difference, is_cut)

    def _transfer(self, network_input: Tensor, prediction: Tensor) -> Tensor | None:
        if not self._needs_guide:
            return None
        exemplar = self.method.exemplar(self.domain)
        assert exemplar is not None
        return source_transfer(network_input, prediction, exemplar())

    def _is_negative(self, network_input: Tensor) -> bool:
        """Whether the networks must get the negative of a frame, so that its tone is as `dials.tone` asks."""
        if self.dials.tone == "auto":
            return False
        sign = tone_sign(network_input, self._predict_only(network_input)[0])
        return sign != (1.0 if self.dials.tone == "keep" else -1.0)

    def is_cut(self, before: FrameSource, now: FrameSource) -> bool:
        """Whether a cut lies between two frames, as `predict` decides it."""
        assert self.synthesis is not None
        flow, difference = self._motion(before.network_input, now.network_input)
        return flow is None or difference > self.synthesis.cut_threshold

    @torch.no_grad()
    def _motion(self, before: Tensor, now: Tensor) -> tuple[Tensor | None, float]:
        """The flow between two network inputs and their difference after it; None for inputs of two sizes."""
        if before.shape != now.shape:
            return None, math.inf
        flow, difference = self._estimate(before, now)
        return flow, float(difference)

    @cached_property
    def _estimate(self) -> Callable[..., tuple[Tensor, ...]]:
        config = self.synthesis
        assert config is not None

        def estimate(before: Tensor, now: Tensor) -> tuple[Tensor, ...]:
            flow = estimate_flow(before, now, config)
            return flow, frame_difference(before, now, flow)

        return self.engine.accelerate(estimate)

    @cached_property
    def _predict_only(self) -> Callable[..., tuple[Tensor, ...]]:
        return self.engine.accelerate(lambda network_input: (self._run_networks(network_input),))

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

    def synthesize(self, prediction: Prediction, before: SynthesisState | None) -> SynthesisState | None:
        """Synthesize a frame after the frame `before`; None without synthesis."""
        return None if self.synthesis is None else run_in_step([self.synthesis_steps(prediction, before)])[0]

    def synthesis_steps(self, prediction: Prediction, before: SynthesisState | None) -> Steps:
        """The synthesis of a frame after the frame `before`, round by round (`Synthesizer.steps`)."""
        if before is not None and prediction.flow is not None and prediction.inputs is not None:
            return (yield from self.synthesizer.next_steps(prediction.inputs, before, prediction.flow))
        state = yield from self.synthesizer.steps(
            prediction.image, self.size, prediction.guide, self._texture_scale, self.shared_scales
        )
        # A clip's first frame takes the later frames' rounds, too. Otherwise the second frame would differ visibly.
        if prediction.inputs is None:
            return state
        return (yield from self.synthesizer.next_steps(prediction.inputs, state))

    @cached_property
    def synthesizer(self) -> Synthesizer:
        return synthesizer_for(self.method, self.domain, self.synthesis)

    @property
    def texture_scale(self) -> float:
        """Pixels of the output for each pixel of the target as the model stores it."""
        return self.dials.texture_scale(max(self.size), max(self.synthesizer.detail_size))

    @property
    def _texture_scale(self) -> float | None:
        """Pixels of the output for each pixel of the target; None: the target is as large beside it as in training."""
        is_small = max(self.size) <= max(self.synthesizer.detail_size)
        is_own = self.dials.texture_size == "auto" and self.shared_scales is None
        return None if is_own and is_small else self.texture_scale

    @property
    def synthesizes(self) -> bool:
        """Whether a frame depends on the one before."""
        return self.synthesis is not None

    @property
    def label(self) -> str:
        """What is computed, in a few words: one of `DIRECTIONS`."""
        return DIRECTIONS[0] if self.domain == "b" else DIRECTIONS[1]

    def traced(self, prediction: Prediction, state: SynthesisState | None) -> tuple[Prediction, SynthesisState | None]:
        """What `FrameTrace` is made of."""
        return prediction, state

    @torch.no_grad()
    def output(self, prediction: Prediction, state: SynthesisState | None) -> Float[Tensor, "1 c h w"]:
        """The frame at the output's size: float32 in [-1, 1] on the CPU."""
        image = resize_image(prediction.image if state is None else state.image, self.size)
        source, dials = prediction.source, self.dials.path
        if dials.colour < 1:
            assert source.image is not None
            image = image + (1 - dials.colour) * self._color_difference(image, source)
        # The source itself with all of its channels, where strength is low and outside the mask.
        if source.original is not None:
            channels = common_channels(image.shape[1], source.original.shape[1])
            image, original = (match_channels(value, channels) for value in (image.clamp(-1, 1), source.original))
            weight = self.dials.opacity * (1.0 if source.mask is None else source.mask)
            image = original + weight * (image - original)
        return output_image(image)

    def _color_difference(self, image: Tensor, source: FrameSource) -> Float[Tensor, "1 c h w"]:
        """What the source's colors differ by from those of the translation `image`, along the source's edges.

        The translation is fitted to the source; the source less that fit has none of the translation's texture, so
        that its contrast stays when the difference is added.
        """
        assert source.image is not None
        config = self.synthesis or SynthesisConfig()
        h, w = source.network_input.shape[-2:]
        reduced = resize_image(image, (h, w))
        fit = fit_affine_map(source.network_input, reduced, config.guide_sigma, config.guide_damping)
        return source.image - fit.apply(source.image)
