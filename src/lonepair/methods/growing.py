"""Functions that the methods with growing generators share: optimizer groups, parameter counts and cost of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lonepair.methods.base import Method
from lonepair.methods.setting_groups import GrowthConfig

if TYPE_CHECKING:
    from lonepair.nets import GrowingGenerator


def generator_groups(generator: GrowingGenerator, lr: float, growth: GrowthConfig) -> list[dict[str, Any]]:
    """Adam parameter groups of the trained stages of a generator.

    Args:
        generator: A generator with at least one stage.
        lr: Learning rate of the newest stage.
        growth: Settings of the generator.
    """
    return [
        # lr · decay^k for the stage k below the newest (ConSinGAN, sec. 3.1).
        {"params": parameters, "lr": lr * growth.stage_lr_decay**back}
        for back, parameters in generator.parameters_by_stage(growth.trained_stages)
    ]


def calibration_frames(count: int) -> slice:
    """Evenly spaced frames, at most 15 of `count`, on which noise amplitudes are calibrated."""
    # Eight frames are enough for a root mean square, and a batch of all frames of a clip would need much memory.
    return slice(None, None, max(1, count // 8))


def generator_parameter_counts(growth: GrowthConfig, width: int, channels: int, head_norm: bool) -> dict[str, int]:
    """Part -> number of parameters of one generator with all its stages.

    Args:
        growth: Settings of the generator.
        width: Channels of its features.
        channels: Channels of the images.
        head_norm: Whether the head is normalized, too.
    """
    # Weights and biases of 3x3 convolutions; a norm has one scale and one shift per channel.
    norm = 2 * width if growth.normalization != "none" else 0
    return {
        "head": 9 * channels * width + width + (norm if head_norm else 0),
        "bodies": growth.stages * growth.blocks_per_stage * (9 * width * width + width + norm),
        "tail": 9 * width * channels + channels,
    }


def step_work(method: Method, critic_steps: int, stage: int) -> float:
    """Cost of a step at `stage` in the unit of `Schedule.work`, for a method with one generator and critic per domain.

    Each step generates images through all stages. A critic update costs about as much as one stage of the same size
    (measured).
    """
    # Generator: the pixels of all its stages. Critic: those of the newest stage, in each of its updates.
    generated = sum(map(method.pixels_per_step, range(stage + 1)))
    return float(generated + critic_steps * method.pixels_per_step(stage))
