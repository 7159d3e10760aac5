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
lambda_structure x (1 - correlation of the two self-similarities on a coarse grid) + lambda_rarity x (1 - correlation of
how rare each place is, in the source and in the target). With probability `random_share` it
draws random images instead, by look alone, from which aligned pairs are sampled. The real image itself is redrawn, as
in use; A and B are the same problem with the same distances, in units of each target's own contrast, so that neither
converges at the other's cost.

The model keeps what it learnt from beside its weights, a clip's in eight frames: these say what a domain looks like,
and `apply.finish` makes what the networks draw of their patches.

docs/lonepair.md has what was tried and measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair.lazy import lazy
from lonepair.methods.base import Scene, Size
from lonepair.methods.patch_based import PatchConfig, PatchMethod

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.nets import Sizes
    from lonepair.ops import pyramid, resize
    from lonepair.ops.noise import Draw
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    pyramid = lazy("lonepair.ops.pyramid")
    resize = lazy("lonepair.ops.resize")

OTHER = {"a": "b", "b": "a"}


@dataclass(frozen=True)
class LonepairConfig(PatchConfig):
    """Settings of `lonepair`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"steps": 200, "finest_steps": 100},
        "standard": {},
        "full": {"steps": 1000, "finest_steps": 500},
    }
    """draft, standard and full: longer from one to the next."""

    max_side: int = 80
    """Longest side of the finest stage, in pixels: what is where is decided there, the rest is finished."""
    stages: int = 5
    """Number of stages, 2 to 12; each adds `blocks` convolutions."""
    steps: int = 300
    """Training steps of the coarsest stage."""
    finest_steps: int = 160
    """Training steps of the finest stage; those between lie on a geometric line."""
    lambda_structure: float = 0.4
    """Weight of keeping the source's layout beside the target's look; the coarse stages rise to it."""
    lambda_rarity: float = 0.3
    """Weight, at the coarse stages, of drawing what is rare in the source as what is rare in the target."""
    grid: int = 32
    """Longest side, in places, of the grid on which layouts are compared."""
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
        if not 4 <= self.grid <= 64:
            found.append(f"grid is {self.grid}: choose 4 to 64")
        return (
            found
            + self.too_small(0, "lambda_structure", "lambda_rarity")
            + self.no_share("entry_share", "random_share")
        )


class Lonepair(PatchMethod):
    """Two growing generators G_a and G_b."""

    name = "lonepair"
    domains = ("a", "b")
    used = ("g_a", "g_b", "memory_a", "memory_b", "detail_a", "detail_b")
    uses = frozenset({"sample", "translate"})
    takes_many = True
    config_class = LonepairConfig

    config: LonepairConfig

    def losses(self, player: str, scene: Scene) -> dict[str, Tensor]:
        draw, c, target = scene.draw, self.config, player.removeprefix("g_")
        if draw.coin(c.random_share):
            drawn = self.random(target, self.seen(target, scene), draw)
            return {f"look_{target}": self.look(target, drawn, draw)}
        source = OTHER[target]
        entry = draw.below(self.stage + 1) if draw.coin(c.entry_share) else min(c.entry, self.stage)
        real, sizes = scene.real[source][-1], self.seen(source, scene)
        # Of a large picture the level below is as good as what in use is reduced to it, and there already.
        shown = scene.real[source][entry] if isinstance(sizes, nets.Crops) else real
        drawn = self.redraw(shown, sizes, target, entry, draw)
        return {
            f"look_{source}{target}": self.look(target, drawn, draw),
            f"structure_{source}{target}": self._lost(drawn, nets.cut(sizes, real), target),
        }

    def _lost(self, drawn: Tensor, real: Tensor, target: str) -> Tensor:
        """What of the layout of `real` is not that of `drawn`, in the look of `target`, weighted: 0 at least."""
        c = self.config
        with torch.autocast(real.device.type, enabled=False):
            ours, theirs = self._reduced(drawn), self._reduced(real)
            # Weakly at first: what becomes what is decided by what is rare, a figure a figure. Self-similarity does not
            # tell it: held from the start, a bright flame on a black sky became pale stones without a shape; left to
            # chance, coins became holes between galaxies.
            weight = c.lambda_structure * min(1.0, (self.stage + 1) / (c.coarse + 1))
            lost = weight * (1 - losses.correlation(*map(losses.self_similarity, (ours, theirs))))
            if self.is_fine:
                return lost
            # Rare in the target, not in what was drawn: there a white duck on black is as rare as a black one on white.
            world = self._reduced(self.remembered(target))
            alike = losses.correlation(losses.rarity(ours, world), losses.rarity(theirs, theirs))
            return lost + c.lambda_rarity * (1 - alike)

    def _reduced(self, image: Tensor) -> Tensor:
        """`image`, or all crops of one together, at the size at which layouts are compared."""
        share = min(1.0, self.config.grid / (max(image.shape[-2:]) * len(image) ** 0.5))
        return resize.resize(image.float(), pyramid.scaled((image.shape[-2], image.shape[-1]), share))

    # -- use ------------------------------------------------------------------------------------------------------

    def redraw(self, image: Tensor, sizes: Sizes, domain: str, entry: int | None, draw: Draw) -> Tensor:
        entry = self.config.entry if entry is None else entry
        # Crops begin above the stages that are drawn whole.
        last = self.generator(domain).whole_stages(sizes) - 1
        entry = last if entry == -1 else min(entry, last)
        entering = resize.resize_image(image, sizes[entry])
        redrawn: Tensor = self.generator(domain)(entering, sizes, entry, self.maps(sizes, entry, draw))
        return redrawn

    def sample(self, sizes: Mapping[str, Sequence[Size]], draw: Draw) -> dict[str, Tensor]:
        a = self.random("a", sizes["a"], draw)
        return {"a": a, "b": self.redraw(a, sizes["a"], "b", None, draw)}

    def preview(self, real: Mapping[str, list[Tensor]], draw: Draw) -> list[tuple[str, Tensor]]:
        pictures = []
        for source, target in OTHER.items():
            shown = self.redraw(real[source][-1], self.sizes[source], target, None, draw)
            pictures += [(source, real[source][-1]), (f"{source} as {target}", shown)]
        return [*pictures, ("random a", self.random("a", self.sizes["a"], draw))]
