"""`representative`: a pair of growing generators that translate each other's images.

Source: Ly Phi Long, "Multi-scale learning a GAN from a single representative" (thesis slides, in Vietnamese). The
thesis combines ConSinGAN's generator (Hinz et al., WACV 2021) with the objective of Structural Analogy (Benaim et al.,
CGF 2021), which translates in both directions.

As in the thesis:
- Features, not images, pass from stage to stage. A body is Conv + BatchNorm + LeakyReLU with a residual link.
- There are 6 stages and critics of 5 blocks. The generators of both domains have about 1.32 million parameters.
- The objective has four WGAN-GP terms, a cycle loss, and the reconstruction of the real image from its coarsest level.
- Every step takes a random frame of a clip as the image of domain "a".

Decided here, as the thesis leaves it open:
- Learning rates, schedule, number of trained stages and sizes are ConSinGAN's.
- A step has one critic and one generator update, as in Structural Analogy.
- An image to translate enters at `start_stage`: by default at the coarsest stage, as in the reconstruction.

Our departures:
- Half of the images translated during training are real (`real_image_probability`), since users translate real images;
  the thesis translates generated ones only.
- Training uses windows of 0.6 of each side (`window_fraction`), and the coarsest stage has 40 pixels on the shortest
  side rather than ConSinGAN's 25 (`min_side`). With full images and 11-pixel patches at 25 pixels, each network learns
  its target by position and ignores its input. (A step also costs little more than a third.)
- The cycle compares the mean of the colors (`cycle_channels`): with a cycle over each color, a network hides the
  source's hues in the translation, and a yellow flame shows through gray stones.
- Normalization uses the image's own statistics in use and in frozen stages, too (`normalization`). BatchNorm computes
  the same when it trains on one image; its running averages mix random, reconstructed and translated images.
- A step computes crops of windows larger than 181 x 181 pixels (`crop_size`).
- A pair keeps its two sizes and aspects: one list of scale factors serves both images, and the gradient penalty
  interpolates between crops of images of unequal size. The published pair systems stretch both images to a square.

The preset `thesis` is the thesis to the letter: only the last departure remains. docs/explanation/thesis.md says how
each equation is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lonepair import citations
from lonepair.lazy import lazy
from lonepair.methods.growing import calibration_frames, generator_groups, generator_parameter_counts, step_work
from lonepair.methods.pair import OTHER, PairMethod
from lonepair.methods.representative_config import RepresentativeConfig
from lonepair.methods.types import Plan, Player, Schedule, Size, StepInputs
from lonepair.methods.windows import StepImages, WindowImage, generate_window, window_size

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


class Representative(PairMethod):
    """Two growing generators G_a, G_b and two patch critics D_a, D_b."""

    name = "representative"
    default_dtype = "float32"
    inference_nets = ("g_a", "g_b")
    uses = frozenset({"sample", "translate"})
    accepts_several = True
    config_class = RepresentativeConfig
    citation = citations.entries()["ly_representative"]
    publications = ("ly_representative", "hinz2021improved", "benaim2021structural", "gulrajani2017improved")

    config: RepresentativeConfig

    def __init__(self, config: RepresentativeConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        receptive_field = 2 * config.critic_blocks + 1
        self.window_size = {
            domain: window_size(full, plan.sizes(full)[0], config.window_fraction, receptive_field)
            for domain, full in plan.full_sizes.items()
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
                plan.channels,
                config.width,
                config.critic_blocks,
                config.leaky_slope,
                activates_scores=config.activates_scores,
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
        # Stage 0 has no noise of its own: its input is an image, or noise itself.
        for domain in self.domains:
            generator, frames = self.generator(domain), calibration_frames(len(levels[domain][0]))
            # The noise is as strong as the detail that the stages below lack.
            coarse = generator(levels[domain][0][frames], self.sizes[domain][:-1])
            reconstruction = resize.resize_image(coarse.float(), self.sizes[domain][-1])
            generator.amplitudes[self.stage] = noise.noise_amplitude(
                levels[domain][self.stage][frames], reconstruction, self.config.noise_scale
            )

    def players(self) -> dict[str, Player]:
        c = self.config
        g_groups = [group for d in self.domains for group in generator_groups(self.generator(d), c.lr_g, c.growth)]
        d_parameters = [p for domain in self.domains for p in self.critic(domain).parameters()]
        return {
            "critic": Player([{"params": d_parameters, "lr": c.lr_d}], c.adam.betas),
            "generator": Player(g_groups, c.adam.betas),
        }

    def schedule(self, stage: int) -> Schedule:
        c = self.config
        # Geometric interpolation from `steps` at stage 0 to `finest_steps` at the last.
        steps = round(c.steps * (c.finest_steps / c.steps) ** (stage / (c.stages - 1)))
        update_order = ["critic"] * c.critic_steps + ["generator"]
        return Schedule(steps, update_order, step_work(self, c.critic_steps, stage), c.lr_drop_at, c.lr_drop_factor)

    def branch(self, player: str, rng: RandomStream) -> tuple[int, ...]:
        """(1,) if this critic update and the generator's after it translate the real images, (0,) if random ones."""
        return (int(rng.host_bernoulli(self.config.real_image_probability)),) if player == "critic" else ()

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        if player == "critic":
            # The generator updates after the critics, so that it can use the images of their last update.
            inputs.fakes = self._step_images(inputs)
            return self._critic_losses(inputs.fakes, inputs.rng)
        return self._generator_losses(inputs.fakes, inputs.rng)

    def _step_images(self, inputs: StepInputs) -> StepImages:
        """Random windows of the real images, random images, and the translations of one of the two."""
        translates_real, rng = inputs.branch == (1,), inputs.rng
        # Sizes: crops of large windows, save at the coarsest stage, which is small.
        side = self.config.crop_side if self.stage else 0
        windows = {d: self.plan.sizes(self.window_size[d])[: self.stage + 1] for d in self.domains}
        sizes = {d: nets.choose_crops(windows[d], side, self.patch_size, rng) for d in self.domains}
        # Images: real, random, translated.
        full = {d: regions.crop_at(inputs.real[d][-1], sizes[d][-1], rng.uniform(2)) for d in self.domains}
        real = {d: WindowImage(nets.crop_image(sizes[d], window), window) for d, window in full.items()}
        random = {d: self._random_window(d, sizes[d], rng) for d in self.domains}
        sources = real if translates_real else random
        translations = {d: self._translate_window(sources[d], sizes[d], OTHER[d], rng) for d in self.domains}
        return StepImages(sizes, real, random, translates_real, translations)

    def _random_window(self, domain: str, sizes: StageSizes, rng: RandomStream) -> WindowImage:
        """A random image of `domain`, generated from noise."""
        network_input = rng.normal(1, self.plan.channels, *sizes[0])
        return generate_window(self.generator(domain), network_input, sizes, 0, self._noise_maps(sizes, 0, rng, 1.0))

    def _translate_window(self, source: WindowImage, sizes: StageSizes, domain: str, rng: RandomStream) -> WindowImage:
        """The translation of `source` into `domain`, from the start stage of the settings."""
        start_stage = self._start_stage(sizes, None)
        image = resize.resize_image(source.full, sizes[start_stage])
        noises = self._noise_maps(sizes, start_stage, rng, self.config.translation_noise_scale)
        return generate_window(self.generator(domain), image, sizes, start_stage, noises)

    def _critic_losses(self, images: StepImages, rng: RandomStream) -> dict[str, Tensor]:
        """WGAN-GP (Gulrajani et al. 2017, eq. 3) with two fakes per critic: a random image and a translation."""
        terms = {}
        for domain in self.domains:
            # Detached: the critic's update must not reach the generators.
            fakes = [images.random[domain].crops.detach(), images.translations[OTHER[domain]].crops.detach()]
            wasserstein, penalty = losses.critic_losses(
                self.critic(domain), images.real[domain].crops, fakes, rng, shared_forward=True
            )
            terms[f"d_{domain}"] = wasserstein
            terms[f"gp_{domain}"] = self.config.lambda_gp * penalty
        return terms

    def _generator_losses(self, images: StepImages, rng: RandomStream) -> dict[str, Tensor]:
        c, terms = self.config, {}
        for domain in self.domains:
            generator, critic, other = self.generator(domain), self.critic(domain), OTHER[domain]
            # Adversarial: -D(G(z)) and -D(G(x)), x from the other domain.
            terms[f"adv_{domain}"] = -c.lambda_adv * critic(images.random[domain].crops).mean()
            terms[f"adv_{other}{domain}"] = -c.lambda_adv * critic(images.translations[other].crops).mean()
            # Cycle: |G_other(G(x)) - x|^2 over the cycle's channels.
            cycle = self._translate_window(images.translations[other], images.sizes[other], other, rng)
            pair = (self._cycle_channels(cycle.crops), self._cycle_channels(images.source(other).crops))
            terms[f"cyc_{other}"] = c.lambda_cyc * losses.mean_squared_error(*pair)
            # Reconstruction: |G(x_0) - x_n|^2 from the coarsest real image, without noise (ConSinGAN, sec. 3.1).
            coarsest = resize.resize_image(images.real[domain].full, images.sizes[domain][0])
            reconstruction = generator(coarsest, images.sizes[domain])
            terms[f"rec_{domain}"] = c.lambda_rec * losses.mean_squared_error(reconstruction, images.real[domain].crops)
        return terms

    def _cycle_channels(self, image: Tensor) -> Tensor:
        """The channels of `image` that the cycle compares: all, or the mean of the colors and alpha."""
        if self.config.cycle_channels == "colour":
            return image
        return torch.cat([image[:, :3].mean(1, keepdim=True), image[:, 3:]], 1)

    # -- use ------------------------------------------------------------------------------------------------------

    def generator(self, domain: str) -> GrowingGenerator:
        """The generator G of `domain`."""
        return self.nets[f"g_{domain}"]  # type: ignore[return-value]

    def critic(self, domain: str) -> PatchCritic:
        """The critic D of `domain`."""
        return self.nets[f"d_{domain}"]  # type: ignore[return-value]

    def _noise_maps(self, sizes: StageSizes, start_stage: int, rng: RandomStream, scale: float) -> list[Tensor] | None:
        """Noise, times `scale`, for the stages after `start_stage`; None without noise."""
        if scale == 0:
            return None
        return [scale * noise for noise in self.generator("a").noise_maps(sizes, rng, start_stage + 1)]

    def _start_stage(self, sizes: StageSizes, start_stage: int | None) -> int:
        """The stage at which an image enters: at most the newest stage that computes the full image.

        Args:
            sizes: (h, w) of every stage.
            start_stage: The stage asked for; -1 for the newest, None for that of the settings.
        """
        start_stage = self.config.start_stage if start_stage is None else start_stage
        newest = self.generator("a").full_image_stages(sizes) - 1
        return newest if start_stage == -1 else min(start_stage, newest)

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        start_stage = self._start_stage(sizes, start_stage)
        noises = self._noise_maps(sizes, start_stage, rng, self.config.translation_noise_scale)
        network_input = resize.resize_image(image, sizes[start_stage])
        translation: Tensor = self.generator(domain)(network_input, sizes, start_stage, noises)
        return translation

    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        # An aligned pair: a random image of A and its translation, as one update of the training uses them.
        a = self._random_window("a", sizes["a"], rng).full
        return {"a": a, "b": self.translate(a, sizes["a"], "b", None, rng)}

    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        images = self.translation_preview(real, rng)
        return [*images, ("random a", self._random_window("a", self.sizes["a"], rng).full)]

    def parameter_counts(self) -> dict[str, int]:
        counts = generator_parameter_counts(self.config.growth, self.config.width, self.plan.channels, head_norm=False)
        return {f"g_{domain} {part}": count for domain in self.domains for part, count in counts.items()}
