"""Renewed pixels fade in over a few frames, so that no texture pops from one frame to the next."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.flow import warp
from lonepair.patches.carry import blend_textures


class Fade:
    """The picture that still shows where pixels were renewed, and how much of it."""

    def __init__(self, frames: int, max_gain: float) -> None:
        """No fade runs.

        Args:
            frames: Number of frames that one takes, 1 or more. With 1 new pixels show at once.
            max_gain: As of `blend_textures`.
        """
        self._frames, self._max_gain = frames, max_gain
        self._image: Float[Tensor, "1 c h w"] | None = None
        """The old picture; None: no fade runs."""
        self._weight: Float[Tensor, "1 1 h w"] | None = None
        """Its weight, 0 to 1."""

    def state(self) -> dict[str, Tensor]:
        """The tensors from which `restore` continues; none where no fade runs."""
        return {} if self._image is None or self._weight is None else {"image": self._image, "weight": self._weight}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue the fade whose `state` this is."""
        self._image, self._weight = state.get("image"), state.get("weight")

    def move(self, flow: Float[Tensor, "1 2 h w"]) -> None:
        """Move to the next frame, in which less of the old picture shows; `flow` as of `TextureCarrier.carry`."""
        if self._image is None or self._weight is None:
            return
        weight = (self._weight - 1 / self._frames).clamp(min=0)
        if not bool((weight > 1e-3).any()):
            self._image = self._weight = None
            return
        self._image, self._weight = warp(self._image, flow), warp(weight, flow)

    def start(
        self, old: Float[Tensor, "1 c h w"], share: Float[Tensor, "1 1 h w"], is_new: Bool[Tensor, "1 1 h w"]
    ) -> None:
        """Begin to fade from the picture `old`, as it would show without new pixels, to these.

        Args:
            old: Without the fades that run.
            share: 1 where a fade begins, 0 where none does, and between where less of the old picture shows.
            is_new: Which pixels are new. Where they do not fade in, a fade that runs ends.
        """
        if self._frames == 1 or not bool(is_new.any()):
            return
        shown = self.apply(old)
        weight = share * (1 - 1 / self._frames)
        if self._image is None or self._weight is None:
            self._image, self._weight = shown, weight
            return
        self._image = torch.where(is_new, shown, self._image)
        self._weight = torch.where(is_new, weight, self._weight)

    def apply(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """`image` with the old picture over it."""
        if self._image is None or self._weight is None:
            return image
        blend = blend_textures(image, self._image, self._weight, self._max_gain)
        return torch.where(self._weight > 0, blend, image)
