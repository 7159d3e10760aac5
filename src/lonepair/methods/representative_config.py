"""Settings of `representative` and their presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lonepair.methods.config import Config
from lonepair.methods.setting_groups import (
    MAX_LAYERS,
    AdamConfig,
    AdversarialConfig,
    BorderConfig,
    ClipConfig,
    CriticStepsConfig,
    CropConfig,
    CycleConfig,
    FinestStepsConfig,
    GrowthConfig,
    NetworkConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
    TranslationConfig,
)


@dataclass(frozen=True)
class RepresentativeConfig(Config):
    """Settings of `representative`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 400, "finest_steps": 50},
        "standard": {"max_side": 176, "steps": 1000, "finest_steps": 250},
        "full": {},
        "thesis": {
            "window_fraction": 1.0,
            "crop_size": 0,
            "min_side": 25,
            "reflect_pad_fraction": 0.0,
            "normalization": "batch",
            "real_image_probability": 0.0,
            "translation_noise_scale": 0.0,
            "cycle_channels": "colour",
            "lambda_cyc": 10.0,
            "lambda_rec": 1.0,
            "activates_scores": True,
        },
    }
    """full has the sizes and the 2000 steps a stage of ConSinGAN; draft and standard are smaller and shorter. thesis is
    the thesis to the letter; docs/explanation/thesis.md goes through its equations."""

    size: SizeConfig = SizeConfig(min_side=40)
    translation: TranslationConfig = TranslationConfig(reflect_pad_fraction=0.125)
    growth: GrowthConfig = GrowthConfig(normalization="instance")
    border: BorderConfig = BorderConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    finest: FinestStepsConfig = FinestStepsConfig()
    network: NetworkConfig = NetworkConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    cycle: CycleConfig = CycleConfig(lambda_cyc=2.0)
    critic: CriticStepsConfig = CriticStepsConfig(critic_steps=1)
    adam: AdamConfig = AdamConfig()
    crop: CropConfig = CropConfig(crop_size=128)
    clip: ClipConfig = ClipConfig()
    critic_blocks: int = 5
    """Convolution blocks of a critic, 2 to 64: a score depends on a patch of 2 x critic_blocks + 1 pixels a side. A
    larger value compares larger shapes and is slower."""
    activates_scores: bool = False
    """Apply LeakyReLU to a critic's scores, too, as the text of the thesis says of each of its five blocks."""
    lambda_adv: float = 1.0
    """Weight of the adversarial terms of the generators, 0 or more. A larger value gives results more like the
    target."""
    cycle_channels: Literal["grey", "colour"] = "grey"
    """Channels that the cycle compares: the mean of the colors, or each color. With each color, the source's hues show
    in the translation."""
    translation_noise_scale: float = 1.0
    """Factor, 0 or more, on each stage's noise in a translation, in training and in use. A larger value gives more
    fine texture."""
    window_fraction: float = 0.6
    """Sides of the windows that training uses, as a fraction, 0 to 1, of the image's sides; a window is larger than a
    critic's patch. With a larger value the networks memorize positions, and training is slower."""
    real_image_probability: float = 0.5
    """Probability that a step translates the real image rather than a generated one."""

    def problems(self) -> list[str]:
        min_side, problems = self.size.min_side, self.translation.stage_problems(-1, self.growth.stages)
        if not self.critic_blocks >= 2 or min_side < 2 * self.critic_blocks + 2:
            problems.append(
                f"critic_blocks is {self.critic_blocks} with min_side {min_side}: choose 2 to {(min_side - 2) // 2}"
            )
        problems += self.above(MAX_LAYERS, "critic_blocks")
        problems += self.below(0, "lambda_adv", "translation_noise_scale")
        return problems + self.outside_unit("real_image_probability", "window_fraction")
