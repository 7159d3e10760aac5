"""`consingan`: one growing generator, whose newest stages are trained together on one image.

Source: Hinz, Fisher, Wang, Wermter, "Improved Techniques for Training Single-Image GANs", WACV 2021, arXiv:2003.11512.

Where the paper and the code that its authors released (github.com/tohinz/ConSinGAN) differ, this method follows the
code: it made the figures. So the preset `full` is what the authors ran. Such lines say "released".

As published:
- Sizes follow the rule of sec. 3.2, with more stages at small sizes. Features pass from stage to stage. A new stage
  starts as a copy of the stage below. Three stages are trained together; the learning rate of a stage is a tenth of the
  rate of the next finer one (sec. 3.1).
- The critic has five unpadded convolutions without normalization; every stage continues with the same critic.
- The losses are WGAN-GP of weight 0.1, with three critic updates a step on one fake, and a reconstruction of weight 10
  from the coarsest real image and fixed Gaussian feature maps. The amplitude of a stage's noise is 0.1 x RMSE of the
  reconstruction by the stage's initial copy. Adam (0.5, 0.999) has the rate 5e-4, and a tenth of it after 80 % of 2000
  steps a stage. Released: the generator takes three Adam steps on one gradient (`generator_steps`; the paper has one).
- `task` chooses the border: larger feature maps for `generation` and `animation`, zeros for the others. For
  `animation` the reconstruction starts from noise instead of the coarsest image, sizes start at 20 pixels, and the walk
  starts at 0.99 z* + 0.01 r (released).
- For `harmonization` and `editing` (sec. 3.4) the input of the generator is the coarsest image with other colors, or
  with moved rectangles and noise of 0.1 (`ops.augment`, with the released probabilities); the generator learns to
  restore the image. In use its input is the composite, with the fixed feature maps. The presets of these names have the
  normalization and the 1000 steps of the released commands; `harmonization` has three stages from 120 pixels on a
  geometric rule and slope 0.3.
- With a `composite` and a warm start, training continues on the coarsest level of that composite, at the last
  resolution alone and at the rates that the stages have there, for 2000 steps (fine-tuning, released).

Our departures:
- Images are reduced by torch's antialiased bicubic at exact sizes in float32. The released code truncates them to 8
  bits before, and places pixels by the nominal ratio instead of the ratio of the sizes.
- A training may have several images or the frames of a clip. Each is reconstructed from its own coarsest level.
- The fixed feature maps come from a fixed seed; the released code saves them. Above 1024 x 1024 pixels they are zero.
- A step computes crops of images with more than 362 x 362 pixels (`crop_size`), which `full` does not reach.
- Normalization uses the image's own statistics, as BatchNorm in training mode, which the released code never leaves.
- The flat rectangles of harmonization are 15 to 60 pixels long for 120 pixels at stage 0, else in proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lonepair import citations
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.methods.consingan_config import ConSinGANConfig
from lonepair.methods.growing import calibration_frames, generator_groups, generator_parameter_counts, step_work
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

RESTORING_TASKS = ("harmonization", "editing")
"""Tasks for which the generator restores a disturbed image instead of generating one from noise."""
FIXED_MAPS_SEED = 2020
"""Seed of the fixed feature maps."""
EDIT_NOISE = 0.1
"""Standard deviation of the noise on the generator's input for `editing`, in training and in use."""


