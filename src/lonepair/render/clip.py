"""Frames of a clip one after another: finished pixels are carried along the source's motion, the rest is synthesized.

Pixels are new where the motion explains nothing, and renewed where the networks' prediction has changed since they were
synthesized, or where their texture has become blurred or distorted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.ops.blur import gaussian_blur
from lonepair.ops.flow import warp
from lonepair.ops.morphology import dilate, erode
from lonepair.ops.resize import resize, resize_image
from lonepair.patches.carry import Carried, TextureCarrier, anchor_count, gradient_energy
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.windows import Window
from lonepair.render.border import UnsettledBorder
from lonepair.render.fade import Fade
from lonepair.render.motion import Motion
from lonepair.render.steady import SteadyMotion

_SOFTNESS = 0.8
"""Standard deviation in pixels of the blend between new and carried pixels: as little as hides the seam."""


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
    @property
    def has_gain(self) -> bool: ...
    def prepare(self, image: Tensor, mask: Any) -> Any: ...
    def predict(self, source: Any, before: Any) -> Any: ...
    def mean_prediction(self, prediction: Any) -> Tensor: ...
    def synthesize(
        self, prediction: Any, window: Window | None = None, mix: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor: ...
    def covering_windows(self, prediction: Any, mask: Tensor) -> Sequence[Window]: ...
    def output(self, source: Any, image: Tensor) -> Tensor: ...
    def fingerprint(self) -> str: ...
    @property
    def target_side(self) -> float: ...
    def reduced(self, side: int) -> Pipeline: ...


@dataclass(frozen=True)
class SynthesizedFrame:
    """A finished frame, before the dials of color, strength and mask."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1], on the device."""
    is_new: Bool[Tensor, "1 1 h w"]
    """Which pixels were synthesized for this frame; the others are carried."""


@dataclass(frozen=True)
class SceneStart:
    """What is known of a scene before its first frame is finished."""

    image: Float[Tensor, "1 c h w"] | None = None
    """The first frame, finished, in [-1, 1] on the device; None: it is synthesized."""
    prediction: Any = None
    """What `Pipeline.predict` returned for a frame of the scene; None: the first one decides what its frames share."""


