"""The texture of a clip, carried along the source's motion: pixels are moved, never synthesized again without need.

A frame that is warped from frame to frame blurs, or rings where its sharpness is held. So every pixel remembers where
it was synthesized: in which *anchor*, a finished frame, and at which position. Each frame reads it from there with one
interpolation, however many frames ago that was (advected texture coordinates, Neyret, Advected textures, SCA 2003).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lonepair.ops.blur import gaussian_blur
from lonepair.ops.morphology import dilate

_PAD = 2
"""Rows between two anchors: those that a bicubic interpolation reads beyond the border."""
_FLOOR = 1e-5
"""Gradient energy, in squared units of the image, below which an area is flat."""
_TAIL = 0.1
"""Share of the largest energy around a cell, within three standard deviations of `gradient_energy`, below which the
energy comes from there."""


def gradient_energy(image: Float[Tensor, "1 c h w"], size: tuple[int, int]) -> Float[Tensor, "1 1 h2 w2"]:
    """The mean squared difference of neighboring pixels around each position of a smaller image of (h, w) `size`."""
    down = F.pad(image.diff(dim=2).square().mean(1, keepdim=True), [0, 0, 0, 1])
    across = F.pad(image.diff(dim=3).square().mean(1, keepdim=True), [0, 1, 0, 0])
    return gaussian_blur(F.interpolate(down + across, size, mode="area"), 1.5)


def hold_energy(
    image: Float[Tensor, "1 c h w"], energy: Float[Tensor, "1 1 h2 w2"], lowest: float, highest: float
) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 1 h2 w2"]]:
    """`image` with its fine band amplified so that its gradients have `energy`, and the energy that they had before.

    Args:
        image: In [-1, 1].
        energy: The energy to hold, as `gradient_energy` measures it.
        lowest: Smallest factor of the fine band.
        highest: Largest factor.
    """
    size = (energy.shape[-2], energy.shape[-1])
    # With the energies s of the smooth band, f of the fine one and c between both, a gain g on the fine band gives
    # s + g²·f + 2·g·c.
    smooth = gaussian_blur(image, 1.0)
    own, s, f = (gradient_energy(value, size) for value in (image, smooth, image - smooth))
    f = f + _FLOOR
    c = (own - s - f) / 2
    gain = (((c.square() + f * (energy - s)).clamp(min=0).sqrt() - c) / f).clamp(lowest, highest)
    gain = F.interpolate(gain, image.shape[-2:], mode="bilinear")
    return (smooth + gain * (image - smooth)).clamp(-1, 1), own


def blend_textures(
    one: Float[Tensor, "1 c h w"],
    other: Float[Tensor, "1 c h w"],
    weight: Float[Tensor, "1 1 h w"],
    max_gain: float,
) -> Float[Tensor, "1 c h w"]:
    """`one` where `weight` is 0, `other` where it is 1, and between both a mean with the contrast of its parts.

    The mean of two different textures is softer than each. Its fine band is amplified, by `max_gain` at most.
    """
    image = torch.lerp(one, other, weight)
    size = (max(1, image.shape[-2] // 4), max(1, image.shape[-1] // 4))
    energies = [gradient_energy(value, size) for value in (one, other)]
    expected = torch.lerp(energies[0], energies[1], F.interpolate(weight, size, mode="area"))
    return hold_energy(image, expected, 1.0, max_gain)[0]


@dataclass(frozen=True)
class Carried:
    """A frame that consists of carried pixels alone."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1]."""
    prediction: Float[Tensor, "1 c h2 w2"]
    """The prediction from which each pixel was synthesized, at the networks' resolution."""
    energy: Float[Tensor, "1 1 h2 w2"]
    """Gradient energy of the texture where it was synthesized."""
    loss: Float[Tensor, "1 1 h2 w2"]
    """Gradient energy of the carried pixels, before it was held, over `energy`."""
    stretch: Float[Tensor, "1 1 h2 w2"]
    """Largest factor, 1 or more, by which the texture is stretched or compressed in any direction."""
    anisotropy: Float[Tensor, "1 1 h2 w2"]
    """Largest stretch over the smallest, 1 or more: how far circles have become ellipses."""


