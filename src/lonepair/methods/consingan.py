"""`consingan`: one growing generator, its newest stages trained together on one image.

Source: Hinz, Fisher, Wang, Wermter, "Improved Techniques for Training Single-Image GANs", WACV 2021, arXiv:2003.11512.

As published: the size rule that is dense where images are small (sec. 3.2), features handed from stage to stage, a new
stage that starts as a copy of the one below, three stages trained together with a tenth of the rate for each further
back (sec. 3.1), a critic of five unpadded convolutions without normalisation that is carried over, WGAN-GP of weight
0.1 with three critic updates a step on one fake, reconstruction of weight 10 from the coarsest real image and fixed
Gaussian feature maps, noise of 0.1 x RMSE of what the new stage's copy reconstructs, Adam (0.5, 0.999) at 5e-4, a tenth
of it after 80 % of 2000 steps a stage. `task` chooses how stages are surrounded: enlarged features for `generation` and
`animation`, zeros for the others. An animation is reconstructed from noise instead of the coarsest image. For
`harmonization` and `editing` (sec. 3.4) the generator is shown the coarsest image with other colours, or rearranged and
with a tenth of noise, and learns to undo it; in use it takes the composite, and the fixed maps above. The presets of
these names have the released commands' normalisation and 1000 steps; harmonization three stages from 120 pixels on a
geometric rule and slope 0.3. With a `composite` and a warm start the generator is trained further on the coarsest level
of that composite, at the last resolution alone and at the rates that stages have there (fine-tuning).

With `as_released`: three Adam steps on one gradient of the generator. The paper has one.

Our departures: antialiased bicubic reduction (the released code's kernel differs by rounding); several images, or the
frames of a clip, may be given, each reconstructed from its own coarsest level; the fixed feature maps are drawn from a
fixed seed instead of being saved; of pictures above 362 x 362 a step sees crops (`crop_size`), and above 1024 x 1024
fixed maps are zero; the disturbances of colours and tiles are ours in kind and numbers (`ops.augment`); normalisation
is by the image's own statistics: what BatchNorm computes in training on one image, and what the released code, which
never evaluates, has in use, too; where a size is a whole number but for rounding error, the released code may have a
pixel more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.methods.growing import generator_parameter_counts, step_work
from lonepair.methods.setting_groups import (
    AdamConfig,
    AdversarialConfig,
    ClipConfig,
    CriticStepsConfig,
    CropConfig,
    GrowthConfig,
    NetworkConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
)
from lonepair.methods.single import SingleMethod
from lonepair.methods.types import Branch, Plan, Player, Schedule, Size, StepInputs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.nets import GrowingGenerator, PatchCritic, StageSizes
    from lonepair.ops import augment, noise, pyramid, resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    augment = lazy("lonepair.ops.augment")
    noise = lazy("lonepair.ops.noise")
    pyramid = lazy("lonepair.ops.pyramid")
    resize = lazy("lonepair.ops.resize")

_UNDO = ("harmonization", "editing")
"""Tasks whose generator undoes something instead of drawing from noise."""

_FIXED = 2020
"""Names the stream of the fixed feature maps."""


_EDIT_NOISE = 0.1
"""Standard deviation of the noise on what the generator is shown when it edits, in training and in use."""


@dataclass(frozen=True)
class ConSinGANConfig(Config):
    """Settings of `consingan`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 250},
        "standard": {"max_side": 188, "steps": 1000},
        "full": {},
        "animation": {"task": "animation", "min_side": 20},
        "harmonization": {
            "task": "harmonization",
            "stages": 3,
            "min_side": 120,
            "pyramid_rule": "geometric",
            "normalization": "instance",
            "leaky_slope": 0.3,
            "steps": 1000,
        },
        "editing": {"task": "editing", "normalization": "instance", "steps": 1000},
    }
    """full is the paper's, and so are the three tasks; draft and standard are smaller and shorter."""

    size: SizeConfig = SizeConfig(max_side=250)
    growth: GrowthConfig = GrowthConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    network: NetworkConfig = NetworkConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    critic: CriticStepsConfig = CriticStepsConfig()
    adam: AdamConfig = AdamConfig()
    crop: CropConfig = CropConfig()
    clip: ClipConfig = ClipConfig()
    task: Literal["generation", "retargeting", "animation", "harmonization", "editing"] = "generation"
    """What it is for: decides what the generator is shown, and how it treats the border."""
    as_released: bool = False
    """Three Adam steps on one gradient of the generator, as the released code has it."""


