"""`lonepair`: two growing generators that redraw each other's images, taught by patches and layout; no critics.

Ours; after `representative`, whose generators it has (ConSinGAN's, with features handed from stage to stage). What an
image looks like is which patches it has, and how often, and how far two images are apart in that can be computed: a
sliced Wasserstein distance of the distributions (Rabin et al. 2011; for single images Elnekave and Weiss, GPDM, CVPR
2022) and the distance to the nearest patches (Kwatra et al. 2005; Granot et al., GPNN, CVPR 2022) take the place of the
critics, which are most of the published methods' cost and instability. What stands where is the image's self-similarity
(Shechtman and Irani, CVPR 2007), whatever the colours: that the redrawn image has the source's takes the place of
the cycle.

A step redraws each domain's real image, which enters at `entry` or, with `entry_share`, at any stage: loss = look
(patches like the other domain's, at this stage's size and half of it, also of the fine detail alone) +
lambda_structure x (1 - correlation of the two self-similarities on a coarse grid). With probability `random_share` it
draws random images instead, by look alone, from which aligned pairs are sampled. The real image itself is redrawn, as
in use; A and B are the same problem with the same distances, in units of each target's own contrast, so that neither
converges at the other's cost.

The model keeps what it learnt from beside its weights, a clip's in eight frames: these say what a domain looks like, and
`apply.finish` makes what the networks draw of their patches.

docs/lonepair.md has what was tried and measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lonepair.lazy import lazy
from lonepair.methods.base import Method, Plan, Player, Scene, Schedule, Size
from lonepair.methods.growing import GeneratorConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets, noise, pyramid, resize
    from lonepair.nets import GrowingGenerator, Memory
    from lonepair.noise import Draw
else:
    torch, losses, nets, noise = lazy("torch"), lazy("lonepair.losses"), lazy("lonepair.nets"), lazy("lonepair.noise")
    pyramid, resize = lazy("lonepair.pyramid"), lazy("lonepair.resize")

OTHER = {"a": "b", "b": "a"}
FRAMES = 8
"""Of a clip so many frames, evenly spaced, are kept to say what it looks like; all are redrawn."""
_FILTERS = 2026
"""Names the stream of the filters that patches are projected by."""


@dataclass(frozen=True)
class LonepairConfig(GeneratorConfig):
    """Settings of `lonepair`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 150, "finest_steps": 80},
        "standard": {"stages": 8, "steps": 250, "finest_steps": 50},
        "full": {"stages": 8, "steps": 600, "finest_steps": 300},
    }
    """draft, standard and full: larger and longer from one to the next."""

    min_side: int = 24
    """Shortest side of the coarsest stage, in pixels, over both images. A smaller one lets larger shapes be redrawn."""
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
    patch: int = 7
    """Side of the patches that are compared, in pixels."""
    levels: int = 2
    """Sizes at which patches are compared: a stage's own, half of it, ..."""
    lambda_structure: float = 0.3
    """Weight of keeping the source's layout beside the target's look."""
    grid: int = 32
    """Longest side, in places, of the grid on which layouts are compared."""
    lambda_detail: float = 0.5
    """Weight of the patches' fine detail alone beside whole patches, from stage `coarse` on."""
    lambda_nearest: float = 1.0
    """Weight of the distance of patches to the nearest of the target's: sharp edges, whole objects."""
    noise: float = 0.3
    """Amplitude of the noise added to features from stage `coarse` on; it feeds fine texture."""
    coarse: int = 3
    """So many coarse stages settle shapes, without noise and without looking at detail alone."""
    entry: int = 0
    """Stage at which an image to translate enters, unless another is named: 0 redraws large shapes, later ones less."""
    entry_share: float = 0.1
    """Probability that a training step enters at any stage rather than at `entry`: what makes `--entry` a dial."""
    random_share: float = 0.1
    """Probability that a training step draws random images rather than redrawing the real ones."""

    def problems(self) -> list[str]:
        found = super().problems()
        if not 0 <= self.entry < self.stages:
            found.append(f"entry is {self.entry} with {self.stages} stages: choose 0 to {self.stages - 1}")
        if not 3 <= self.patch <= self.min_side or self.patch % 2 == 0:
            found.append(f"patch is {self.patch}: choose an odd number from 3 to min_side, {self.min_side}")
        if not 4 <= self.grid <= 64:
            found.append(f"grid is {self.grid}: choose 4 to 64")
        found += self.too_small(1, "steps", "finest_steps", "levels")
        found += self.too_small(0, "slope", "lambda_structure", "lambda_detail", "lambda_nearest", "noise", "coarse")
        found += self.no_rate("lr")
        return found + self.no_share("beta1", "beta2", "decay_at", "decay", "entry_share", "random_share")