def anchor_count(size: tuple[int, int], channels: int, limit: int, megabytes: int) -> int:
    """The number of anchors of (h, w) `size`, 2 to `limit`, that take at most `megabytes` MB."""
    h, w = size
    return max(2, min(limit, int(megabytes * 1e6 / (4 * channels * (h + 2 * _PAD) * w))))


class TextureCarrier:
    """The anchors of a scene, and for each pixel of its newest frame the position in its anchor.

    Slot 0 of the anchors is the newest frame that had new pixels: those that are newer than the last anchor are read
    from there.
    """

    def __init__(
        self,
        image: Float[Tensor, "1 c h w"],
        prediction: Float[Tensor, "1 c h2 w2"],
        slots: int,
        interval: int,
        max_gain: float,
        allocated: int = 2,
    ) -> None:
        """
        Args:
            image: The scene's first finished frame.
            prediction: The prediction from which it was synthesized, at the networks' resolution.
            slots: Largest number of anchors, 2 or more. More lose less sharpness and take more memory.
            interval: Frames after which new pixels get an anchor of their own.
            max_gain: Largest factor by which fine texture is amplified to hold its energy.
            allocated: Number of anchors that have memory at first.
        """
        h, w = image.shape[-2:]
        self._size, self._coarse_size = (h, w), (prediction.shape[-2], prediction.shape[-1])
        self._interval, self._max_gain, self._frames, self._anchored = interval, max_gain, 0, 0
        coarse = torch.cat([prediction, gradient_energy(image, self._coarse_size)], 1)
        self._images = image.new_zeros(1, image.shape[1], allocated, h + 2 * _PAD, w)
        self._coarse = image.new_zeros(1, coarse.shape[1], allocated, *self._coarse_size)
        self.slot: Int[Tensor, "h w"] = torch.ones(h, w, dtype=torch.long, device=image.device)
        """The anchor of each pixel."""
        self.offset: Float[Tensor, "2 h w"] = image.new_zeros(2, h, w)
        """(dx, dy) in pixels of each pixel's position in its anchor, less its own."""
        self._stored = [-1] * slots
        """Of each slot, the number of frames after the first at which its anchor was stored; -1: it is unused."""
        for slot in (0, 1):
            self._store(slot, image, coarse)

    # -- the state ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """The tensors from which `from_state` continues, bit for bit, valid until the next frame.

        A tensor named `anchor.N...` does not change within a scene: it was stored N frames after the first. Anchors
        that no pixel reads are left out.
        """
        counts = torch.bincount(self.slot.flatten(), minlength=len(self._stored)).tolist()
        stored = [number if count else -1 for number, count in zip(self._stored, counts, strict=True)]
        state = {
            "frames": torch.tensor(self._frames),
            "allocated": torch.tensor(self._images.shape[2]),
            "anchored": torch.tensor(self._anchored),
            "stored": torch.tensor([self._stored[0], *stored[1:]]),
            "slot": self.slot.to(torch.int16),
            "offset": self.offset,
            "newest.image": self._images[:, :, 0],
            "newest.coarse": self._coarse[:, :, 0],
        }
        for slot, number in enumerate(stored):
            if slot and number >= 0:
                state[f"anchor.{number}.image"] = self._images[:, :, slot]
                state[f"anchor.{number}.coarse"] = self._coarse[:, :, slot]
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], slots: int, interval: int, max_gain: float) -> TextureCarrier:
        """The carrier whose `state` this is; the other arguments are those of its constructor."""
        newest = state["newest.image"]
        # Positions are rounded as the number of anchors in memory decides.
        allocated = int(state["allocated"])
        carrier = cls(newest[:, :, _PAD:-_PAD], state["newest.coarse"][:, :-1], slots, interval, max_gain, allocated)
        carrier._frames, carrier._anchored = int(state["frames"]), int(state["anchored"])
        carrier._stored = state["stored"].tolist()
        carrier.slot, carrier.offset = state["slot"].long(), state["offset"]
        carrier._images[:, :, 0], carrier._coarse[:, :, 0] = newest, state["newest.coarse"]
        for slot, number in enumerate(carrier._stored):
            if slot and number >= 0:
                carrier._images[:, :, slot] = state[f"anchor.{number}.image"]
                carrier._coarse[:, :, slot] = state[f"anchor.{number}.coarse"]
        return carrier

    # -- a frame --------------------------------------------------------------------------------------------------

    def carry(self, flow: Float[Tensor, "1 2 h w"]) -> Carried:
        """Move to the next frame, of which no pixel is new.

        Args:
            flow: (dx, dy) in pixels from the next frame to this one (`ops.flow.estimate_flow`).
        """
        self.slot, self.offset = self._moved(flow[0])
        image = self._read(self._images, self.slot, self.offset, "bicubic", _PAD)
        # The coarse values, at the position of the nearest full pixel.
        (h, w), (rows, columns) = self._size, self._coarse_size
        y, x = (
            ((torch.arange(n, device=flow.device) + 0.5) * full / n).long().clamp(max=full - 1)
            for n, full in ((rows, h), (columns, w))
        )
        slot, offset = self.slot[y[:, None], x], self.offset[:, y[:, None], x]
        offset = offset * flow.new_tensor([columns / w, rows / h])[:, None, None]
        coarse = self._read(self._coarse, slot, offset, "bilinear", 0)
        prediction, energy = coarse[:, :-1], coarse[:, -1:]
        # Hold the energy that the interpolation lost.
        image, own = hold_energy(image, energy, 1 / self._max_gain, self._max_gain)
        # Beside an edge of flat paint, energy is the tail of a Gaussian: a fraction of a cell changes it much.
        floor = _FLOOR + _TAIL * dilate(energy, 4)
        loss = (own + floor) / (energy + floor)
        return Carried(image, prediction, energy, loss, *_distortion(slot, offset))

    @property
    def is_beyond_border(self) -> Bool[Tensor, "1 1 h w"]:
        """Which pixels of the newest frame have a position more than half a pixel outside of their anchor."""
        h, w = self._size
        x = torch.arange(w, device=self.offset.device) + self.offset[0]
        y = torch.arange(h, device=self.offset.device)[:, None] + self.offset[1]
        return ((x < -0.5) | (x > w - 0.5) | (y < -0.5) | (y > h - 0.5))[None, None]

    def renew(
        self,
        image: Float[Tensor, "1 c h w"],
        prediction: Float[Tensor, "1 c h2 w2"],
        energy: Float[Tensor, "1 1 h2 w2"],
        is_new: Bool[Tensor, "1 1 h w"],
    ) -> None:
        """Store the finished frame, some of whose pixels are new.

        Args:
            image: The frame.
            prediction: The prediction from which each of its pixels was synthesized.
            energy: Gradient energy of its texture where it was synthesized.
            is_new: Which pixels are not the carried ones.
        """
        self._frames += 1
        if not bool(is_new.any()):
            return
        if self._frames - self._anchored >= self._interval:
            self._keep_newest()
        self.slot = self.slot.masked_fill(is_new[0, 0], 0)
        # Pixels that slot 0 still has are read from this frame, too.
        self.offset = self.offset * (self.slot > 0)
        self._store(0, image, torch.cat([prediction, energy], 1))

    def _keep_newest(self) -> None:
        """Make slot 0 an anchor, in the place of the one with the fewest pixels, which go to the frame that comes."""
        counts = torch.bincount(self.slot.flatten(), minlength=len(self._stored))
        if 1000 * int(counts[0]) < self.slot.numel():
            return
        slot = 1 + int(counts[1:].argmin())
        is_newest, is_given_up = self.slot == 0, self.slot == slot
        self.slot = self.slot.masked_fill(is_newest, slot).masked_fill(is_given_up, 0)
        # Memory is taken when it is needed: a short clip has few anchors.
        if slot >= self._images.shape[2]:
            self._images, self._coarse = (
                torch.cat([values, values[:, :, :1]], 2) for values in (self._images, self._coarse)
            )
        for values in (self._images, self._coarse):
            values[:, :, slot] = values[:, :, 0]
        self._stored[slot], self._anchored = self._stored[0], self._frames

    def _store(self, slot: int, image: Tensor, coarse: Tensor) -> None:
        self._images[:, :, slot] = F.pad(image, [0, 0, _PAD, _PAD], mode="replicate")
        self._coarse[:, :, slot] = coarse
        self._stored[slot] = self._frames

    # -- positions ------------------------------------------------------------------------------------------------

    def _moved(self, flow: Float[Tensor, "2 h w"]) -> tuple[Int[Tensor, "h w"], Float[Tensor, "2 h w"]]:
        """The anchor and the offset of each pixel after the motion `flow`.

        Offsets are interpolated among the neighbors of the same anchor.
        """
        h, w = self._size
        x = (torch.arange(w, device=flow.device) + flow[0]).clamp(0, w - 1)
        y = (torch.arange(h, device=flow.device)[:, None] + flow[1]).clamp(0, h - 1)
        slots, offsets = self.slot.flatten(), self.offset.flatten(1)
        slot = slots[(y.round() * w + x.round()).long()]
        left, top = x.floor(), y.floor()
        total, weights = torch.zeros_like(self.offset), torch.zeros_like(x)
        for column, x_weight in ((left, left + 1 - x), ((left + 1).clamp(max=w - 1), x - left)):
            for row, y_weight in ((top, top + 1 - y), ((top + 1).clamp(max=h - 1), y - top)):
                index = (row * w + column).long()
                weight = x_weight * y_weight * (slots[index] == slot)
                total += weight * offsets[:, index.flatten()].view_as(total)
                weights += weight
        return slot, total / weights.clamp(min=1e-6) + flow

    def _read(
        self, values: Float[Tensor, "1 c k h2 w2"], slot: Int[Tensor, "h w"], offset: Tensor, mode: str, pad: int
    ) -> Float[Tensor, "1 c h w"]:
        """`values` of each pixel's anchor at its position."""
        height, width = values.shape[-2:]
        rows = height - 2 * pad
        # Beyond the border of an anchor lies its mirror image.
        x = _reflected(torch.arange(width, device=slot.device) + offset[0], width)
        y = _reflected(torch.arange(rows, device=slot.device)[:, None] + offset[1], rows)
        # All anchors below one another are one image.
        y = slot * height + pad + y
        atlas = values.flatten(2, 3)
        grid = torch.stack([x * 2 / max(1, width - 1) - 1, y * 2 / (atlas.shape[2] - 1) - 1], -1)
        return F.grid_sample(atlas, grid[None], mode=mode, padding_mode="border", align_corners=True)


