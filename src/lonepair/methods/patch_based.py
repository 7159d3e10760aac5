"""The base of `lonepair` and `lonepair-single`: growing generators, a loss on patches, and exemplars; no critics.

Published ideas used:
- Growing generators that train their newest stages together, older ones at lower learning rates (ConSinGAN, Hinz et
  al., WACV 2021, sec. 3.1).
- Distances of patch distributions and to nearest patches as the loss (`patches.distance` names the sources).

Decided here:
- The first `coarse_stages` learn shapes, without noise. Later stages learn fine texture, with noise.
- Steps fall geometrically from `steps` at the coarsest stage to `finest_steps` at the finest.
- The target of an update is a random frame of the domain's exemplar.

Our departures from ConSinGAN:
- No critic, two convolutions per stage instead of three, instance normalization, no tanh at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lonepair import citations
from lonepair.lazy import lazy
from lonepair.methods.base import Method
from lonepair.methods.config import Config
from lonepair.methods.growing import generator_parameter_counts
from lonepair.methods.setting_groups import AdamConfig, Group, GrowthConfig, ScheduleConfig
from lonepair.methods.types import Plan, Player, Schedule, Size

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

MAX_PARALLEL_PIXELS = 1 << 17
"""Number of pixels per step and generator up to which generators are trained in parallel. Above it one generator alone
uses all cores, and two would need twice the memory."""
EXEMPLAR_FRAMES = 8
"""Largest number of a clip's frames, evenly spaced, that an exemplar holds."""
_FILTER_SEED = 2026
"""Seed of the random filters of the patch distance."""

PATCH_GROWTH = GrowthConfig(pyramid_rule="geometric", blocks_per_stage=2, normalization="instance", stage_lr_decay=0.3)
"""Growth of the generators of both methods; each sets its own number of stages."""
PATCH_SCHEDULE = ScheduleConfig(steps=300, lr_drop_at=0.7, lr_drop_factor=0.3)
"""Length of the training of both methods."""
PATCH_ADAM = AdamConfig(beta2=0.99)
"""Optimizer of both methods."""


@dataclass(frozen=True)
class PatchConfig(Group):
    """Distance to the target's patches; the defaults are ours."""

    lr: float = 1e-3
    """Learning rate of the newest stage, between 0 and 1."""
    patch_size: int = 7
    """Side of the patches that the loss compares, in pixels, an odd number from 3 to `min_side`. A larger value
    compares larger shapes."""
    patch_scales: int = 2
    """Number of scales, 1 or more, at which the loss compares patches: a stage's own size, half of it, ... A larger
    value compares larger shapes, too."""
    border_channel_weight: float = 0.0
    """Weight, 0 or more, in standard deviations of color, of a channel that marks the image's border in its patches. A
    larger value keeps content of the target's border at the border."""
    lambda_detail: float = 0.5
    """Weight, 0 or more, of the distance of fine detail alone, from stage `coarse_stages` on; full patches have weight
    1. A larger value is sharper."""
    lambda_nearest: float = 1.0
    """Weight, 0 or more, of the distance to the target's nearest patches. A larger value gives sharper edges and
    more complete objects."""
    noise_amplitude: float = 0.3
    """Amplitude, 0 or more, of the noise added to features from stage `coarse_stages` on. A larger value gives more
    fine texture."""
    coarse_stages: int = 3
    """Number of coarse stages, 0 or more, without noise and without the distance of fine detail: they decide shapes. A
    larger value leaves fewer stages for fine texture."""
    exemplar_max_side: int = 1024
    """Longest side, in pixels, 0 or more, of the target that the model file stores for patch synthesis; 0: the target
    at training size alone. A larger value gives finer pictures and larger files."""

    def problems(self) -> list[str]:
        problems = self.below(1, "patch_scales") + self.not_rates("lr")
        return problems + self.below(
            0,
            "border_channel_weight",
            "lambda_detail",
            "lambda_nearest",
            "noise_amplitude",
            "coarse_stages",
            "exemplar_max_side",
        )

    def size_problems(self, min_side: int) -> list[str]:
        """One sentence where patches do not fit into the coarsest stage."""
        if 3 <= self.patch_size <= min_side and self.patch_size % 2 == 1:
            return []
        return [f"patch_size is {self.patch_size}: choose an odd number from 3 to min_side, {min_side}"]