class ConSinGAN(SingleMethod):
    """A growing generator G and a patch critic D."""

    name = "consingan"
    default_dtype = "float32"
    optional_inputs = ("composite",)
    inference_nets = ("g", "reconstruction_input")
    uses = frozenset({"sample", "sample_stage_sheet", "animate", "edit", "harmonize", "paint", "refine"})
    walk_start = 0.01
    accepts_several = True
    config_class = ConSinGANConfig
    citation = citations.entries()["hinz2021improved"]
    publications = ("hinz2021improved", "gulrajani2017improved")

    config: ConSinGANConfig

    def __init__(self, config: ConSinGANConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        c = config
        if c.task in RESTORING_TASKS:
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
        self._fixed_maps: dict[tuple[int, ...], Tensor] = {}
        """(stage, c, h, w) -> the fixed feature map."""

    @classmethod
    def plan_for(
        cls, config: ConSinGANConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        if "composite" in sizes and config.task not in RESTORING_TASKS:
            tasks = " and ".join(RESTORING_TASKS)
            raise UserError(f"task is {config.task}: a composite is for {tasks}; choose one as `task`")
        if "composite" in sizes and sizes["composite"] != sizes["a"]:
            (h, w), (image_h, image_w) = originals["composite"], originals["a"]
            raise UserError(
                f"the composite has {w}x{h} pixels, the image {image_w}x{image_h}: give a composite of the same "
                "aspect, made from the image"
            )
        factors = pyramid.shared_factors(
            [sizes["a"]], config.stages, config.min_side, config.pyramid_rule, as_released=True
        )
        return Plan(channels, dict.fromkeys(sizes, sizes["a"]), factors)

    @property
    def fine_tunes(self) -> bool:
        """Whether this training continues with the last stage on a composite."""
        return "composite" in self.plan.full_sizes

    @property
    def generator(self) -> GrowingGenerator:
        """The generator G."""
        return self.nets["g"]  # type: ignore[return-value]

    @property
    def critic(self) -> PatchCritic:
        """The critic D."""
        return self.nets["d"]  # type: ignore[return-value]

    @property
    def reconstruction_input(self) -> Tensor:
        """The coarsest real image (1, c, h, w), or noise for `animation`: the input of the reconstruction."""
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
            return  # The weights of the warm start already generate the stage's detail, with its amplitudes.
        # The reconstruction by the stage's initial copy, without noise at this stage.
        self.generator.amplitudes[self.stage] = 0
        frames = calibration_frames(len(levels["a"][0]))
        reconstruction = self._reconstruct(levels["a"][0][frames], self.sizes["a"]).float()
        self.generator.amplitudes[self.stage] = noise.noise_amplitude(
            levels["a"][self.stage][frames], reconstruction, self.config.noise_scale
        )

    def players(self) -> dict[str, Player]:
        c = self.config
        return {
            "critic": Player([{"params": list(self.critic.parameters()), "lr": c.lr_d}], c.adam.betas),
            "generator": Player(generator_groups(self.generator, c.lr_g, c.growth), c.adam.betas),
        }

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        update_order = ["critic"] * c.critic_steps + ["generator"] * c.generator_steps
        if self.fine_tunes and stage < self.plan.stages - 1:
            # Fine-tuning trains at the last resolution alone.
            return Schedule(0, update_order, 0.0)
        steps = c.fine_tuning_steps if self.fine_tunes else c.steps
        return Schedule(steps, update_order, step_work(self, c.critic_steps, stage), c.lr_drop_at, c.lr_drop_factor)

    def branch(self, player: str, rng: RandomStream) -> Branch:
        """None where the input is augmented, since `augment` makes many random choices on the host; else ()."""
        return None if self.config.task in RESTORING_TASKS and not self.fine_tunes else ()

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        # All critic updates of a step use one fake, and all generator updates its gradient.
        if inputs.fakes is None:
            inputs.fakes = self._generate_fake(inputs)
        if player == "critic":
            return self._critic_losses(inputs.fakes.detach(), inputs)
        if not callable(inputs.fakes):
            inputs.fakes = self._generator_losses(inputs)
        return dict(inputs.fakes())

    def _generator_losses(self, inputs: StepInputs) -> Callable[[], dict[str, Tensor]]:
        """The terms of the generator, whose gradients are computed once for all updates of the step."""
        c, sizes = self.config, self.visible_sizes("a", inputs)
        # L_adv + lambda_rec * L_rec, with L_rec = |G(x_0) - x_n|^2 (sec. 3.1).
        adversarial = -self.critic(inputs.fakes).mean()
        reconstruction = self._reconstruct(inputs.real["a"][0], sizes)
        rec = c.lambda_rec * losses.mean_squared_error(reconstruction, nets.crop_image(sizes, inputs.real["a"][-1]))
        parameters = [p for _, part in self.generator.parameters_by_stage(c.trained_stages) for p in part]
        stored_adv, stored_rec = (losses.linearize(term, parameters) for term in (adversarial, rec))
        return lambda: {"adv": stored_adv(), "rec": stored_rec()}

    def _critic_losses(self, fake: Tensor, inputs: StepInputs) -> dict[str, Tensor]:
        """WGAN-GP (Gulrajani et al. 2017, eq. 3)."""
        real = nets.crop_image(self.visible_sizes("a", inputs), inputs.real["a"][-1])
        wasserstein, penalty = losses.critic_losses(self.critic, real, [fake], inputs.rng, shared_forward=True)
        return {"d": wasserstein, "gp": self.config.lambda_gp * penalty}

    def _generate_fake(self, inputs: StepInputs) -> Tensor:
        """The generated image of a step, or crops of it: from noise, or from the input of the task."""
        sizes = self.visible_sizes("a", inputs)
        noises = self.noise_maps(sizes, inputs.rng)
        # The input at stage 0: for the restoring tasks a disturbed image in place of noise (sec. 3.4).
        if "composite" in inputs.real:
            noises[0] = self._with_edit_noise(inputs.real["composite"][0], inputs.rng)
        elif self.config.task == "harmonization":
            noises[0] = augment.recolor(inputs.real["a"][0], inputs.rng)
        elif self.config.task == "editing":
            noises[0] = self._with_edit_noise(augment.rearrange(inputs.real["a"][0], inputs.rng), inputs.rng)
        return self.render(noises, sizes)

    def _with_edit_noise(self, image: Tensor, rng: RandomStream) -> Tensor:
        """`image`, with noise if the task is `editing`."""
        if self.config.task != "editing":
            return image
        noisy: Tensor = image + EDIT_NOISE * rng.feature_noise(*image.shape[1:])
        return noisy

    def _reconstruct(self, coarsest: Tensor, sizes: StageSizes) -> Tensor:
        """The reconstruction, or crops of it, of the images whose level at stage 0 is `coarsest` (b, c, h, w)."""
        if self.config.task == "animation":
            coarsest = self.reconstruction_input.expand(len(coarsest), -1, -1, -1)
        elif self.config.task == "editing":
            coarsest = self._with_edit_noise(coarsest, noise.RandomStream(FIXED_MAPS_SEED, place=coarsest.device))
        reconstruction: Tensor = self.generator(coarsest, sizes, 0, self._fixed_feature_maps(sizes))
        return reconstruction

    # -- use ------------------------------------------------------------------------------------------------------

    def noise_maps(self, sizes: StageSizes, rng: RandomStream) -> list[Tensor]:
        return self.generator.noise_maps(sizes, rng)

    def reconstruction_maps(self, sizes: Sequence[Size]) -> list[Tensor]:
        return [resize.resize_image(self.reconstruction_input, sizes[0]), *self._fixed_feature_maps(sizes)]

    def _fixed_feature_maps(self, sizes: StageSizes) -> list[Tensor]:
        """The fixed noise of the stages from 1 up, or the crops of it that `sizes` names."""
        device, full, maps = self.generator.amplitudes.device, nets.full_sizes(sizes), []
        for stage in range(1, len(full)):
            shape = self.generator.noise_shape(full, stage)
            if full[stage][0] * full[stage][1] > noise.LARGE:
                # The feature maps of a large image would fill the memory; a broadcast zero needs none.
                maps.append(torch.zeros(1, 1, 1, 1, device=device).expand(self.generator.noise_shape(sizes, stage)))
                continue
            key = (stage, *shape[1:])
            if key not in self._fixed_maps:
                rng = noise.RandomStream(FIXED_MAPS_SEED, *key, place=device)
                self._fixed_maps[key] = rng.feature_noise(*key[1:])
            maps.append(self.generator.crop_noise(sizes, stage, self._fixed_maps[key].to(device)))
        return maps

    def render(self, noises: Sequence[Tensor], sizes: StageSizes) -> Tensor:
        image: Tensor = self.generator(noises[0], sizes, 0, noises[1:])
        return image

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        # An image enters at the coarsest stage by default, where its layout is all that remains.
        start_stage = min(start_stage or 0, len(sizes) - 1)
        network_input = resize.resize_image(image, sizes[start_stage])
        if self.config.task in RESTORING_TASKS:
            # As in training: the image has the noise of `editing`, and the stages above have the fixed feature maps.
            network_input = self._with_edit_noise(network_input, rng)
            maps = self._fixed_feature_maps(sizes)[start_stage:]
        else:
            maps = self.noise_maps(sizes, rng)[start_stage + 1 :]
        translation: Tensor = self.generator(network_input, sizes, start_stage, maps)
        return translation

    def parameter_counts(self) -> dict[str, int]:
        counts = generator_parameter_counts(self.config.growth, self.config.width, self.plan.channels, head_norm=True)
        return {f"g {part}": count for part, count in counts.items()}
