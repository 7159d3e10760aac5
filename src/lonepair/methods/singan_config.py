"""Settings of `singan` and their presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lonepair.methods.config import Config
from lonepair.methods.setting_groups import (
    AdamConfig,
    AdversarialConfig,
    CriticStepsConfig,
    NetworkConfig,
    PyramidConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
)

SUPERRESOLUTION_RATIO = 0.5 ** (1 / 3)
"""Nominal ratio between two sizes for super-resolution, 1 / 1.26 (released code)."""


@dataclass(frozen=True)
class SinGANConfig(Config):
    """Settings of `singan`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 200},
        "standard": {"max_side": 188, "steps": 800},
        "full": {},
        "animation": {"task": "animation", "min_side": 20},
        "superresolution": {
            "task": "superresolution",
            "lambda_rec": 100.0,
            "min_side": 18,
            "pyramid_ratio": SUPERRESOLUTION_RATIO,
        },
    }
    """full is what the authors ran for their samples, edits and paintings; animation and superresolution are what they
    ran for those two. draft and standard are full at fewer pixels and steps."""

    size: SizeConfig = SizeConfig(max_side=250)
    pyramid: PyramidConfig = PyramidConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    network: NetworkConfig = NetworkConfig(width=32, leaky_slope=0.2)
    adversarial: AdversarialConfig = AdversarialConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    critic: CriticStepsConfig = CriticStepsConfig()
    adam: AdamConfig = AdamConfig()
    task: Literal["generation", "animation", "superresolution"] = "generation"
    """Use of the model. For animation the noise extends beyond the border, so that the image moves there, too. For
    superresolution the last stage adds detail repeatedly, in steps of about 1.26."""
    generator_steps: int = 3
    """Generator updates in a step, 1 or more. A larger value is slower."""

    def problems(self) -> list[str]:
        return super().problems() + self.below(1, "generator_steps")
