"""`lonepair`: two growing generators that redraw each other's images, taught by patches and layout; no critics.

Ours; after `representative`, whose generators it has (ConSinGAN's, with features handed from stage to stage). What an
image looks like is which patches it has, and how often, and how far two images are apart in that can be computed: a
sliced Wasserstein distance of the distributions (Rabin et al. 2011; for single images Elnekave and Weiss, GPDM, CVPR
2022) and the distance to the nearest patches (Kwatra et al. 2005; Granot et al., GPNN, CVPR 2022) take the place of the
critics, which are most of the published methods' cost and instability. What stands where is the image's self-similarity
(Shechtman and Irani, CVPR 2007), whatever the colours: that the redrawn image has the source's takes the place of
the cycle.

A step translates each domain's real image, which enters at `start_stage` or, with `random_start_probability`, at any
stage: loss = look
(patches like the other domain's, at this stage's size and half of it, also of the fine detail alone) +
lambda_structure x (1 - correlation of the two self-similarities on a coarse grid) + lambda_rarity x (1 - correlation of
how rare each place is, in the source and in the target). With probability `random_image_probability` it
draws random images instead, by look alone, from which aligned pairs are sampled. The real image itself is redrawn, as
in use; A and B are the same problem with the same distances, in units of each target's own contrast, so that neither
converges at the other's cost.

The model keeps the training images beside its weights, of a clip eight frames (`nets.Exemplar`). Patch synthesis
(`patches.synthesis`) replaces the patches of a prediction by patches of theirs.

docs/notes/2026-11-25-lonepair.md has what was tried and measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.methods.pair import OTHER, PairMethod
from lonepair.methods.patch_based import PATCH_ADAM, PATCH_GROWTH, PATCH_SCHEDULE, PatchConfig, PatchMethod
from lonepair.methods.setting_groups import (
    AdamConfig,
    BorderConfig,
    ClipConfig,
    CropConfig,
    FinestStepsConfig,
    GrowthConfig,
    NetworkConfig,
    ScheduleConfig,
    SizeConfig,
    TranslationConfig,
)
from lonepair.methods.types import Size, StepInputs
from lonepair.patches.config import SynthesisConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.nets import StageSizes
    from lonepair.ops import pyramid, resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    pyramid = lazy("lonepair.ops.pyramid")
    resize = lazy("lonepair.ops.resize")
RANDOM_IMAGE = -1
"""In a branch, instead of a start stage: the update generates a random image."""


@dataclass(frozen=True)
class LonepairConfig(Config):
    """Settings of `lonepair`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"steps": 200, "finest_steps": 100},
        "standard": {},
        "full": {"steps": 1000, "finest_steps": 500},
    }
    """draft, standard and full: longer from one to the next."""

    size: SizeConfig = SizeConfig(max_side=80, min_side=24)
    translation: TranslationConfig = TranslationConfig()
    growth: GrowthConfig = replace(PATCH_GROWTH, stages=5)
    border: BorderConfig = BorderConfig("reflect")
    schedule: ScheduleConfig = PATCH_SCHEDULE
    finest: FinestStepsConfig = FinestStepsConfig(160)
    network: NetworkConfig = NetworkConfig()
    patches: PatchConfig = PatchConfig()
    adam: AdamConfig = PATCH_ADAM
    crop: CropConfig = CropConfig()
    clip: ClipConfig = ClipConfig()
    lambda_structure: float = 0.4
    """Weight, 0 or more, of the source's layout beside the target's look; it rises over the coarse stages. A larger
    value retains more of the source's shapes."""
    lambda_rarity: float = 0.3
    """Weight, 0 or more, of mapping what is rare in the source to what is rare in the target, at the coarse stages."""
    layout_grid: int = 32
    """Longest side, 4 to 64, of the grid on which layouts are compared. A larger value compares finer shapes and is
    slower."""
    random_start_probability: float = 0.1
    """Probability that a training step starts at a random stage rather than at `start_stage`. A larger value makes
    other start stages work better in use."""
    random_image_probability: float = 0.1
    """Probability that a training step generates a random image rather than translating the real one. A larger value
    makes better samples."""

    def problems(self) -> list[str]:
        found = self.patches.size_problems(self.size.min_side)
        found += self.translation.stage_problems(0, self.growth.stages)
        if not 4 <= self.layout_grid <= 64:
            found.append(f"layout_grid is {self.layout_grid}: choose 4 to 64")
        found += self.below(0, "lambda_structure", "lambda_rarity")
        return found + self.outside_unit("random_start_probability", "random_image_probability")


