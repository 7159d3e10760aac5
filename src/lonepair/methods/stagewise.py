"""The base class of methods with a separate generator at every stage: widths, new stages and parameter counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lonepair.lazy import lazy
from lonepair.methods.base import Method
from lonepair.methods.config import Config
from lonepair.methods.types import Plan, Size

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import nets
    from lonepair.nets import StagewiseGenerator
    from lonepair.ops import resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    nets = lazy("lonepair.nets")
    resize = lazy("lonepair.ops.resize")


class StagewiseMethod(Method):
    """A method whose stages are separate generators; their widths grow with the stage (SinGAN, supplementary)."""

    def __init__(self, config: Config, plan: Plan) -> None:
        super().__init__(config, plan)
        self._widths: Sequence[int] = nets.widths_by_stage(plan.stages, config.width, config.max_width)

    def _new_stage(self, critics: Sequence[str], padding: int, norm: nets.Norm) -> nets.StageGenerator:
        """Return a generator for the current stage, and replace the critics where the width changes.

        Args:
            critics: Names of the critics in `nets`. Where the width stays, they keep their weights.
            padding: Padding of each convolution in pixels, 0 or 1.
            norm: Normalization of the generator.
        """
        c, width = self.config, self._widths[self.stage]
        # Weights of another width do not fit; otherwise the critic of the stage below is the better start.
        if self.stage == 0 or width != self._widths[self.stage - 1]:
            for name in critics:
                self.nets[name] = nets.PatchCritic(
                    self.plan.channels, width, c.convolutions, c.leaky_slope, norm="batch", zero_bias=False
                )
        return nets.StageGenerator(self.plan.channels, width, c.convolutions, c.leaky_slope, padding, norm)

    def _image_noise(self, rng: RandomStream, sizes: Sequence[Size]) -> list[Tensor]:
        """A noise map (1, c, h, w) of N(0, 1) for each of `sizes`, with the channels of the images."""
        return [rng.feature_noise(self.plan.channels, *size) for size in sizes]

    def _zero_image(self, size: Size, batch: int = 1) -> Tensor:
        """Zeros (b, c, h, w), such as the image below stage 0."""
        return torch.zeros(batch, self.plan.channels, *size, device=next(self.nets.buffers()).device)

    def _step_work(self, stage: int) -> float:
        """Cost of an update of generator and critic at `stage`, as in `Schedule.work`.

        A stage below is only evaluated, which costs a third of its training. Cost grows with the squared width.
        """
        shares = [(1.0 if n == stage else 1 / 3) * (self._widths[n] / 64) ** 2 for n in range(stage + 1)]
        return sum(share * self.pixels_per_step(n) for n, share in enumerate(shares))

    def _parameters_by_stage(self) -> list[int]:
        """Number of parameters of the generator of each planned stage."""
        c, inner = self.plan.channels, self.config.convolutions - 2
        # First and inner convolutions have a bias and two parameters of normalization per channel, the last a bias.
        return [(9 * c * w + 3 * w) + inner * (9 * w * w + 3 * w) + (9 * w * c + c) for w in self._widths]


def run_stages(
    generator: StagewiseGenerator,
    image: Tensor,
    noises: Sequence[Tensor | None],
    sizes: Sequence[Size],
    first: int = 0,
) -> Tensor:
    """Run one stage of `generator` for each of `noises`; each stage receives the upsampled output of the one below.

    Args:
        generator: The generators of all stages.
        image: (b, c, h, w) in [-1, 1] that enters stage `first`.
        noises: N(0, 1) of each stage from `first` on, coarsest first; None for a stage without noise.
        sizes: (h, w) of all stages from stage 0 on.
        first: The first stage to run.

    Returns:
        The output of the last stage, or `image` itself if there are no `noises`.
    """
    # SinGAN, eq. 1 and 2: x_n = G_n(z_n, upsampled x_{n-1}).
    for stage, stage_noise in enumerate(noises, first):
        image = generator.stage(stage, upsample(image, sizes[stage]), stage_noise)
    return image


def upsample(image: Tensor, size: Size) -> Tensor:
    """`image` (b, c, h, w) of one stage at the (h, w) `size` of another, float32 in [-1, 1]."""
    return resize.resize_image(image.float(), size)
