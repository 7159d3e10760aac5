"""The growing generator: one network that gains a few layers a stage and hands features, not images, upwards."""

import copy
import functools
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lonepair.nets.bands import Rows, resized, rows_of
from lonepair.nets.blocks import Border, Norm, conv_block, convolution, init_normal
from lonepair.nets.crops import Crops, StageSizes, enlarged_from, together
from lonepair.ops.noise import LARGE, LazyNoise, RandomStream
from lonepair.ops.regions import Regions, Size
from lonepair.ops.resize import resize_corners, resize_features

Surround = Literal["each", "ahead", "enlarge"]
"""Where a stage's convolutions get their border from. `each`: every one is padded by a pixel. `ahead`: zeros around the
stage's input, the convolutions unpadded. `enlarge`: as `ahead`, but the input is enlarged instead of padded, so that
what lies along the border is as random as what lies within (ConSinGAN's unconditional generation)."""


class GrowingGenerator(nn.Module):
    """head (c -> width), one body of `blocks` convolutions a stage, tail (width -> c; tanh unless `squash` is off).

    Stage 0 maps the head's features through its body. Every later stage enlarges the features it is handed, adds
    noise, sends them through its body and adds the enlarged features back (ConSinGAN, sec. 3.1; the thesis' generator
    figure adds BatchNorm). Zero padding tells the network where the border is.
    """

    amplitudes: Tensor

    def __init__(
        self,
        channels: int,
        width: int,
        blocks: int,
        norm: Norm,
        slope: float,
        max_stages: int,
        border: Border = "zeros",
        surround: Surround = "each",
        head_norm: Norm = "none",
        zero_bias: bool = True,
        squash: bool = True,
    ) -> None:
        super().__init__()
        self.channels, self.width, self.surround = channels, width, surround
        self._reach = 0 if surround == "each" else blocks
        padding = 1 if surround == "each" else 0
        self._block = functools.partial(
            conv_block, width, width, norm=norm, slope=slope, padding=padding, border=border
        )
        self._blocks, self._zero_bias = blocks, zero_bias
        self.head = conv_block(channels, width, norm=head_norm, slope=slope, padding=1, border=border)
        self.bodies = nn.ModuleList()
        last = convolution(width, channels, 1, border)
        self.tail = nn.Sequential(last, nn.Tanh()) if squash else nn.Sequential(last)
        self.register_buffer("amplitudes", torch.zeros(max_stages))
        init_normal(self.head, zero_bias)
        init_normal(self.tail, zero_bias)

    def add_stage(self, concurrent: int) -> None:
        """Add a stage: a copy of the one below, which already does nearly the right thing; stage 0 starts at random.

        From here on the `concurrent` newest stages are trained; those before are fixed functions, normalisation
        statistics included. The head is trained as long as the first stage is.
        """
        if len(self.bodies):
            self.bodies.append(copy.deepcopy(self.bodies[-1]))
        else:
            first = nn.Sequential(*(self._block() for _ in range(self._blocks)))
            init_normal(first, self._zero_bias)
            self.bodies.append(first)
        self.train()
        first_trained = max(0, len(self.bodies) - concurrent)
        for stage, body in enumerate(self.bodies):
            body.requires_grad_(stage >= first_trained).train(stage >= first_trained)
        self.head.requires_grad_(first_trained == 0).train(first_trained == 0)

    def trained(self, concurrent: int) -> list[tuple[int, list[nn.Parameter]]]:
        """(stages back from the newest, parameters) of what is trained: ConSinGAN lowers the rate with the first."""
        newest = len(self.bodies) - 1
        groups = [(0, [*self.tail.parameters(), *self.bodies[newest].parameters()])]
        for back in range(1, min(concurrent, newest + 1)):
            groups.append((back, list(self.bodies[newest - back].parameters())))
        if newest < concurrent:
            groups.append((newest, list(self.head.parameters())))
        return groups

    def noise_shape(self, sizes: StageSizes, stage: int) -> tuple[int, int, int, int]:
        """(n, c, h, w) of the noise of `stage`: an image at stage 0, features above, of each crop its own."""
        if stage == 0:
            return (1, self.channels, *sizes[0])
        size, count, reach = sizes[stage], 1, 2 * self._reach if self.surround == "enlarge" else 0
        if isinstance(sizes, Crops) and stage >= self.whole_stages(sizes):
            here = self._places(sizes)[stage]
            size, count = (here if reach else here.grown(self._blocks)).size, len(here)
        return (count, self.width, size[0] + reach, size[1] + reach)

    def noise_maps(self, sizes: StageSizes, rng: RandomStream, start: int = 0) -> list[Any]:
        """Random maps for the stages from `start` on; where the draw is lazy large ones are `LazyNoise`s."""
        shapes = [self.noise_shape(sizes, stage) for stage in range(start, len(sizes))]
        # One by one, as a large map of one picture may be a `LazyNoise`.
        return [
            rng.feature_noise(*shape) if count == 1 else torch.cat([rng.feature_noise(*shape) for _ in range(count)])
            for count, *shape in shapes
        ]

    def cut_noise(self, sizes: StageSizes, stage: int, noise: Float[Tensor, "1 c h w"]) -> Float[Tensor, "n c h2 w2"]:
        """What the crops of `sizes` see of the whole picture's noise of `stage`."""
        if not isinstance(sizes, Crops) or stage < self.whole_stages(sizes):
            return noise
        here, reach = self._places(sizes)[stage], self._reach
        if self.surround != "enlarge":
            return here.grown(self._blocks).cut(noise)
        of = (noise.shape[-2], noise.shape[-1])
        return Regions(of, (here.size[0] + 2 * reach, here.size[1] + 2 * reach), here.corners).cut(noise)

    def whole_stages(self, sizes: StageSizes) -> int:
        """Of so many stages all is drawn: of those above crops, where `sizes` are such."""
        places = self._places(sizes) if isinstance(sizes, Crops) else []
        return next((stage for stage, here in enumerate(places) if not here.is_whole), len(sizes))

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        sizes: StageSizes,
        start_stage: int = 0,
        noises: Sequence[Tensor | LazyNoise] | None = None,
    ) -> Float[Tensor, "n c h2 w2"]:
        """Draw `image` (noise, or an image at stage `start_stage`'s size) at the size of the last of `sizes`, or crops of it.

        Args:
            image: What enters at stage `start_stage`, its size sizes[start_stage]; the stages below are skipped.
            sizes: (h, w) of stage 0 and up; their number says how many stages run. Of `Crops`, `start_stage` is below
                `whole_stages`, and there is one image.
            start_stage: Stage at which the image enters.
            noises: N(0, 1) of `noise_shape` for each of the stages after `start_stage`, scaled here by each stage's
                amplitude; none is added where it is None.
        """
        if isinstance(sizes, Crops):
            return self.crops_and_whole(image, sizes, start_stage, noises)[0]
        if not torch.is_grad_enabled() and sizes[-1][0] * sizes[-1][1] > LARGE:
            return self._in_bands(image, sizes, start_stage, noises)
        drawn: Tensor = self.tail(
            self._features(self.head(image), sizes, range(start_stage, len(sizes)), start_stage, noises)
        )
        return drawn

    def crops_and_whole(
        self,
        image: Float[Tensor, "1 c h w"],
        sizes: Crops,
        start_stage: int = 0,
        noises: Sequence[Tensor | LazyNoise] | None = None,
    ) -> tuple[Float[Tensor, "n c h2 w2"], Float[Tensor, "1 c h3 w3"]]:
        """What `forward` gives, and all of the picture at the last of the stages that are drawn whole."""
        places, last = self._places(sizes), self.whole_stages(sizes)
        features = self._features(self.head(image), sizes, range(start_stage, last), start_stage, noises)
        coarse: Tensor = self.tail(features)
        for stage in range(last, len(sizes)):
            noise = self._noise(stage, start_stage, features.dtype, noises)
            features = self._cropped(features, places[stage - 1], places[stage], stage, noise)
        return sizes.wanted.cut_from(together(self.tail, features), places[-1]), coarse

    def _features(
        self,
        features: Tensor,
        sizes: StageSizes,
        stages: range,
        start_stage: int,
        noises: Sequence[Tensor | LazyNoise] | None,
    ) -> Tensor:
        """`features` through some of the stages, whole."""
        for stage in stages:
            if stage == 0:
                features = self.bodies[0](self._first(features))
                continue
            noise = self._noise(stage, start_stage, features.dtype, noises)
            added = self.bodies[stage](self._around(features, sizes[stage], noise))
            features = self._up(features, sizes[stage]) + added
        return features

    def _noise(
        self, stage: int, start_stage: int, dtype: torch.dtype, noises: Sequence[Tensor | LazyNoise] | None
    ) -> Tensor | None:
        """What of `noises`, for the stages after `start_stage`, is added to the features of `stage`."""
        if noises is None or stage == start_stage:
            return None
        return _scaled(self.amplitudes[stage], dtype, _whole(noises[stage - start_stage - 1]))

    def _places(self, sizes: Crops) -> list[Regions]:
        key = (self._blocks, self._reach, self.surround)
        if key not in sizes.found:
            sizes.found[key] = _places(sizes, *key)
        return sizes.found[key]

    def _cropped(self, features: Tensor, before: Regions, here: Regions, stage: int, noise: Tensor | None) -> Tensor:
        """The features of `stage` at the places `here`, of those of the stage below at `before`."""
        around, reach = here.grown(self._blocks), self._reach
        if self.surround == "enlarge":
            (h, w), (full_h, full_w), beyond = here.size, here.of, 2 * reach
            larger = Regions((full_h + beyond, full_w + beyond), (h + beyond, w + beyond), here.corners)
            seen = _plus(larger.enlarged(features, before, corners=True), noise)
            return here.enlarged(features, before, corners=True) + together(self.bodies[stage], seen)
        enlarged = around.enlarged(features, before, corners=self.surround == "ahead")
        seen = _plus(enlarged, noise)
        if self.surround == "ahead":
            added = together(self.bodies[stage], here.around(seen, around, reach))
            return here.cut_from(enlarged, around) + added
        return here.cut_from(enlarged + together(self.bodies[stage], seen), around)

    def _in_bands(
        self, image: Tensor, sizes: Sequence[Size], start_stage: int, noises: Sequence[Tensor | LazyNoise] | None
    ) -> Tensor:
        """The same, of an image too large for all features at once."""
        if len(image) > 1:
            each = [
                None if noises is None else [_whole(noise)[i : i + 1] for noise in noises] for i in range(len(image))
            ]
            return torch.cat([self._in_bands(image[i : i + 1], sizes, start_stage, own) for i, own in enumerate(each)])
        rows = rows_of(image).through(self.head)
        for stage in range(start_stage, len(sizes)):
            features = rows.whole()
            del rows  # and with it the maps of the stage below
            rows = self._stage_in_bands(features, sizes, stage, start_stage, noises)
        return rows.through(self.tail).whole()

    def _stage_in_bands(
        self,
        features: Tensor,
        sizes: Sequence[Size],
        stage: int,
        start_stage: int,
        noises: Sequence[Tensor | LazyNoise] | None,
    ) -> Rows:
        """What `stage` makes of `features`."""
        if stage == 0:
            return rows_of(self._first(features)).through(self.bodies[0])
        corners = self.surround != "each"
        reach, size = (self._reach if corners else 0), sizes[stage]
        around = (size[0] + 2 * reach, size[1] + 2 * reach) if self.surround == "enlarge" else size
        seen = resized(features, around, corners)
        if noises is not None and stage > start_stage:
            noise = noises[stage - start_stage - 1]
            added = Rows(around, noise.rows) if isinstance(noise, LazyNoise) else rows_of(noise)
            seen = seen.plus(added.each(functools.partial(_scaled, self.amplitudes[stage], features.dtype)))
        body = seen.padded(reach if self.surround == "ahead" else 0).through(self.bodies[stage])
        return body.plus(resized(features, size, corners))

    def _up(self, features: Tensor, size: Size) -> Tensor:
        return resize_features(features, size) if self.surround == "each" else resize_corners(features, size)

    def _around(self, features: Tensor, size: Size, noise: Tensor | None) -> Tensor:
        """What a body after the first sees: `features` at `size`, noise added, and what its convolutions use up."""
        reach = self._reach
        if self.surround == "enlarge":
            size = (size[0] + 2 * reach, size[1] + 2 * reach)
        large = _plus(self._up(features, size), noise)
        return F.pad(large, [reach] * 4) if self.surround == "ahead" else large

    def _first(self, features: Tensor) -> Tensor:
        """What the first body sees."""
        if self.surround == "each":
            return features
        reach = self._reach
        if self.surround == "enlarge":
            features, reach = self._up(features, (features.shape[2] + 2, features.shape[3] + 2)), reach - 1
        return F.pad(features, [reach] * 4)


