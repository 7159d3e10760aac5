"""Stability: whether a translated clip flickers where its source does not (Lai et al., ECCV 2018). Range [0, ∞)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.ops.flow import estimate_flow, reliable_mask, warp
from lonepair.ops.resize import resize


@dataclass(frozen=True)
class Stability:
    """Temporal metrics of a translated clip; read them together."""

    error: float
    """Warping error of the output along the source's flow: mean squared difference of pixels in [-1, 1]. 0: steady."""
    source_error: float
    """Warping error of the source itself: the contribution of flow errors, noise and changing light."""
    sharpness: float
    """Mean absolute gradient of the output divided by the target's. Near 1 is best: a blurred clip has a low error."""
    tracked_fraction: float
    """Fraction of the pixels, in [0, 1], in which the source's flow is reliable. Errors are measured there only."""


def stability(
    output: Iterable[Float[Tensor, "1 c h w"]],
    source: Iterable[Float[Tensor, "1 c2 h2 w2"]],
    target: Float[Tensor, "1 c h3 w3"],
) -> Stability:
    """The warping error (Lai et al., ECCV 2018, eq. 11) of `output` along the optical flow of `source`.

    Each pixel of a frame is compared with the pixel of the previous frame that the source's flow points to, where that
    flow is reliable (`ops.flow.reliable_mask`). About 0.05 s a frame at 220x220.

    Args:
        output: Frames in [-1, 1]; two of each clip are in memory at a time.
        source: As many frames in [-1, 1]; they are resized to the output's size.
        target: An image in [-1, 1]; its gradient is the reference for `sharpness`.

    Returns:
        The metrics; errors of a clip of one frame are 0.

    Raises:
        UserError: OpenCV is not installed.
    """
    # Sums over frames, so that only two frames of each clip are in memory.
    error, source_error, tracked_pixels, pixels, gradients, frames = 0.0, 0.0, 0.0, 0, 0.0, 0
    previous: tuple[Tensor, Tensor] | None = None
    for output_frame, source_frame in _pairs_of_frames(output, source):
        gradients, frames = gradients + mean_gradient(output_frame), frames + 1
        if previous is not None:
            previous_output, previous_source = previous
            # The flow of the source, in both directions for the reliability test. The output's own flow would follow
            # its flicker.
            backward = estimate_flow(source_frame, previous_source)
            forward = estimate_flow(previous_source, source_frame)
            mask = reliable_mask(backward, forward)
            # Lai et al., eq. 11: the squared difference to the warped previous frame, where the mask is 1.
            error += _squared_error(output_frame, warp(previous_output, backward), mask)
            source_error += _squared_error(source_frame, warp(previous_source, backward), mask)
            tracked_pixels, pixels = tracked_pixels + float(mask.sum()), pixels + mask.numel()
        previous = output_frame, source_frame
    # Means over the reliable pixels; a clip of one frame has none.
    return Stability(
        error / max(1, tracked_pixels),
        source_error / max(1, tracked_pixels),
        gradients / max(1, frames) / max(mean_gradient(target), 1e-9),
        tracked_pixels / max(1, pixels),
    )


def mean_gradient(image: Float[Tensor, "1 c h w"]) -> float:
    """The mean absolute difference between neighboring pixels."""
    return float((image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()) / 2)


def _pairs_of_frames(output: Iterable[Tensor], source: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Each output frame with its source frame at the same size."""
    for output_frame, source_frame in zip(output, source, strict=True):
        size = (output_frame.shape[-2], output_frame.shape[-1])
        yield output_frame, resize(source_frame, size).clamp(-1, 1)


def _squared_error(
    one: Float[Tensor, "1 c h w"], other: Float[Tensor, "1 c h w"], mask: Bool[Tensor, "1 1 h w"]
) -> float:
    """The sum over the pixels of `mask` of the squared difference, averaged over channels."""
    return float(torch.where(mask, (one - other).square().mean(1, keepdim=True), 0.0).sum())
