"""Motion of a source clip for metrics: estimated, or known, between frames that are one or ten apart.

`source_steps` reads a clip once and gives, for each frame, the pairs of frames that the metrics of clips compare.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.metrics.texture import fine_texture, new_blocks, texture_strength
from lonepair.ops.blur import gaussian_blur
from lonepair.ops.color import match_channels
from lonepair.ops.flow import check_opencv, estimate_flow, reliable_mask
from lonepair.ops.resize import resize_image

GAP = 10
"""Distance in frames of the pairs that show slow drift."""
GAP_STEP = 5
"""Every fifth frame begins such a pair, so that few frames are in memory."""

MOVING = 1.0
"""Motion in pixels a frame above which a pixel moves."""
STILL = 0.1
"""Motion in pixels a frame below which a pixel stands still."""
EVIDENCE = 2.0
"""Squared difference of two frames without motion, over that along it, above which an estimated motion is real."""
EVIDENCE_SIGMA = 3.0
"""Standard deviation in pixels of the window in which they are compared."""
MIN_STRENGTH = 0.03**2
"""Energy of the source's gradients, in [-1, 1], above which its motion can be seen: four grey levels a pixel."""


@runtime_checkable
class Motion(Protocol):
    """The motion of a clip between two of its frames."""

    def between(
        self, index: int, earlier: int, frame: Float[Tensor, "1 c h w"], earlier_frame: Float[Tensor, "1 c h w"]
    ) -> tuple[Float[Tensor, "1 2 h w"], Bool[Tensor, "1 1 h w"]]:
        """The flow of frame number `index` to frame number `earlier`, in pixels, and where it is reliable."""
        ...


class EstimatedMotion:
    """DIS flow in both directions; reliable where both agree (`ops.flow.reliable_mask`) and the frames show the motion.

    A codec's blocks and a sensor's noise move flat areas in both directions alike, where no motion explains as much.
    """

    def between(
        self, index: int, earlier: int, frame: Float[Tensor, "1 c h w"], earlier_frame: Float[Tensor, "1 c h w"]
    ) -> tuple[Float[Tensor, "1 2 h w"], Bool[Tensor, "1 1 h w"]]:
        backward = estimate_flow(frame, earlier_frame)
        resting, moving = (
            gaussian_blur((frame - other).square().mean(1, keepdim=True), EVIDENCE_SIGMA)
            for other in (earlier_frame, carry(earlier_frame, backward))
        )
        is_seen = (backward.norm(dim=1, keepdim=True) < STILL) | (resting > EVIDENCE * moving)
        return backward, reliable_mask(backward, estimate_flow(earlier_frame, frame)) & is_seen


@dataclass(frozen=True)
class FramePair:
    """A frame of the source beside an earlier one, both of one scene."""

    gap: int
    """Distance in frames: 1 or `GAP`."""
    earlier: int
    """Number of the earlier frame."""
    flow: Float[Tensor, "1 2 h w"]
    """(dx, dy) in pixels: position in the earlier frame, less the own."""
    mask: Bool[Tensor, "1 1 h w"]
    """Where the flow is reliable and the pixel is visible in the earlier frame."""
    frame: Float[Tensor, "1 c h w"]
    """The source's frame."""
    earlier_frame: Float[Tensor, "1 c h w"]

    @cached_property
    def moving(self) -> Bool[Tensor, "1 1 h w"]:
        """Where the source reliably moves by more than a pixel a frame."""
        return self.mask & (self._speed > MOVING)

    @cached_property
    def still(self) -> Bool[Tensor, "1 1 h w"]:
        """Where the source reliably stands still."""
        return self.mask & (self._speed < STILL)

    @cached_property
    def visibly_moving(self) -> Bool[Tensor, "1 1 h w"]:
        """Where the source moves and has texture, so that its motion can be seen."""
        return self.moving & (texture_strength(self.frame) > MIN_STRENGTH)

    @cached_property
    def new_blocks(self) -> Bool[Tensor, "1 1 rows columns"]:
        """The blocks in which the source's own texture is new."""
        earlier = carry(fine_texture(self.earlier_frame), self.flow)
        return new_blocks(fine_texture(self.frame), earlier, self.mask)

    @property
    def _speed(self) -> Float[Tensor, "1 1 h w"]:
        speed: Tensor = self.flow.norm(dim=1, keepdim=True) / self.gap
        return speed


