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

    from lonepair import losses, nets, patches
    from lonepair.nets import Detail, GrowingGenerator, Memory, Sizes
    from lonepair.ops import noise, pyramid
    from lonepair.ops.noise import Draw
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    noise = lazy("lonepair.ops.noise")
    pyramid = lazy("lonepair.ops.pyramid")
    patches = lazy("lonepair.patches")

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
    """Number of stages, 2 to 12; each adds `blocks` convolutions."""
    size_rule: Literal["consingan", "geometric"] = "geometric"
    """How sizes grow between min_side and max_side: one constant ratio, or ConSinGAN's rule (many small stages)."""
    blocks: int = 2
    """Convolution blocks a stage."""
    norm: Literal["none", "batch", "instance"] = "instance"
    """Normalisation inside the generators' stages."""
    border: Literal["zeros", "reflect"] = "reflect"
    """What the generators' convolutions see beyond the image's border."""
    concurrent_decay: float = 0.3
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
    decay_at: float = 0.7
    """Share of a stage's steps after which learning rates drop."""
    decay: float = 0.3
    """Factor of that drop."""
    detail_side: int = 1024
    """Up to this longest side a picture is finished with detail of the images as they were given; 0: networks' size."""
    patch: int = 7
    """Side of the patches that are compared, in pixels."""
    levels: int = 2
    """Sizes at which patches are compared: a stage's own, half of it, ..."""
    frame: float = 0.0
    """How much it counts, in standard deviations of colour, where in a patch the image's border is; 0: not at all."""
    lambda_detail: float = 0.5
    """Weight of the patches' fine detail alone beside whole patches, from stage `coarse` on."""
    lambda_nearest: float = 1.0
    """Weight of the distance of patches to the nearest of the target's: sharp edges, whole objects."""
    noise: float = 0.3
    """Amplitude of the noise added to features from stage `coarse` on; it feeds fine texture."""
    coarse: int = 3
    """So many coarse stages settle shapes, without noise and without looking at detail alone."""

    def problems(self) -> list[str]:
        found = super().problems()
        if not 3 <= self.patch <= self.min_side or self.patch % 2 == 0:
            found.append(f"patch is {self.patch}: choose an odd number from 3 to min_side, {self.min_side}")
        found += self.too_small(1, "steps", "finest_steps", "levels")
        found += self.too_small(
            0, "slope", "detail_side", "frame", "lambda_detail", "lambda_nearest", "noise", "coarse"
        )
        found += self.no_rate("lr")
        return found + self.no_share("beta1", "beta2", "decay_at", "decay")