class ConSinGAN(SingleMethod):
    """A growing generator G and a patch critic D."""

    name = "consingan"
    optional_inputs = ("composite",)
    inference_nets = ("g", "reconstruction_input")
    uses = frozenset({"sample", "sample_stage_sheet", "animate", "edit", "harmonize", "paint", "refine"})
    accepts_several = True
    config_class = ConSinGANConfig
    citation = """@inproceedings{hinz2021improved,
  author    = {Hinz, Tobias and Fisher, Matthew and Wang, Oliver and Wermter, Stefan},
  title     = {Improved Techniques for Training Single-Image {GAN}s},
  booktitle = {Winter Conference on Applications of Computer Vision (WACV)},
  year      = {2021}
}"""

    config: ConSinGANConfig

    def __init__(self, config: ConSinGANConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        c = config
        if c.task in _UNDO:
            self.coarsest_start_uses = frozenset({"edit", "harmonize"})
        border_mode: nets.BorderMode = "upsampled_margin" if c.task in ("generation", "animation") else "zero_margin"
        self.nets["g"] = nets.GrowingGenerator(
            plan.channels,
            c.width,
            c.blocks_per_stage,
            c.normalization,
            c.leaky_slope,
            c.stages,
            border_mode=border_mode,
            head_norm=c.normalization,
            zero_bias=False,
        )
        self.nets["d"] = nets.PatchCritic(plan.channels, c.width, 5, c.leaky_slope, zero_bias=False)
        self.nets["reconstruction_input"] = nets.Constant(plan.channels, *plan.sizes(plan.full_sizes["a"])[0])
        self._fixed: dict[tuple[int, ...], Tensor] = {}

    @classmethod
    def plan_for(
        cls, config: ConSinGANConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        if "composite" in sizes and config.task not in _UNDO:
            raise UserError(f"task is {config.task}: a composite is for {' and '.join(_UNDO)}; choose one as `task`")
        if "composite" in sizes and sizes["composite"] != sizes["a"]:
            (h, w), (own_h, own_w) = originals["composite"], originals["a"]
            raise UserError(
                f"the composite has {w}x{h} pixels, the image {own_w}x{own_h}: give a composite that was made from the "
                "image, of the same aspect"
            )
        factors = pyramid.shared_factors([sizes["a"]], config.stages, config.min_side, config.pyramid_rule)
        return Plan(channels, dict.fromkeys(sizes, sizes["a"]), factors)

    @property
    def fine_tunes(self) -> bool:
        """Whether this is a further training, of the last stage, on a composite."""
        return "composite" in self.plan.full_sizes

    @property
    def generator(self) -> GrowingGenerator:
        """G."""
        return self.nets["g"]  # type: ignore[return-value]

    @property
    def critic(self) -> PatchCritic:
        """D."""
        return self.nets["d"]  # type: ignore[return-value]

    @property
    def reconstruction_input(self) -> Tensor:
        """The coarsest real image, (1, c, h, w), from which reconstruction starts."""
        return self.nets["reconstruction_input"].value  # type: ignore[return-value]

    # -- training -------------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        if self.stage == 0 and self.config.task == "animation":
            self.reconstruction_input.copy_(torch.randn(self.reconstruction_input.shape))
        self.generator.add_stage(self.config.trained_stages)

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        if self.stage == 0:
            if self.config.task != "animation":
                self.reconstruction_input.copy_(levels["a"][0][:1])
            self.generator.amplitudes[0] = 1
            return
        if self.fine_tunes:
            return  # what the warm start brought: its weights already draw what the stage was to add
        self.generator.amplitudes[self.stage] = 0  # the stage's copy is measured without noise of its own
        few = slice(None, None, max(1, len(levels["a"][0]) // 8))
        reached = self._rebuild(levels["a"][0][few], self.sizes["a"]).float()
        self.generator.amplitudes[self.stage] = noise.noise_amplitude(
            levels["a"][self.stage][few], reached, self.config.noise_scale
        )

    def players(self) -> dict[str, Player]:
        c = self.config
        groups = [
            {"params": parameters, "lr": c.lr_g * c.stage_lr_decay**back}
            for back, parameters in self.generator.parameters_by_stage(self.config.trained_stages)
        ]
        betas = (c.beta1, c.beta2)
        return {
            "critic": Player([{"params": list(self.nets["d"].parameters()), "lr": c.lr_d}], betas),
            "generator": Player(groups, betas),
        }

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        update_order = ["critic"] * c.critic_steps + ["generator"] * (3 if c.as_released else 1)
        if self.fine_tunes and stage < self.plan.stages - 1:
            return Schedule(0, update_order, 0.0)
        return Schedule(c.steps, update_order, step_work(self, c.critic_steps, stage), c.lr_drop_at, c.lr_drop_factor)

    def branch(self, player: str, rng: RandomStream) -> Branch:
        """None where the input is augmented, since `augment` draws on the host."""
        return None if self.config.task in ("harmonization", "editing") and not self.fine_tunes else ()

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        if inputs.fakes is None:
            inputs.fakes = self._imagine(inputs)
        critic, c, sizes = self.critic, self.config, self.visible_sizes("a", inputs)
        if player == "critic":
            real = nets.crop_image(sizes, inputs.real["a"][-1])
            fake = inputs.fakes.detach()
            wasserstein, penalty = losses.critic_losses(critic, real, [fake], inputs.rng, shared_forward=True)
            return {"d": wasserstein, "gp": c.lambda_gp * penalty}
        if callable(inputs.fakes):
            return {"adv_rec": inputs.fakes()}
        adversarial = -critic(inputs.fakes).mean()
        rebuilt = self._rebuild(inputs.real["a"][0], sizes)
        reconstruction = c.lambda_rec * losses.mean_squared_error(rebuilt, nets.crop_image(sizes, inputs.real["a"][-1]))
        if c.as_released:
            parameters = [
                p for _, group in self.generator.parameters_by_stage(self.config.trained_stages) for p in group
            ]
            inputs.fakes = losses.linearize(adversarial + reconstruction, parameters)
            return {"adv_rec": inputs.fakes()}
        return {"adv": adversarial, "rec": reconstruction}

    def _imagine(self, inputs: StepInputs) -> Tensor:
        """What the critic is to be convinced of at this step."""
        sizes = self.visible_sizes("a", inputs)
        noises = self.noise_maps(sizes, inputs.rng)
        if "composite" in inputs.real:
            noises[0] = self._shown(inputs.real["composite"][0], inputs.rng)
        elif self.config.task == "harmonization":
            noises[0] = augment.recolor(inputs.real["a"][0], inputs.rng)
        elif self.config.task == "editing":
            noises[0] = self._shown(augment.rearrange(inputs.real["a"][0], inputs.rng), inputs.rng)
        return self.render(noises, sizes)

    def _shown(self, coarsest: Tensor, rng: RandomStream) -> Tensor:
        """`coarsest` as the generator is shown it: with noise where it edits."""
        if self.config.task != "editing":
            return coarsest
        shown: Tensor = coarsest + _EDIT_NOISE * rng.feature_noise(*coarsest.shape[1:])
        return shown

    def _rebuild(self, coarsest: Tensor, sizes: StageSizes) -> Tensor:
        if self.config.task == "animation":
            coarsest = self.reconstruction_input.expand(len(coarsest), -1, -1, -1)
        elif self.config.task == "editing":
            coarsest = self._shown(coarsest, noise.RandomStream(_FIXED, place=coarsest.device))
        rebuilt: Tensor = self.generator(coarsest, sizes, 0, self._fixed_maps(sizes))
        return rebuilt

    # -- use ------------------------------------------------------------------------------------------------------

    def noise_maps(self, sizes: StageSizes, rng: RandomStream) -> list[Tensor]:
        return self.generator.noise_maps(sizes, rng)

    def reconstruction_maps(self, sizes: Sequence[Size]) -> list[Tensor]:
        return [resize.resize_image(self.reconstruction_input, sizes[0]), *self._fixed_maps(sizes)]

    def _fixed_maps(self, sizes: StageSizes) -> list[Tensor]:
        device, full, maps = self.generator.amplitudes.device, nets.full_sizes(sizes), []
        for stage in range(1, len(full)):
            shape = self.generator.noise_shape(full, stage)
            if full[stage][0] * full[stage][1] > noise.LARGE:
                # As many features of a large picture fill the memory.
                maps.append(torch.zeros(1, 1, 1, 1, device=device).expand(self.generator.noise_shape(sizes, stage)))
                continue
            key = (stage, *shape[1:])
            if key not in self._fixed:
                self._fixed[key] = noise.RandomStream(_FIXED, *key, place=device).feature_noise(*key[1:])
            maps.append(self.generator.crop_noise(sizes, stage, self._fixed[key].to(device)))
        return maps

    def render(self, noises: Sequence[Tensor], sizes: StageSizes) -> Tensor:
        drawn: Tensor = self.generator(noises[0], sizes, 0, noises[1:])
        return drawn

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = min(start_stage or 0, len(sizes) - 1)
        entering = resize.resize_image(image, sizes[start_stage])
        if self.config.task in _UNDO:
            entering, maps = self._shown(entering, rng), self._fixed_maps(sizes)[start_stage:]
        else:
            maps = self.noise_maps(sizes, rng)[start_stage + 1 :]
        redrawn: Tensor = self.generator(entering, sizes, start_stage, maps)
        return redrawn

    def parameter_counts(self) -> dict[str, int]:
        parts = generator_parameter_counts(self.config.growth, self.config.width, self.plan.channels, head_norm=True)
        return {f"g {part}": count for part, count in parts.items()}
