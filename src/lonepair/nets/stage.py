"""One stage of a growing generator, evaluated on a full image, on crops of it, or in bands of rows.

Every stage after the first computes (ConSinGAN, sec. 3.1)

    features_n = up(features_{n-1}) + body_n(border(up(features_{n-1}) + amplitude_n · noise_n)).

`StageGeometry` states once how `up` and `border` work and how far the body reads. The three functions below it are the
equation for a full image (training on small images), for crops (training on large ones) and for bands of rows (large
images in use, where the features of a full image would fill the memory).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lonepair.nets.bands import Rows, as_rows, resized_rows
from lonepair.nets.blocks import InstanceNorm
from lonepair.ops.regions import Regions, Size
from lonepair.ops.resize import resize_align_corners, resize_features

BorderMode = Literal["padded_layers", "zero_margin", "upsampled_margin"]
"""Where the border of a stage's convolutions comes from.

- `padded_layers`: every convolution pads its input by a pixel.
- `zero_margin`: the stage's input gets a margin of zeros, and the convolutions are unpadded.
- `upsampled_margin`: the stage's input is upsampled to a larger size instead, so that the border is as random as the
  interior (ConSinGAN's unconditional generation)."""


@dataclass(frozen=True)
class StageGeometry:
    """How the stages of a generator read the features below: receptive field, upsampling and border."""

    convolutions: int
    """3x3 convolutions of a stage: it reads this many pixels around each."""
    border_mode: BorderMode

    @property
    def align_corners(self) -> bool:
        """Whether upsampling keeps the centres of the corner pixels in the corners, as ConSinGAN does."""
        return self.border_mode != "padded_layers"

    @property
    def zero_margin(self) -> int:
        """Pixels of zeros on each side of a stage's input."""
        return self.convolutions if self.border_mode == "zero_margin" else 0

    @property
    def upsampled_margin(self) -> int:
        """Pixels on each side by which a stage's input is larger than its output."""
        return self.convolutions if self.border_mode == "upsampled_margin" else 0

    def input_size(self, size: Size) -> Size:
        """(h, w) of the features and the noise that enter a stage of output `size`, before a margin of zeros."""
        return size[0] + 2 * self.upsampled_margin, size[1] + 2 * self.upsampled_margin

    def input_regions(self, regions: Regions) -> Regions:
        """The regions of a stage's input, of `input_size`, that `regions` of its output depend on."""
        if self.upsampled_margin:
            # A pixel of the output is the centre of its receptive field, `upsampled_margin` further on in the input.
            return Regions(self.input_size(regions.map_size), self.input_size(regions.size), regions.top_left)
        return regions.expanded(self.convolutions)

    def features_below(self, regions: Regions, size: Size) -> Regions:
        """The regions of the features below, of (h, w) `size`, that `regions` of a stage's output depend on."""
        if not self.upsampled_margin:
            support = functools.partial(upsampling_support, align_corners=self.align_corners)
            return self.input_regions(regions).input_regions(size, support)

        def support_of_both(first: Tensor, length: int, old: int, new: int) -> tuple[Tensor, int]:
            # The larger of two upsamplings: that of the body's input, which includes the pixels of the shortcut.
            margin = 2 * self.upsampled_margin
            return upsampling_support(first, length + margin, old, new + margin, align_corners=True)

        return regions.input_regions(size, support_of_both)


def upsampling_support(
    first: Int[Tensor, " n"], length: int, old: int, new: int, align_corners: bool
) -> tuple[Int[Tensor, " n"], int]:
    """The inputs that a bicubic upsampling from `old` to `new` values reads for outputs [first, first + length).

    Returns:
        The first input, which may lie outside the axis, and a number of inputs that is enough for every `first`.
    """
    # Integer arithmetic gives the position of output i in the input: i · (old-1) / (new-1) with aligned corners, else
    # (i + 1/2) · old / new - 1/2. The positions of the outputs are `step` apart.
    if align_corners:
        low, step = first * (old - 1) // max(1, new - 1), (old - 1, max(1, new - 1))
    else:
        low, step = ((2 * first + 1) * old - new) // (2 * new), (old, new)
    # The cubic kernel reads one input before the position and two after it.
    return low - 1, 4 - (1 - length) * step[0] // step[1]


# -- the full image ---------------------------------------------------------------------------------------------------


def upsample(features: Float[Tensor, "b c h w"], size: Size, align_corners: bool) -> Float[Tensor, "b c h2 w2"]:
    """`features` at (h, w) `size`, bicubic."""
    return resize_align_corners(features, size) if align_corners else resize_features(features, size)


def stage_on_full_image(
    body: nn.Module, geometry: StageGeometry, features: Float[Tensor, "b c h w"], size: Size, noise: Tensor | None
) -> Float[Tensor, "b c h2 w2"]:
    """Features of a stage of (h, w) `size` from all `features` below; `noise`, of `input_size`, is already scaled."""
    # up(features) + amplitude · noise, at the size that the body reads.
    inputs = upsample(features, geometry.input_size(size), geometry.align_corners)
    if noise is not None:
        inputs = inputs + noise
    if geometry.zero_margin:
        inputs = F.pad(inputs, [geometry.zero_margin] * 4)
    residual: Tensor = body(inputs)
    # With an upsampled margin the input is larger than the output, so the shortcut is upsampled separately.
    return upsample(features, size, geometry.align_corners) + residual


def first_stage_input(geometry: StageGeometry, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """What the body of stage 0 reads: there is nothing to upsample, but its convolutions need their border, too."""
    margin = geometry.convolutions
    if geometry.border_mode == "padded_layers":
        return features
    if geometry.border_mode == "upsampled_margin":
        # One pixel of the margin is upsampled, the others are zeros, as in the released code.
        features, margin = upsample(features, (features.shape[2] + 2, features.shape[3] + 2), True), margin - 1
    return F.pad(features, [margin] * 4)


# -- crops ------------------------------------------------------------------------------------------------------------


def stage_on_crops(
    body: nn.Module,
    geometry: StageGeometry,
    features: Float[Tensor, "m c h w"],
    source: Regions,
    regions: Regions,
    noise: Tensor | None,
) -> Float[Tensor, "n c h2 w2"]:
    """Features of a stage at `regions`, from `features` below at the regions `source`.

    `noise`, already scaled, is that of `geometry.input_regions(regions)`.
    """
    # The body's input: the regions, and the pixels around them that the convolutions read.
    input_regions = geometry.input_regions(regions)
    upsampled = input_regions.upsample(features, source, geometry.align_corners)
    inputs = upsampled if noise is None else upsampled + noise
    if geometry.border_mode == "padded_layers":
        # The outer pixels of the residual read a crop's border where the image goes on; they are cut off.
        return regions.crop_from(upsampled + apply_with_shared_statistics(body, inputs), input_regions)
    # The convolutions of the other two modes are unpadded, and the residual has the size of the regions.
    if geometry.border_mode == "zero_margin":
        inputs = regions.crop_with_zeros(inputs, input_regions, geometry.zero_margin)
        shortcut = regions.crop_from(upsampled, input_regions)
    else:
        shortcut = regions.upsample(features, source, geometry.align_corners)
    return shortcut + apply_with_shared_statistics(body, inputs)


def apply_with_shared_statistics(layers: nn.Module, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
    """`layers` of crops of one image, normalized by the statistics of all crops instead of each crop's own."""
    for layer in layers.children() if isinstance(layers, nn.Sequential) else [layers]:
        if isinstance(layer, nn.Sequential):
            features = apply_with_shared_statistics(layer, features)
        elif isinstance(layer, InstanceNorm):
            # One crop alone may be a flat area, whose own statistics would amplify its noise.
            features = F.batch_norm(features, None, None, layer.weight, layer.bias, training=True)
        else:
            features = layer(features)
    return features


# -- bands of rows ----------------------------------------------------------------------------------------------------


def stage_in_bands(
    body: nn.Module, geometry: StageGeometry, features: Float[Tensor, "1 c h w"], size: Size, noise: Rows | None
) -> Rows:
    """Features of a stage of (h, w) `size`, as rows that are computed on demand; `noise` is already scaled."""
    inputs = resized_rows(features, geometry.input_size(size), geometry.align_corners)
    if noise is not None:
        inputs = inputs.add(noise)
    residual = inputs.zero_pad(geometry.zero_margin).apply(body)
    return residual.add(resized_rows(features, size, geometry.align_corners))


def first_stage_in_bands(body: nn.Module, geometry: StageGeometry, features: Float[Tensor, "1 c h w"]) -> Rows:
    """Features of stage 0, as rows that are computed on demand."""
    return as_rows(first_stage_input(geometry, features)).apply(body)
