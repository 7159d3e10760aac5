"""Edit, harmonize and paint: put an image into a stage of the generator, and blend what comes out with a mask."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageFilter
from torch import Tensor

from lonepair.apply.results import finished
from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.media.image import read_image
from lonepair.media.sizes import fit_inside
from lonepair.media.values import as_image
from lonepair.methods.base import Method
from lonepair.ops.arrays import to_pil
from lonepair.ops.color import match_channels
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image

log = logging.getLogger("lonepair")


@torch.no_grad()
def redrawn(
    method: Method, engine: Engine, image: Float[Tensor, "1 c h w"], start: int, seed: int
) -> Float[Tensor, "1 c2 h w"]:
    """`image` as the model draws it from stage `start` up, at the image's own size.

    Raises:
        UserError: for a start stage that does not exist, or an image that is too small.
    """
    last = method.stage
    if not 0 <= start <= last:
        raise UserError(f"start is {start}, the model has {last + 1} stages: choose 0 to {last}")
    own: tuple[int, int] = (image.shape[-2], image.shape[-1])
    if min(own) < method.config.min_side:
        raise UserError(
            f"the image has {own[1]}x{own[0]} pixels: both sides need at least {method.config.min_side} (min_side)"
        )
    full = fit_inside(own, method.config.max_side)
    sizes = method.plan.sizes(full)[: last + 1]
    ready = engine.to_device(resize_image(match_channels(image, method.plan.channels), sizes[-1]))
    with engine.autocast():
        drawn = method.translate(
            ready, sizes, method.domains[-1], start, RandomStream(seed, place=engine.device, lazy=True)
        )
    return resize_image(finished(drawn), own)


def read_mask(value: object, size: tuple[int, int], name: str = "the mask") -> Float[Tensor, "1 1 h w"]:
    """A mask, 1 where something was edited, at `size` = (h, w).

    `value`: a path, a PIL image, an array or a tensor. Colour becomes grey; where an alpha channel says something, it
    is the mask. Another size is fitted, and said.

    Raises:
        UserError: for what is no image, or a mask that marks nothing.
    """
    image = read_image(value) if isinstance(value, str | Path) else as_image(value)
    if image.shape[1] == 4 and float(image[:, 3].min()) < 1:
        log.info("%s has transparent parts: what is opaque is taken as edited", name)
        grey = image[:, 3:]
    else:
        grey = match_channels(image[:, :3] if image.shape[1] == 4 else image, 1)
    mask = (grey + 1) / 2
    if tuple(mask.shape[-2:]) != tuple(size):
        log.info("%s has %dx%d pixels and is fitted to %dx%d", name, *reversed(mask.shape[-2:]), *reversed(size))
        mask = (resize_image(2 * mask - 1, size) + 1) / 2
    mask = (mask > 0.5).float()
    if not bool(mask.any()):
        raise UserError(f"{name} marks nothing: paint what was edited white (or opaque)")
    return mask


def difference_mask(
    edited: Float[Tensor, "1 c h w"], original: Float[Tensor, "1 c2 h2 w2"], threshold: float = 0.1
) -> Float[Tensor, "1 1 h w"]:
    """Where `edited` differs from `original`, fitted to its size, by more than `threshold` of the range [-1, 1].

    Raises:
        UserError: where they do not differ.
    """
    channels = min(edited.shape[1], original.shape[1])
    fitted = resize_image(original, (edited.shape[-2], edited.shape[-1]))
    apart = (match_channels(edited, channels) - match_channels(fitted, channels)).abs().amax(1, keepdim=True)
    mask = (apart > threshold).float()
    if not bool(mask.any()):
        raise UserError("the edited image does not differ from the original; give a mask")
    return mask


def soften(mask: Float[Tensor, "1 1 h w"], dilate: int, feather: float) -> Float[Tensor, "1 1 h w"]:
    """`mask` grown by a disk of `dilate` pixels and blurred with a standard deviation of `feather` pixels, in [0, 1].

    SinGAN dilates by 7 for harmonization and 20 for editing, and blurs with 5. As there, the blurred mask is scaled to
    reach 1: something small is drawn in full, too.
    """
    grown = mask
    if dilate > 0:
        grid = torch.arange(-dilate, dilate + 1)
        disk = (grid[:, None] ** 2 + grid[None] ** 2 <= dilate**2).float()[None, None]
        grown = (torch.nn.functional.conv2d(mask, disk, padding=dilate) > 0.5).float()
    if feather > 0:
        soft = Image.fromarray((grown[0, 0].numpy() * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(feather))
        grown = torch.from_numpy(np.asarray(soft, np.float32) / 255)[None, None]
        grown = grown / grown.max().clamp(min=1e-6)
    return grown


def blend(
    drawn: Float[Tensor, "1 c h w"], original: Float[Tensor, "1 c2 h w"], mask: Float[Tensor, "1 1 h w"]
) -> Float[Tensor, "1 c h w"]:
    """`drawn` where `mask` is 1, `original` where it is 0."""
    return mask * drawn + (1 - mask) * match_channels(original, drawn.shape[1])


def quantized(
    image: Float[Tensor, "1 c h w"], palette_of: Float[Tensor, "1 c2 h2 w2"], colours: int
) -> Float[Tensor, "1 c h w"]:
    """`image` in the `colours` colours that k-means finds in `palette_of`, each pixel the nearest one; alpha is kept.

    SinGAN does so with 5 colours before it draws a painting.

    Raises:
        UserError: for fewer than 2 or more than 256 colours.
    """
    if not 2 <= colours <= 256:
        raise UserError(f"colours is {colours}: choose 2 to 256")
    palette = to_pil(match_channels(palette_of, 3)).quantize(colours, Image.Quantize.MEDIANCUT, kmeans=20)
    reduced = to_pil(match_channels(image, 3)).quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
    flat = match_channels(as_image(reduced), image.shape[1])
    return torch.cat([flat[:, :3], image[:, 3:]], 1) if image.shape[1] == 4 else flat
