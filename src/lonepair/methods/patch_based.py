"""What our methods without critics share: growing generators that patches teach, and the images they remember."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lonepair.lazy import lazy
from lonepair.methods.base import Method, Plan, Player, Schedule, Size
from lonepair.methods.growing import GeneratorConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.nets import Exemplar, GrowingGenerator, StageSizes
    from lonepair.ops import noise, pyramid
    from lonepair.ops.noise import RandomStream
    from lonepair.patches import distance
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    noise = lazy("lonepair.ops.noise")
    pyramid = lazy("lonepair.ops.pyramid")
    distance = lazy("lonepair.patches.distance")

AT_ONCE = 1 << 17
"""Generators of pictures of so many pixels are trained at the same time: larger ones fill cores, and memory, alone."""
FRAMES = 8
"""Of a clip so many frames, evenly spaced, are kept to say what it looks like."""
CITATION = """@software{lonepair,
  title  = {lonepair: learning from a single representative},
  author = {{The lonepair founders}},
  year   = {2026}
}"""
_FILTERS = 2026
"""Names the stream of the filters that patches are projected by."""


@dataclass(frozen=True)
class PatchConfig(GeneratorConfig):
    """Settings of growing generators that are taught by patches; the numbers are ours."""

    min_side: int = 24
    """Shortest side of the coarsest stage, in pixels, over all inputs. A smaller one lets larger shapes be redrawn."""
    stages: int = 7
    """Number of stages, 2 to 12; each adds `blocks_per_stage` convolutions."""
    pyramid_rule: Literal["consingan", "geometric"] = "geometric"
    """How sizes grow between min_side and max_side: one constant ratio, or ConSinGAN's rule (many small stages)."""
    blocks_per_stage: int = 2
    """Convolution blocks a stage."""
    normalization: Literal["none", "batch", "instance"] = "instance"
    """Normalisation inside the generators' stages."""
    border_padding: Literal["zeros", "reflect"] = "reflect"
    """What the generators' convolutions see beyond the image's border."""
    stage_lr_decay: float = 0.3
    """Factor on the learning rate for each stage further back among them."""
    steps: int = 250
    """Training steps of the coarsest stage."""
    finest_steps: int = 50
    """Training steps of the finest stage; those between lie on a geometric line."""
    lr: float = 1e-3
    """Learning rate of the newest stage (Adam)."""
    beta1: float = 0.5
    """Adam's decay of the gradient's mean."""
    beta2: float = 0.99
    """Adam's decay of the squared gradient's mean."""
    lr_drop_at: float = 0.7
    """Share of a stage's steps after which learning rates drop."""
    lr_drop_factor: float = 0.3
    """Factor of that drop."""
    exemplar_max_side: int = 1024
    """Up to this longest side a picture is finished with detail of the images as they were given; 0: networks' size."""
    patch_size: int = 7
    """Side of the patches that are compared, in pixels."""
    patch_scales: int = 2
    """StageSizes at which patches are compared: a stage's own, half of it, ..."""
    border_channel_weight: float = 0.0
    """How much it counts, in standard deviations of colour, where in a patch the image's border is; 0: not at all."""
    lambda_detail: float = 0.5
    """Weight of the patches' fine detail alone beside whole patches, from stage `coarse_stages` on."""
    lambda_nearest: float = 1.0
    """Weight of the distance of patches to the nearest of the target's: sharp edges, whole objects."""
    noise_amplitude: float = 0.3
    """Amplitude of the noise added to features from stage `coarse_stages` on; it feeds fine texture."""
    coarse_stages: int = 3
    """So many coarse stages settle shapes, without noise and without looking at detail alone."""

    def problems(self) -> list[str]:
        found = super().problems()
        if not 3 <= self.patch_size <= self.min_side or self.patch_size % 2 == 0:
            found.append(f"patch_size is {self.patch_size}: choose an odd number from 3 to min_side, {self.min_side}")
        found += self.too_small(1, "steps", "finest_steps", "patch_scales")
        found += self.too_small(
            0,
            "leaky_slope",
            "exemplar_max_side",
            "border_channel_weight",
            "lambda_detail",
            "lambda_nearest",
            "noise_amplitude",
            "coarse_stages",
        )
        found += self.no_rate("lr")
        return found + self.no_share("beta1", "beta2", "lr_drop_at", "lr_drop_factor")


