"""`lonepair-single`: one small growing generator for random images like one image, trained in a minute; no critic.

Published ideas used:
- Patch distributions and nearest patches in place of a critic, as in `lonepair`.
- Reconstruction of the image by squared error, which ties coarse shapes to their detail (SinGAN, Rott Shaham et al.,
  ICCV 2019).

Decided here:
- A step generates a random image. Its loss is the patch distance of `lonepair`.
- The same step reconstructs the image from its own coarsest size.
- A sample begins with the image at its coarsest size under a random smooth warp: what stands on what is mostly kept.
- Patch synthesis (`patches.synthesis`) replaces the patches of samples by patches of the image.

Our departures from `lonepair`:
- Patches extend over the border, which a further channel marks (`border_channel_weight`): the sky stays above.
- There is no source, so there is no layout loss, and patch synthesis retains large masses only.
- Patches are searched near their own height (`row_weight`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair import citations
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
    from lonepair.ops import deform, resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    deform = lazy("lonepair.ops.deform")
    resize = lazy("lonepair.ops.resize")


@dataclass(frozen=True)
class LonepairSingleConfig(Config):
    """Settings of `lonepair-single`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"steps": 150, "finest_steps": 60},
        "standard": {},
        "full": {"steps": 1000, "finest_steps": 300},
    }
    """Each has more steps than the one before."""

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
    publications = ("hinz2021improved", *citations.PATCHES, "rottshaham2019singan")
    inference_nets = ("g_a", "exemplar_a")
    uses = frozenset({"sample", "sample_stage_sheet", "inpaint", "outpaint", "tile"})
    accepts_several = False
    config_class = LonepairSingleConfig
    # A sample has no source whose shapes must stay. It retains the positions of large masses; the target's objects
    # replace its own.
    # Samples and completions were judged with closer patches and scales than those of `lonepair`.
    synthesis = SynthesisConfig(
        layout_scale=1.0,
        layout_restoration=0.3,
        layout_warp=0.15,
        row_weight=1.0,
        copied_region_share=0.03,
        patch_stride=2,
        propagation_distance=4,
        max_scale_ratio=1.4,
    )

    config: LonepairSingleConfig

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        sizes = self.visible_sizes("a", inputs)
        # A random image: patches.
        prediction = self.random("a", sizes, inputs.rng)
        terms = {"patch_distance": self.patch_distance("a", prediction, inputs.rng)}
        # The image itself, from its coarsest size: squared error.
        if self.config.lambda_rec:
            reconstruction = self.render(self.reconstruction_maps(sizes), sizes)
            real = nets.crop_image(sizes, inputs.real["a"][-1])
            terms["rec"] = self.config.lambda_rec * losses.mean_squared_error(reconstruction, real)
        return terms

    def noise_maps(self, sizes: StageSizes, rng: RandomStream) -> list[Tensor]:
        return self.generator("a").noise_maps(sizes, rng)

    def sample_maps(self, sizes: Sequence[Size], rng: RandomStream, layout_warp: float | None = None) -> list[Tensor]:
        """The image at the coarsest size under a random warp, then noise."""
        maps = self.noise_maps(sizes, rng)
        if layout_warp is None:
            layout_warp = 0.0 if self.synthesis is None else self.synthesis.layout_warp
        if layout_warp > 0:
            # Warped at the finest size: at the coarsest, interpolation would blur it.
            image = deform.random_warp(self.exemplar("a")(), sizes[-1], layout_warp, rng)
            maps[0] = resize.resize_image(image, sizes[0])
        return maps

    def reconstruction_maps(self, sizes: StageSizes) -> list[Tensor]:
        """The image itself at the coarsest size, then zeros in place of noise."""
        # Zeros are expanded views: the noise of a large image would fill the memory.
        first = resize.resize_image(self.exemplar("a")(), sizes[0])
        shapes = [self.generator("a").noise_shape(sizes, stage) for stage in range(len(sizes))]
        return [first, *(first.new_zeros(1, 1, 1, 1).expand(shape) for shape in shapes[1:])]

    def render(self, noises: Sequence[Tensor], sizes: StageSizes) -> Tensor:
        image: Tensor = self.generator("a")(noises[0], sizes, 0, noises[1:])
        return image

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = min(start_stage or 0, len(sizes) - 1)
        network_input = resize.resize_image(image, sizes[start_stage])
        noise_maps = self.stage_noise(sizes, start_stage, rng)
        prediction: Tensor = self.generator(domain)(network_input, sizes, start_stage, noise_maps)
        return prediction