def _scaled(amplitude: Tensor, dtype: torch.dtype, noise: Tensor) -> Tensor:
    # In the features' own precision: a float32 sum would be converted back by the convolution.
    return (amplitude * noise).to(dtype)


def _plus(features: Tensor, noise: Tensor | None) -> Tensor:
    return features if noise is None else features + noise


def _whole(noise: Tensor | LazyNoise) -> Tensor:
    return noise.materialize() if isinstance(noise, LazyNoise) else noise


def _places(sizes: Crops, blocks: int, reach: int, surround: Surround) -> list[Regions]:
    """Which features of each stage the crops hang on: crops of some, and of the coarse ones all."""

    def hangs_on(first: Int[Tensor, " n"], length: int, old: int, new: int) -> tuple[Int[Tensor, " n"], int]:
        # What of `old` values along an axis of the stage below `length` of the `new` features are made of.
        if surround == "enlarge":
            # The larger map's share of them begins no later and ends no earlier than the map's own.
            return enlarged_from(first, length + 2 * reach, old, new + 2 * reach, True)
        return enlarged_from(first, length, old, new, surround != "each")

    places = sizes.wanted.grown(1)
    found = [places]
    for stage in range(len(sizes) - 1, 0, -1):
        below = sizes[stage - 1]
        if not places.is_whole:
            places = (places if surround == "enlarge" else places.grown(blocks)).below(below, hangs_on)
        if places.is_whole or stage == 1 or len(places) * places.size[0] * places.size[1] >= below[0] * below[1]:
            places = Regions.whole(below, places.corners.device)
        found.append(places)
    return found[::-1]
