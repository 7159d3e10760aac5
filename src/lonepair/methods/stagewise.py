"""What the methods with one generator a stage share: SinGAN's widths, new stages and parameter counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lonepair.lazy import lazy
from lonepair.methods.base import Method
from lonepair.methods.config import Config
from lonepair.methods.types import Plan

if TYPE_CHECKING:
    from lonepair import nets
else:
    nets = lazy("lonepair.nets")


class StagewiseMethod(Method):
    """A method whose stages are networks of their own, each as wide as the pyramid says there."""

    def __init__(self, config: Config, plan: Plan) -> None:
        super().__init__(config, plan)
        self._widths: Sequence[int] = nets.widths_by_stage(plan.stages, config.width, config.max_width)

    def _new_stage(self, critics: Sequence[str], padding: int, norm: nets.Norm) -> nets.StageGenerator:
        """A generator for the current stage; `critics`, names in `nets`, are made anew where the width changes."""
        c, width = self.config, self._widths[self.stage]
        if self.stage == 0 or width != self._widths[self.stage - 1]:
            for name in critics:
                self.nets[name] = nets.PatchCritic(
                    self.plan.channels, width, c.convolutions, c.leaky_slope, norm="batch", zero_bias=False
                )
        return nets.StageGenerator(self.plan.channels, width, c.convolutions, c.leaky_slope, padding, norm)

    def _work(self, stage: int) -> float:
        """A step's cost at `stage` (see `Schedule.work`): stages below only rng, a third of what training costs."""
        shares = [(1.0 if n == stage else 1 / 3) * (self._widths[n] / 64) ** 2 for n in range(stage + 1)]
        return sum(share * self.pixels_per_step(n) for n, share in enumerate(shares))

    def _stage_parts(self) -> list[int]:
        """Parameters of each stage's generator."""
        c, n = self.plan.channels, self.config.convolutions - 2
        return [(9 * c * w + 3 * w) + n * (9 * w * w + 3 * w) + (9 * w * c + c) for w in self._widths]
