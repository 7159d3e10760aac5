"""Stability: whether a redrawn clip moves as its source does, rather than flickering."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.flow import estimate_flow, reliable_mask, warp
from lonepair.ops.resize import resize


@dataclass(frozen=True)
class Stability:
    """What is measured of a clip; none of it means much without the others."""

    error: float
    """Warping error of the output over the source's flow: mean squared difference, [-1, 1] pixels. 0 is steady."""
    source_error: float
    """The same of the source itself: what flow, noise and light leave even of a real clip."""
    sharpness: float
    """Mean absolute gradient of the output over the target's: a blurred clip is steady, too."""
    tracked_fraction: float
    """Share of the pixels in which the source's flow is reliable. The errors are measured there only."""


def stability(
    output: Iterable[Float[Tensor, "1 c h w"]],
    source: Iterable[Float[Tensor, "1 c2 h2 w2"]],
    target: Float[Tensor, "1 c h3 w3"],
) -> Stability:
    """Warping error (Lai et al., ECCV 2018, eq. 11) of `output` along the optical flow of `source`.

    Each pixel of a frame is compared with where the source's flow says it was in the frame before, if that can be
    followed (`video.flow.reliable`). Frames are streamed, two of each clip held; the source is fitted to the output's
    size. About 0.05 s a frame at 220x220. A clip of one frame has error 0.

    Raises:
        UserError: where OpenCV is not installed.
    """
    moved, own, counted, pixels, sharp, frames = 0.0, 0.0, 0.0, 0, 0.0, 0
    before: tuple[Tensor, Tensor] | None = None
    for now in _together(output, source):
        sharp, frames = sharp + gradient(now[0]), frames + 1
        if before is not None:
            back, forth = estimate_flow(now[1], before[1]), estimate_flow(before[1], now[1])
            mask = reliable_mask(back, forth)
            moved += _apart(now[0], warp(before[0], back), mask)
            own += _apart(now[1], warp(before[1], back), mask)
            counted, pixels = counted + float(mask.sum()), pixels + mask.numel()
        before = now
    contrast = sharp / max(1, frames) / max(gradient(target), 1e-9)
    return Stability(moved / max(1, counted), own / max(1, counted), contrast, counted / max(1, pixels))


def gradient(image: Float[Tensor, "1 c h w"]) -> float:
    """Mean absolute difference of neighbouring pixels."""
    return float((image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()) / 2)


def _together(output: Iterable[Tensor], source: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    for ours, theirs in zip(output, source, strict=True):
        yield ours, resize(theirs, (ours.shape[-2], ours.shape[-1])).clamp(-1, 1)


def _apart(one: Tensor, other: Tensor, mask: Tensor) -> float:
    return float(torch.where(mask, (one - other).square().mean(1, keepdim=True), 0.0).sum())
