"""The growing generator: one network that gains a few layers a stage and hands features, not images, upwards."""

import copy
import functools
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.bands import Rows, resized, rows_of
from lonepair.nets.blocks import Border, Norm, conv_block, init_normal
from lonepair.noise import LARGE, Field
from lonepair.resize import resize_corners, resize_features

Size = tuple[int, int]

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
        last = nn.Conv2d(width, channels, 3, padding=1, padding_mode=border)
        self.tail = nn.Sequential(last, nn.Tanh()) if squash else nn.Sequential(last)
        self.register_buffer("amplitudes", torch.zeros(max_stages))
        init_normal(self.head, zero_bias)
        init_normal(self.tail, zero_bias)

    def grow(self, concurrent: int) -> None:
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

    def noise_shape(self, size: Size, stage: int) -> tuple[int, int, int]:
        """(c, h, w) of the noise of `stage`, whose image is `size`: an image at stage 0, features above."""
        if stage == 0:
            return (self.channels, *size)
        reach = 2 * self._reach if self.surround == "enlarge" else 0
        return (self.width, size[0] + reach, size[1] + reach)

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        sizes: Sequence[Size],
        entry: int = 0,
        noises: Sequence[Tensor | Field] | None = None,
    ) -> Float[Tensor, "b c h2 w2"]:
        """Draw `image` (noise, or an image at stage `entry`'s size) at the size of the last of `sizes`.

        Args:
            image: What enters at stage `entry`, its size sizes[entry]; the stages below are skipped.
            sizes: (h, w) of stage 0 and up; their number says how many stages run.
            entry: Stage at which the image enters.
            noises: N(0, 1) of `noise_shape` for each of the stages after `entry`, scaled here by each stage's
                amplitude; none is added where it is None.
        """
        if not torch.is_grad_enabled() and sizes[-1][0] * sizes[-1][1] > LARGE:
            return self._in_bands(image, sizes, entry, noises)
        features = self.head(image)
        for stage in range(entry, len(sizes)):
            if stage == 0:
                features = self.bodies[0](self._first(features))
                continue
            noise = None
            if noises is not None and stage > entry:
                noise = _scaled(self.amplitudes[stage], features.dtype, _whole(noises[stage - entry - 1]))
            added = self.bodies[stage](self._around(features, sizes[stage], noise))
            features = self._up(features, sizes[stage]) + added
        drawn: Tensor = self.tail(features)
        return drawn

    def _in_bands(
        self, image: Tensor, sizes: Sequence[Size], entry: int, noises: Sequence[Tensor | Field] | None
    ) -> Tensor:
        """The same, of an image too large for all features at once."""
        if len(image) > 1:
            each = [
                None if noises is None else [_whole(noise)[i : i + 1] for noise in noises] for i in range(len(image))
            ]
            return torch.cat([self._in_bands(image[i : i + 1], sizes, entry, own) for i, own in enumerate(each)])
        corners = self.surround != "each"
        rows = rows_of(image).through(self.head)
        for stage in range(entry, len(sizes)):
            features = rows.whole()
            if stage == 0:
                rows = rows_of(self._first(features)).through(self.bodies[0])
                continue
            reach, size = (self._reach if corners else 0), sizes[stage]
            around = (size[0] + 2 * reach, size[1] + 2 * reach) if self.surround == "enlarge" else size
            seen = resized(features, around, corners)
            if noises is not None and stage > entry:
                noise = noises[stage - entry - 1]
                added = Rows(around, noise.rows) if isinstance(noise, Field) else rows_of(noise)
                seen = seen.plus(added.each(functools.partial(_scaled, self.amplitudes[stage], features.dtype)))
            body = seen.padded(reach if self.surround == "ahead" else 0).through(self.bodies[stage])
            rows = resized(features, size, corners).plus(body)
        return rows.through(self.tail).whole()

    def _up(self, features: Tensor, size: Size) -> Tensor:
        return resize_features(features, size) if self.surround == "each" else resize_corners(features, size)

    def _around(self, features: Tensor, size: Size, noise: Tensor | None) -> Tensor:
        """What a body after the first sees: `features` at `size`, noise added, and what its convolutions use up."""
        reach = self._reach
        if self.surround == "enlarge":
            size = (size[0] + 2 * reach, size[1] + 2 * reach)
        large = self._up(features, size)
        if noise is not None:
            large = large + noise
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


def _whole(noise: Tensor | Field) -> Tensor:
    return noise.whole() if isinstance(noise, Field) else noise
