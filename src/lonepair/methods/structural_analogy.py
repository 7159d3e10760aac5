"""`structural-analogy`: two pyramids of generators; each stage translates the images of the other pyramid's stage.

Source: Benaim, Mokady, Bermano, Cohen-Or, Wolf, "Structural Analogy from a Single Image Pair", Computer Graphics Forum
2021, arXiv:2004.02222.

As published:
- SinGAN's sizes from 18 to 220 pixels (11 stages), widths and depths. Convolutions are padded by 1. The output is added
  to the upsampled image (SinGAN, eq. 3), except in the last two stages.
- A stage has two generators and two critics with BatchNorm, always in training mode: each image is normalized by its
  own statistics, also in frozen stages and in use. A stage starts from the weights of the stage below if it is as wide;
  trained stages are frozen.
- A step has one update of the critics and one of the generators: adversarial on random images and on their
  translations (penalty weight 0.1 each), reconstruction with weight 1, cycle with weight 10.
- Adam (0.5, 0.999) at 5e-4 for generators and 1e-4 for critics, 20,000 steps of a stage.
- The presets full, style, texture, glyph, sketch and video are the released commands, to the last setting. The three
  first are the same command; its cycle weight is 10, the code's own default is 1. video adds the self branch: each
  generator translates the other domain's real image plus noise.

With `as_released`, which those presets set, since the authors' figures come from that code:
- Every step reconstructs from new noise, which is added to the output of stage 0: G(z) + z. The amplitude of a stage's
  noise is measured on this path, too. Without the switch z* is fixed and only enters stage 0, as in SinGAN.
- The noise of stage 0 drops to a tenth after the stage's training, unless there is a self branch.
- The self branch's generator term is a constant.

Our departures:
- The two images keep their sizes and aspects. `square`, which those presets set, stretches both, as published.
- A translation is of the user's image, not of a random one. It enters the source's pyramid at `start_stage` and is
  translated at the finest stage.
- `luminance_levels` rounds the mean of the colors and keeps the hues. The released tool writes an inverted gray video.
- Frames are drawn with replacement. Resizing is torch's antialiased bicubic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lonepair import citations
from lonepair.lazy import lazy
from lonepair.methods.pair import OTHER, PairMethod
from lonepair.methods.stagewise import StagewiseMethod, run_stages, upsample
from lonepair.methods.structural_analogy_config import StructuralAnalogyConfig
from lonepair.methods.types import Plan, Player, Schedule, Size, StepInputs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import losses, nets
    from lonepair.nets import StagewiseGenerator
    from lonepair.ops import color, noise, pyramid
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    color = lazy("lonepair.ops.color")
    losses = lazy("lonepair.losses")
    nets = lazy("lonepair.nets")
    noise = lazy("lonepair.ops.noise")
    pyramid = lazy("lonepair.ops.pyramid")


@dataclass(frozen=True)
class StepPredictions:
    """The images that the generators of the newest stage predict in one step, by domain."""

    random: dict[str, Tensor]
    """Random images."""
    translations: dict[str, Tensor]
    """Translations into the domain of the other domain's random image."""
    self_translations: dict[str, Tensor]
    """Translations into the domain of the other domain's real image plus noise; empty without a self branch."""

    def fakes_of(self, domain: str) -> list[Tensor]:
        """All fakes of the domain's critic, the self branch's last."""
        self_branch = [self.self_translations[domain]] if self.self_translations else []
        return [self.translations[domain], self.random[domain], *self_branch]


