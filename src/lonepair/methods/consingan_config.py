"""Settings of `consingan` and their presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lonepair.methods.config import Config
from lonepair.methods.setting_groups import (
    AdamConfig,
    AdversarialConfig,
    ClipConfig,
    CriticStepsConfig,
    CropConfig,
    GrowthConfig,
    NetworkConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
)


@dataclass(frozen=True)
class ConSinGANConfig(Config):
    """Settings of `consingan`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 250},
        "standard": {"max_side": 188, "steps": 1000},
        "full": {},
        "animation": {"task": "animation", "min_side": 20},
        "harmonization": {
            "task": "harmonization",
            "stages": 3,
            "min_side": 120,
            "pyramid_rule": "geometric",
            "normalization": "instance",
            "leaky_slope": 0.3,
            "steps": 1000,
        },
        "editing": {"task": "editing", "normalization": "instance", "steps": 1000},
    }
    """full is what the authors ran for their samples; animation, harmonization and editing are what they ran for those
    three. draft and standard are full at fewer pixels and steps."""

    size: SizeConfig = SizeConfig(max_side=250)
    growth: GrowthConfig = GrowthConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    network: NetworkConfig = NetworkConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    critic: CriticStepsConfig = CriticStepsConfig()
    adam: AdamConfig = AdamConfig()
    crop: CropConfig = CropConfig()
    clip: ClipConfig = ClipConfig()
    task: Literal["generation", "retargeting", "animation", "harmonization", "editing"] = "generation"
    """Task of the model; it decides the input of the generator in training, and the padding at the border."""
    generator_steps: int = 3
    """Adam steps of the generator in a training step, 1 or more, all on one gradient. The paper has 1, the released
    code 3. A larger value learns faster and less steadily."""
    fine_tuning_steps: int = 2000
    """Steps of the fine-tuning on a composite, 1 or more; it takes the place of `steps` there."""

    def problems(self) -> list[str]:
        return super().problems() + self.below(1, "generator_steps", "fine_tuning_steps")
