"""Stagewise generators: a separate network for each stage, which passes its image to the next one (SinGAN)."""

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
    """`convolutions` 3x3 convolutions, all but the last one with normalization and LeakyReLU, and tanh.

    With `padding` 1 the output has the input's size. With 0 it loses `convolutions` pixels on each side, and the caller
    pads the input.
    """

    def __init__(
        self, channels: int, width: int, convolutions: int, negative_slope: float, padding: int, norm: Norm
    ) -> None:
        super().__init__()
        widths = [channels] + [width] * (convolutions - 1)
        conv_blocks = [
            conv_block(inputs, outputs, norm=norm, negative_slope=negative_slope, padding=padding)
            for inputs, outputs in itertools.pairwise(widths)
        ]
        self.body = nn.Sequential(*conv_blocks)
        self.tail = nn.Sequential(nn.Conv2d(width, channels, 3, padding=padding), nn.Tanh())
        init_normal(self, zero_bias=False)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """The stage's output for the padded input `image`."""
        if not torch.is_grad_enabled() and image.shape[-2] * image.shape[-1] > LARGE:
            # One image at a time: bands bound the memory of one.
            all_rows = (as_rows(one[None]).apply(self.body).apply(self.tail) for one in image)
            return torch.cat([rows.full() for rows in all_rows])
        output: Tensor = self.tail(self.body(image))
        return output


class StagewiseGenerator(nn.Module):
    """A stack of `StageGenerator`s: each maps the upsampled image of the stage below, plus noise, to the next image.

    The output of a `residual` stage is added to the upsampled image (SinGAN, eq. 3); that of another stage replaces it.
    """

    amplitudes: Tensor
    """Standard deviation of the noise of each stage."""

    def __init__(self, max_stages: int, pad: int) -> None:
        """
        Args:
            max_stages: Number of stages when training is complete.
            pad: Pixels of zeros on each side of the image and of the noise before they are added (SinGAN); 0 where the
                convolutions pad (Structural Analogy).
        """
        super().__init__()
        self.stages = nn.ModuleList()
        self.residual: list[bool] = []
        self._pad = pad
        self.register_buffer("amplitudes", torch.zeros(max_stages))

    def add_stage(self, stage: StageGenerator, residual: bool) -> None:
        """Add `stage`, with the weights of the stage below if that has the same width; stages below are frozen."""
        if len(self.stages):
            below = self.stages[-1].requires_grad_(False).eval().state_dict()
            if all(below[name].shape == tensor.shape for name, tensor in stage.state_dict().items()):
                stage.load_state_dict(below)
        self.stages.append(stage)
        self.residual.append(residual)

    def stage(
        self, index: int, previous: Float[Tensor, "b c h w"], noise: Float[Tensor, "b c h2 w2"] | None
    ) -> Float[Tensor, "b c h w"]:
        """The image of stage `index`.

        Args:
            index: Stage, 0 or more.
            previous: The image of the stage below, at this stage's size.
            noise: N(0, 1), scaled here by the stage's amplitude; None: no noise. Of `previous`' size, or `pad` pixels
                larger on each side, for a random border.
        """
        # SinGAN adds noise to the padded image, so that a noise map of the padded size reaches into the border.
        inputs = F.pad(previous, [self._pad] * 4)
        if noise is not None:
            margin = (inputs.shape[-1] - noise.shape[-1]) // 2
            inputs = inputs + self.amplitudes[index] * F.pad(noise, [margin] * 4)
        output: Tensor = self.stages[index](inputs)
        # SinGAN, eq. 4.
        return output + previous if self.residual[index] else output


def widths_by_stage(stages: int, base: int = 32, largest: int = 128) -> Sequence[int]:
    """Channels of each stage: `base`, doubled every four stages, `largest` at most (SinGAN, supplementary)."""
    return [min(base * 2 ** (stage // 4), largest) for stage in range(stages)]
