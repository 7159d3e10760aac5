"""Stagewise generators: a network of its own at every stage, which hands its image to the next (SinGAN)."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.bands import as_rows
from lonepair.nets.blocks import Norm, conv_block, init_normal
from lonepair.ops.noise import LARGE


class StageGenerator(nn.Module):
    """`layers` Conv 3x3, all but the last with normalisation and LeakyReLU, tanh at the end.

    With `padding` 0 each side loses `layers` pixels, and the caller pads the input; with 1 the size is kept.
    """

    def __init__(self, channels: int, width: int, layers: int, negative_slope: float, padding: int, norm: Norm) -> None:
        super().__init__()
        widths = [channels] + [width] * (layers - 1)
        conv_blocks = [
            conv_block(inputs, outputs, norm=norm, negative_slope=negative_slope, padding=padding)
            for inputs, outputs in itertools.pairwise(widths)
        ]
        self.body = nn.Sequential(*conv_blocks)
        self.tail = nn.Sequential(nn.Conv2d(width, channels, 3, padding=padding), nn.Tanh())
        init_normal(self, zero_bias=False)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """What the stage draws."""
        if not torch.is_grad_enabled() and image.shape[-2] * image.shape[-1] > LARGE:
            each = (as_rows(one[None]).apply(self.body).apply(self.tail) for one in image)
            return torch.cat([rows.full() for rows in each])
        drawn: Tensor = self.tail(self.body(image))
        return drawn


class StagewiseGenerator(nn.Module):
    """A stack of `StageGenerator`s: each takes the enlarged image of the stage below plus noise, and draws the next.

    Its drawing is added to the enlarged image (SinGAN, eq. 3), or, in stages that are not `residual`, replaces it.
    With `pad` pixels the noise and the image are each surrounded by zeros before they meet (SinGAN); with 0 the
    convolutions pad (Structural Analogy).
    """

    amplitudes: Tensor

    def __init__(self, max_stages: int, pad: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        self.residual: list[bool] = []
        self._pad = pad
        self.register_buffer("amplitudes", torch.zeros(max_stages))

    def add_stage(self, stage: StageGenerator, residual: bool) -> None:
        """Add `stage`, with the weights of the one below where it is as wide; those below are fixed from here on."""
        if len(self.stages):
            below = self.stages[-1].requires_grad_(False).eval().state_dict()
            if all(below[name].shape == tensor.shape for name, tensor in stage.state_dict().items()):
                stage.load_state_dict(below)
        self.stages.append(stage)
        self.residual.append(residual)

    def stage(
        self, index: int, previous: Float[Tensor, "b c h w"], noise: Float[Tensor, "b c h2 w2"] | None
    ) -> Float[Tensor, "b c h w"]:
        """What stage `index` makes of `previous`, the image of the stage below at this stage's size.

        `noise`, scaled here by the stage's amplitude, has `previous`' size, or is larger by `pad` on every side, to be
        random beyond the border, too; None is none.
        """
        pad = self._pad
        seen = F.pad(previous, [pad] * 4)
        if noise is not None:
            margin = (seen.shape[-1] - noise.shape[-1]) // 2
            seen = seen + self.amplitudes[index] * F.pad(noise, [margin] * 4)
        drawn: Tensor = self.stages[index](seen)
        return drawn + previous if self.residual[index] else drawn


def widths_by_stage(stages: int, base: int = 32, largest: int = 128) -> Sequence[int]:
    """Channels of every stage: `base`, doubled every four stages, `largest` at most (SinGAN, supplementary)."""
    return [min(base * 2 ** (stage // 4), largest) for stage in range(stages)]
