"""The growing generator: one network that gains a few convolutions a stage and passes features, not images, upwards."""

import copy
import functools
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.bands import Rows, as_rows
from lonepair.nets.blocks import Norm, PaddingMode, conv_block, convolution, init_normal
from lonepair.nets.crops import Crops, StageSizes
from lonepair.nets.stage import (
    BorderMode,
    StageGeometry,
    apply_with_shared_statistics,
    first_stage_in_bands,
    first_stage_input,
    stage_in_bands,
    stage_on_crops,
    stage_on_full_image,
)
from lonepair.ops.noise import LARGE, LazyNoise, RandomStream
from lonepair.ops.regions import Size

Noises = Sequence[Tensor | LazyNoise] | None
"""N(0, 1) of `GrowingGenerator.noise_shape` for each stage after the one at which an image enters; None: no noise."""


class GrowingGenerator(nn.Module):
    """A head (c -> width), a body of `blocks` convolutions for each stage, a tail (width -> c; tanh if `final_tanh`).

    Stage 0 applies its body to the head's features. Every later stage upsamples the features of the stage below, adds
    noise, applies its body and adds the upsampled features (ConSinGAN, sec. 3.1; the thesis' generator figure adds
    BatchNorm): the equation in `nets.stage`. Zero padding tells the network where the border is.
    """

    amplitudes: Tensor
    """Standard deviation of the noise of each stage."""

    def __init__(
        self,
        channels: int,
        width: int,
        blocks: int,
        norm: Norm,
        negative_slope: float,
        max_stages: int,
        padding_mode: PaddingMode = "zeros",
        border_mode: BorderMode = "padded_layers",
        head_norm: Norm = "none",
        zero_bias: bool = True,
        final_tanh: bool = True,
    ) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        self.geometry = StageGeometry(blocks, border_mode)
        self._block = functools.partial(
            conv_block,
            width,
            width,
            norm=norm,
            negative_slope=negative_slope,
            padding=1 if border_mode == "padded_layers" else 0,
            padding_mode=padding_mode,
        )
        self._zero_bias = zero_bias
        self.head = conv_block(
            channels, width, norm=head_norm, negative_slope=negative_slope, padding=1, padding_mode=padding_mode
        )
        self.bodies = nn.ModuleList()
        last = convolution(width, channels, 1, padding_mode)
        self.tail = nn.Sequential(last, nn.Tanh()) if final_tanh else nn.Sequential(last)
        self.register_buffer("amplitudes", torch.zeros(max_stages))
        init_normal(self.head, zero_bias)
        init_normal(self.tail, zero_bias)

    # -- stages -----------------------------------------------------------------------------------------------------

    def add_stage(self, trained_stages: int) -> None:
        """Add a stage: a copy of the one below, which is a good start; stage 0 is initialized at random.

        The newest `trained_stages` stages are trained from now on. The stages below them are frozen, normalization
        statistics included. The head is trained while stage 0 is.
        """
        # The new body
        if len(self.bodies):
            self.bodies.append(copy.deepcopy(self.bodies[-1]))
        else:
            first = nn.Sequential(*(self._block() for _ in range(self.geometry.convolutions)))
            init_normal(first, self._zero_bias)
            self.bodies.append(first)
        # Train the newest stages, freeze the others. Evaluation mode also freezes BatchNorm's running averages.
        self.train()
        first_trained = max(0, len(self.bodies) - trained_stages)
        for stage, body in enumerate(self.bodies):
            body.requires_grad_(stage >= first_trained).train(stage >= first_trained)
        self.head.requires_grad_(first_trained == 0).train(first_trained == 0)

    def parameters_by_stage(self, trained_stages: int) -> list[tuple[int, list[nn.Parameter]]]:
        """(number of stages below the newest, parameters) of each trained part, for ConSinGAN's learning rates."""
        newest = len(self.bodies) - 1
        # The tail belongs to the newest stage, the head to stage 0.
        groups = [(0, [*self.tail.parameters(), *self.bodies[newest].parameters()])]
        for back in range(1, min(trained_stages, newest + 1)):
            groups.append((back, list(self.bodies[newest - back].parameters())))
        if newest < trained_stages:
            groups.append((newest, list(self.head.parameters())))
        return groups

    # -- noise ------------------------------------------------------------------------------------------------------

    def noise_shape(self, sizes: StageSizes, stage: int) -> tuple[int, int, int, int]:
        """(n, c, h, w) of the noise of `stage`: an image at stage 0, features above; n is the number of crops."""
        if stage == 0:
            return (1, self.channels, *sizes[0])
        if isinstance(sizes, Crops) and stage >= self.full_image_stages(sizes):
            regions = self.geometry.input_regions(sizes.regions_by_stage(self.geometry)[stage])
            return (len(regions), self.width, *regions.size)
        return (1, self.width, *self.geometry.input_size(sizes[stage]))

    def noise_maps(self, sizes: StageSizes, rng: RandomStream, start_stage: int = 0) -> list[Any]:
        """Random maps for the stages from `start_stage` on; large ones are `LazyNoise` if `rng` is lazy."""
        shapes = [self.noise_shape(sizes, stage) for stage in range(start_stage, len(sizes))]
        # A single map is not concatenated, as it may be a `LazyNoise`.
        return [
            rng.feature_noise(*shape) if count == 1 else torch.cat([rng.feature_noise(*shape) for _ in range(count)])
            for count, *shape in shapes
        ]

    def crop_noise(self, sizes: StageSizes, stage: int, noise: Float[Tensor, "1 c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """The crops of `sizes` of a full image's `noise` at `stage`."""
        if not isinstance(sizes, Crops) or stage < self.full_image_stages(sizes):
            return noise
        return self.geometry.input_regions(sizes.regions_by_stage(self.geometry)[stage]).crop(noise)

    def full_image_stages(self, sizes: StageSizes) -> int:
        """Number of stages that compute the full image: all, or those below the first that computes crops."""
        by_stage = sizes.regions_by_stage(self.geometry) if isinstance(sizes, Crops) else []
        return next((stage for stage, regions in enumerate(by_stage) if not regions.is_full_image), len(sizes))

    def _scaled_noise(self, stage: int, start_stage: int, noises: Noises, dtype: torch.dtype) -> Tensor | None:
        """The scaled noise that `stage` adds to its input; `noises` are those of the stages after `start_stage`."""
        # The start stage has no noise: the image that enters takes its place.
        if noises is None or stage == start_stage:
            return None
        return self._scale_noise(stage, dtype, _full_noise(noises[stage - start_stage - 1]))

    def _scale_noise(self, stage: int, dtype: torch.dtype, noise: Tensor) -> Tensor:
        # In the features' own precision: a float32 sum would be converted back by the convolution.
        return (self.amplitudes[stage] * noise).to(dtype)

    # -- images -----------------------------------------------------------------------------------------------------

    def forward(
        self, image: Float[Tensor, "b c h w"], sizes: StageSizes, start_stage: int = 0, noises: Noises = None
    ) -> Float[Tensor, "n c h2 w2"]:
        """The generated image at the last of `sizes`, or crops of it.

        Args:
            image: Noise, or an image, of size sizes[start_stage]; it enters there, and the stages below are skipped.
                For `Crops` there is one.
            sizes: (h, w) of stage 0 to the last stage to run. For `Crops`, `start_stage` is less than
                `full_image_stages`.
            start_stage: Stage at which the image enters.
            noises: Scaled here by the `amplitudes`.
        """
        if isinstance(sizes, Crops):
            return self.crops_and_coarse_image(image, sizes, start_stage, noises)[0]
        if not torch.is_grad_enabled() and sizes[-1][0] * sizes[-1][1] > LARGE:
            # One image at a time: bands bound the memory of one.
            images = enumerate(torch.split(image, 1))
            return torch.cat([self._in_bands(one, sizes, start_stage, _select(noises, i, image)) for i, one in images])
        output: Tensor = self.tail(self._full_features(image, sizes, range(start_stage, len(sizes)), noises))
        return output

    def crops_and_coarse_image(
        self, image: Float[Tensor, "1 c h w"], sizes: Crops, start_stage: int = 0, noises: Noises = None
    ) -> tuple[Float[Tensor, "n c h2 w2"], Float[Tensor, "1 c h3 w3"]]:
        """The crops that `forward` returns, and the full image at the last stage that computes it."""
        regions, full_stages = sizes.regions_by_stage(self.geometry), self.full_image_stages(sizes)
        # Coarse stages compute the full image: crops of a small map would overlap and cost more.
        features = self._full_features(image, sizes, range(start_stage, full_stages), noises)
        coarse: Tensor = self.tail(features)
        # Fine stages compute the regions that the crops depend on.
        for stage in range(full_stages, len(sizes)):
            noise = self._scaled_noise(stage, start_stage, noises, features.dtype)
            features = stage_on_crops(
                self.bodies[stage], self.geometry, features, regions[stage - 1], regions[stage], noise
            )
        # The tail reads a pixel more on each side than the crops have.
        crops = apply_with_shared_statistics(self.tail, features)
        return sizes.regions.crop_from(crops, regions[-1]), coarse

    def _full_features(self, image: Tensor, sizes: StageSizes, stages: range, noises: Noises) -> Tensor:
        """The full image's features at the last of `stages`; `image` enters at the first."""
        features: Tensor = self.head(image)
        for stage in stages:
            if stage == 0:
                features = self.bodies[0](first_stage_input(self.geometry, features))
                continue
            noise = self._scaled_noise(stage, stages.start, noises, features.dtype)
            features = stage_on_full_image(self.bodies[stage], self.geometry, features, sizes[stage], noise)
        return features

    def _in_bands(self, image: Tensor, sizes: Sequence[Size], start_stage: int, noises: Noises) -> Tensor:
        """`forward` for one image too large for the features of a full image to fit in memory."""
        rows = as_rows(image).apply(self.head)
        for stage in range(start_stage, len(sizes)):
            features = rows.full()
            del rows  # It refers to the maps of the stage below.
            if stage == 0:
                rows = first_stage_in_bands(self.bodies[0], self.geometry, features)
                continue
            # Noise: computed band by band where it is lazy.
            size, noise = sizes[stage], None
            if noises is not None and stage > start_stage:
                full = noises[stage - start_stage - 1]
                lazy = Rows(self.geometry.input_size(size), full.rows) if isinstance(full, LazyNoise) else as_rows(full)
                noise = lazy.map(functools.partial(self._scale_noise, stage, features.dtype))
            rows = stage_in_bands(self.bodies[stage], self.geometry, features, size, noise)
        return rows.apply(self.tail).full()


def _full_noise(noise: Tensor | LazyNoise) -> Tensor:
    return noise.materialize() if isinstance(noise, LazyNoise) else noise


def _select(noises: Noises, index: int, images: Tensor) -> Noises:
    """The noise of one of `images`; that of a single image may stay lazy."""
    if noises is None or len(images) == 1:
        return noises
    return [_full_noise(noise)[index : index + 1] for noise in noises]
