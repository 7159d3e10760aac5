"""The path of a frame through a translation: network input, prediction, patch synthesis, output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.media.sizes import fit_inside, working_size
from lonepair.methods.base import Method
from lonepair.ops.color import common_channels, match_channels, negative
from lonepair.ops.fingerprint import fingerprint
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.dials import Dials
from lonepair.patches.guide import Guide, fit_affine_map, source_transfer, tone_sign
from lonepair.patches.steps import SharedScales, Steps, run_in_step
from lonepair.patches.synthesis import Synthesizer
from lonepair.patches.windows import Window
from lonepair.render.masks import has_transparency
from lonepair.render.results import output_image
from lonepair.render.synthesizers import synthesizer_for

DIRECTIONS = ("a_to_b", "b_to_a")

Mix: TypeAlias = Callable[[Tensor], Tensor]
"""What replaces the image of a synthesis after each round: a function from an image to one of its size."""


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
    moving: Float[Tensor, "1 c3 h2 w2"] | None = None
    """At the output's size on the CPU, to measure motion; None where nothing is carried from frame to frame."""
    alpha: Float[Tensor, "1 1 h2 w2"] | None = None
    """The source's alpha at the output's size, on the device, in [-1, 1]; None where the output does not take it."""


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
    carries: bool
    """Whether a frame's pixels are carried to the next one, as in a clip. The networks get no noise then, which would
    be fixed to the screen."""
    dials: Dials = Dials(structure=0.0)
    """How the source and the target are mixed; `structure` and `texture_size` act in patch synthesis."""
    shared_scales: SharedScales | None = None
    """Scales of patch synthesis that pipelines of several styles share; None: this pipeline's own."""
    keeps_alpha: bool = True
    """Whether the output has the source's alpha where the target has none; else such a source is shown over white."""
    _noise: dict[tuple[int, int], list[Tensor]] = field(default_factory=dict, repr=False, compare=False)
    """Noise by size of the network input. All frames share it, so that the texture that depends on it does not
    flicker."""

    def __getstate__(self) -> dict[str, Any]:
        """What a copy in another process gets: the settings, without what is computed from them."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name != "_noise"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _noise={})

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
        moving = resize_image(image, self.size) if self.carries else None
        takes_alpha = self.keeps_alpha and image.shape[1] == 4 and not self._target_has_alpha
        alpha = self.engine.to_device(resize_image(image[:, 3:], self.size)) if takes_alpha else None
        return FrameSource(
            network_input, large, original, None if mask is None else self.engine.to_device(mask), moving, alpha
        )

    @cached_property
    def _target_has_alpha(self) -> bool:
        """Whether the target's transparency is part of the style. A model that does not store its target has it."""
        exemplar = self.method.exemplar(self.domain)
        if self.method.plan.channels < 4 or exemplar is None:
            return self.method.plan.channels == 4
        return has_transparency(exemplar())

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
        """Predict a frame.

        Args:
            before: An earlier frame of the same scene; None for a scene's first.
        """
        scene = None if before is None else before.scene
        # The networks.
        is_negative = self._is_negative(source.network_input) if scene is None else scene.is_negative
        network_input = negative(source.network_input) if is_negative else source.network_input
        image = self._predict_only(network_input)[0]
        # The guide.
        if scene is None:
            scene = Scene(is_negative, self._transfer(source.network_input, image))
        if scene.transfer is None:
            return Prediction(source, image, scene)
        assert source.image is not None
        assert self.synthesis is not None
        structure = self.dials.path.structure
        guide = Guide.fit(source.network_input, image, source.image, scene.transfer, structure, self.synthesis)
        return Prediction(source, image, scene, guide)

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
        reuse, scale = self._noise.setdefault((h, w), []), 0.0 if self.carries else 1.0
        rng = RandomStream(self.seed, place=self.engine.device, lazy=True, reuse=reuse, scale=scale)
        with self.engine.autocast():
            prediction = method.translate(padded, sizes, self.domain, self.start_stage, rng)
        return prediction[:, :, top : top + h, left : left + w].float().clamp(-1, 1)

    @property
    def has_gain(self) -> bool:
        """Whether the last channel of an output is a gain (`styled.gain_channel`): a translation has the source's."""
        return False

    @property
    def settings(self) -> SynthesisConfig:
        """Settings of the synthesis, and of what is carried from frame to frame."""
        return self.synthesis or SynthesisConfig()

    def mean_prediction(self, prediction: Prediction) -> Float[Tensor, "1 c h w"]:
        """The networks' prediction of the frame: of all styles, where there are several."""
        return prediction.image

    # -- synthesis and output -------------------------------------------------------------------------------------

    @torch.no_grad()
    def synthesize(
        self, prediction: Prediction, window: Window | None = None, mix: Mix | None = None
    ) -> Float[Tensor, "1 c h w"]:
        """Synthesize a frame, or a part of it: in [-1, 1] on the device. Without synthesis it is the prediction.

        Args:
            window: The part; None: all of the frame.
            mix: What replaces the image after each round.
        """
        size = self.size if window is None else window.size(self.size)
        if self.synthesis is None:
            image = prediction.image if window is None else window.crop(prediction.image)
        elif mix is None:
            image = run_in_step([self.synthesis_steps(prediction, window)])[0].image
        else:
            image = run_in_step([self.synthesis_steps(prediction, window)], lambda images: [mix(images[0])])[0].image
        return resize_image(image, size)

    def synthesis_steps(self, prediction: Prediction, window: Window | None = None) -> Steps:
        """The synthesis of a frame, round by round (`Synthesizer.steps`)."""
        scale, shared = self._texture_scale, self.shared_scales
        return self.synthesizer.steps(prediction.image, self.size, prediction.guide, scale, shared, window)

    def covering_windows(self, prediction: Prediction, mask: Bool[Tensor, "1 1 h w"]) -> list[Window]:
        """Windows for `synthesize` that hold the true pixels of `mask`."""
        own = (prediction.image.shape[-2], prediction.image.shape[-1])
        if self.synthesis is None:
            return [Window((0, own[0]), (0, own[1]), own)]
        return self.synthesizer.covering_windows(mask, own, self.size, self._texture_scale, self.shared_scales)

    @cached_property
    def synthesizer(self) -> Synthesizer:
        return synthesizer_for(self.method, self.domain, self.synthesis, caches_all_scales=self.carries)

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
    def target_side(self) -> float:
        """Longest side in pixels of the target whose patches are searched; 0: none are."""
        if self.synthesis is None:
            return 0.0
        scale = self._texture_scale
        return float(max(self.size)) if scale is None else scale * max(self.synthesizer.detail_size)

    def reduced(self, side: int) -> FramePipeline:
        """This pipeline for an output of at most `side` pixels, with texture as large beside the picture as before."""
        size, scale = fit_inside(self.size, side), None
        if self.synthesis is not None:
            scale = self._texture_scale
        dials = self.dials if scale is None else replace(self.dials, texture_size=scale * max(size) / max(self.size))
        return replace(self, size=size, dials=dials)

    @property
    def synthesizes(self) -> bool:
        """Whether patches of the target replace those of the prediction."""
        return self.synthesis is not None

    @property
    def label(self) -> str:
        """What is computed, in a few words: one of `DIRECTIONS`."""
        return DIRECTIONS[0] if self.domain == "b" else DIRECTIONS[1]

    def fingerprint(self) -> str:
        """SHA-256 of what the frames depend on, besides the source and the mask: networks, settings and rounding."""
        method, synthesis = self.method, self.synthesis
        networks = {"method": method.name, "config": method.config.to_dict(), "plan": method.plan.to_dict()}
        settings = [self.domain, self.start_stage, self.size, self.seed, self.carries, self.keeps_alpha]
        mixture = [asdict(self.dials), None if self.shared_scales is None else asdict(self.shared_scales)]
        header = {
            **networks,
            "stage": method.stage,
            "rounding": self.engine.rounding,
            "settings": [*settings, *mixture],
        }
        header["synthesis"] = None if synthesis is None else synthesis.to_dict()
        return fingerprint(header, method.model_state())

    @torch.no_grad()
    def output(self, source: FrameSource, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c2 h w"]:
        """The frame with the dials of color, strength and mask: float32 in [-1, 1] on the CPU.

        Args:
            image: The synthesized frame, in [-1, 1].
        """
        dials = self.dials.path
        if dials.colour < 1:
            assert source.image is not None
            image = image + (1 - dials.colour) * self._color_difference(image, source)
        # The source itself with all of its channels, where strength is low and outside the mask.
        if source.original is not None:
            channels = common_channels(image.shape[1], source.original.shape[1])
            image, original = (match_channels(value, channels) for value in (image.clamp(-1, 1), source.original))
            weight = self.dials.opacity * (1.0 if source.mask is None else source.mask)
            image = original + weight * (image - original)
        if source.alpha is not None:
            color = image[:, :3] if image.shape[1] == 4 else match_channels(image, 3)
            image = torch.cat([color, source.alpha], dim=1)
        return output_image(image)

    def _color_difference(self, image: Tensor, source: FrameSource) -> Float[Tensor, "1 c h w"]:
        """What the source's colors differ by from those of the translation `image`, along the source's edges.

        The translation is fitted to the source; the source less that fit has none of the translation's texture, so
        that its contrast stays when the difference is added.
        """
        assert source.image is not None
        config = self.settings
        h, w = source.network_input.shape[-2:]
        reduced = resize_image(image, (h, w))
        fit = fit_affine_map(source.network_input, reduced, config.guide_sigma, config.guide_damping)
        return source.image - fit.apply(source.image)
