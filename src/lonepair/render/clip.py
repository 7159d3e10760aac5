"""Frames of a clip one after another: finished pixels are carried along the source's motion, the rest is synthesized.

Pixels are new where the motion explains nothing, and renewed where the networks' prediction has changed since they were
synthesized, or where their texture has become blurred or distorted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.ops.blur import gaussian_blur
from lonepair.ops.flow import warp
from lonepair.ops.resize import resize_image
from lonepair.patches.carry import Carried, TextureCarrier, gradient_energy
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.windows import Window
from lonepair.render.motion import Motion

_SEAM = 3
"""Pixels by which an area that is synthesized grows, so that its seam lies in carried texture."""
_SOFTNESS = 0.8
"""Standard deviation in pixels of the blend across that seam."""
_NARROW = 5
"""Width in pixels below which a new area can wait."""


@runtime_checkable
class Pipeline(Protocol):
    """The path of a frame through a translation: `FramePipeline`, or `RegionPipeline` for several styles.

    What one step returns, the next one takes; a translation does not look inside.
    """

    @property
    def engine(self) -> Engine: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def label(self) -> str: ...
    @property
    def carries(self) -> bool: ...
    @property
    def settings(self) -> SynthesisConfig: ...
    def prepare(self, image: Tensor, mask: Any) -> Any: ...
    def predict(self, source: Any, before: Any) -> Any: ...
    def mean_prediction(self, prediction: Any) -> Tensor: ...
    def synthesize(
        self, prediction: Any, window: Window | None = None, mix: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor: ...
    def covering_windows(self, prediction: Any, mask: Tensor) -> Sequence[Window]: ...
    def output(self, prediction: Any, image: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class SynthesizedFrame:
    """A finished frame, before the dials of color, strength and mask."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1], on the device."""
    is_new: Bool[Tensor, "1 1 h w"]
    """Which pixels were synthesized for this frame; the others are carried."""


class SceneRenderer:
    """Finishes the frames of one scene, in order."""

    def __init__(self, pipeline: Pipeline, first: Float[Tensor, "1 c h w"] | None = None) -> None:
        """
        Args:
            pipeline: The path of a frame.
            first: The scene's first frame, finished, in [-1, 1]; None: it is synthesized.
        """
        self._pipeline, self._first = pipeline, first
        self._carrier: TextureCarrier | None = None
        self._waits = 0
        """Number of frames since the last ones that had new pixels."""
        self._waiting: Float[Tensor, "1 1 h w"] | None = None
        """Where pixels of the newest frame wait to be synthesized: 1, else 0."""

    @torch.no_grad()
    def render(self, prediction: Any, motion: Motion | None) -> SynthesizedFrame:
        """Finish the next frame.

        Args:
            prediction: What `Pipeline.predict` returned.
            motion: The motion since the frame before; None for the scene's first frame.
        """
        pipeline, config = self._pipeline, self._pipeline.settings
        if self._carrier is None or motion is None:
            image = pipeline.synthesize(prediction) if self._first is None else self._first
            if pipeline.carries:
                mean = pipeline.mean_prediction(prediction)
                self._carrier = TextureCarrier(
                    image, mean, config.anchors, config.anchor_interval, config.max_carry_gain
                )
            return SynthesizedFrame(image, torch.ones_like(image[:, :1], dtype=torch.bool))
        # Carry all pixels, and decide which are not good any more.
        carried = self._carrier.carry(motion.flow.to(pipeline.engine.device))
        mean = pipeline.mean_prediction(prediction)
        is_worn = self._is_worn(carried, mean, config)
        is_open = self._without_waiting(motion, self._carrier.is_beyond_border, is_worn, config)
        # Synthesize these, and what is around them.
        weight = _seam(is_open)
        image, energy = carried.image, carried.energy
        if is_open.any():
            for window in pipeline.covering_windows(prediction, is_open):
                image = self._with_window(image, prediction, window, weight)
            new_energy = gradient_energy(image, (mean.shape[-2], mean.shape[-1]))
            share = F.adaptive_max_pool2d(weight, mean.shape[-2:])
            mean = torch.lerp(carried.prediction, mean, share)
            energy = torch.lerp(energy, new_energy, share)
        else:
            mean = carried.prediction
        self._carrier.renew(image, mean, energy, weight > 0)
        return SynthesizedFrame(image, weight > 0)

    def _with_window(
        self, image: Tensor, prediction: Any, window: Window, weight: Float[Tensor, "1 1 h w"]
    ) -> Float[Tensor, "1 c h w"]:
        """`image` with the part in the window synthesized again where `weight` is above 0."""
        around, share = window.crop(image), window.crop(weight)

        def mix(part: Tensor) -> Tensor:
            size = (part.shape[-2], part.shape[-1])
            return torch.lerp(resize_image(around, size), part, resize_image(2 * share - 1, size) / 2 + 0.5)

        part = self._pipeline.synthesize(prediction, window, mix)
        image = image.clone()
        window.crop(image).copy_(torch.lerp(around, part, share))
        return image

    # -- what is renewed ------------------------------------------------------------------------------------------

    def _is_worn(self, carried: Carried, prediction: Tensor, config: SynthesisConfig) -> Bool[Tensor, "1 1 h w"]:
        """Where the prediction has changed, or the texture is blurred or distorted."""
        change = gaussian_blur((prediction - carried.prediction).abs().mean(1, keepdim=True), 1.0)
        change = change / prediction.std().clamp(min=1e-3)
        # An area that has changed enough in one place is renewed as far as it has changed by half of that.
        near = F.max_pool2d((change > config.renewal_change).float(), 7, 1, 3) > 0
        is_worn = near & (change > config.renewal_change / 2)
        is_worn = is_worn | (carried.loss < config.renewal_energy) | (carried.stretch > config.renewal_stretch)
        return F.interpolate(is_worn.float(), carried.image.shape[-2:], mode="nearest") > 0

    def _without_waiting(
        self,
        motion: Motion,
        is_beyond_border: Bool[Tensor, "1 1 h w"],
        is_worn: Bool[Tensor, "1 1 h w"],
        config: SynthesisConfig,
    ) -> Bool[Tensor, "1 1 h w"]:
        """The pixels to synthesize now; the others wait until there are more, which takes less time in all.

        A narrow strip at the border shows the mirror image of what is beside it meanwhile.
        """
        is_lost = motion.is_unexplained.to(is_worn.device)
        if self._waiting is not None:
            is_lost = is_lost | (warp(self._waiting, motion.flow.to(is_worn.device)) > 0.5)
        is_open = is_lost | is_beyond_border | is_worn
        is_wide = -F.max_pool2d(-(is_lost | is_beyond_border).float(), _NARROW, 1, _NARROW // 2) > 0
        can_wait = self._waits < config.renewal_wait or not (is_open & ~is_beyond_border).any()
        if can_wait and not is_wide.any():
            self._waits += 1
            self._waiting = (is_open & ~is_beyond_border).float()
            return torch.zeros_like(is_open)
        self._waits, self._waiting = 0, None
        return is_open


def _seam(is_open: Bool[Tensor, "1 1 h w"]) -> Float[Tensor, "1 1 h w"]:
    """The weight of new pixels over carried ones: 1 in the open area, falling to 0 around it."""
    grown = F.max_pool2d(is_open.float(), 2 * _SEAM + 1, 1, _SEAM)
    weight = gaussian_blur(grown, _SOFTNESS)
    return torch.where(weight < 0.02, 0.0, weight)
