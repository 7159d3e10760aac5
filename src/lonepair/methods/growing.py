"""What the methods with growing generators share: ConSinGAN's settings, their parameter counts, and crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lonepair.lazy import lazy
from lonepair.methods.base import AdversarialConfig, Config, Method, Scene

if TYPE_CHECKING:
    from lonepair import nets
else:
    nets = lazy("lonepair.nets")


@dataclass(frozen=True)
class GeneratorConfig(Config):
    """Settings of a generator that gains a few convolutions a stage; the numbers are ConSinGAN's."""

    stages: int = 6
    """Number of stages, 2 to 12; each adds `blocks` convolutions."""
    size_rule: Literal["consingan", "geometric"] = "consingan"
    """How sizes grow between min_side and max_side: ConSinGAN's rule (many small stages) or one constant ratio."""
    width: int = 64
    """Channels inside the networks."""
    blocks: int = 3
    """Convolution blocks a stage."""
    norm: Literal["none", "batch", "instance"] = "none"
    """Normalisation inside the generators' stages."""
    slope: float = 0.05
    """Negative slope of LeakyReLU."""
    concurrent: int = 3
    """How many of the newest stages train together; older ones are frozen."""
    concurrent_decay: float = 0.1
    """Factor on the learning rate for each stage further back among them."""
    crop: int = 256
    """Above four squares of so many pixels a side, a step sees four crops that have one square's pixels; 0: never."""

    def problems(self) -> list[str]:
        found = super().problems()
        if not 2 <= self.stages <= 12:
            found.append(f"stages is {self.stages}: choose 2 to 12")
        if self.crop and self.crop < 2 * self.min_side:
            found.append(
                f"crop is {self.crop}, min_side {self.min_side}: choose crop >= 2 x min_side, or 0 for whole pictures"
            )
        found += self.too_small(1, "width", "blocks", "concurrent")
        return found + self.no_share("concurrent_decay")

    def generator_parts(self, channels: int, head_norm: bool) -> dict[str, int]:
        """Parameters of one generator with all stages, by part."""
        w = self.width
        norm = 2 * w if self.norm != "none" else 0
        return {
            "head": 9 * channels * w + w + (norm if head_norm else 0),
            "bodies": self.stages * self.blocks * (9 * w * w + w + norm),
            "tail": 9 * w * channels + channels,
        }


@dataclass(frozen=True)
class GrowingConfig(GeneratorConfig, AdversarialConfig):
    """Settings of a growing generator that is trained against a critic."""

    critic_steps: int = 3
    """Critic updates a step."""

    def problems(self) -> list[str]:
        return super().problems() + self.too_small(1, "critic_steps")


class GrowingMethod(Method):
    """A method whose generators grow: a step may look at crops of what they draw."""

    config: GeneratorConfig

    @property
    def patch(self) -> int:
        """Side of the patches that a loss sees, in pixels: the published critics'."""
        return 11

    def seen(self, domain: str, scene: Scene) -> nets.Sizes:
        """What of `domain`'s pictures a step looks at: all, or crops where they are large."""
        if domain not in scene.seen:
            scene.seen[domain] = nets.crops(self.sizes[domain], self.config.crop, self.patch, scene.draw)
        return scene.seen[domain]
