"""The motion that carried texture follows: that of the source, without its trembling.

Optical flow trembles by fractions of a pixel where nothing moves: a codec renews its blocks, a sensor has noise.
Texture has more contrast than what it lies on, so that it shows every tremble. So texture stays where it is until the
source has moved away from it by the *slack*, and follows at that distance from then on, as a gear with play follows
another one: motion to and fro within the slack is not seen, and motion in one direction is the source's own.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.flow import warp


class SteadyMotion:
    """How far the texture of a scene's newest frame is behind the source."""

    def __init__(self, size: tuple[int, int], slack: float, device: torch.device) -> None:
        """The state of a scene's first frame, whose texture is where the source is.

        Args:
            size: (h, w) of a frame.
            slack: Largest distance in pixels between a pixel of the texture and what it lies on, 0 or more.
            device: Where motion is computed.
        """
        self._slack = slack
        self.behind: Float[Tensor, "1 2 h w"] = torch.zeros(1, 2, *size, device=device)
        """The part of the motion, (dx, dy) in pixels, that the texture has not followed: at most the slack long."""

    def follow(self, flow: Float[Tensor, "1 2 h w"]) -> Float[Tensor, "1 2 h w"]:
        """Move to the next frame, and return the motion of the texture; both as of `TextureCarrier.carry`."""
        if self._slack == 0:
            return flow
        wanted = warp(self.behind, flow) + flow
        length = wanted.square().sum(1, keepdim=True).sqrt()
        moved = wanted * (1 - self._slack / length.clamp(min=self._slack))
        self.behind = wanted - moved
        return moved
