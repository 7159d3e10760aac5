"""`singan`: a pyramid of small generators, each trained alone, from noise to one image.

Source: Rott Shaham, Dekel, Michaeli, "SinGAN: Learning a Generative Model from a Single Natural Image", ICCV 2019,
arXiv:1905.01164.

As published: stages by a ratio near 3/4 from 25 pixels (sec. 2.2), at every stage a generator and a critic of five 3x3
convolutions with BatchNorm, 32 channels doubled every four stages up to 128, noise and image each surrounded by five
zeros, the drawing added to the enlarged image (eq. 4), noise of one channel repeated at stage 0, amplitude 1 there and
0.1 x RMSE of the enlarged reconstruction above (sec. 2.1), z* fixed at stage 0 and zero above, weights of the stage
below where it is as wide, finished stages frozen and in evaluation mode, WGAN-GP of weight 0.1, reconstruction of
weight 10, three critic and three generator updates a step, Adam (0.5, 0.999) at 5e-4, a tenth of it after 1600 of 2000
steps a stage. `task="animation"` draws the noise around the image, too, instead of zeros.

With `as_released`: z* is drawn anew at every step of stage 0; the critic's three updates see fakes of one map of noise
of the newest stage, and the generator's three updates share the adversarial gradient of the last of these fakes.

Our departures: resizing is torch's antialiased bicubic at exact sizes in float32 (the released code goes through 8 bits
and crops a pixel where its sizes disagree; where a size is a whole number but for rounding error, it may have a pixel
more). A painting in few colours enters a model that was not trained again on images of few colours, and takes its
palette from the reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.methods.setting_groups import (
    AdamConfig,
    AdversarialConfig,
    CriticStepsConfig,
    NetworkConfig,
    PyramidConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
)
from lonepair.methods.single import SingleMethod
from lonepair.methods.stagewise import StagewiseMethod
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


@dataclass(frozen=True)
class SinGANConfig(Config):
    """Settings of `singan`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 200},
        "standard": {"max_side": 188, "steps": 800},
        "full": {},
        "animation": {"task": "animation", "min_side": 20},
        "superresolution": {"lambda_rec": 100.0, "min_side": 18, "pyramid_ratio": 0.794},
    }
    """full is the paper's, and so are the two tasks; draft and standard are smaller and shorter."""

    size: SizeConfig = SizeConfig(max_side=250)
    pyramid: PyramidConfig = PyramidConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    network: NetworkConfig = NetworkConfig(width=32, leaky_slope=0.2)
    adversarial: AdversarialConfig = AdversarialConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    critic: CriticStepsConfig = CriticStepsConfig()
    adam: AdamConfig = AdamConfig()
    task: Literal["generation", "animation"] = "generation"
    """What it is for: an animation's noise goes on beyond the border, so that borders move, too."""
    generator_steps: int = 3
    """Generator updates a step."""
    as_released: bool = False
    """The released code's ways: z* new at every step of stage 0, one fake for all generator updates, as critics saw."""

    def problems(self) -> list[str]:
        return super().problems() + self.below(1, "generator_steps")


@dataclass
class Fakes:
    """What one step's updates share."""

    rebuilt_from: Tensor
    """z* of stage 0; there it may be of this step only."""
    noise: Tensor | None = None
    """Noise of the newest stage, where all updates share one."""
    last: Tensor | None = None
    """What the critic saw last, where the generator is judged by it."""
    adversarial: Callable[[], Tensor] | None = None
    """The generator's adversarial loss, where its updates share one fake."""


