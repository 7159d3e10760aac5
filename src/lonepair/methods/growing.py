"""What the methods with growing generators share: parameter counts, and the work of a step."""

from __future__ import annotations

from lonepair.methods.base import Method
from lonepair.methods.setting_groups import GrowthConfig


def generator_parameter_counts(growth: GrowthConfig, width: int, channels: int, head_norm: bool) -> dict[str, int]:
    """Part -> number of parameters of one generator with all its stages.

    Args:
        growth: Settings of the generator.
        width: Channels inside it.
        channels: Channels of the images.
        head_norm: Whether the head is normalized, too.
    """
    norm = 2 * width if growth.normalization != "none" else 0
    return {
        "head": 9 * channels * width + width + (norm if head_norm else 0),
        "bodies": growth.stages * growth.blocks_per_stage * (9 * width * width + width + norm),
        "tail": 9 * width * channels + channels,
    }


def step_work(method: Method, critic_steps: int, stage: int) -> float:
    """Work of a step at `stage`, as in `Schedule.work`.

    Every update sends its images through the generators of all stages; a critic's update of as many pixels costs as
    much again (measured).
    """
    generated = sum(map(method.pixels_per_step, range(stage + 1)))
    return float(generated + critic_steps * method.pixels_per_step(stage))
