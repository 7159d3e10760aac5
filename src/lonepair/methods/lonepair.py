"""`lonepair`: two small growing generators translate between two images; patches and layout teach them, no critics.

Published ideas used:
- Growing generators whose stages pass on features: ConSinGAN's (Hinz et al., WACV 2021), as in `representative`.
- The appearance of an image is the distribution of its patches. Two distances between them replace the critics: the
  sliced Wasserstein distance (Rabin et al. 2011; for single images Elnekave and Weiss, GPDM, CVPR 2022) and that to the
  nearest patches (Kwatra et al. 2005; Granot et al., GPNN, CVPR 2022).
- The layout of an image is its self-similarity; colors as such do not count (Shechtman and Irani, CVPR 2007).

Decided here, for one update of the generator of B; that of A is symmetric:
- It translates A's real image, as in use. The image enters at `start_stage` or, with `random_start_probability`, at a
  random stage.
- Loss = patch distance to B, at this stage's size and half of it, also of the fine detail alone
  + lambda_structure x (1 - correlation of the self-similarities of source and translation, on a coarse grid)
  + lambda_rarity x (1 - correlation of the rarity of each position, in the source and in the target).
- With `equivariance_probability` it also translates the image after a random smooth motion, without noise; the distance
  to the translation after the same motion is a third term. The prediction of a clip then moves with the camera.
- Of a clip, half of the steps (`change_share`) draw a frame in proportion to its change.
- With `random_image_probability` it generates a random image instead, and the loss is the patch distance alone. Aligned
  random pairs are such an image of A and its translation.
- Distances are in units of each target's own contrast, so that neither generator converges at the other's cost.
- The model stores the training images beside its weights, eight frames of a clip (`nets.Exemplar`). Patch synthesis
  (`patches.synthesis`) takes its patches from them.

Our departures from the published pairs:
- No critics: they are most of the published methods' cost and instability.
- No cycle: retaining the source's self-similarity takes its place.
- Real images are translated in training, not only generated ones.

docs/notes/2026-11-25-lonepair.md lists experiments and measurements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair import citations
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
    from lonepair.ops import changes, pyramid, resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    changes = lazy("lonepair.ops.changes")
    pyramid = lazy("lonepair.ops.pyramid")
    resize = lazy("lonepair.ops.resize")
RANDOM_IMAGE = -1
"""Stands in a branch for the start stage: the update generates a random image."""


@dataclass(frozen=True)
class LonepairConfig(Config):
    """Settings of `lonepair`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"steps": 200, "finest_steps": 100},
        "standard": {},
        "full": {"steps": 1000, "finest_steps": 500},
    }
    """Each has more steps than the one before."""

    basic: ClassVar[tuple[str, ...]] = (*Config.basic, "lambda_structure")

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
    """Weight, 0 or more, of the source's layout; the patch distance has weight 1. It rises over the coarse stages. A
    larger value retains more of the source's shapes."""
    lambda_rarity: float = 0.3
    """Weight, 0 or more, of the rarity of each position at the coarse stages. A larger value maps rare parts of the
    source more surely to rare parts of the target."""
    lambda_equivariance: float = 4.0
    """Weight, 0 or more, of the distance between the translation of a moved frame and the moved translation, in a
    training on a clip. A larger value renews less of the texture under a moving camera, and follows the source's small
    shapes less; 0 turns it off."""
    equivariance_probability: float = 0.25
    """Probability that a training step that translates also translates the moved frame, in a training on a clip. A
    larger value is slower."""
    change_share: float = 0.5
    """Share, 0 to 1, of the training steps that draw a clip's frame in proportion to its change, the difference to the
    frames before and after it; the others draw all frames evenly. A larger value learns rare moments better, and long
    still shots less."""
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
        problems = self.patches.size_problems(self.size.min_side)
        problems += self.translation.stage_problems(0, self.growth.stages)
        if not 4 <= self.layout_grid <= 64:
            problems.append(f"layout_grid is {self.layout_grid}: choose 4 to 64")
        problems += self.below(0, "lambda_structure", "lambda_rarity", "lambda_equivariance")
        return problems + self.outside_unit(
            "change_share", "equivariance_probability", "random_start_probability", "random_image_probability"
        )