class SinGAN(StagewiseMethod, SingleMethod):
    """A pyramid of generators G_n, and the critic D_n of the stage in training."""

    name = "singan"
    inference_nets = ("g", "reconstruction_noise")
    uses = frozenset(
        {"sample", "sample_stage_sheet", "animate", "edit", "harmonize", "paint", "refine", "superresolve"}
    )
    accepts_several = False
    config_class = SinGANConfig
    citation = """@inproceedings{shaham2019singan,
  author    = {Rott Shaham, Tamar and Dekel, Tali and Michaeli, Tomer},
  title     = {{SinGAN}: Learning a Generative Model from a Single Natural Image},
  booktitle = {International Conference on Computer Vision (ICCV)},
  year      = {2019}
}"""

    config: SinGANConfig

    def __init__(self, config: SinGANConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        self.nets["g"] = nets.StagewiseGenerator(plan.stages, config.convolutions)
        self.nets["reconstruction_noise"] = nets.Constant(1, *self._noise_size(plan.sizes(plan.full_sizes["a"])[0]))
        self._below: tuple[int, Tensor] | None = None

    @classmethod
    def plan_for(
        cls, config: SinGANConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        factors = pyramid.singan_factors(originals["a"], sizes["a"], config.min_side, config.pyramid_ratio)
        return Plan(channels, dict(sizes), factors)

    @property
    def generator(self) -> StagewiseGenerator:
        """G_0 to G_n."""
        return self.nets["g"]  # type: ignore[return-value]

    @property
    def reconstruction_noise(self) -> Tensor:
        """z* of stage 0, (1, 1, h, w)."""
        return self.nets["reconstruction_noise"].value  # type: ignore[return-value]

    # -- training -------------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        if self.stage == 0:
            self.reconstruction_noise.copy_(torch.randn(self.reconstruction_noise.shape))
        self.generator.add_stage(self._new_stage(["d"], padding=0, norm="batch"), residual=True)

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        real = levels["a"][self.stage]
        if self.stage == 0:
            self.generator.amplitudes[0] = 1.0
            return
        reached = self._reconstruction_below()
        self.generator.amplitudes[self.stage] = noise.noise_amplitude(real, reached, self.config.noise_scale)

    def players(self) -> dict[str, Player]:
        c, betas = self.config, (self.config.beta1, self.config.beta2)
        return {
            "critic": Player([{"params": list(self.nets["d"].parameters()), "lr": c.lr_d}], betas),
            "generator": Player([{"params": self._trained(), "lr": c.lr_g}], betas),
        }

    def _trained(self) -> list[Tensor]:
        return list(self.generator.stages[self.stage].parameters())

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        update_order = ["critic"] * c.critic_steps + ["generator"] * c.generator_steps
        return Schedule(
            c.steps, update_order, self._work(stage) * len(update_order) / 2, c.lr_drop_at, c.lr_drop_factor
        )

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        c, critic, sizes = self.config, self.nets["d"], self.sizes["a"]
        real = inputs.real["a"][-1]
        if inputs.fakes is None:
            inputs.fakes = Fakes(self._step_reconstruction_noise(inputs.rng))
        if player == "critic":
            with torch.set_grad_enabled(c.as_released):
                fake = self._random(sizes, inputs.rng, inputs.fakes if c.as_released else None)
            inputs.fakes.last, fake = fake, fake.detach()
            wasserstein, penalty = losses.critic_losses(critic, real, [fake], inputs.rng)
            return {"d": wasserstein, "gp": c.lambda_gp * penalty}
        rebuilt = self._rebuild(inputs.fakes.rebuilt_from)
        reconstruction = c.lambda_rec * losses.mean_squared_error(rebuilt, real)
        if not c.as_released:
            return {"adv": -critic(self._random(sizes, inputs.rng)).mean(), "rec": reconstruction}
        if inputs.fakes.adversarial is None:
            adversarial = -critic(inputs.fakes.last).mean()
            inputs.fakes.adversarial = losses.linearize(adversarial, self._trained())
        return {"adv": inputs.fakes.adversarial(), "rec": reconstruction}

    def _step_reconstruction_noise(self, rng: RandomStream) -> Tensor:
        reconstruction_noise = self.reconstruction_noise
        if self.config.as_released and self.stage == 0:
            reconstruction_noise.copy_(rng.normal(*reconstruction_noise.shape))
        return reconstruction_noise

    def _random(self, sizes: Sequence[Size], rng: RandomStream, shared: Fakes | None = None) -> Tensor:
        """A random image of the stage in training, whose noise may be `shared`; the gradient reaches no other."""
        noises = self.noise_maps(sizes, rng)
        if shared is not None:
            shared.noise = noises[-1] if shared.noise is None else shared.noise
            noises[-1] = shared.noise
        with torch.no_grad():
            previous = self._previous(noises, sizes)
        return self.generator.stage(self.stage, previous, noises[-1])

    def _rebuild(self, reconstruction_noise: Tensor) -> Tensor:
        if self.stage == 0:
            return self.generator.stage(0, self._nothing(self.sizes["a"][0]), self._spread(reconstruction_noise))
        return self.generator.stage(self.stage, self._reconstruction_below(), None)

    def _reconstruction_below(self) -> Tensor:
        """The finished stages' reconstruction, enlarged: the same at every step of a stage."""
        if self._below is None or self._below[0] != self.stage:
            sizes = self.sizes["a"]
            with torch.no_grad():
                self._below = (self.stage, self._previous(self.reconstruction_maps(sizes), sizes))
        return self._below[1]

    # -- use ------------------------------------------------------------------------------------------------------

    def _noise_size(self, size: Size) -> Size:
        around = 2 * self.config.convolutions if self.config.task == "animation" else 0
        return size[0] + around, size[1] + around

    def _spread(self, one: Tensor) -> Tensor:
        return one.expand(-1, self.plan.channels, -1, -1)

    def _nothing(self, size: Size, batch: int = 1) -> Tensor:
        return torch.zeros(batch, self.plan.channels, *size, device=self.generator.amplitudes.device)

    def _previous(self, noises: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
        """What all stages but the last give, enlarged to the last of `sizes`."""
        if len(sizes) == 1:
            return self._nothing(sizes[0], len(noises[0]))
        return resize.resize_image(self.render(noises[:-1], sizes[:-1]).float(), sizes[-1])

    def noise_maps(self, sizes: Sequence[Size], rng: RandomStream) -> list[Tensor]:
        around = [self._noise_size(size) for size in sizes]
        first = self._spread(rng.feature_noise(1, *around[0]))
        return [first, *(rng.feature_noise(self.plan.channels, *size) for size in around[1:])]

    def reconstruction_maps(self, sizes: Sequence[Size]) -> list[Tensor]:
        reconstruction_noise = resize.resize(self.reconstruction_noise, self._noise_size(sizes[0]))
        return [self._spread(reconstruction_noise), *(self._nothing(self._noise_size(size)) for size in sizes[1:])]

    def render(self, noises: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
        previous = self._previous(noises, sizes)
        return self.generator.stage(len(sizes) - 1, previous, noises[-1])

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = len(sizes) - 1 if start_stage is None else min(start_stage, len(sizes) - 1)
        # Reduced to what the stage below would have drawn, then enlarged like that (sec. 4, "Paint-to-Image").
        drawn = image if start_stage == 0 else resize.resize_image(image, sizes[start_stage - 1])
        for stage, noise_ in enumerate(self.noise_maps(sizes, rng)[start_stage:], start_stage):
            drawn = self.generator.stage(stage, resize.resize_image(drawn.float(), sizes[stage]), noise_)
        return drawn

    def parameter_counts(self) -> dict[str, int]:
        return {f"g stage {stage}": count for stage, count in enumerate(self._stage_parts())}