def _reflected(position: Tensor, count: int) -> Tensor:
    """`position` along an axis of `count` pixels, reflected at its ends."""
    last = count - 1
    return (last - (last - position.abs()).abs()).clamp(0, last)


def _distortion(
    slot: Int[Tensor, "h w"], offset: Float[Tensor, "2 h w"]
) -> tuple[Float[Tensor, "1 1 h w"], Float[Tensor, "1 1 h w"]]:
    """`Carried.stretch` and `Carried.anisotropy`, from the singular values of the Jacobian of positions in the anchor.

    The stretch is the larger of the largest one and of the inverse of the smallest; the anisotropy is the largest one
    over the smallest.
    """
    # Jacobian I + ∇offset, by differences to the next pixel; 0 across the border of an anchor's area.
    down, across = offset.diff(dim=1), offset.diff(dim=2)
    down, across = down * (slot.diff(dim=0) == 0), across * (slot.diff(dim=1) == 0)
    down, across = F.pad(down, [0, 0, 0, 1]), F.pad(across, [0, 1])
    xx, xy, yx, yy = across[0] + 1, down[0], across[1], down[1] + 1
    # Singular values of a 2x2 matrix: their squares are half of (sum of squares ± root).
    total = xx.square() + xy.square() + yx.square() + yy.square()
    root = ((total.square() - 4 * (xx * yy - xy * yx).square()).clamp(min=0)).sqrt()
    largest, smallest = ((total + root) / 2).sqrt(), ((total - root) / 2).clamp(min=1e-6).sqrt()
    stretch, anisotropy = (
        gaussian_blur(factor.clamp(max=100)[None, None], 1.0)
        for factor in (torch.maximum(largest, 1 / smallest), largest / smallest)
    )
    return stretch, anisotropy
