"""Complete images with a model of one image: the networks propose a layout, patches of the image make the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.methods.single import SingleMethod
from lonepair.ops.color import match_channels
from lonepair.ops.noise import RandomStream
from lonepair.patches import completion
from lonepair.patches.completion import PartialImage
from lonepair.patches.sites import Axes
from lonepair.render.results import output_image
from lonepair.render.sampling import sizes_for
from lonepair.render.trained_model import TrainedModel

MAX_PIXELS = 4096 * 4096
"""Largest number of pixels of a completed image, so that a mistyped size does not exhaust the memory."""


def training_image(model: TrainedModel) -> Float[Tensor, "1 c h w"]:
    """The training image as the model stores it, in [-1, 1] on the CPU: its detail, else at training size."""
    exemplar = model.method.exemplar(model.method.domains[0])
    assert exemplar is not None
    image = exemplar() if exemplar.detail is None else exemplar.detail
    return output_image(image)


def complete_image(
    model: TrainedModel, canvas: PartialImage, source: PartialImage, seed: int, wraps: Axes = (False, False)
) -> Float[Tensor, "1 c h w"]:
    """`canvas` with unknown pixels made of patches of `source`, in [-1, 1] on the CPU; known pixels stay equal.

    Args:
        model: A model of one image that stores an exemplar; its settings of patch synthesis apply.
        canvas: The image to complete.
        source: The image that patches come from, at the same scale.
        seed: Random seed of the layout and of the search.
        wraps: Whether the result continues across its top and bottom, and across its left and right border.

    Raises:
        UserError: for an image with too many pixels, or too few known ones.
    """
    config, engine = model.method.synthesis, model.engine
    assert config is not None
    h, w = canvas.size
    if h * w > MAX_PIXELS:
        raise UserError(f"size is {w}x{h}: more than {MAX_PIXELS / 1e6:.0f} megapixels; choose a smaller one")
    if min(h, w) < config.patch_size:
        raise UserError(f"size is {w}x{h}: both sides need at least {config.patch_size} pixels")
    if not bool(completion.full_patches(source.known, config.patch_size).any()):
        side = config.patch_size
        raise UserError(f"the image has no known square of {side}x{side} pixels to take patches from: mark less of it")
    layout = network_layout(model, canvas, max(source.size), seed)
    is_own = source is canvas
    canvas = PartialImage(canvas.image.to(engine.device), canvas.known.to(engine.device))
    source = canvas if is_own else PartialImage(source.image.to(engine.device), source.known.to(engine.device))
    result = completion.complete(canvas, source, config, wraps, layout, seed)
    return torch.where(canvas.known, canvas.image, result).cpu().contiguous()


def fill_hole(
    model: TrainedModel, image: Float[Tensor, "1 c h w"], hole: Float[Tensor, "1 1 h w"], seed: int
) -> Float[Tensor, "1 c h w"]:
    """`image` with the pixels at which `hole` is above 0 made of patches of the others; see `complete_image`."""
    partial = PartialImage(image, hole[0, 0] == 0)
    return complete_image(model, partial, partial, seed)


@torch.no_grad()
def network_layout(
    model: TrainedModel, canvas: PartialImage, longest: int, seed: int
) -> Float[Tensor, "1 c h w"] | None:
    """A rough picture of `canvas` by the networks, beside its known pixels; None where it is too small for them.

    The networks reconstruct the training image from its coarsest size, and draw random images from noise. Here the
    coarsest image is known in part, and noise elsewhere.

    Args:
        longest: Longest side, in pixels at the canvas's scale, of an image as large as the training image.
        seed: Random seed of the noise.
    """
    method, engine = model.method, model.engine
    assert isinstance(method, SingleMethod)
    growth = longest / max(method.sizes["a"][-1])
    try:
        sizes = sizes_for(method, "a", canvas.size, growth)
    except UserError:
        return None
    rng = RandomStream.for_sample(seed, 0, engine.device)
    maps = method.noise_maps(sizes, rng)
    coarse = canvas.resized(sizes[0])
    image = engine.to_device(match_channels(coarse.image, method.plan.channels))
    known = coarse.known.to(engine.device)
    with engine.autocast():
        layout = method.render([torch.where(known, image, maps[0]), *maps[1:]], sizes)
    return match_channels(layout.float().clamp(-1, 1), canvas.image.shape[1])


def extended(image: Float[Tensor, "1 c h w"], by: tuple[int, int, int, int]) -> tuple[PartialImage, PartialImage]:
    """`image`, all known, and a canvas that has `by` = (left, right, top, bottom) unknown pixels around it."""
    source = PartialImage(image, torch.ones(image.shape[-2:], dtype=torch.bool))
    return source, PartialImage(F.pad(image, by), F.pad(source.known, by))


def border(own: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Pixels (left, right, top, bottom) around an image of (h, w) `own` in the middle of `size`; below 0: cut off."""
    extra_h, extra_w = size[0] - own[0], size[1] - own[1]
    return extra_w // 2, extra_w - extra_w // 2, extra_h // 2, extra_h - extra_h // 2


def centered(
    image: Float[Tensor, "1 c h w"], size: tuple[int, int], margins: Sequence[float]
) -> tuple[PartialImage, PartialImage]:
    """`image`, all known, and a canvas of `size` that shows its middle.

    Args:
        size: (h, w) in pixels.
        margins: Share of the canvas's height and width that is unknown at either border.
    """
    source, canvas = extended(image, border((image.shape[-2], image.shape[-1]), size))
    for axis, margin in enumerate(margins):
        band = math.ceil(margin * size[axis])
        canvas.known.narrow(axis, 0, band).fill_(False)
        canvas.known.narrow(axis, size[axis] - band, band).fill_(False)
    return source, canvas
