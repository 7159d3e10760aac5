"""`representative`: a pair of growing generators that translate each other's images.

Source: Ly Phi Long, "Multi-scale learning a GAN from a single representative" (thesis slides, in Vietnamese). It joins
ConSinGAN's generator (Hinz et al., WACV 2021) to the two-way objective of Structural Analogy (Benaim et al., CGF 2021).

As in the thesis: features (not images) pass between stages, Conv + BatchNorm + LeakyReLU bodies with a residual link,
5-block patch critics, 6 stages, four WGAN-GP terms, cycle, reconstruction of the real image from its coarsest level
through the whole generator, a random frame of the clip as I_A at every step, and about 1.32 million generator
parameters for both domains.

Open in the thesis, decided here: learning rates, schedule, concurrently trained stages and size rule are ConSinGAN's;
one critic and one generator update a step, as in Structural Analogy; a translated image enters at stage `start_stage`,
by default the coarsest, as the reconstruction does.

Our departures:
- Half of the images translated during training are real (`real_image_probability`), since users translate real images;
  the thesis translates generated ones only.
- Training sees windows of 0.6 of each side (`window_fraction`), and the coarsest stage has 40 pixels on the shortest
  side rather than ConSinGAN's 25 (`min_side`). With full images and 11-pixel patches at 25 pixels, each network learns
  its target by position and ignores its input. (A step also costs little more than a third.)
- The cycle compares the mean of the colours (`cycle_channels`): with a cycle over each color, a network hides the
  source's hues in the translation, and a yellow flame shows through grey stones.
- Normalisation uses the image's own statistics in use and in finished stages, too (`normalization`). That is what
  BatchNorm computes when it trains on one image; its running averages mix random, reconstructed and redrawn images.
- Of windows above 181 x 181 a step sees crops (`crop_size`).
- A pair keeps its two sizes and aspects: one list of scale factors serves both images, and the points of the gradient
  penalty between images of unequal size are taken from windows. The published pair systems stretch both to a square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.methods.growing import generator_parameter_counts, step_work
from lonepair.methods.pair import OTHER, PairMethod
from lonepair.methods.setting_groups import (
    AdamConfig,
    AdversarialConfig,
    BorderConfig,
    ClipConfig,
    CriticStepsConfig,
    CropConfig,
    CycleConfig,
    FinestStepsConfig,
    GrowthConfig,
    NetworkConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
    TranslationConfig,
)
from lonepair.methods.types import Plan, Player, Schedule, Size, StepInputs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.nets import GrowingGenerator, PatchCritic, StageSizes
    from lonepair.ops import noise, pyramid, regions, resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    noise = lazy("lonepair.ops.noise")
    pyramid = lazy("lonepair.ops.pyramid")
    regions = lazy("lonepair.ops.regions")
    resize = lazy("lonepair.ops.resize")


@dataclass(frozen=True)
class RepresentativeConfig(Config):
    """Settings of `representative`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 400, "finest_steps": 50},
        "standard": {"max_side": 176, "steps": 1000, "finest_steps": 250},
        "full": {},
    }
    """draft, standard and full: larger and longer from one to the next; full has ConSinGAN's 2000 steps a stage."""

    size: SizeConfig = SizeConfig(min_side=40)
    translation: TranslationConfig = TranslationConfig(reflect_pad_fraction=0.125)
    growth: GrowthConfig = GrowthConfig(normalization="instance")
    border: BorderConfig = BorderConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    finest: FinestStepsConfig = FinestStepsConfig()
    network: NetworkConfig = NetworkConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    cycle: CycleConfig = CycleConfig(lambda_cyc=2.0)
    critic: CriticStepsConfig = CriticStepsConfig(critic_steps=1)
    adam: AdamConfig = AdamConfig()
    crop: CropConfig = CropConfig(crop_size=128)
    clip: ClipConfig = ClipConfig()
    critic_blocks: int = 5
    """Convolution blocks of a critic, 2 or more: a score sees 2 x critic_blocks + 1 pixels a side. A larger value
    compares larger shapes and is slower."""
    lambda_adv: float = 1.0
    """Weight of the adversarial terms of the generators, 0 or more. A larger value looks more like the target."""
    cycle_channels: Literal["grey", "colour"] = "grey"
    """Channels that the cycle compares: the mean of the colors, or each. With each, the source's hues show in the
    translation."""
    translation_noise_scale: float = 1.0
    """Factor, 0 or more, on each stage's noise in a translation, in training and in use. A larger value gives more
    fine texture."""
    window_fraction: float = 0.6
    """Side of the windows that training sees, as a fraction, 0 to 1, of the image's; at least a critic's patch. A
    larger value learns positions by heart and is slower."""
    real_image_probability: float = 0.5
    """Probability that a step translates the real image rather than a generated one."""

    def problems(self) -> list[str]:
        min_side, found = self.size.min_side, self.translation.stage_problems(-1, self.growth.stages)
        if not self.critic_blocks >= 2 or min_side < 2 * self.critic_blocks + 2:
            found.append(
                f"critic_blocks is {self.critic_blocks} with min_side {min_side}: choose 2 to {(min_side - 2) // 2}"
            )
        found += self.below(0, "lambda_adv", "translation_noise_scale")
        return found + self.outside_unit("real_image_probability", "window_fraction")