class SceneRenderer:
    """Finishes the frames of one scene, in order."""

    def __init__(self, pipeline: Pipeline, start: SceneStart | None = None) -> None:
        """
        Args:
            pipeline: The path of a frame.
            start: What is known of the scene; None: nothing.
        """
        self._pipeline, self._first = pipeline, None if start is None else start.image
        self._carrier: TextureCarrier | None = None
        self._border: UnsettledBorder | None = None
        self._steady: SteadyMotion | None = None
        self._fade = Fade(pipeline.settings.fade_frames, pipeline.settings.max_blend_gain)
        self._waits = 0
        """Number of frames since the last one that could have new pixels."""
        self._waiting: Bool[Tensor, "1 1 h w"] | None = None
        """Which pixels of the newest frame wait to be synthesized; None: none."""
        self._prediction: Any = None if start is None else start.prediction
        """The last prediction of the scene."""

    def state(self) -> dict[str, Tensor]:
        """The tensors from which `from_state` continues, bit for bit, valid until the next frame.

        Those named `carrier.anchor.N...` do not change within the scene (`TextureCarrier.state`).
        """
        if self._carrier is None:
            return {}
        state = {f"carrier.{name}": tensor for name, tensor in self._carrier.state().items()}
        assert self._border is not None
        assert self._steady is not None
        state |= {"waits": torch.tensor(self._waits), "unsettled": self._border.mask, "behind": self._steady.behind}
        state |= {f"fade.{name}": tensor for name, tensor in self._fade.state().items()}
        if self._waiting is not None:
            state["waiting"] = self._waiting
        return state

    @classmethod
    def from_state(cls, pipeline: Pipeline, state: Mapping[str, Tensor], first: Any) -> SceneRenderer:
        """The renderer whose `state` this is.

        Args:
            pipeline: An equal pipeline, on any device.
            state: Its tensors.
            first: What `Pipeline.prepare` returned for the scene's first frame: predictions need what that decided.
        """
        scene = cls(pipeline)
        if not state:
            return scene
        device, config = pipeline.engine.device, pipeline.settings
        on_device = {name: tensor.to(device) for name, tensor in state.items()}
        own, fade = (
            {name.removeprefix(part): tensor for name, tensor in on_device.items() if name.startswith(part)}
            for part in ("carrier.", "fade.")
        )
        slots = len(own["stored"])
        scene._carrier = TextureCarrier.from_state(own, slots, config.anchor_interval, config.max_carry_gain)
        scene._fade.restore(fade)
        scene._border = _border(scene._carrier.slot, config)
        scene._border.mask = on_device["unsettled"]
        scene._steady = _steady(scene._carrier.slot, config)
        scene._steady.behind = on_device["behind"]
        scene._waits, scene._waiting = int(state["waits"]), on_device.get("waiting")
        scene._prediction = pipeline.predict(first, None)
        return scene

    @torch.no_grad()
    def render(self, source: Any, motion: Motion | None) -> SynthesizedFrame:
        """Finish the next frame.

        Args:
            source: What `Pipeline.prepare` returned.
            motion: The motion since the frame before; None for the scene's first frame.
        """
        pipeline, config = self._pipeline, self._pipeline.settings
        if self._carrier is None or motion is None:
            self._prediction = pipeline.predict(source, self._prediction)
            image = pipeline.synthesize(self._prediction) if self._first is None else self._first
            if pipeline.carries:
                mean = pipeline.mean_prediction(self._prediction)
                size, channels = (image.shape[-2], image.shape[-1]), image.shape[1]
                slots = anchor_count(size, channels, config.anchors, config.anchor_megabytes)
                self._carrier = TextureCarrier(image, mean, slots, config.anchor_interval, config.max_carry_gain)
                self._border, self._steady = _border(image, config), _steady(image, config)
            return SynthesizedFrame(image, torch.ones_like(image[:, :1], dtype=torch.bool))
        # Carry all pixels. The networks run only where something may be synthesized.
        assert self._border is not None
        assert self._steady is not None
        flow = self._steady.follow(motion.flow.to(pipeline.engine.device))
        self._border.move(flow)
        self._fade.move(flow)
        carried = self._carrier.carry(flow)
        image, mean, energy = carried.image, carried.prediction, carried.energy
        weight = torch.zeros_like(image[:, :1])
        is_lost = self._lost(motion, image.device)
        if not self._can_wait(is_lost, config):
            prediction = pipeline.predict(source, self._prediction)
            self._prediction, now = prediction, pipeline.mean_prediction(prediction)
            is_lost = is_lost | self._carrier.is_beyond_border
            change = _change(carried, now, config)
            is_open = is_lost | _is_worn(carried, change, config)
            settles = self._border.settle(is_open)
            jumps = resize(change - 1, (image.shape[-2], image.shape[-1])).clamp(0, 1)
            # Synthesize what is lost and worn, and a seam around it.
            weight = torch.maximum(_seam(is_open, config.seam_width), settles)
            windows = pipeline.covering_windows(prediction, is_open | (settles > 0))
            for window in windows:
                image = self._with_window(image, prediction, window, weight)
            if windows:
                share = F.adaptive_max_pool2d(weight, now.shape[-2:])
                mean = torch.lerp(mean, now, share)
                energy = torch.lerp(energy, gradient_energy(image, (now.shape[-2], now.shape[-1])), share)
            # What is lost, or another thing now, cannot fade: it would leave a ghost.
            share = weight * (1 - _seam(is_lost, config.seam_width)) * (1 - jumps)
            self._fade.start(carried.image, share, weight > 0)
        self._carrier.renew(image, mean, energy, weight > 0)
        return SynthesizedFrame(self._fade.apply(image), weight > 0)

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

    def _lost(self, motion: Motion, device: torch.device) -> Bool[Tensor, "1 1 h w"]:
        """The pixels that no motion explains, in this frame or in one before that has waited."""
        is_lost = motion.is_unexplained.to(device)
        if self._waiting is not None:
            is_lost = is_lost | (warp(self._waiting.float(), motion.flow.to(device)) > 0.5)
        return is_lost

    def _can_wait(self, is_lost: Bool[Tensor, "1 1 h w"], config: SynthesisConfig) -> bool:
        """Whether nothing need be synthesized in this frame: only narrow areas are lost.

        To synthesize more at once takes less time in all. A narrow strip at the border shows the mirror image of what
        is beside it meanwhile.
        """
        assert self._carrier is not None
        is_open = is_lost | self._carrier.is_beyond_border
        is_wide = bool(erode(is_open, config.narrow_width // 2).any())
        self._waits = 0 if is_wide or self._waits >= config.renewal_wait else self._waits + 1
        self._waiting = is_lost if self._waits else None
        return self._waits > 0


def _border(image: Tensor, config: SynthesisConfig) -> UnsettledBorder:
    """The border of a scene's first frame, with the size and the device of `image`, (..., h, w)."""
    h, w = image.shape[-2:]
    return UnsettledBorder((h, w), round(config.settle_width * max(h, w)), image.device)


def _steady(image: Tensor, config: SynthesisConfig) -> SteadyMotion:
    """The motion of a scene's texture, with the size and the device of `image`, (..., h, w)."""
    return SteadyMotion((image.shape[-2], image.shape[-1]), config.motion_slack, image.device)


def _change(carried: Carried, prediction: Tensor, config: SynthesisConfig) -> Float[Tensor, "1 1 h w"]:
    """The change of the prediction since each pixel was synthesized; from 1 on it is renewed."""
    # The mean change around a pixel: texture of the prediction that differs as the camera moves cancels out.
    change = gaussian_blur(prediction - carried.prediction, config.renewal_window).abs().mean(1, keepdim=True)
    return change / (config.renewal_change * prediction.std().clamp(min=1e-3))


def _is_worn(carried: Carried, change: Float[Tensor, "1 1 h w"], config: SynthesisConfig) -> Bool[Tensor, "1 1 h2 w2"]:
    """Where the prediction has changed, or the texture is blurred or distorted."""
    limit = config.renewal_anisotropy
    is_worn = _spread(change, 1, 0.5) | _spread(carried.anisotropy, limit, (1 + limit) / 2)
    is_worn = is_worn | (carried.loss < config.renewal_energy) | (carried.stretch > config.renewal_stretch)
    return F.interpolate(is_worn.float(), carried.image.shape[-2:], mode="nearest") > 0


def _spread(value: Float[Tensor, "1 1 h w"], limit: float, lower: float) -> Bool[Tensor, "1 1 h w"]:
    """Where `value` is above `limit`, and above `lower` beside that: an area is renewed as one."""
    return dilate(value > limit, 3) & (value > lower)


def _seam(is_open: Bool[Tensor, "1 1 h w"], width: int) -> Float[Tensor, "1 1 h w"]:
    """The weight of new pixels over carried ones: 1 in the open area, falling to 0 around it."""
    weight = gaussian_blur(dilate(is_open, width).float(), _SOFTNESS)
    return torch.where(weight < 0.02, 0.0, weight)
