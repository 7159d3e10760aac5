"""`lonepair-single`: one growing generator that draws images with the patches of one, in a minute; no critic.

Ours: `lonepair` for one image. A step draws a random image, whose patches must be the image's, as often as it has them
(the look of `lonepair`: a sliced Wasserstein distance and the nearest patches, here of patches that reach over the
border, so that the sky is above), and the image itself from its
coarsest size, by squared error, which ties coarse shapes to their detail (SinGAN's reconstruction). Patch synthesis
(`patches.synthesis`) replaces the patches of samples by patches of the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.methods.patch_based import PATCH_ADAM, PATCH_GROWTH, PATCH_SCHEDULE, PatchConfig, PatchMethod
from lonepair.methods.setting_groups import (
    AdamConfig,
    BorderConfig,
    CropConfig,
    FinestStepsConfig,
    GrowthConfig,
    NetworkConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
)
from lonepair.methods.single import SingleMethod
from lonepair.methods.types import Size, StepInputs
from lonepair.patches.config import SynthesisConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.nets import StageSizes
    from lonepair.ops import resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    resize = lazy("lonepair.ops.resize")


@dataclass(frozen=True)
class LonepairSingleConfig(Config):
    """Settings of `lonepair-single`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"steps": 150, "finest_steps": 60},
        "standard": {},
        "full": {"steps": 1000, "finest_steps": 300},
    }
    """draft, standard and full: longer from one to the next."""

    size: SizeConfig = SizeConfig(max_side=64, min_side=24)
    growth: GrowthConfig = replace(PATCH_GROWTH, stages=4)
    border: BorderConfig = BorderConfig()
    schedule: ScheduleConfig = PATCH_SCHEDULE
    finest: FinestStepsConfig = FinestStepsConfig(100)
    network: NetworkConfig = NetworkConfig()
    patches: PatchConfig = PatchConfig(border_channel_weight=1.0)
    reconstruction: ReconstructionConfig = ReconstructionConfig(1.0)
    adam: AdamConfig = PATCH_ADAM
    crop: CropConfig = CropConfig()

    def problems(self) -> list[str]:
        return self.patches.size_problems(self.size.min_side)


class LonepairSingle(PatchMethod, SingleMethod):
    """One growing generator G."""

    name = "lonepair-single"
    inference_nets = ("g_a", "exemplar_a")
    uses = frozenset({"sample", "sample_stage_sheet"})
    accepts_several = False
    config_class = LonepairSingleConfig
    # A sample has no source: it keeps only where its large masses lie, and objects may become those of the target.
    synthesis = SynthesisConfig(layout_scale=1.0, layout_restoration=0.3)

    config: LonepairSingleConfig

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        sizes = self.visible_sizes("a", inputs)
        found = {"look": self.look("a", self.random("a", sizes, inputs.rng), inputs.rng)}
        if self.config.lambda_rec:
            rebuilt = self.render(self.reconstruction_maps(sizes), sizes)
            found["rec"] = self.config.lambda_rec * losses.mean_squared_error(
                rebuilt, nets.crop_image(sizes, inputs.real["a"][-1])
            )
        return found

    def noise_maps(self, sizes: StageSizes, rng: RandomStream) -> list[Tensor]:
        return self.generator("a").noise_maps(sizes, rng)

    def reconstruction_maps(self, sizes: StageSizes) -> list[Tensor]:
        """The image itself at the coarsest size, and no noise after."""
        first = resize.resize_image(self.exemplar("a")(), sizes[0])
        shapes = [self.generator("a").noise_shape(sizes, stage) for stage in range(len(sizes))]
        return [first, *(first.new_zeros(1, 1, 1, 1).expand(shape) for shape in shapes[1:])]

    def render(self, noises: Sequence[Tensor], sizes: StageSizes) -> Tensor:
        drawn: Tensor = self.generator("a")(noises[0], sizes, 0, noises[1:])
        return drawn

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = min(start_stage or 0, len(sizes) - 1)
        entering = resize.resize_image(image, sizes[start_stage])
        redrawn: Tensor = self.generator(domain)(
            entering, sizes, start_stage, self.stage_noise(sizes, start_stage, rng)
        )
        return redrawn
