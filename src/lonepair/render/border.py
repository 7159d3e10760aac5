"""The band along a clip's border, whose pixels are synthesized twice: as they come in, and again as a whole.

What comes in at the border comes as narrow strips. A strip is narrower than the patches, and the networks see only a
part of what it shows, so that strips of one object do not fit together. So the pixels of strips count as *unsettled*
until they have moved inside; then all of them are synthesized at once.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.blur import gaussian_blur
from lonepair.ops.flow import warp
from lonepair.ops.morphology import dilate, erode

_GROWTH = 5
"""Pixels by which a strip is widened, so that its seam is synthesized again, too."""


class UnsettledBorder:
    """The unsettled pixels of a scene's newest frame."""

    def __init__(self, size: tuple[int, int], width: int, device: torch.device) -> None:
        """The state of a scene's first frame, whose networks have not seen what lies beyond its border.

        Args:
            size: (h, w) of a frame.
            width: Distance from the border, in pixels, in which unsettled pixels settle; 0: they do not.
            device: Where masks are computed.
        """
        h, w = size
        rows, columns = (torch.arange(n, device=device) for n in (h, w))
        rows, columns = torch.minimum(rows, h - 1 - rows), torch.minimum(columns, w - 1 - columns)
        depth = torch.minimum(rows[:, None], columns)[None, None]
        self._width = width
        self._is_inside, self._is_band = depth >= width, depth < width // 2
        self.mask: Bool[Tensor, "1 1 h w"] = self._is_band.clone()
        """Which pixels are unsettled."""

    def move(self, flow: Float[Tensor, "1 2 h w"]) -> None:
        """Move to the next frame; `flow` as of `TextureCarrier.carry`."""
        self.mask = warp(self.mask.float(), flow) > 0.5

    def settle(self, is_open: Bool[Tensor, "1 1 h w"]) -> Float[Tensor, "1 1 h w"]:
        """Settle the unsettled pixels around any that is inside.

        Args:
            is_open: Which pixels are synthesized in this frame for another reason.

        Returns:
            The weight of the pixels that settle: 1 falling softly to 0, as their tone may have changed.
        """
        settles = torch.zeros_like(is_open, dtype=torch.float32)
        if self._width == 0:
            return settles
        # What comes in as a wide strip is settled.
        wide = dilate(erode(is_open, self._width // 4), self._width // 4)
        strips = dilate(is_open & self._is_band & ~wide, _GROWTH)
        self.mask = (self.mask & ~is_open) | strips
        inside = self.mask & self._is_inside
        if not bool(inside.any()):
            return settles
        # Those on the same side of the frame.
        near = self.mask & dilate(inside, self._width)
        self.mask = self.mask & (self._is_band | ~near)
        weight = gaussian_blur(erode(near, _GROWTH).float(), _GROWTH / 2)
        return torch.where(weight < 0.02, 0.0, weight)