class Lonepair(Method):
    """Two growing generators G_a and G_b."""

    name = "lonepair"
    domains = ("a", "b")
    used = ("g_a", "g_b", "memory_a", "memory_b")
    uses = frozenset({"sample", "translate"})
    remembers = True
    takes_many = True
    config_class = LonepairConfig
    citation = """@software{lonepair,
  title  = {lonepair: learning from a single representative},
  author = {{The lonepair founders}},
  year   = {2026}
}"""

    config: LonepairConfig

    def __init__(self, config: LonepairConfig, plan: Plan) -> None:
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
        self._looks: dict[tuple[str, int], losses.PatchLook] = {}
        """Of the current stage, by domain and frame."""

    @classmethod
    def plan_for(
        cls, config: LonepairConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        factors = pyramid.shared_factors(list(sizes.values()), config.stages, config.min_side, config.size_rule)
        return Plan(channels, dict(sizes), factors)

    # -- training -------------------------------------------------------------------------------------------------

    def grow(self) -> None:
        self.stage += 1
        self._looks.clear()
        for domain in self.domains:
            self.generator(domain).grow(self.config.concurrent)
            self._memory(domain).grow(self.sizes[domain][-1])

    def measure(self, levels: Mapping[str, list[Tensor]]) -> None:
        for domain in self.domains:
            self.generator(domain).amplitudes[self.stage] = self.config.noise * self._is_fine
            frames = levels[domain][-1]
            wanted = torch.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().long()
            self._memory(domain).keep(frames[wanted.to(frames.device)])

    @property
    def _is_fine(self) -> bool:
        """Whether the current stage draws texture rather than shapes."""
        return self.stage >= self.config.coarse

    def players(self) -> dict[str, Player]:
        c = self.config
        groups = [
            {"params": parameters, "lr": c.lr * c.concurrent_decay**back}
            for domain in self.domains
            for back, parameters in self.generator(domain).trained(c.concurrent)
        ]
        return {"generator": Player(groups, (c.beta1, c.beta2))}

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        steps = round(c.steps * (c.finest_steps / c.steps) ** (stage / (c.stages - 1)))
        work = float(sum(map(self.plan.pixels, range(stage + 1)))) / 4  # a pass of each generator, and no critics'
        return Schedule(steps, ["generator"], work, c.decay_at, c.decay)

    def losses(self, player: str, scene: Scene) -> dict[str, Tensor]:
        draw, c = scene.draw, self.config
        randomly = draw.coin(c.random_share)
        entry = draw.below(self.stage + 1) if draw.coin(c.entry_share) else min(c.entry, self.stage)
        found = {}
        for source, target in OTHER.items():
            real = scene.real[source][-1]
            if randomly:
                drawn = self._random(source, self.sizes[source], draw)
                found[f"look_{source}"] = self._look(source, drawn, draw)
                continue
            drawn = self.redraw(real, self.sizes[source], target, entry, draw)
            found[f"look_{source}{target}"] = self._look(target, drawn, draw)
            found[f"structure_{source}{target}"] = c.lambda_structure * (1 - self._kept(drawn, real))
        return found

    def _look(self, domain: str, drawn: Tensor, draw: Draw) -> Tensor:
        """Distance of the patches of `drawn` to those of `domain`'s image, of a clip to one of its kept frames'."""
        kept = len(self._memory(domain).images)
        key = (domain, draw.below(kept) if kept > 1 else 0)
        with torch.autocast(drawn.device.type, enabled=False):
            if key not in self._looks:
                c, filters = self.config, noise.Draw(_FILTERS, self.stage)
                detail = c.lambda_detail * self._is_fine
                target = self._memory(domain)(key[1])
                self._looks[key] = losses.PatchLook(target, c.patch, c.levels, detail, c.lambda_nearest, filters)
            return self._looks[key].loss(drawn.float(), draw)

    def _kept(self, drawn: Tensor, real: Tensor) -> Tensor:
        """How far the layout of `drawn` is that of `real`: 1 at most."""
        longest = max(real.shape[-2:])
        share = min(1.0, self.config.grid / longest)
        size = (max(1, round(real.shape[-2] * share)), max(1, round(real.shape[-1] * share)))
        with torch.autocast(real.device.type, enabled=False):
            tables = [losses.self_similarity(resize.resize(image.float(), size)) for image in (drawn, real)]
            return losses.correlation(*tables)

    # -- use ------------------------------------------------------------------------------------------------------

    def generator(self, domain: str) -> GrowingGenerator:
        """G of `domain`."""
        return self.nets[f"g_{domain}"]  # type: ignore[return-value]

    def _memory(self, domain: str) -> Memory:
        return self.nets[f"memory_{domain}"]  # type: ignore[return-value]

    def remembered(self, domain: str) -> Tensor:
        image: Tensor = self._memory(domain)()
        return image

    def _noises(self, sizes: Sequence[Size], entry: int, draw: Draw) -> list[Tensor] | None:
        if self.config.noise == 0:
            return None
        return [draw.maps(self.config.width, *size) for size in sizes[entry + 1 :]]

    def _random(self, domain: str, sizes: Sequence[Size], draw: Draw) -> Tensor:
        first = draw.maps(self.plan.channels, *sizes[0])
        image: Tensor = self.generator(domain)(first, sizes, 0, self._noises(sizes, 0, draw))
        return image

    def redraw(self, image: Tensor, sizes: Sequence[Size], domain: str, entry: int | None, draw: Draw) -> Tensor:
        entry = self.config.entry if entry is None else entry
        entry = len(sizes) - 1 if entry == -1 else min(entry, len(sizes) - 1)
        entering = resize.resize_image(image, sizes[entry])
        redrawn: Tensor = self.generator(domain)(entering, sizes, entry, self._noises(sizes, entry, draw))
        return redrawn

    def sample(self, sizes: Mapping[str, Sequence[Size]], draw: Draw) -> dict[str, Tensor]:
        a = self._random("a", sizes["a"], draw)
        return {"a": a, "b": self.redraw(a, sizes["a"], "b", None, draw)}

    def preview(self, real: Mapping[str, list[Tensor]], draw: Draw) -> list[tuple[str, Tensor]]:
        pictures = []
        for source, target in OTHER.items():
            shown = self.redraw(real[source][-1], self.sizes[source], target, None, draw)
            pictures += [(source, real[source][-1]), (f"{source} as {target}", shown)]
        return [*pictures, ("random a", self._random("a", self.sizes["a"], draw))]

    def parts(self) -> dict[str, int]:
        parts = self.config.generator_parts(self.plan.channels, head_norm=False)
        return {f"g_{domain} {part}": count for domain in self.domains for part, count in parts.items()}