@dataclass(frozen=True)
class Imagined:
    """What one step looks at, for each domain: a window of the real image, and what the generators make beside it."""

    sizes: dict[str, StageSizes]
    """(h, w) of the window at every stage, and maybe crops of it."""
    real: dict[str, Seen]
    random: dict[str, Seen]
    """An image of the window's size, drawn from noise."""
    redraws_real: bool
    """Whether `redrawn` is of `real`, or of `random`."""
    redrawn: dict[str, Seen]
    """One of the two in the look of the other domain."""

    def shown(self, domain: str) -> Seen:
        """What was redrawn."""
        return self.real[domain] if self.redraws_real else self.random[domain]


@dataclass(frozen=True)
class Seen:
    """A window as losses see it, and as it enters a generator again."""

    pieces: Tensor
    """All of it, or its crops where it is large."""
    whole: Tensor
    """All of it, (1, c, h, w), of a large one at the last of the stages that are drawn whole."""


class Representative(PairMethod):
    """Two growing generators G_a, G_b and two patch critics D_a, D_b."""

    name = "representative"
    inference_nets = ("g_a", "g_b")
    uses = frozenset({"sample", "translate"})
    accepts_several = True
    config_class = RepresentativeConfig
    citation = """@misc{ly_representative,
  author = {Ly, Phi Long},
  title  = {Multi-scale learning a {GAN} from a single representative},
  note   = {Thesis slides},
}"""

    config: RepresentativeConfig

    def __init__(self, config: RepresentativeConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        self.window_size = {
            domain: _window_size(full, plan.sizes(full)[0], config) for domain, full in plan.full_sizes.items()
        }
        for domain in self.domains:
            self.nets[f"g_{domain}"] = nets.GrowingGenerator(
                plan.channels,
                config.width,
                config.blocks_per_stage,
                config.normalization,
                config.leaky_slope,
                config.stages,
                config.border_padding,
            )
            self.nets[f"d_{domain}"] = nets.PatchCritic(
                plan.channels, config.width, config.critic_blocks, config.leaky_slope
            )

    @classmethod
    def plan_for(
        cls, config: RepresentativeConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        factors = pyramid.shared_factors(list(sizes.values()), config.stages, config.min_side, config.pyramid_rule)
        return Plan(channels, dict(sizes), factors)

    # -- training -------------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        for domain in self.domains:
            self.generator(domain).add_stage(self.config.trained_stages)

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        if self.stage == 0:
            return
        for domain in self.domains:
            generator = self.generator(domain)
            few = slice(None, None, max(1, len(levels[domain][0]) // 8))
            below = generator(levels[domain][0][few], self.sizes[domain][:-1])
            reached = resize.resize_image(below.float(), self.sizes[domain][-1])
            generator.amplitudes[self.stage] = noise.noise_amplitude(
                levels[domain][self.stage][few], reached, self.config.noise_scale
            )

    def players(self) -> dict[str, Player]:
        c = self.config
        g_groups = [
            {"params": parameters, "lr": c.lr_g * c.stage_lr_decay**back}
            for domain in self.domains
            for back, parameters in self.generator(domain).parameters_by_stage(c.trained_stages)
        ]
        d_params = [p for domain in self.domains for p in self.nets[f"d_{domain}"].parameters()]
        betas = (c.beta1, c.beta2)
        return {
            "critic": Player([{"params": d_params, "lr": c.lr_d}], betas),
            "generator": Player(g_groups, betas),
        }

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        steps = round(c.steps * (c.finest_steps / c.steps) ** (stage / (c.stages - 1)))
        update_order = ["critic"] * c.critic_steps + ["generator"]
        return Schedule(steps, update_order, step_work(self, c.critic_steps, stage), c.lr_drop_at, c.lr_drop_factor)

    def branch(self, player: str, rng: RandomStream) -> tuple[int, ...]:
        """Whether the critics' round translates the real images, or random ones."""
        return (int(rng.host_bernoulli(self.config.real_image_probability)),) if player == "critic" else ()

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        if player == "critic":
            # The generator moves after the critics, so that the last fakes they saw are still its own.
            inputs.fakes = self._imagine(inputs)
            return self._critic_losses(inputs)
        return self._generator_losses(inputs)

    def _imagine(self, inputs: StepInputs) -> Imagined:
        redraws_real = inputs.branch == (1,)
        crop, rng = self.config.crop_side, inputs.rng
        # The coarsest stage is small.
        side = crop if self.stage else 0
        sizes = {d: nets.choose_crops(self._window_sizes(d), side, self.patch_size, rng) for d in self.domains}
        windows = {d: regions.crop_at(inputs.real[d][-1], sizes[d][-1], rng.uniform(2)) for d in self.domains}
        real = {d: Seen(nets.crop_image(sizes[d], window), window) for d, window in windows.items()}
        random = {d: self._seen(d, self._first(sizes[d], rng), sizes[d], 0, rng, 1.0) for d in self.domains}
        shown = real if redraws_real else random
        redrawn = {d: self._seen_again(shown[d], sizes[d], OTHER[d], rng) for d in self.domains}
        return Imagined(sizes, real, random, redraws_real, redrawn)

    def _seen(
        self, domain: str, image: Tensor, sizes: StageSizes, start_stage: int, rng: RandomStream, share: float
    ) -> Seen:
        """`image`, which enters at stage `start_stage`, drawn by `domain`'s generator with so much of the noise."""
        noises = self._noises(sizes, start_stage, rng, share)
        if isinstance(sizes, nets.Crops):
            return Seen(*self.generator(domain).crops_and_coarse_image(image, sizes, start_stage, noises))
        drawn = self.generator(domain)(image, sizes, start_stage, noises)
        return Seen(drawn, drawn)

    def _seen_again(self, shown: Seen, sizes: StageSizes, domain: str, rng: RandomStream) -> Seen:
        """`shown` redrawn in the look of `domain`."""
        start_stage = self._entry(sizes, None)
        image = resize.resize_image(shown.whole, sizes[start_stage])
        return self._seen(domain, image, sizes, start_stage, rng, self.config.translation_noise_scale)

    def _window_sizes(self, domain: str) -> list[Size]:
        """(h, w) of the windows at every stage."""
        return self.plan.sizes(self.window_size[domain])[: self.stage + 1]

    def _critic_losses(self, inputs: StepInputs) -> dict[str, Tensor]:
        found = {}
        for domain in self.domains:
            fakes = [inputs.fakes.random[domain].pieces.detach(), inputs.fakes.redrawn[OTHER[domain]].pieces.detach()]
            critic, real = self.critic(domain), inputs.fakes.real[domain].pieces
            wasserstein, penalty = losses.critic_losses(
                critic,
                real,
                fakes,
                inputs.rng,
                shared_forward=True,
            )
            found[f"d_{domain}"] = wasserstein
            found[f"gp_{domain}"] = self.config.lambda_gp * penalty
        return found

    def _generator_losses(self, inputs: StepInputs) -> dict[str, Tensor]:
        c, made, found = self.config, inputs.fakes, {}
        for domain in self.domains:
            critic, other = self.critic(domain), OTHER[domain]
            found[f"adv_{domain}"] = -c.lambda_adv * critic(made.random[domain].pieces).mean()
            found[f"adv_{other}{domain}"] = -c.lambda_adv * critic(made.redrawn[other].pieces).mean()
            cycled = self._seen_again(made.redrawn[other], made.sizes[other], other, inputs.rng)
            pair = (self._kept(cycled.pieces), self._kept(made.shown(other).pieces))
            found[f"cyc_{other}"] = c.lambda_cyc * losses.mean_squared_error(*pair)
            coarsest = resize.resize_image(made.real[domain].whole, made.sizes[domain][0])
            rebuilt = self.generator(domain)(coarsest, made.sizes[domain])
            found[f"rec_{domain}"] = c.lambda_rec * losses.mean_squared_error(rebuilt, made.real[domain].pieces)
        return found

    def _kept(self, image: Tensor) -> Tensor:
        """What of `image` the cycle is to bring back: of RGBA the mean colour and alpha."""
        if self.config.cycle_channels == "colour":
            return image
        return torch.cat([image[:, :3].mean(1, keepdim=True), image[:, 3:]], 1)

    # -- use ------------------------------------------------------------------------------------------------------

    def generator(self, domain: str) -> GrowingGenerator:
        """G of `domain`."""
        return self.nets[f"g_{domain}"]  # type: ignore[return-value]

    def critic(self, domain: str) -> PatchCritic:
        """D of `domain`."""
        return self.nets[f"d_{domain}"]  # type: ignore[return-value]

    def _first(self, sizes: StageSizes, rng: RandomStream) -> Tensor:
        """What a random image is drawn from at the coarsest stage."""
        return rng.normal(1, self.plan.channels, *sizes[0])

    def _random(self, domain: str, sizes: Sequence[Size], rng: RandomStream) -> Tensor:
        return self._seen(domain, self._first(sizes, rng), sizes, 0, rng, 1.0).whole

    def _noises(self, sizes: StageSizes, start_stage: int, rng: RandomStream, share: float) -> list[Tensor] | None:
        if share == 0:
            return None
        return [share * noise for noise in self.generator("a").noise_maps(sizes, rng, start_stage + 1)]

    def _entry(self, sizes: StageSizes, start_stage: int | None) -> int:
        """The stage at which an image enters where `start_stage`, None or -1 is asked for: one that is drawn whole."""
        start_stage, last = (
            self.config.start_stage if start_stage is None else start_stage,
            self.generator("a").full_image_stages(sizes) - 1,
        )
        return last if start_stage == -1 else min(start_stage, last)

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = self._entry(sizes, start_stage)
        noises = self._noises(sizes, start_stage, rng, self.config.translation_noise_scale)
        redrawn: Tensor = self.generator(domain)(
            resize.resize_image(image, sizes[start_stage]), sizes, start_stage, noises
        )
        return redrawn

    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        a = self._random("a", sizes["a"], rng)
        return {"a": a, "b": self.translate(a, sizes["a"], "b", None, rng)}

    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        pictures = self.translation_preview(real, rng)
        return [*pictures, ("random a", self._random("a", self.sizes["a"], rng))]

    def parameter_counts(self) -> dict[str, int]:
        parts = generator_parameter_counts(self.config.growth, self.config.width, self.plan.channels, head_norm=False)
        return {f"g_{domain} {part}": count for domain in self.domains for part, count in parts.items()}


def _window_size(full: Size, coarsest: Size, config: RepresentativeConfig) -> Size:
    """(h, w) at the finest stage: `window_fraction` of each side; at stage 0 more than a critic's receptive field.

    Args:
        full: (h, w) of the image at the finest stage.
        coarsest: (h, w) of the image at stage 0.
        config: The method's settings.
    """
    receptive_field = 2 * config.critic_blocks + 1
    fraction = min(1.0, max(config.window_fraction, (receptive_field + 1) / min(coarsest)))
    return max(1, round(full[0] * fraction)), max(1, round(full[1] * fraction))
