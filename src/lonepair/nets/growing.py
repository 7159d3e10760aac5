"""The growing generator: one network that gains a few layers a stage and hands features, not images, upwards."""

import copy
import functools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.blocks import Border, Norm, conv_block, init_normal
from lonepair.resize import resize_features

Size = tuple[int, int]


class GrowingGenerator(nn.Module):
    """head (c -> width), one body of `blocks` convolutions a stage, tail (width -> c, tanh).

    Stage 0 maps the head's features through its body. Every later stage enlarges the features it is handed, adds
    noise, sends them through its body and adds the enlarged features back (ConSinGAN, sec. 3.1; the thesis' generator
    figure adds BatchNorm). Zero padding of 1 keeps the size, and tells the network where the border is.
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
    ) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        self._block = functools.partial(conv_block, width, width, norm=norm, slope=slope, padding=1, border=border)
        self._blocks = blocks
        self.head = conv_block(channels, width, norm="none", slope=slope, padding=1, border=border)
        self.bodies = nn.ModuleList()
        self.tail = nn.Sequential(nn.Conv2d(width, channels, 3, padding=1, padding_mode=border), nn.Tanh())
        self.register_buffer("amplitudes", torch.zeros(max_stages))
        init_normal(self.head)
        init_normal(self.tail)

    def grow(self) -> None:
        """Add a stage: a copy of the one below, which already does nearly the right thing; stage 0 starts at random."""
        if len(self.bodies):
            self.bodies.append(copy.deepcopy(self.bodies[-1]))
            return
        body = nn.Sequential(*(self._block() for _ in range(self._blocks)))
        init_normal(body)
        self.bodies.append(body)

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        sizes: Sequence[Size],
        entry: int = 0,
        noises: Sequence[Tensor] | None = None,
    ) -> Float[Tensor, "b c h2 w2"]:
        """Draw `image` (noise, or an image at stage `entry`'s size) at the size of the last of `sizes`.

        Args:
            image: What enters at stage `entry`, its size sizes[entry]; the stages below are skipped.
            sizes: (h, w) of stage 0 and up; their number says how many stages run.
            entry: Stage at which the image enters.
            noises: (b, width, h, w) of N(0, 1) for each of the stages after `entry`, scaled here by each stage's
                amplitude; none is added where it is None.
        """
        features = self.head(image)
        for stage in range(entry, len(sizes)):
            if stage == 0:
                features = self.bodies[0](features)
                continue
            features = resize_features(features, sizes[stage])
            disturbed = features
            if noises is not None and stage > entry:
                # In the features' own precision: a float32 sum would be converted back by the convolution.
                disturbed = features + (self.amplitudes[stage] * noises[stage - entry - 1]).to(features.dtype)
            features = features + self.bodies[stage](disturbed)
        drawn: Tensor = self.tail(features)
        return drawn
