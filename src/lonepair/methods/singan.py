"""`singan`: a pyramid of small generators, trained one after the other, from noise to one image.

Source: Rott Shaham, Dekel, Michaeli, "SinGAN: Learning a Generative Model from a Single Natural Image", ICCV 2019,
arXiv:1905.01164.

Where the paper and the code that its authors released (github.com/tamarott/SinGAN) differ, this method follows the
code: it made the figures. So the preset `full` is what the authors ran. Such lines say "released".

As published:
- Sizes grow by a ratio near 4/3 per stage, from 25 pixels on the shortest side (sec. 2.2).
- A stage has a generator and a critic of five 3x3 convolutions with BatchNorm; 32 channels, doubled every four stages
  up to 128. The noise and the image are each padded by five zeros. The output is added to the upsampled image (eq. 3).
- The noise of stage 0 has one channel, repeated, and amplitude 1. The amplitude of a later stage is 0.1 x the RMSE of
  the upsampled reconstruction (sec. 2.2). The reconstruction noise z* is zero above stage 0; released: every step of
  stage 0 draws a new one, and the last is kept. (The paper fixes it before the training.)
- A stage starts from the weights of the stage below if it is as wide. Trained stages are frozen, in evaluation mode.
- WGAN-GP with penalty weight 0.1, reconstruction with weight 10, three critic and three generator updates in a step.
  Released: the critic's updates of a step share one noise map of the newest stage, with new noise below it. The
  generator's updates share the critic's last fake, and compute the reconstruction each. So BatchNorm sees three random
  images and three reconstructions in a step. The adversarial gradient of the second and third update combines the
  stored activations of that fake with the weights that the updates before have changed, as torch did up to 1.4.
- Adam (0.5, 0.999) at 5e-4; a tenth of this rate after 1600 of 2000 steps of a stage.
- `task="animation"`: the padding is noise instead of zeros, and sizes start at 20 pixels.
- `task="superresolution"` (released): sizes start at 18 pixels, at the nominal ratio 2^(-1/3), and the number of stages
  is rounded down (`pyramid.singan_superresolution_factors`). The reconstruction has weight 100. The last stage is
  applied round(3 log2(factor)) times; its first noise has one channel, repeated.

Our departures:
- Resizing is torch's antialiased bicubic at exact sizes in float32. The released code truncates images to 8 bits before
  it resizes, places pixels by the nominal ratio instead of the ratio of the sizes, and crops a pixel where its sizes
  disagree: at the right and lower border of a coarse stage its images are shifted by less than a pixel.
- Images may be gray or have alpha, with as many channels of noise; the released code trains on the first three.
- `lr_drop_at` is a fraction of `steps`; the released code drops the rate after 1600 steps, however many there are.
- `superresolve` without an image enlarges the reconstruction, because a model does not store its training image.
- `paint` with few colors does not train the injection stage again on images of few colors, and takes its palette from
  the reconstruction. It clusters colors; the released code clusters triples of neighboring values of one channel.
- `animate` shows the first map of the walk, too; the released animations begin with the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lonepair import citations
from lonepair.lazy import lazy
from lonepair.methods.singan_config import SinGANConfig
from lonepair.methods.single import SingleMethod
from lonepair.methods.stagewise import StagewiseMethod, run_stages, upsample
from lonepair.methods.types import Plan, Player, Schedule, Size, StepInputs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.nets import StagewiseGenerator
    from lonepair.ops import noise, pyramid, resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    noise = lazy("lonepair.ops.noise")
    pyramid = lazy("lonepair.ops.pyramid")
    resize = lazy("lonepair.ops.resize")


@dataclass
class StepState:
    """Values that the updates of one step share."""

    reconstruction_noise: Tensor
    """z* of stage 0, (1, 1, h, w)."""
    noise: Tensor | None = None
    """Noise of the newest stage for all critic updates; None until the first one."""
    critic_fake: Tensor | None = None
    """The fake of the critic's last update, with its graph; None until the first one."""