@dataclass(frozen=True)
class SourceStep:
    """A frame of the source, and the earlier frames that its translation is compared with."""

    index: int
    frame: Float[Tensor, "1 c h w"]
    """In [-1, 1], at the output's size."""
    pairs: list[FramePair]
    """The frame before, and every fifth frame the one `GAP` frames before. Empty after a cut."""
    needed: frozenset[int]
    """Numbers of the frames, this one included, that later steps compare with."""


def source_steps(
    source: Iterable[Float[Tensor, "1 c h w"]],
    size: tuple[int, int],
    channels: int,
    motion: Motion | None = None,
    cuts: Collection[int] = (),
) -> Iterator[SourceStep]:
    """Read a source clip once, with the motion that metrics need. At most four frames are in memory.

    Args:
        source: Frames in [-1, 1]. Each is resized to `size`.
        size: (h, w) of the output that is measured.
        channels: Channels of the output, 1 or 3.
        motion: The known motion at `size`; None estimates it.
        cuts: Numbers of the frames that begin a scene. No pair lies across a cut. In a clip whose cuts are unknown,
            flow across a cut is hardly ever reliable.

    Raises:
        UserError: OpenCV is not installed, or the frames are too small for optical flow.
    """
    check_opencv()
    motion = motion or EstimatedMotion()
    memory: dict[int, Tensor] = {}
    scene_start = 0
    for index, image in enumerate(source):
        frame = resize_image(match_channels(image, channels), size)
        if index in cuts:
            scene_start = index
        # Ten frames apart only every fifth frame: the sums run over enough pixels, and memory holds two such frames.
        gaps = [1, GAP] if index % GAP_STEP == 0 else [1]
        pairs = []
        for gap in gaps:
            earlier = index - gap
            if earlier >= scene_start:
                flow, mask = motion.between(index, earlier, frame, memory[earlier])
                pairs.append(FramePair(gap, earlier, flow, mask, frame, memory[earlier]))
        memory[index] = frame
        needed = frozenset(i for i in memory if i == index or (i % GAP_STEP == 0 and i > index - GAP))
        memory = {i: image for i, image in memory.items() if i in needed}
        yield SourceStep(index, frame, pairs, needed)


def carry(image: Float[Tensor, "1 c h w"], flow: Float[Tensor, "1 2 h w"]) -> Float[Tensor, "1 c h w"]:
    """`image` at the positions that the flow of each pixel points to, by a Lanczos kernel of 8x8 pixels.

    Bilinear interpolation would blur fine texture, which then counts as new although it moves with its surface.
    Outside of the image its border repeats. Positions are rounded to 1/32 of a pixel.
    """
    cv2: Any = importlib.import_module("cv2")
    h, w = image.shape[-2:]
    x = (torch.arange(w) + flow[0, 0]).contiguous().numpy()
    y = (torch.arange(h)[:, None] + flow[0, 1]).contiguous().numpy()
    pixels = image[0].permute(1, 2, 0).contiguous().numpy()
    warped = cv2.remap(pixels, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(warped.reshape(h, w, -1)).permute(2, 0, 1)[None].contiguous()


def chain(flow: Float[Tensor, "1 2 h w"], earlier_flow: Float[Tensor, "1 2 h w"]) -> Float[Tensor, "1 2 h w"]:
    """The flow from a frame to an earlier one and on from there: w(x) + w'(x + w(x))."""
    return flow + carry(earlier_flow, flow)
