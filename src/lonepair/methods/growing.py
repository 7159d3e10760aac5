"""What the methods with growing generators share: ConSinGAN's settings, and their parameter counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lonepair.methods.base import AdversarialConfig, Config, Method


@dataclass(frozen=True)
class GeneratorConfig(Config):
    """Settings of a generator that gains a few convolutions a stage; the numbers are ConSinGAN's."""

    stages: int = 6
    """Number of stages, 2 to 12; each adds `blocks_per_stage` convolutions."""
    pyramid_rule: Literal["consingan", "geometric"] = "consingan"
    """How sizes grow between min_side and max_side: ConSinGAN's rule (many small stages) or one constant ratio."""
    width: int = 64
    """Channels inside the networks."""
    blocks_per_stage: int = 3
    """Convolution blocks a stage."""
    normalization: Literal["none", "batch", "instance"] = "none"
    """Normalisation inside the generators' stages."""
    leaky_slope: float = 0.05
    """Negative slope of LeakyReLU."""
    trained_stages: int = 3
    """How many of the newest stages train together; older ones are frozen."""
    stage_lr_decay: float = 0.1
    """Factor on the learning rate for each stage further back among them."""

    def problems(self) -> list[str]:
        found = super().problems()
        if not 2 <= self.stages <= 12:
            found.append(f"stages is {self.stages}: choose 2 to 12")
        found += self.too_small(1, "width", "blocks_per_stage", "trained_stages")
        return found + self.no_share("stage_lr_decay")

    def generator_parameter_counts(self, channels: int, head_norm: bool) -> dict[str, int]:
        """Parameters of one generator with all stages, by part."""
        w = self.width
        norm = 2 * w if self.normalization != "none" else 0
        return {
            "head": 9 * channels * w + w + (norm if head_norm else 0),
            "bodies": self.stages * self.blocks_per_stage * (9 * w * w + w + norm),
            "tail": 9 * w * channels + channels,
        }


@dataclass(frozen=True)
class GrowingConfig(GeneratorConfig, AdversarialConfig):
    """Settings of a growing generator that is trained against a critic."""

    critic_steps: int = 3
    """Critic updates a step."""

    def problems(self) -> list[str]:
        return super().problems() + self.too_small(1, "critic_steps")


def step_work(method: Method, config: GrowingConfig, stage: int) -> float:
    """Cost of a step at `stage`: all stages' generators, as every update sends its images through all of them, and as
    much again for a critic's update of as many pixels (as measured)."""
    drawn = sum(map(method.pixels_per_step, range(stage + 1)))
    return float(drawn + config.critic_steps * method.pixels_per_step(stage))