class Lonepair(PatchMethod, PairMethod):
    """Two growing generators G_a and G_b."""

    name = "lonepair"
    inference_nets = ("g_a", "g_b", "exemplar_a", "exemplar_b")
    uses = frozenset({"sample", "translate"})
    accepts_several = True
    config_class = LonepairConfig
    synthesis = SynthesisConfig()

    config: LonepairConfig

    def branch(self, player: str, rng: RandomStream) -> tuple[int, int]:
        """The stage at which the real image starts, or `RANDOM_IMAGE`, and the stored frame of the target."""
        c = self.config
        if rng.host_bernoulli(c.random_image_probability):
            start_stage = RANDOM_IMAGE
        elif rng.host_bernoulli(c.random_start_probability):
            start_stage = rng.host_integer(self.stage + 1)
        else:
            start_stage = min(c.start_stage, self.stage)
        return start_stage, self.draw_frame(player.removeprefix("g_"), rng)

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        assert inputs.branch
        rng, target, (start_stage, frame) = inputs.rng, player.removeprefix("g_"), inputs.branch
        if start_stage == RANDOM_IMAGE:
            drawn = self.random(target, self.visible_sizes(target, inputs), rng)
            return {f"look_{target}": self.look(target, drawn, rng, frame)}
        source = OTHER[target]
        real, sizes = inputs.real[source][-1], self.visible_sizes(source, inputs)
        # Of a large picture the level below is as good as what in use is reduced to it, and there already.
        shown = inputs.real[source][start_stage] if isinstance(sizes, nets.Crops) else real
        drawn = self.translate(shown, sizes, target, start_stage, rng)
        return {
            f"look_{source}{target}": self.look(target, drawn, rng, frame),
            f"structure_{source}{target}": self._lost(drawn, nets.crop_image(sizes, real), target),
        }

    def _lost(self, drawn: Tensor, real: Tensor, target: str) -> Tensor:
        """What of the layout of `real` is not that of `drawn`, in the look of `target`, weighted: 0 at least."""
        c = self.config
        with torch.autocast(real.device.type, enabled=False):
            ours, theirs = self._reduced(drawn), self._reduced(real)
            # Weakly at first: what becomes what is decided by what is rare, a figure a figure. Self-similarity does not
            # tell it: held from the start, a bright flame on a black sky became pale stones without a shape; left to
            # chance, coins became holes between galaxies.
            weight: float = c.lambda_structure * min(1.0, (self.stage + 1) / (c.coarse_stages + 1))
            lost: Tensor = weight * (1 - losses.correlation(*map(losses.self_similarity, (ours, theirs))))
            if self.is_fine:
                return lost
            # Rare in the target, not in what was drawn: there a white duck on black is as rare as a black one on white.
            world = self._reduced(self.exemplar(target)())
            alike = losses.correlation(losses.rarity(ours, world), losses.rarity(theirs, theirs))
            rarity_weight: float = c.lambda_rarity
            return lost + rarity_weight * (1 - alike)

    def _reduced(self, image: Tensor) -> Tensor:
        """`image`, or all crops of one together, at the size at which layouts are compared."""
        share = min(1.0, self.config.layout_grid / (max(image.shape[-2:]) * len(image) ** 0.5))
        return resize.resize(image.float(), pyramid.scale_size((image.shape[-2], image.shape[-1]), share))

    # -- use ------------------------------------------------------------------------------------------------------

    def translate(
        self, image: Tensor, sizes: StageSizes, domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = self.config.start_stage if start_stage is None else start_stage
        # Crops begin above the stages that are drawn whole.
        last = self.generator(domain).full_image_stages(sizes) - 1
        start_stage = last if start_stage == -1 else min(start_stage, last)
        entering = resize.resize_image(image, sizes[start_stage])
        redrawn: Tensor = self.generator(domain)(
            entering, sizes, start_stage, self.stage_noise(sizes, start_stage, rng)
        )
        return redrawn

    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        a = self.random("a", sizes["a"], rng)
        return {"a": a, "b": self.translate(a, sizes["a"], "b", None, rng)}

    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        pictures = self.translation_preview(real, rng)
        return [*pictures, ("random a", self.random("a", self.sizes["a"], rng))]
