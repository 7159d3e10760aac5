"""Settings and presets of `structural-analogy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lonepair.methods.config import Config
from lonepair.methods.setting_groups import (
    AdamConfig,
    AdversarialConfig,
    ClipConfig,
    CycleConfig,
    NetworkConfig,
    PyramidConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
    TranslationConfig,
)

_RELEASED: Mapping[str, Any] = {"as_released": True, "square": True}
"""What every released command does."""


@dataclass(frozen=True)
class StructuralAnalogyConfig(Config):
    """Settings of `structural-analogy`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 150},
        "standard": {"max_side": 176, "steps": 1000},
        "full": _RELEASED,
        "style": _RELEASED,
        "texture": _RELEASED,
        "glyph": {**_RELEASED, "min_side": 25},
        "sketch": {**_RELEASED, "lr_d": 5e-4, "lr_g": 1e-4, "lambda_adv_b": 0.1},
        "video": {**_RELEASED, "min_side": 25, "steps": 25000, "lambda_self": 1.0, "lambda_cyc": 1.0},
    }
    """draft and standard are smaller and shorter than published, and keep the images' aspects; all others are the
    released commands."""

    size: SizeConfig = SizeConfig(min_side=18)
    translation: TranslationConfig = TranslationConfig(start_stage=-1)
    pyramid: PyramidConfig = PyramidConfig()
    schedule: ScheduleConfig = ScheduleConfig(steps=20000, lr_drop_at=1.0)
    network: NetworkConfig = NetworkConfig(width=32, leaky_slope=0.2)
    adversarial: AdversarialConfig = AdversarialConfig(lr_d=1e-4)
    reconstruction: ReconstructionConfig = ReconstructionConfig(lambda_rec=1.0)
    cycle: CycleConfig = CycleConfig(lambda_cyc=10.0)
    adam: AdamConfig = AdamConfig()
    clip: ClipConfig = ClipConfig()
    square: bool = False
    """Stretch both images to squares of `max_side`, as the released code does; outputs are stretched back."""
    replacing_stages: int = 2
    """Number of the finest stages, 0 or more, whose output replaces the upsampled image instead of being added to it. A
    larger value changes larger shapes."""
    lambda_adv_b: float = 1.0
    """Weight, 0 or more, of the target's adversarial terms; the source's have 1. A larger value makes translations more
    like the target."""
    lambda_self: float = 0.0
    """Weight, 0 or more, of the self branch: translations of the real images plus noise; 1 for clips. A larger value
    makes translations of the real images more like the target."""
    luminance_levels: int = 0
    """Number of luminance levels, 2 to 256, to which the source is reduced; 0 does not reduce it. A larger value
    retains more shading."""
    as_released: bool = False
    """Train as the released code does where it differs from the paper: every step reconstructs from new noise, noise
    amplitudes are measured on such a reconstruction, and the noise of stage 0 drops to a tenth after its training."""

    def problems(self) -> list[str]:
        problems = self.below(0, "lambda_adv_b", "lambda_self", "replacing_stages")
        if self.luminance_levels == 1 or not 0 <= self.luminance_levels <= 256:
            problems.append(f"luminance_levels is {self.luminance_levels}: choose 0 (off) or 2 to 256")
        return problems