class StructuralAnalogy(StagewiseMethod, PairMethod):
    """Two pyramids of generators G_0 (coarsest) to G_n, and the two critics of the newest stage."""

    name = "structural-analogy"
    default_dtype = "float32"
    inference_nets = ("g_a", "g_b", "reconstruction_noise_a", "reconstruction_noise_b")
    uses = frozenset({"sample", "translate"})
    accepts_several = True
    config_class = StructuralAnalogyConfig
    citation = citations.entries()["benaim2021structural"]
    publications = ("benaim2021structural", "gulrajani2017improved")

    config: StructuralAnalogyConfig

    def __init__(self, config: StructuralAnalogyConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        for domain in self.domains:
            self.nets[f"g_{domain}"] = nets.StagewiseGenerator(plan.stages, pad=0)
            coarsest = plan.sizes(plan.full_sizes[domain])[0]
            self.nets[f"reconstruction_noise_{domain}"] = nets.Constant(plan.channels, *coarsest)
        self._cached_reconstructions: dict[str, tuple[int, Tensor]] = {}
        """Domain -> a stage, and the reconstruction of the stages below it at its size."""
        self.calibration_noise: dict[str, Tensor] = {}
        """Domain -> the noise (1, c, h, w) from which the released code measures the newest stage's amplitude."""

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
        """The generators of all stages of `domain`."""
        return self.nets[f"g_{domain}"]  # type: ignore[return-value]

    def reconstruction_noise(self, domain: str) -> Tensor:
        """z* of stage 0 of `domain`, (1, c, h, w)."""
        return self.nets[f"reconstruction_noise_{domain}"].value  # type: ignore[return-value]

    # -- training -------------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        residual = self.stage < self.plan.stages - self.config.replacing_stages
        for domain in self.domains:
            # Without memory, as in the check of a model file, there is nothing to draw.
            if self.stage == 0 and not self.reconstruction_noise(domain).is_meta:
                self.reconstruction_noise(domain).copy_(torch.randn(self.reconstruction_noise(domain).shape))
            self.generator(domain).add_stage(self._new_stage([f"d_{domain}"], padding=1, norm="instance"), residual)
            if self.config.as_released:
                self.calibration_noise[domain] = torch.randn(self.reconstruction_noise(domain).shape)

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        for domain in self.domains:
            amplitudes = self.generator(domain).amplitudes
            if self.stage == 0:
                amplitudes[0] = 1.0
                continue
            if self.stage == 1 and self.config.as_released and self.config.lambda_self == 0:
                amplitudes[0] = self.config.noise_scale
            # Of a clip, about eight frames are enough for a root mean square.
            some = slice(None, None, max(1, len(levels[domain][0]) // 8))
            real = self._quantize_luminance(levels[domain][self.stage][some], domain)
            released_noise = self.calibration_noise[domain].to(real) if self.config.as_released else None
            reconstruction = self._reconstruction_below(domain, released_noise).expand_as(real)
            amplitudes[self.stage] = noise.noise_amplitude(real, reconstruction, self.config.noise_scale)

    def players(self) -> dict[str, Player]:
        rates, betas = self.config.adversarial, self.config.adam.betas
        critics = [p for domain in self.domains for p in self.nets[f"d_{domain}"].parameters()]
        generators = [p for domain in self.domains for p in self.generator(domain).stages[self.stage].parameters()]
        return {
            "critic": Player([{"params": critics, "lr": rates.lr_d}], betas),
            "generator": Player([{"params": generators, "lr": rates.lr_g}], betas),
        }

    def schedule(self, stage: int) -> Schedule:
        c = self.config.schedule
        return Schedule(c.steps, ["critic", "generator"], self._step_work(stage), c.lr_drop_at, c.lr_drop_factor)

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        real = {domain: self._quantize_luminance(inputs.real[domain][-1], domain) for domain in self.domains}
        if player == "critic":  # the first update of the step
            inputs.fakes = self._predict(real, inputs.rng)
            return self._critic_losses(real, inputs)
        return self._generator_losses(real, inputs)

    def _predict(self, real: Mapping[str, Tensor], rng: RandomStream) -> StepPredictions:
        """The fakes of one step, with gradients of the newest stage alone."""
        random = self.for_each_domain(lambda domain: self._random_image(domain, rng))
        translations = self.for_each_domain(lambda domain: self._translate_newest(random[OTHER[domain]], domain))
        self_translations = {}
        if self.config.lambda_self > 0:
            for domain in self.domains:
                other = real[OTHER[domain]]
                amplitude = self.generator(domain).amplitudes[self.stage]
                noisy = other + amplitude * rng.feature_noise(*other.shape[1:])
                self_translations[domain] = self._translate_newest(noisy, domain)
        return StepPredictions(random, translations, self_translations)

    def _critic_losses(self, real: Mapping[str, Tensor], inputs: StepInputs) -> dict[str, Tensor]:
        """WGAN-GP (Gulrajani et al. 2017, eq. 3) with one penalty for each fake."""

        def losses_of(domain: str) -> dict[str, Tensor]:
            fakes = [fake.detach() for fake in inputs.fakes.fakes_of(domain)]
            shares = [1.0, 1.0, self.config.lambda_self][: len(fakes)]
            critic = self.nets[f"d_{domain}"]
            wasserstein, penalty = losses.critic_losses(critic, real[domain], fakes, inputs.rng, shares)
            return {f"d_{domain}": wasserstein, f"gp_{domain}": self.config.lambda_gp * penalty}

        return _joined(self.for_each_domain(losses_of))

    def _generator_losses(self, real: Mapping[str, Tensor], inputs: StepInputs) -> dict[str, Tensor]:
        """Adversarial, reconstruction and cycle terms."""
        c, predictions = self.config, inputs.fakes

        def losses_of(domain: str) -> dict[str, Tensor]:
            critic, weight, terms = self.nets[f"d_{domain}"], c.lambda_adv_b if domain == "b" else 1.0, {}
            # Adversarial, -D(fake): random images, translations and, with a self branch, translations of real images.
            terms[f"adv_{domain}"] = -weight * critic(predictions.random[domain]).mean()
            terms[f"adv_{OTHER[domain]}{domain}"] = -weight * critic(predictions.translations[domain]).mean()
            if predictions.self_translations and not c.as_released:
                adversarial = critic(predictions.self_translations[domain]).mean()
                terms[f"adv_self_{domain}"] = -weight * c.lambda_self * adversarial
            # Reconstruction, |G_n(0, upsampled reconstruction) - x_n|^2 (SinGAN, eq. 5).
            reconstruction = self._reconstruct(domain, inputs.rng)
            terms[f"rec_{domain}"] = c.lambda_rec * losses.mean_squared_error(reconstruction, real[domain])
            # Cycle, |G(G_other(x)) - x|^2: a random image x, translated there and back.
            cycle = self._translate_newest(predictions.translations[OTHER[domain]], domain)
            terms[f"cyc_{domain}"] = c.lambda_cyc * losses.mean_squared_error(cycle, predictions.random[domain])
            return terms

        return _joined(self.for_each_domain(losses_of))

    def _translate_newest(self, image: Tensor, domain: str) -> Tensor:
        """`image` (b, c, h, w) translated into `domain`, which is the newest stage without noise."""
        return self.generator(domain).stage(self.stage, image, None)

    def _random_image(self, domain: str, rng: RandomStream) -> Tensor:
        """A random image (1, c, h, w) of the newest stage, with gradients of this stage alone."""
        generator, sizes = self.generator(domain), self.sizes[domain]
        noises = self._image_noise(rng, sizes)
        with torch.no_grad():
            below = run_stages(generator, self._zero_image(sizes[0]), noises[:-1], sizes)
        return generator.stage(self.stage, upsample(below, sizes[-1]), noises[-1])

    def _reconstruct(self, domain: str, rng: RandomStream) -> Tensor:
        """The newest stage's reconstruction (SinGAN, eq. 5); `rng` draws its noise with `as_released`."""
        released_noise = None
        if self.config.as_released:
            released_noise = rng.feature_noise(self.plan.channels, *self.sizes[domain][0])
        if self.stage == 0:
            return self._reconstruct_coarsest(domain, released_noise)
        return self._translate_newest(self._reconstruction_below(domain, released_noise), domain)

    def _reconstruct_coarsest(self, domain: str, released_noise: Tensor | None) -> Tensor:
        """Stage 0's reconstruction: from z*, or as the released code from noise, which is added to the output."""
        if released_noise is not None:
            return self.generator(domain).stage(0, released_noise, None)
        zero_image = self._zero_image(self.sizes[domain][0])
        return self.generator(domain).stage(0, zero_image, self.reconstruction_noise(domain))

    def _reconstruction_below(self, domain: str, released_noise: Tensor | None) -> Tensor:
        """The reconstruction of the stages below, upsampled; from z* it is computed once a stage."""
        cached_stage, reconstruction = self._cached_reconstructions.get(domain, (-1, None))
        if released_noise is not None or reconstruction is None or cached_stage != self.stage:
            sizes = self.sizes[domain]
            with torch.no_grad():
                coarsest, no_noise = self._reconstruct_coarsest(domain, released_noise), [None] * (self.stage - 1)
                reconstruction = upsample(run_stages(self.generator(domain), coarsest, no_noise, sizes, 1), sizes[-1])
            if released_noise is None:
                self._cached_reconstructions[domain] = (self.stage, reconstruction)
        return reconstruction

    # -- use ------------------------------------------------------------------------------------------------------

    def _quantize_luminance(self, image: Tensor, domain: str) -> Tensor:
        """`image` (b, c, h, w) with `luminance_levels` values of its mean color, if it is of the source's domain."""
        levels = self.config.luminance_levels
        return color.quantize_luminance(image, levels) if domain == "a" and levels else image

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = self.config.start_stage if start_stage is None else start_stage
        last, source = len(sizes) - 1, OTHER[domain]
        image = self._quantize_luminance(image, source)
        # The image enters the source's pyramid; only the finest stage translates.
        if 0 <= start_stage < last:
            noises = self._image_noise(rng, sizes[start_stage:])
            image = run_stages(self.generator(source), image, noises, sizes, start_stage)
        return self.generator(domain).stage(last, upsample(image, sizes[-1]), None)

    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        noises = self._image_noise(rng, sizes["a"])
        a = run_stages(self.generator("a"), self._zero_image(sizes["a"][0]), noises, sizes["a"])
        return {"a": a, "b": self.generator("b").stage(len(noises) - 1, a, None)}

    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        translations = self.translation_preview(real, rng)
        random = self.sample(self.sizes, rng)
        return [*translations, ("random a", random["a"]), ("as b", random["b"])]

    def parameter_counts(self) -> dict[str, int]:
        counts = self._parameters_by_stage()
        return {f"g_{d} stage {stage}": count for d in self.domains for stage, count in enumerate(counts)}


def _joined(terms: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The losses of both domains in one mapping."""
    return {name: loss for of_domain in terms.values() for name, loss in of_domain.items()}