class SinGAN(StagewiseMethod, SingleMethod):
    """A pyramid of generators G_0 (coarsest) to G_n, and the critic D_n of the newest stage."""

    name = "singan"
    default_dtype = "float32"
    inference_nets = ("g", "reconstruction_noise")
    uses = frozenset(
        {"sample", "sample_stage_sheet", "animate", "edit", "harmonize", "paint", "refine", "superresolve"}
    )
    accepts_several = False
    config_class = SinGANConfig
    citation = citations.entries()["rottshaham2019singan"]
    publications = ("rottshaham2019singan", "gulrajani2017improved")

    config: SinGANConfig

    def __init__(self, config: SinGANConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        self.nets["g"] = nets.StagewiseGenerator(plan.stages, config.convolutions)
        self.nets["reconstruction_noise"] = nets.Constant(1, *self._noise_size(plan.sizes(plan.full_sizes["a"])[0]))
        self._cached_reconstruction: tuple[int, Tensor] | None = None
        """A stage, and the reconstruction of the stages below it at its size."""

    @classmethod
    def plan_for(
        cls, config: SinGANConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        is_enlarging = config.task == "superresolution"
        rule = pyramid.singan_superresolution_factors if is_enlarging else pyramid.singan_factors
        factors = rule(originals["a"], sizes["a"], config.min_side, config.pyramid_ratio)
        return Plan(channels, dict(sizes), factors)

    @property
    def generator(self) -> StagewiseGenerator:
        """The generators of all stages."""
        return self.nets["g"]  # type: ignore[return-value]

    @property
    def reconstruction_noise(self) -> Tensor:
        """z* of stage 0, (1, 1, h, w)."""
        return self.nets["reconstruction_noise"].value  # type: ignore[return-value]

    # -- training -------------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        # Without memory, as in the check of a model file, there is nothing to draw.
        if self.stage == 0 and not self.reconstruction_noise.is_meta:
            self.reconstruction_noise.copy_(torch.randn(self.reconstruction_noise.shape))
        self.generator.add_stage(self._new_stage(["d"], padding=0, norm="batch"), residual=True)

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        if self.stage == 0:
            self.generator.amplitudes[0] = 1.0
            return
        # Sec. 2.2: sigma_n is proportional to the RMSE of the upsampled reconstruction.
        real, reconstruction = levels["a"][self.stage], self._reconstruction_below()
        self.generator.amplitudes[self.stage] = noise.noise_amplitude(real, reconstruction, self.config.noise_scale)

    def players(self) -> dict[str, Player]:
        rates, betas = self.config.adversarial, self.config.adam.betas
        return {
            "critic": Player([{"params": list(self.nets["d"].parameters()), "lr": rates.lr_d}], betas),
            "generator": Player([{"params": self._newest_parameters(), "lr": rates.lr_g}], betas),
        }

    def _newest_parameters(self) -> list[Tensor]:
        """Parameters of the generator of the newest stage."""
        return list(self.generator.stages[self.stage].parameters())

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        update_order = ["critic"] * c.critic_steps + ["generator"] * c.generator_steps
        work = self._step_work(stage) * len(update_order) / 2
        return Schedule(c.steps, update_order, work, c.lr_drop_at, c.lr_drop_factor)

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        # The first update of a step creates the state that the others share.
        if inputs.fakes is None:
            inputs.fakes = StepState(self._step_reconstruction_noise(inputs.rng))
        losses_of_player = self._critic_losses if player == "critic" else self._generator_losses
        return losses_of_player(inputs.real["a"][-1], inputs.fakes, inputs.rng)

    def _critic_losses(self, real: Tensor, state: StepState, rng: RandomStream) -> dict[str, Tensor]:
        """The two terms of WGAN-GP (sec. 2.2, L_adv of eq. 4)."""
        # The generator's updates need the gradient of the last fake.
        state.critic_fake = self._random_image(rng, state)
        wasserstein, penalty = losses.critic_losses(self.nets["d"], real, [state.critic_fake.detach()], rng)
        return {"d": wasserstein, "gp": self.config.lambda_gp * penalty}

    def _generator_losses(self, real: Tensor, state: StepState, rng: RandomStream) -> dict[str, Tensor]:
        """The terms of the generator (eq. 4): adversarial and, weighted, reconstruction (eq. 5)."""
        # Eq. 5: lambda_rec · |G_n(0, upsampled reconstruction) - x_n|²
        error = losses.mean_squared_error(self._reconstruct(state.reconstruction_noise), real)
        # The step's later updates differentiate the same fake again.
        adversarial = losses.linearize(
            -self.nets["d"](state.critic_fake).mean(), self._newest_parameters(), retain_graph=True
        )
        return {"adv": adversarial(), "rec": self.config.lambda_rec * error}

    def _step_reconstruction_noise(self, rng: RandomStream) -> Tensor:
        """z* of this step: at stage 0 every step draws it, and that of the last step is kept."""
        if self.stage == 0:
            self.reconstruction_noise.copy_(rng.normal(*self.reconstruction_noise.shape))
        return self.reconstruction_noise

    def _random_image(self, rng: RandomStream, state: StepState) -> Tensor:
        """A random image (1, c, h, w) of the newest stage, with gradients of this stage alone.

        Args:
            rng: Draws the noise of the stages below, and that of the newest in the first call of a step.
            state: Stores the noise of the newest stage for the step's other calls.
        """
        noises = self.noise_maps(self.sizes["a"], rng)
        state.noise = noises[-1] if state.noise is None else state.noise
        # Stages below are frozen, so their output needs no gradient.
        with torch.no_grad():
            below = self._image_below(noises, self.sizes["a"])
        with losses.keeps_graph():
            return self.generator.stage(self.stage, below, state.noise)

    def _reconstruct(self, reconstruction_noise: Tensor) -> Tensor:
        """The newest stage's reconstruction (eq. 5): G_0(z*) at stage 0, G_n(0, upsampled reconstruction) above."""
        if self.stage == 0:
            zero_image = self._zero_image(self.sizes["a"][0])
            return self.generator.stage(0, zero_image, self._repeat_channels(reconstruction_noise))
        return self.generator.stage(self.stage, self._reconstruction_below(), None)

    def _reconstruction_below(self) -> Tensor:
        """The reconstruction of the stages below, upsampled; it is constant during a stage and computed once."""
        if self._cached_reconstruction is None or self._cached_reconstruction[0] != self.stage:
            sizes = self.sizes["a"]
            with torch.no_grad():
                below = self._image_below(self.reconstruction_maps(sizes), sizes)
            self._cached_reconstruction = (self.stage, below)
        return self._cached_reconstruction[1]

    # -- use ------------------------------------------------------------------------------------------------------

    def _noise_size(self, size: Size) -> Size:
        """(h, w) of the noise of a stage of `size`: for an animation it also covers the padding."""
        padding = 2 * self.config.convolutions if self.config.task == "animation" else 0
        return size[0] + padding, size[1] + padding

    def _repeat_channels(self, noise_map: Tensor) -> Tensor:
        """The map (b, 1, h, w), repeated for every channel of the images."""
        return noise_map.expand(-1, self.plan.channels, -1, -1)

    def _image_below(self, noises: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
        """The output of the stages below the last of `sizes`, upsampled to its size; zeros below stage 0."""
        zero_image = self._zero_image(sizes[0], len(noises[0]))
        return upsample(run_stages(self.generator, zero_image, noises[:-1], sizes), sizes[-1])

    def noise_maps(self, sizes: Sequence[Size], rng: RandomStream) -> list[Tensor]:
        noise_sizes = [self._noise_size(size) for size in sizes]
        coarsest = self._repeat_channels(rng.feature_noise(1, *noise_sizes[0]))
        return [coarsest, *self._image_noise(rng, noise_sizes[1:])]

    def reconstruction_maps(self, sizes: Sequence[Size]) -> list[Tensor]:
        noise_sizes = [self._noise_size(size) for size in sizes]
        coarsest = self._repeat_channels(resize.resize(self.reconstruction_noise, noise_sizes[0]))
        return [coarsest, *(self._zero_image(size) for size in noise_sizes[1:])]

    def render(self, noises: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
        # Eq. 1 and 2, from the coarsest stage to the last of `sizes`.
        return run_stages(self.generator, self._zero_image(sizes[0], len(noises[0])), noises, sizes)

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = len(sizes) - 1 if start_stage is None else min(start_stage, len(sizes) - 1)
        # The image takes the place of the output of the stage below (sec. 4), so it is reduced to that stage's size.
        below = image if start_stage == 0 else resize.resize_image(image, sizes[start_stage - 1])
        return run_stages(self.generator, below, self.noise_maps(sizes, rng)[start_stage:], sizes, start_stage)

    def add_detail(self, image: Tensor, one_channel: bool, rng: RandomStream) -> Tensor:
        """`image` (b, c, h, w), already enlarged, with the detail of the newest stage (sec. 4, super-resolution).

        Args:
            image: In [-1, 1].
            one_channel: Whether the noise has one channel, repeated, as at stage 0, instead of one for each.
            rng: Draws the noise.
        """
        size = self._noise_size((image.shape[-2], image.shape[-1]))
        if one_channel:
            detail_noise = self._repeat_channels(rng.feature_noise(1, *size))
        else:
            (detail_noise,) = self._image_noise(rng, [size])
        return self.generator.stage(self.stage, image, detail_noise)

    def parameter_counts(self) -> dict[str, int]:
        return {f"g stage {stage}": count for stage, count in enumerate(self._parameters_by_stage())}