class PatchMethod(Method):
    """A generator for each domain, trained to produce the patches of that domain's image."""

    citation = citations.entries()[citations.SOFTWARE]

    def __init__(self, config: Config, plan: Plan) -> None:
        super().__init__(config, plan)
        self.patch_size, self.exemplar_max_side = config.patch_size, config.exemplar_max_side
        for domain in self.domains:
            self.nets[f"g_{domain}"] = nets.GrowingGenerator(
                plan.channels,
                config.width,
                config.blocks_per_stage,
                config.normalization,
                config.leaky_slope,
                config.stages,
                config.border_padding,
                # The gradient of a saturated tanh is 0: a wrong black would stay black.
                final_tanh=False,
            )
            self.nets[f"exemplar_{domain}"] = nets.Exemplar(plan.channels)
        self._distributions: dict[tuple[str, int], distance.PatchDistribution] = {}
        """Patch distributions of the current stage's targets, by domain and frame."""
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy in another process gets: everything but the lock."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    @classmethod
    def plan_for(cls, config: Config, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]) -> Plan:
        factors = pyramid.shared_factors(list(sizes.values()), config.stages, config.min_side, config.pyramid_rule)
        return Plan(channels, dict(sizes), factors)

    # -- training -------------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        self._distributions.clear()
        for domain in self.domains:
            self.generator(domain).add_stage(self.config.trained_stages)
            self.exemplar(domain).add_stage(self.sizes[domain][-1])

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        for domain in self.domains:
            # Noise: none at coarse stages, where it disturbs shapes.
            self.generator(domain).amplitudes[self.stage] = self.config.noise_amplitude * self.is_fine
            # Exemplar: evenly spaced frames, as all frames of a clip would make the model file large.
            frames = levels[domain][-1]
            indices = torch.linspace(0, len(frames) - 1, min(EXEMPLAR_FRAMES, len(frames))).round().long()
            self.exemplar(domain).set_images(frames[indices.to(frames.device)])

    @property
    def is_fine(self) -> bool:
        """Whether the current stage learns fine texture rather than shapes: it is above the `coarse_stages`."""
        coarse_stages: int = self.config.coarse_stages
        return self.stage >= coarse_stages

    def players(self) -> dict[str, Player]:
        c = self.config
        # One player for each domain, as the two directions share no weights. Older stages learn more slowly.
        groups = {
            domain: [
                {"params": parameters, "lr": c.lr * c.stage_lr_decay**back}
                for back, parameters in self.generator(domain).parameters_by_stage(c.trained_stages)
            ]
            for domain in self.domains
        }
        return {f"g_{domain}": Player(group, (c.beta1, c.beta2)) for domain, group in groups.items()}

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        # Steps fall geometrically from `steps` at the coarsest stage to `finest_steps` at the finest.
        steps = round(c.steps * (c.finest_steps / c.steps) ** (stage / (c.stages - 1)))
        # Without critics a step costs about a quarter of a published method's.
        work = float(sum(map(self.pixels_per_step, range(stage + 1)))) / 4
        update_order = [f"g_{domain}" for domain in self.domains]
        is_parallel = self.pixels_per_step(stage) <= len(update_order) * MAX_PARALLEL_PIXELS
        return Schedule(steps, update_order, work, c.lr_drop_at, c.lr_drop_factor, independent_players=is_parallel)

    def random_frame(self, domain: str, rng: RandomStream) -> int:
        """Index of the exemplar's frame of `domain` that an update compares with: a random one for a clip."""
        count = len(self.exemplar(domain).images)
        return rng.host_integer(count) if count > 1 else 0

    def patch_distance(self, domain: str, prediction: Tensor, rng: RandomStream, frame: int = 0) -> Tensor:
        """Distance of the patches of `prediction` to those of the target of `domain` (`PatchDistribution.loss`).

        Args:
            prediction: An image (1, c, h, w), or crops of one (b, c, h, w), in [-1, 1].
            rng: Selects filters and patches.
            frame: Index of the exemplar's frame that is the target.
        """
        key = (domain, frame)
        # In float32, whatever the networks compute in.
        with torch.autocast(prediction.device.type, enabled=False):
            if key not in self._distributions:
                # One at a time, for all threads: a large target needs much memory here.
                with self._lock:
                    self._distributions[key] = self._new_distribution(*key)
            return self._distributions[key].loss(prediction.float(), rng)

    def _new_distribution(self, domain: str, frame: int) -> distance.PatchDistribution:
        c = self.config
        return distance.PatchDistribution(
            self.exemplar(domain)(frame),
            c.patch_size,
            c.patch_scales,
            c.lambda_detail * self.is_fine,
            c.lambda_nearest,
            noise.RandomStream(_FILTER_SEED, self.stage),
            c.border_channel_weight,
        )

    # -- use ------------------------------------------------------------------------------------------------------

    def generator(self, domain: str) -> GrowingGenerator:
        """The generator of images of `domain`."""
        return self.nets[f"g_{domain}"]  # type: ignore[return-value]

    def exemplar(self, domain: str) -> Exemplar:
        return self.nets[f"exemplar_{domain}"]  # type: ignore[return-value]

    def remember_targets(self, images: Mapping[str, Tensor]) -> None:
        for domain, image in images.items():
            self.exemplar(domain).set_detail(image)

    def stage_noise(self, sizes: StageSizes, start_stage: int, rng: RandomStream) -> list[Tensor] | None:
        """Noise for the stages after `start_stage`; None where `noise_amplitude` is 0."""
        if self.config.noise_amplitude == 0:
            return None
        return self.generator(self.domains[0]).noise_maps(sizes, rng, start_stage + 1)

    def random(self, domain: str, sizes: StageSizes, rng: RandomStream) -> Tensor:
        """A random image of `domain`, or crops of one."""
        network_input = rng.feature_noise(self.plan.channels, *sizes[0])
        image: Tensor = self.generator(domain)(network_input, sizes, 0, self.stage_noise(sizes, 0, rng))
        return image

    def parameter_counts(self) -> dict[str, int]:
        counts = generator_parameter_counts(self.config.growth, self.config.width, self.plan.channels, head_norm=False)
        return {f"g_{domain} {part}": count for domain in self.domains for part, count in counts.items()}
