"""`structural-analogy`: two pyramids of generators, each stage translating the other's images of its size.

Source: Benaim, Mokady, Bermano, Cohen-Or, Wolf, "Structural Analogy from a Single Image Pair", Computer Graphics Forum
2021, arXiv:2004.02222.

As published: SinGAN's sizes from 18 pixels at 220 (11 stages), its widths and depths, convolutions padded by 1, the
enlarged image added to the drawing but in the last two stages, two generators and two critics a stage (BatchNorm in
all, which never leaves its training mode: each image is normalised by its own statistics, in finished stages and in
use, too), warm starts where widths agree, finished stages frozen. One critic and one generator update a step:
adversarial on random images and on their translations (a penalty of weight 0.1 for each), reconstruction 1, cycle 1,
Adam (0.5, 0.999) at 5e-4 for generators and 1e-4 for critics, 20,000 steps a stage. The presets `style`, `texture`,
`glyph`, `sketch` and `video` are the settings of its repository's commands for these tasks; `video` adds the self
branch, each generator applied to the other domain's real image plus noise.

With `as_released`: reconstruction starts from fresh noise at every step of stage 0, added to what is drawn from it; the
noise of stage 0 drops to a tenth when the stage is finished (not with a self branch); the self branch's generator term
is a constant.

Our departures: a pair keeps its two sizes and aspects (`square` stretches both, as published); a translation is of the
user's own image, which enters the source's pyramid at `start_stage` and is translated at the finest stage; the released
code saves the translation of a random image instead; `luminance_levels` rounds the mean of the colours and keeps the
hues, where the released tool writes an inverted grey video; frames are drawn with replacement; resizing is torch's
antialiased bicubic.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.methods.pair import OTHER, PairMethod
from lonepair.methods.setting_groups import (
    AdamConfig,
    AdversarialConfig,
    ClipConfig,
    CycleConfig,
    NetworkConfig,
    PyramidConfig,
    ReconstructionConfig,
    ScheduleConfig,
    SizeConfig,
    TranslationConfig,
)
from lonepair.methods.stagewise import StagewiseMethod
from lonepair.methods.types import Plan, Player, Schedule, Size, StepInputs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.compute import streams
    from lonepair.nets import StagewiseGenerator
    from lonepair.ops import noise, pyramid, resize
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    streams = lazy("lonepair.compute.streams")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    noise = lazy("lonepair.ops.noise")
    pyramid = lazy("lonepair.ops.pyramid")
    resize = lazy("lonepair.ops.resize")

T = TypeVar("T")


@dataclass(frozen=True)
class StructuralAnalogyConfig(Config):
    """Settings of `structural-analogy`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"max_side": 128, "steps": 150},
        "standard": {"max_side": 176, "steps": 1000},
        "full": {},
        "style": {"lambda_cyc": 10.0},
        "texture": {"lambda_cyc": 10.0},
        "glyph": {"min_side": 25, "lambda_cyc": 10.0},
        "sketch": {"lr_d": 5e-4, "lr_g": 1e-4, "lambda_adv_b": 0.1, "lambda_cyc": 10.0},
        "video": {"min_side": 25, "steps": 24000, "lambda_self": 1.0},
    }
    """full is the paper's, and so are the tasks' presets; draft and standard are smaller and shorter."""

    size: SizeConfig = SizeConfig(min_side=18)
    translation: TranslationConfig = TranslationConfig(start_stage=-1)
    pyramid: PyramidConfig = PyramidConfig()
    schedule: ScheduleConfig = ScheduleConfig(steps=20000, lr_drop_at=1.0)
    network: NetworkConfig = NetworkConfig(width=32, leaky_slope=0.2)
    adversarial: AdversarialConfig = AdversarialConfig(lr_d=1e-4)
    reconstruction: ReconstructionConfig = ReconstructionConfig(lambda_rec=1.0)
    cycle: CycleConfig = CycleConfig()
    adam: AdamConfig = AdamConfig()
    clip: ClipConfig = ClipConfig()
    square: bool = False
    """Stretch both images to squares of max_side, as the released code does; outputs are stretched back."""
    replacing_stages: int = 2
    """Number of the finest stages, 0 or more, whose output replaces the enlarged image instead of being added to it. A
    larger value changes larger shapes."""
    lambda_adv_b: float = 1.0
    """Weight of B's adversarial terms, 0 or more; A's is 1. A larger value makes outputs look more like B."""
    lambda_self: float = 0.0
    """Weight of the self branch, 0 or more: each generator is applied to the other's real image plus noise. The video
    variant has 1."""
    luminance_levels: int = 0
    """Number of luminance levels, 2 to 256, to which the source is reduced; 0 leaves it unchanged. A larger value
    retains more shading."""
    as_released: bool = False
    """Train as the released code does where it differs from the paper: reconstruction starts from new noise at every
    step of stage 0, and a finished stage 0 has a tenth of the noise."""

    def problems(self) -> list[str]:
        found = self.below(0, "lambda_adv_b", "lambda_self", "replacing_stages")
        if self.luminance_levels == 1 or not 0 <= self.luminance_levels <= 256:
            found.append(f"luminance_levels is {self.luminance_levels}: choose 0 (off) or 2 to 256")
        return found


