"""Masks of a translation: for each frame of the source, where the translation shows and where the source stays.

Unlike the masks of holes, which mark a pixel or not, these are weights: grey blends the translation with the source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.source import Source, open_source
from lonepair.render.masks import log_reading, mask_weights


@dataclass(frozen=True)
class FrameMasks:
    """One mask for each frame of a source, or one image for all."""

    masks: Source
    setting: str
    """Name of the setting in messages."""

    @staticmethod
    def of(value: object, source: Source, setting: str = "mask") -> FrameMasks:
        """Open and check the masks of `source`.

        Args:
            value: What `open_source` opens. White marks pixels; if an image has transparent parts, its opaque pixels
                are marked instead. Of any size.
            source: What is translated.
            setting: Name of the setting in messages.

        Raises:
            UserError: `value` cannot be read, has another number of frames than `source`, or is an image that marks no
                pixel.
        """
        masks = open_source(value)
        if masks.is_clip and not source.is_clip:
            raise UserError(f"{setting} is {masks.name}, a clip, and {source.name} is an image: give an image as mask")
        first = next(masks.frames()).image
        if masks.is_clip:
            counts = [clip.frame_count or sum(1 for _ in clip.frames()) for clip in (masks, source)]
            if counts[0] != counts[1]:
                raise UserError(
                    f"{setting} is {masks.name} with {counts[0]} frames, {source.name} has {counts[1]}: give one mask "
                    "for each frame, or one image for all"
                )
        elif not bool(mask_weights(first, masks.size).any()):
            raise UserError(f"{setting} is {masks.name}, which marks no pixel: make what is translated white or opaque")
        log_reading(first, source.size, f"the mask {masks.name}")
        return FrameMasks(masks, setting)

    def frames(self, size: tuple[int, int]) -> Iterator[Float[Tensor, "1 1 h w"]]:
        """Yield the mask of each frame, 0 to 1, at (h, w) `size`; one image is repeated without end.

        Raises:
            UserError: More masks are asked for than can be decoded.
        """
        mask, count = None, 0
        for frame in self.masks.frames():
            mask, count = mask_weights(frame.image, size), count + 1
            yield mask
        while not self.masks.is_clip and mask is not None:
            yield mask
        raise UserError(
            f"{self.setting} is {self.masks.name} with {count} frames, the source has more: give one mask for each "
            "frame, or one image for all"
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of the masks' content."""
        return self.masks.fingerprint()


@dataclass(frozen=True)
class RegionMasks:
    """The masks of several styles for each frame of a source."""

    regions: list[FrameMasks]

    @staticmethod
    def of(values: Sequence[object], source: Source) -> RegionMasks:
        """Open and check the masks of every style; arguments and errors as of `FrameMasks.of`."""
        names = [f"mask {number} of `masks`" for number in range(1, len(values) + 1)]
        return RegionMasks([FrameMasks.of(value, source, name) for value, name in zip(values, names, strict=True)])

    def frames(self, size: tuple[int, int]) -> Iterator[Float[Tensor, "1 k h w"]]:
        """Yield the masks of each frame, a channel for each style, at (h, w) `size`; errors as of `FrameMasks`."""
        for masks in zip(*(region.frames(size) for region in self.regions), strict=False):
            yield torch.cat(masks, 1)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the content of every style's masks."""
        return hashlib.sha256(" ".join(region.fingerprint() for region in self.regions).encode()).hexdigest()