class PatchMethod(Method):
    """A generator for each domain, taught by the patches of that domain's image."""

    remembers = True
    citation = CITATION

    config: PatchConfig

    def __init__(self, config: PatchConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        for domain in self.domains:
            self.nets[f"g_{domain}"] = nets.GrowingGenerator(
                plan.channels,
                config.width,
                config.blocks,
                config.norm,
                config.slope,
                config.stages,
                config.border,
                # A tanh that is once at its end stays there: nothing would bring a wrong black back.
                squash=False,
            )
            self.nets[f"memory_{domain}"] = nets.Memory(plan.channels)
            self.nets[f"detail_{domain}"] = nets.Detail(plan.channels)
        self._looks: dict[tuple[str, int], patches.PatchLook] = {}
        """Of the current stage, by domain and frame."""
        self._making = threading.Lock()

    @classmethod
    def plan_for(
        cls, config: PatchConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        factors = pyramid.shared_factors(list(sizes.values()), config.stages, config.min_side, config.size_rule)
        return Plan(channels, dict(sizes), factors)

    @property
    def patch(self) -> int:
        return self.config.patch

    # -- training -------------------------------------------------------------------------------------------------

    def grow(self) -> None:
        self.stage += 1
        self._looks.clear()
        for domain in self.domains:
            self.generator(domain).grow(self.config.concurrent)
            self._memory(domain).grow(self.sizes[domain][-1])

    def measure(self, levels: Mapping[str, list[Tensor]]) -> None:
        for domain in self.domains:
            self.generator(domain).amplitudes[self.stage] = self.config.noise * self.is_fine
            frames = levels[domain][-1]
            wanted = torch.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().long()
            self._memory(domain).keep(frames[wanted.to(frames.device)])

    @property
    def is_fine(self) -> bool:
        """Whether the current stage draws texture rather than shapes."""
        return self.stage >= self.config.coarse

    def players(self) -> dict[str, Player]:
        c = self.config
        groups = {
            domain: [
                {"params": parameters, "lr": c.lr * c.concurrent_decay**back}
                for back, parameters in self.generator(domain).trained(c.concurrent)
            ]
            for domain in self.domains
        }
        return {f"g_{domain}": Player(own, (c.beta1, c.beta2)) for domain, own in groups.items()}

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        steps = round(c.steps * (c.finest_steps / c.steps) ** (stage / (c.stages - 1)))
        work = float(sum(map(self.pixels, range(stage + 1)))) / 4  # a pass of each generator, and no critics'
        rounds = [f"g_{domain}" for domain in self.domains]
        at_once = self.pixels(stage) <= len(rounds) * AT_ONCE
        return Schedule(steps, rounds, work, c.decay_at, c.decay, at_once)

    def look(self, domain: str, drawn: Tensor, draw: Draw) -> Tensor:
        """Distance of the patches of `drawn`, a picture or crops of one, to those of `domain`'s image, of a clip to
        those of a kept frame."""
        kept = len(self._memory(domain).images)
        key = (domain, draw.below(kept) if kept > 1 else 0)
        with torch.autocast(drawn.device.type, enabled=False):
            if key not in self._looks:
                with self._making:  # one after the other: of a large target that takes much memory
                    self._looks[key] = self._new_look(*key)
            return self._looks[key].loss(drawn.float(), draw)

    def _new_look(self, domain: str, frame: int) -> patches.PatchLook:
        c, filters = self.config, noise.Draw(_FILTERS, self.stage)
        detail = c.lambda_detail * self.is_fine
        target = self._memory(domain)(frame)
        return patches.PatchLook(target, c.patch, c.levels, detail, c.lambda_nearest, filters, c.frame)

    # -- use ------------------------------------------------------------------------------------------------------

    def generator(self, domain: str) -> GrowingGenerator:
        """G of `domain`."""
        return self.nets[f"g_{domain}"]  # type: ignore[return-value]

    def _memory(self, domain: str) -> Memory:
        return self.nets[f"memory_{domain}"]  # type: ignore[return-value]

    def remembered(self, domain: str) -> Tensor:
        image: Tensor = self._memory(domain)()
        return image

    @property
    def detail_side(self) -> int:
        return self.config.detail_side

    def keep_detail(self, images: Mapping[str, Tensor]) -> None:
        for domain, image in images.items():
            self._detail(domain).keep(image)

    def detail(self, domain: str) -> Tensor | None:
        kept = self._detail(domain)
        image: Tensor | None = kept() if min(kept.size) > 0 else None
        return image

    def _detail(self, domain: str) -> Detail:
        return self.nets[f"detail_{domain}"]  # type: ignore[return-value]

    def maps(self, sizes: Sizes, entry: int, draw: Draw) -> list[Tensor] | None:
        """Noise for the stages after `entry`."""
        if self.config.noise == 0:
            return None
        return self.generator(self.domains[0]).noises(sizes, draw, entry + 1)

    def random(self, domain: str, sizes: Sizes, draw: Draw) -> Tensor:
        """A random image of `domain`, or crops of one."""
        first = draw.maps(self.plan.channels, *sizes[0])
        image: Tensor = self.generator(domain)(first, sizes, 0, self.maps(sizes, 0, draw))
        return image

    def parts(self) -> dict[str, int]:
        parts = self.config.generator_parts(self.plan.channels, head_norm=False)
        return {f"g_{domain} {part}": count for domain in self.domains for part, count in parts.items()}