class Lonepair(PatchMethod, PairMethod):
    """Two growing generators G_a and G_b."""

    name = "lonepair"
    publications = ("hinz2021improved", *citations.PATCHES, "shechtman2007matching")
    inference_nets = ("g_a", "g_b", "exemplar_a", "exemplar_b")
    uses = frozenset({"sample", "translate"})
    accepts_several = True
    config_class = LonepairConfig
    synthesis = SynthesisConfig()

    config: LonepairConfig

    def frame_probabilities(self, levels: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
        # From the finest stage at all stages. A still is left out, so that it draws no random number more.
        clips = {domain: stages[-1] for domain, stages in levels.items() if len(stages[-1]) > 1}
        share = self.config.change_share
        return {domain: changes.mix_with_even(changes.frame_changes(frames), share) for domain, frames in clips.items()}

    def branch(self, player: str, rng: RandomStream) -> tuple[int, int, int]:
        """The stage at which the real image enters, or `RANDOM_IMAGE`; the target's frame; 1 if it is moved, too."""
        c = self.config
        if rng.host_bernoulli(c.random_image_probability):
            start_stage = RANDOM_IMAGE
        elif rng.host_bernoulli(c.random_start_probability):
            start_stage = rng.host_integer(self.stage + 1)
        else:
            start_stage = min(c.start_stage, self.stage)
        frame = self.random_frame(player.removeprefix("g_"), rng)
        # The term serves clips; a pair of stills draws no random number for it.
        is_clip = any(len(self.exemplar(domain).images) > 1 for domain in self.domains)
        is_moved = is_clip and c.lambda_equivariance > 0 and rng.host_bernoulli(c.equivariance_probability)
        return start_stage, frame, int(is_moved and start_stage != RANDOM_IMAGE)

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        assert inputs.branch
        rng, target, (start_stage, frame, is_moved) = inputs.rng, player.removeprefix("g_"), inputs.branch

        # A random image: patches alone.
        if start_stage == RANDOM_IMAGE:
            prediction = self.random(target, self.visible_sizes(target, inputs), rng)
            return {f"patch_distance_{target}": self.patch_distance(target, prediction, rng, frame)}

        # A translation: patches and layout. For crops the pyramid's level replaces the reduction of the full image.
        source = OTHER[target]
        real, sizes = inputs.real[source][-1], self.visible_sizes(source, inputs)
        image = inputs.real[source][start_stage] if isinstance(sizes, nets.Crops) else real
        terms = {}
        if is_moved and not isinstance(sizes, nets.Crops):
            prediction, distance = self._equivariance(image, sizes, target, start_stage, rng)
            terms[f"equivariance_{source}{target}"] = self.config.lambda_equivariance * distance
        else:
            prediction = self.translate(image, sizes, target, start_stage, rng)
        return terms | {
            f"patch_distance_{source}{target}": self.patch_distance(target, prediction, rng, frame),
            f"structure_{source}{target}": self._layout_loss(prediction, nets.crop_image(sizes, real), target),
        }

    def _equivariance(
        self, image: Tensor, sizes: StageSizes, target: str, start_stage: int, rng: RandomStream
    ) -> tuple[Tensor, Tensor]:
        """The translation of `image` without noise, as in a clip, and its distance from that of the moved image.

        The distance is in units of the target's contrast.
        """
        warp = losses.SmoothWarp.sample((image.shape[-2], image.shape[-1]), rng)
        network_input = resize.resize_image(torch.cat([image, warp(image)]), sizes[start_stage])
        outputs = self.generator(target)(network_input, sizes, start_stage, None)
        output, moved_output = outputs.split(1)
        with torch.autocast(image.device.type, enabled=False):
            distance = losses.equivariance_distance(moved_output.float(), output.float(), warp)
        contrast = self.exemplar(target)().std().clamp(min=1 / 255)
        return output, distance / contrast

    def _layout_loss(self, prediction: Tensor, real: Tensor, target: str) -> Tensor:
        """Weighted loss, 0 or more, of the layout of `real` in `prediction`, its translation to the domain `target`."""
        c = self.config
        with torch.autocast(real.device.type, enabled=False):
            prediction, real = self._to_layout_grid(prediction), self._to_layout_grid(real)

            # Self-similarity. The weight rises over the coarse stages, where rarity decides which part becomes which.
            # Self-similarity cannot decide that: at full weight from the start, a bright flame on a black sky became
            # pale stones without a shape; without rarity, coins became holes between galaxies.
            weight: float = c.lambda_structure * min(1.0, (self.stage + 1) / (c.coarse_stages + 1))
            loss: Tensor = weight * (1 - losses.correlation(*map(losses.self_similarity, (prediction, real))))
            if self.is_fine:
                return loss

            # Rarity, measured against the target and not within the prediction: within it, a white duck on black is as
            # rare as a black one on white.
            reference = self._to_layout_grid(self.exemplar(target)())
            correlation = losses.correlation(losses.rarity(prediction, reference), losses.rarity(real, real))
            rarity_weight: float = c.lambda_rarity
            return loss + rarity_weight * (1 - correlation)

    def _to_layout_grid(self, image: Tensor) -> Tensor:
        """`image` at the size at which layouts are compared; crops of one image share the grid's area."""
        factor = min(1.0, self.config.layout_grid / (max(image.shape[-2:]) * len(image) ** 0.5))
        return resize.resize(image.float(), pyramid.scale_size((image.shape[-2], image.shape[-1]), factor))

    # -- use ------------------------------------------------------------------------------------------------------

    def translate(
        self, image: Tensor, sizes: StageSizes, domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = self.config.start_stage if start_stage is None else start_stage
        # With crops the image enters at a stage that processes the full image.
        last = self.generator(domain).full_image_stages(sizes) - 1
        start_stage = last if start_stage == -1 else min(start_stage, last)
        network_input = resize.resize_image(image, sizes[start_stage])
        noise_maps = self.stage_noise(sizes, start_stage, rng)
        prediction: Tensor = self.generator(domain)(network_input, sizes, start_stage, noise_maps)
        return prediction

    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        a = self.random("a", sizes["a"], rng)
        return {"a": a, "b": self.translate(a, sizes["a"], "b", None, rng)}

    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        translations = self.translation_preview(real, rng)
        return [*translations, ("random a", self.random("a", self.sizes["a"], rng))]