class PatchMethod(Method):
    """A generator for each domain, taught by the patches of that domain's image."""

    citation = CITATION

    config: PatchConfig

    def __init__(self, config: PatchConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        for domain in self.domains:
            self.nets[f"g_{domain}"] = nets.GrowingGenerator(
                plan.channels,
                config.width,
                config.blocks_per_stage,
                config.normalization,
                config.leaky_slope,
                config.stages,
                config.border_padding,
                # A tanh that is once at its end stays there: nothing would bring a wrong black back.
                squash=False,
            )
            self.nets[f"exemplar_{domain}"] = nets.Exemplar(plan.channels)
        self._looks: dict[tuple[str, int], distance.PatchDistribution] = {}
        """Of the current stage, by domain and frame."""
        self._making = threading.Lock()

    @classmethod
    def plan_for(
        cls, config: PatchConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        factors = pyramid.shared_factors(list(sizes.values()), config.stages, config.min_side, config.pyramid_rule)
        return Plan(channels, dict(sizes), factors)

    @property
    def patch_size(self) -> int:
        return self.config.patch_size

    # -- training -------------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        self._looks.clear()
        for domain in self.domains:
            self.generator(domain).add_stage(self.config.trained_stages)
            self.exemplar(domain).add_stage(self.sizes[domain][-1])

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        for domain in self.domains:
            self.generator(domain).amplitudes[self.stage] = self.config.noise_amplitude * self.is_fine
            frames = levels[domain][-1]
            wanted = torch.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().long()
            self.exemplar(domain).set_images(frames[wanted.to(frames.device)])

    @property
    def is_fine(self) -> bool:
        """Whether the current stage draws texture rather than shapes."""
        return self.stage >= self.config.coarse_stages

    def players(self) -> dict[str, Player]:
        c = self.config
        groups = {
            domain: [
                {"params": parameters, "lr": c.lr * c.stage_lr_decay**back}
                for back, parameters in self.generator(domain).trained(c.trained_stages)
            ]
            for domain in self.domains
        }
        return {f"g_{domain}": Player(own, (c.beta1, c.beta2)) for domain, own in groups.items()}

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        steps = round(c.steps * (c.finest_steps / c.steps) ** (stage / (c.stages - 1)))
        work = float(sum(map(self.pixels_per_step, range(stage + 1)))) / 4  # a pass of each generator, and no critics'
        update_order = [f"g_{domain}" for domain in self.domains]
        at_once = self.pixels_per_step(stage) <= len(update_order) * AT_ONCE
        return Schedule(steps, update_order, work, c.lr_drop_at, c.lr_drop_factor, at_once)

    def draw_frame(self, domain: str, rng: RandomStream) -> int:
        """Index of the stored frame of `domain` that an update compares with: a random one of a clip's."""
        count = len(self.exemplar(domain).images)
        return rng.host_integer(count) if count > 1 else 0

    def look(self, domain: str, drawn: Tensor, rng: RandomStream, frame: int = 0) -> Tensor:
        """Distance of the patches of `drawn`, an image or its crops, to those of stored frame `frame` of `domain`."""
        key = (domain, frame)
        with torch.autocast(drawn.device.type, enabled=False):
            if key not in self._looks:
                with self._making:  # one after the other: of a large target that takes much memory
                    self._looks[key] = self._new_look(*key)
            return self._looks[key].loss(drawn.float(), rng)

    def _new_look(self, domain: str, frame: int) -> distance.PatchDistribution:
        c, filters = self.config, noise.RandomStream(_FILTERS, self.stage)
        detail = c.lambda_detail * self.is_fine
        target = self.exemplar(domain)(frame)
        return distance.PatchDistribution(
            target, c.patch_size, c.patch_scales, detail, c.lambda_nearest, filters, c.border_channel_weight
        )

    # -- use ------------------------------------------------------------------------------------------------------

    def generator(self, domain: str) -> GrowingGenerator:
        """G of `domain`."""
        return self.nets[f"g_{domain}"]  # type: ignore[return-value]

    def exemplar(self, domain: str) -> Exemplar:
        return self.nets[f"exemplar_{domain}"]  # type: ignore[return-value]

    @property
    def exemplar_max_side(self) -> int:
        return self.config.exemplar_max_side

    def remember_targets(self, images: Mapping[str, Tensor]) -> None:
        for domain, image in images.items():
            self.exemplar(domain).set_detail(image)

    def stage_noise(self, sizes: StageSizes, start_stage: int, rng: RandomStream) -> list[Tensor] | None:
        """Noise for the stages after `start_stage`."""
        if self.config.noise_amplitude == 0:
            return None
        return self.generator(self.domains[0]).noise_maps(sizes, rng, start_stage + 1)

    def random(self, domain: str, sizes: StageSizes, rng: RandomStream) -> Tensor:
        """A random image of `domain`, or crops of one."""
        first = rng.feature_noise(self.plan.channels, *sizes[0])
        image: Tensor = self.generator(domain)(first, sizes, 0, self.stage_noise(sizes, 0, rng))
        return image

    def parameter_counts(self) -> dict[str, int]:
        parts = self.config.generator_parameter_counts(self.plan.channels, head_norm=False)
        return {f"g_{domain} {part}": count for domain in self.domains for part, count in parts.items()}