@dataclass(frozen=True)
class Fakes:
    """What the generators made at one step, for each domain."""

    random: dict[str, Tensor]
    translated: dict[str, Tensor]
    """Domain -> the other's random image in this one's look."""
    selves: dict[str, Tensor]
    """Domain -> the other's real image plus noise in this one's look; empty without a self branch."""

    def of(self, domain: str) -> list[Tensor]:
        """All that the domain's critic is shown as fakes, the self branch last."""
        return [self.translated[domain], self.random[domain], *([self.selves[domain]] if self.selves else [])]


class StructuralAnalogy(StagewiseMethod, PairMethod):
    """Two pyramids of generators, and the two critics of the stage in training."""

    name = "structural-analogy"
    inference_nets = ("g_a", "g_b", "reconstruction_noise_a", "reconstruction_noise_b")
    uses = frozenset({"sample", "translate"})
    accepts_several = True
    config_class = StructuralAnalogyConfig
    citation = """@article{benaim2021structural,
  author  = {Benaim, Sagie and Mokady, Ron and Bermano, Amit and Cohen-Or, Daniel and Wolf, Lior},
  title   = {Structural Analogy from a Single Image Pair},
  journal = {Computer Graphics Forum},
  year    = {2021}
}"""

    config: StructuralAnalogyConfig

    def __init__(self, config: StructuralAnalogyConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        for domain in self.domains:
            self.nets[f"g_{domain}"] = nets.StagewiseGenerator(plan.stages, pad=0)
            coarsest = plan.sizes(plan.full_sizes[domain])[0]
            self.nets[f"reconstruction_noise_{domain}"] = nets.Constant(plan.channels, *coarsest)
        self._below: dict[str, tuple[int, Tensor]] = {}

    @classmethod
    def plan_for(
        cls, config: StructuralAnalogyConfig, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]
    ) -> Plan:
        if config.square:
            sizes = dict.fromkeys(sizes, (config.max_side, config.max_side))
        small = min(sizes.values(), key=min)
        factors = pyramid.singan_factors(small, small, config.min_side, config.pyramid_ratio)
        return Plan(channels, dict(sizes), factors, config.square)

    def generator(self, domain: str) -> StagewiseGenerator:
        """G_0 to G_n of `domain`."""
        return self.nets[f"g_{domain}"]  # type: ignore[return-value]

    def reconstruction_noise(self, domain: str) -> Tensor:
        """z* of stage 0 of `domain`, (1, c, h, w)."""
        return self.nets[f"reconstruction_noise_{domain}"].value  # type: ignore[return-value]

    # -- training -------------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        residual = self.stage < self.plan.stages - self.config.replacing_stages
        for domain in self.domains:
            if self.stage == 0:
                self.reconstruction_noise(domain).copy_(torch.randn(self.reconstruction_noise(domain).shape))
            self.generator(domain).add_stage(self._new_stage([f"d_{domain}"], padding=1, norm="instance"), residual)

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        for domain in self.domains:
            amplitudes = self.generator(domain).amplitudes
            if self.stage == 0:
                amplitudes[0] = 1.0
                continue
            if self.stage == 1 and self.config.as_released and self.config.lambda_self == 0:
                amplitudes[0] = self.config.noise_scale
            few = slice(None, None, max(1, len(levels[domain][0]) // 8))
            real = self._seen(levels[domain][self.stage][few], domain)
            reached = self._reconstruction_below(domain).expand_as(real)
            amplitudes[self.stage] = noise.noise_amplitude(real, reached, self.config.noise_scale)

    def players(self) -> dict[str, Player]:
        c, betas = self.config, (self.config.beta1, self.config.beta2)
        critics = [p for domain in self.domains for p in self.nets[f"d_{domain}"].parameters()]
        generators = [p for d in self.domains for p in self.generator(d).stages[self.stage].parameters()]
        return {
            "critic": Player([{"params": critics, "lr": c.lr_d}], betas),
            "generator": Player([{"params": generators, "lr": c.lr_g}], betas),
        }

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        return Schedule(c.steps, ["critic", "generator"], self._work(stage), c.lr_drop_at, c.lr_drop_factor)

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        real = {domain: self._seen(inputs.real[domain][-1], domain) for domain in self.domains}
        if player == "critic":
            inputs.fakes = self._imagine(real, inputs.rng)
            return self._critic_losses(real, inputs)
        return self._generator_losses(real, inputs)

    def _imagine(self, real: Mapping[str, Tensor], rng: RandomStream) -> Fakes:
        random = self._each(lambda domain: self._random(domain, rng))
        translated = self._each(lambda domain: self._translated(random[OTHER[domain]], domain))
        selves = {}
        if self.config.lambda_self > 0:
            for domain in self.domains:
                other = real[OTHER[domain]]
                amplitude = self.generator(domain).amplitudes[self.stage]
                noisy = other + amplitude * rng.feature_noise(*other.shape[1:])
                selves[domain] = self._translated(noisy, domain)
        return Fakes(random, translated, selves)

    def _critic_losses(self, real: Mapping[str, Tensor], inputs: StepInputs) -> dict[str, Tensor]:
        def of(domain: str) -> dict[str, Tensor]:
            fakes = [fake.detach() for fake in inputs.fakes.of(domain)]
            shares = [1.0, 1.0, self.config.lambda_self][: len(fakes)]
            critic = self.nets[f"d_{domain}"]
            wasserstein, penalty = losses.critic_losses(critic, real[domain], fakes, inputs.rng, shares)
            return {f"d_{domain}": wasserstein, f"gp_{domain}": self.config.lambda_gp * penalty}

        return {name: loss for found in self._each(of).values() for name, loss in found.items()}

    def _generator_losses(self, real: Mapping[str, Tensor], inputs: StepInputs) -> dict[str, Tensor]:
        c, made = self.config, inputs.fakes

        def of(domain: str) -> dict[str, Tensor]:
            critic, weight, found = self.nets[f"d_{domain}"], c.lambda_adv_b if domain == "b" else 1.0, {}
            found[f"adv_{domain}"] = -weight * critic(made.random[domain]).mean()
            found[f"adv_{OTHER[domain]}{domain}"] = -weight * critic(made.translated[domain]).mean()
            if made.selves and not c.as_released:
                adversarial = critic(made.selves[domain]).mean()
                found[f"adv_self_{domain}"] = -weight * c.lambda_self * adversarial
            rebuilt = self._rebuild(domain, inputs.rng)
            found[f"rec_{domain}"] = c.lambda_rec * losses.mean_squared_error(rebuilt, real[domain])
            back = self._translated(made.translated[OTHER[domain]], domain)
            found[f"cyc_{domain}"] = c.lambda_cyc * losses.mean_squared_error(back, made.random[domain])
            return found

        return {name: loss for found in self._each(of).values() for name, loss in found.items()}

    def _each(self, of: Callable[[str], T]) -> dict[str, T]:
        """What `of` gives of each domain, side by side."""
        found = streams.run_independent([functools.partial(of, domain) for domain in self.domains])
        return dict(zip(self.domains, found, strict=True))

    def _translated(self, image: Tensor, domain: str) -> Tensor:
        """`image` in the look of `domain`: its newest stage, applied without noise."""
        return self.generator(domain).stage(self.stage, image, None)

    def _random(self, domain: str, rng: RandomStream) -> Tensor:
        """A random image of the stage in training; the gradient reaches no stage below."""
        sizes = self.sizes[domain]
        noises = [rng.feature_noise(self.plan.channels, *size) for size in sizes]
        with torch.no_grad():
            previous = self._climb(domain, self._nothing(sizes[0]), noises[:-1], sizes)
        return self.generator(domain).stage(self.stage, previous, noises[-1])

    def _rebuild(self, domain: str, rng: RandomStream) -> Tensor:
        if self.stage == 0:
            return self._first_rebuilt(domain, rng)
        return self._translated(self._reconstruction_below(domain, rng), domain)

    def _first_rebuilt(self, domain: str, rng: RandomStream | None) -> Tensor:
        """Stage 0's reconstruction: from z*, or, as released, from fresh noise that is added to the drawing."""
        size = self.sizes[domain][0]
        if self.config.as_released and rng is not None:
            return self.generator(domain).stage(0, rng.feature_noise(self.plan.channels, *size), None)
        return self.generator(domain).stage(0, self._nothing(size), self.reconstruction_noise(domain))

    def _reconstruction_below(self, domain: str, rng: RandomStream | None = None) -> Tensor:
        """The finished stages' reconstruction, enlarged; from z* it is the same at every step of a stage."""
        fresh = self.config.as_released and rng is not None
        kept = self._below.get(domain)
        if fresh or kept is None or kept[0] != self.stage:
            sizes = self.sizes[domain]
            with torch.no_grad():
                drawn = self._first_rebuilt(domain, rng)
                for stage in range(1, self.stage):
                    drawn = self.generator(domain).stage(stage, _resized(drawn, sizes[stage]), None)
                kept = (self.stage, _resized(drawn, sizes[-1]))
            if fresh:
                return kept[1]
            self._below[domain] = kept
        return kept[1]

    # -- use ------------------------------------------------------------------------------------------------------

    def _seen(self, image: Tensor, domain: str) -> Tensor:
        levels = self.config.luminance_levels
        if domain != "a" or levels == 0:
            return image
        grey = image[:, :3].mean(1, keepdim=True)
        coarse = ((grey + 1) / 2 * (levels - 1)).round() / (levels - 1) * 2 - 1
        return torch.cat([(image[:, :3] + coarse - grey).clamp(-1, 1), image[:, 3:]], 1)

    def _nothing(self, size: Size) -> Tensor:
        return torch.zeros(1, self.plan.channels, *size, device=self.generator("a").amplitudes.device)

    def _climb(
        self, domain: str, image: Tensor, noises: Sequence[Tensor], sizes: Sequence[Size], first: int = 0
    ) -> Tensor:
        """`image` through stages `first` and up, one for each of `noises`, then at the size of the next stage."""
        for stage, noise_ in enumerate(noises, first):
            drawn = self.generator(domain).stage(stage, _resized(image, sizes[stage]), noise_)
            image = _resized(drawn, sizes[stage + 1])
        return image

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = self.config.start_stage if start_stage is None else start_stage
        last = len(sizes) - 1
        image = self._seen(image, OTHER[domain])
        if 0 <= start_stage < last:
            source = OTHER[domain]
            noises = [rng.feature_noise(self.plan.channels, *size) for size in sizes[start_stage:]]
            image = self._climb(source, image, noises[:-1], sizes, start_stage)
            image = self.generator(source).stage(last, image, noises[-1])
        return self.generator(domain).stage(last, _resized(image, sizes[-1]), None)

    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        noises = [rng.feature_noise(self.plan.channels, *size) for size in sizes["a"]]
        a = self._climb("a", self._nothing(sizes["a"][0]), noises[:-1], sizes["a"])
        a = self.generator("a").stage(len(noises) - 1, a, noises[-1])
        return {"a": a, "b": self.generator("b").stage(len(noises) - 1, a, None)}

    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        pictures = self.translation_preview(real, rng)
        drawn = self.sample(self.sizes, rng)
        return [*pictures, ("random a", drawn["a"]), ("as b", drawn["b"])]

    def parameter_counts(self) -> dict[str, int]:
        counts = self._stage_parts()
        return {f"g_{d} stage {stage}": count for d in self.domains for stage, count in enumerate(counts)}


def _resized(image: Tensor, size: Size) -> Tensor:
    return resize.resize_image(image.float(), size)
