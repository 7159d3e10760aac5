"""`closed-form`: diffusion with the optimal denoiser of an image's patches; nothing is trained.

Haojun Qiu, Kiriakos N. Kutulakos, David B. Lindell, "Efficient and Training-Free Single-Image Diffusion Models", CVPR
2026.

As published:
- The denoiser of a noisy patch x = alpha y + sigma n is the mean of the target's patches y, with weights
  exp(-|x - alpha y|² / (2 sigma²)) over all of them. All overlapping patches of an image are denoised and blended.
- Patches of 11x11 pixels, three scales of ratio 0.5, Gaussian blending with rho = 0.2.
- Structural analogy: the source is inverted at the coarsest scale by its own denoiser to sigma = 0.5 in 50 steps, and
  reconstructed from there by the target's denoiser.
- A finer scale starts from noise and takes 10 steps; its low frequencies are those of the scale below.
- A random image starts from noise at the coarsest scale, too.
- Search for a patch's nearest neighbors replaces the softmax over all patches where these are many.

Decided here (the code is not public, and the paper's text was not at hand; the numbers above are from our notes):
- alpha = 1 - sigma, steps of equal length in sigma, and the deterministic update (DDIM, Song et al., ICLR 2021).
- rho is a fraction of the patch's side. Blended patches lie within the image; corners have the fewest.
- The low frequencies of an image are those that survive a bicubic reduction to the size of the scale below.
- Reconstruction takes as many steps as inversion. The first step of an inversion has no noise to estimate.
- A clip's frames are pooled: the data set is the patches of up to 8 of them. Each frame is translated by itself.

Our departures:
- `standard` and `draft` denoise patches at every second or third position above the coarsest scale, over the nearest 16
  or 8 patches. `full` is exact. docs/results/closed-form.md says how far they are apart.
- No latent space, and no approximate search by clusters: principal components and blocks of neighbors take its place.
- `preview` stops after the coarsest scale; patch synthesis (`patches.synthesis`) makes the finer ones. It is faster,
  and its texture is sharper.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair import citations
from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.methods.pair import PairMethod
from lonepair.methods.setting_groups import ClipConfig, Group, SizeConfig
from lonepair.methods.types import Plan, Player, Schedule, Size, StepInputs
from lonepair.patches.config import SynthesisConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair import nets
    from lonepair.nets import Exemplar
    from lonepair.ops import pyramid, resize
    from lonepair.ops.noise import RandomStream
    from lonepair.patches import closed_form
    from lonepair.patches.closed_form import ClosedFormDenoiser
else:
    torch = lazy("torch")
    nets = lazy("lonepair.nets")
    pyramid = lazy("lonepair.ops.pyramid")
    resize = lazy("lonepair.ops.resize")
    closed_form = lazy("lonepair.patches.closed_form")

MAX_FRAMES = 8
"""Largest number of a clip's frames, evenly spaced, whose patches are the data set."""


@dataclass(frozen=True)
class ScaleConfig(Group):
    """Scales, coarse to fine; the defaults are Qiu et al.'s."""

    stages: int = 3
    """Number of scales, 1 to 8. With more of them larger shapes are taken from the target."""
    pyramid_ratio: float = 0.5
    """Ratio, 0.3 to 0.9, between the sizes of two scales, larger where the coarsest would fall below `min_side`. A
    larger value keeps the positions of smaller shapes and is slower."""

    def problems(self) -> list[str]:
        problems = [] if 1 <= self.stages <= 8 else [f"stages is {self.stages}: choose 1 to 8"]
        if not 0.3 <= self.pyramid_ratio <= 0.9:
            problems.append(f"pyramid_ratio is {self.pyramid_ratio}: choose a number from 0.3 to 0.9")
        return problems


@dataclass(frozen=True)
class DiffusionConfig(Group):
    """Noise levels and steps; the defaults are Qiu et al.'s."""

    inversion_sigma: float = 0.5
    """Noise level, above 0 and below 1, to which the source is inverted at the coarsest scale. A larger value keeps
    less of the source."""
    coarse_steps: int = 50
    """Steps at the coarsest scale, 1 to 1000: of the inversion, and again of the reconstruction. More steps are more
    exact and slower."""
    fine_steps: int = 10
    """Steps at each finer scale, 1 to 1000. More steps give cleaner patches and are slower."""

    def problems(self) -> list[str]:
        problems = self.below(1, "coarse_steps", "fine_steps") + self.above(1000, "coarse_steps", "fine_steps")
        if not 0 < self.inversion_sigma < 1:
            problems.append(f"inversion_sigma is {self.inversion_sigma}: choose a number above 0 and below 1")
        return problems


@dataclass(frozen=True)
class DenoiserConfig(Group):
    """The denoiser of patches."""

    patch_size: int = 11
    """Side of the patches in pixels, an odd number from 3 to `min_side`, 63 at most. A larger value copies larger
    structures."""
    blend_rho: float = 0.2
    """Standard deviation, above 0 to 10, of the Gaussian patch weights where patches overlap, as a fraction of
    `patch_size`. A larger value is softer."""
    patch_stride: int = 2
    """Distance in pixels between patches, 1 to `patch_size`, above the coarsest scale; 1 is published. A larger value
    is faster and rougher."""
    coarse_patch_stride: int = 1
    """`patch_stride` at the coarsest scale, 1 to `patch_size`; 1 is published."""
    neighbors: int = 16
    """Number of the target's nearest patches in the softmax above the coarsest scale; 0: all, as published. More are
    slower, and softer where the noise is strong."""

    def problems(self) -> list[str]:
        strides = ("patch_stride", "coarse_patch_stride")
        problems = self.below(1, *strides) + self.below(0, "neighbors")
        problems += [
            f"{name} is {getattr(self, name)}: choose at most patch_size, {self.patch_size}"
            for name in strides
            if getattr(self, name) > self.patch_size
        ]
        if not self.blend_rho > 0:
            problems.append(f"blend_rho is {self.blend_rho}: choose a number above 0")
        return problems + self.above(63, "patch_size") + self.above(10, "blend_rho")


@dataclass(frozen=True)
class ClosedFormConfig(Config):
    """Settings of `closed-form`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "draft": {"coarse_steps": 10, "fine_steps": 4, "patch_stride": 3, "neighbors": 8},
        "standard": {},
        "full": {"patch_stride": 1, "neighbors": 0},
        "preview": {
            "max_side": 55,
            "min_side": 12,
            "stages": 1,
            "coarse_steps": 10,
            "coarse_patch_stride": 2,
            "exemplar_max_side": 220,
        },
    }
    """`full` is as published; `standard` approximates it above the coarsest scale; `draft` takes fewer steps, too;
    `preview` leaves all scales but the coarsest to patch synthesis."""

    basic: ClassVar[tuple[str, ...]] = ("max_side", "stages", "inversion_sigma", "coarse_steps", "fine_steps")

    size: SizeConfig = SizeConfig()
    scales: ScaleConfig = ScaleConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    denoiser: DenoiserConfig = DenoiserConfig()
    exemplar_max_side: int = 0
    """Longest side, in pixels, 0 or more, of the target that the model stores for patch synthesis, which then follows
    the finest scale. 0: no patch synthesis, as published. A larger value gives finer pictures and larger files."""
    clip: ClipConfig = ClipConfig(max_frames=MAX_FRAMES)

    def problems(self) -> list[str]:
        problems, size = self.below(0, "exemplar_max_side"), self.denoiser.patch_size
        if not 3 <= size <= self.size.min_side or size % 2 == 0:
            problems.append(f"patch_size is {size}: choose an odd number from 3 to min_side, {self.size.min_side}")
        return problems


class ClosedForm(PairMethod):
    """Diffusion with the closed-form denoisers of two images."""

    name = "closed-form"
    inference_nets = ("exemplar_a", "exemplar_b")
    uses = frozenset({"sample", "translate"})
    accepts_several = True
    trains = False
    config_class = ClosedFormConfig
    citation = citations.entries()["qiu2026efficient"]
    publications = ("qiu2026efficient",)

    config: ClosedFormConfig

    def __init__(self, config: ClosedFormConfig, plan: Plan) -> None:
        super().__init__(config, plan)
        self.patch_size, self.exemplar_max_side = config.denoiser.patch_size, config.exemplar_max_side
        # Patch synthesis retains the layout of the finest scale.
        layout_scale = min(100.0, 1 / plan.factors[0])
        self.synthesis = SynthesisConfig(layout_scale=layout_scale) if config.exemplar_max_side else None
        for domain in self.domains:
            self.nets[f"exemplar_{domain}"] = nets.Exemplar(plan.channels)
        self._denoisers: dict[tuple[str, int], tuple[Tensor, ClosedFormDenoiser]] = {}
        """Domain and stage -> the exemplar's images, and the denoiser of their patches."""

    @classmethod
    def plan_for(cls, config: Any, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]) -> Plan:
        stages, shortest = config.stages, min(min(size) for size in sizes.values())
        if stages == 1:
            return Plan(channels, dict(sizes), [1.0])
        smallest = max(config.min_side, round(shortest * config.pyramid_ratio ** (stages - 1)))
        return Plan(channels, dict(sizes), pyramid.shared_factors(list(sizes.values()), stages, smallest, "geometric"))

    # -- training: none -------------------------------------------------------------------------------------------

    def add_stage(self) -> None:
        self.stage += 1
        for domain in self.domains:
            self.exemplar(domain).add_stage(self.sizes[domain][-1])

    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        for domain in self.domains:
            self.exemplar(domain).set_images(levels[domain][-1])

    def players(self) -> dict[str, Player]:
        return {}

    def schedule(self, stage: int) -> Schedule:
        return Schedule(0, [], 0.0)

    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        return {}  # without players no update asks for one

    # -- use ------------------------------------------------------------------------------------------------------

    def exemplar(self, domain: str) -> Exemplar:
        return self.nets[f"exemplar_{domain}"]  # type: ignore[return-value]

    def remember_targets(self, images: Mapping[str, Tensor]) -> None:
        for domain, image in images.items():
            self.exemplar(domain).set_detail(image)

    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        # Stage `start_stage` inverts the source; the stages below it are left out.
        first = 0 if start_stage is None else min(start_stage % (self.stage + 1), len(sizes) - 1)
        with torch.autocast(image.device.type, enabled=False):
            coarse = resize.resize_image(image.float(), sizes[first])
            return self._refine(self._restyle(coarse, domain, first), sizes, domain, first + 1, rng)

    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        a = self._refine(None, sizes["a"], "a", 0, rng)
        return {"a": a, "b": self.translate(a, sizes["a"], "b", None, rng)}

    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        if self.stage < self.plan.stages - 1:  # a translation of each stage would take as long as all work besides
            return [(domain, levels[-1]) for domain, levels in real.items()]
        return self.translation_preview(real, rng)

    def parameter_counts(self) -> dict[str, int]:
        return {}

    # -- diffusion ------------------------------------------------------------------------------------------------

    def _restyle(self, image: Tensor, domain: str, stage: int) -> Tensor:
        """`image`, inverted by the denoiser of its own patches and reconstructed by that of `domain`."""
        c, d = self.config.denoiser, self.config.diffusion
        own = closed_form.ClosedFormDenoiser(image, c.patch_size, 0, c.blend_rho)
        levels = torch.linspace(0, d.inversion_sigma, d.coarse_steps + 1).tolist()
        inverted = invert(image, own, levels, self._stride(stage))
        return reconstruct(inverted, self._denoiser(domain, stage), levels[::-1], self._stride(stage)).clamp(-1, 1)

    def _refine(
        self, image: Tensor | None, sizes: Sequence[Size], domain: str, first: int, rng: RandomStream
    ) -> Tensor:
        """`image` at the last of `sizes`, with detail of `domain` from stage `first` on; None: a random image."""
        c = self.config
        for stage in range(first, len(sizes)):
            denoiser = self._denoiser(domain, stage)
            x = rng.feature_noise(self.plan.channels, *sizes[stage]).contiguous()
            steps = c.diffusion.coarse_steps if image is None else c.diffusion.fine_steps
            for sigma, next_sigma in itertools.pairwise(torch.linspace(1, 0, steps + 1).tolist()):
                picture = denoiser(x, sigma, alpha_at(sigma), self._stride(stage))
                if image is not None:
                    picture = with_low_frequencies(picture, image)
                x = ddim_step(x, picture, sigma, next_sigma)
            image = x.clamp(-1, 1)
        assert image is not None
        return image

    def _stride(self, stage: int) -> int:
        c = self.config.denoiser
        return c.patch_stride if stage else c.coarse_patch_stride

    def _denoiser(self, domain: str, stage: int) -> ClosedFormDenoiser:
        """The denoiser of the patches of `domain` at `stage`."""
        c, images = self.config.denoiser, self.exemplar(domain).images
        stored = self._denoisers.get((domain, stage))
        if stored is None or stored[0] is not images:
            target = resize.resize_image(images.float().contiguous(), self.sizes[domain][stage])
            denoiser = closed_form.ClosedFormDenoiser(target, c.patch_size, c.neighbors if stage else 0, c.blend_rho)
            stored = self._denoisers[domain, stage] = images, denoiser
        return stored[1]


def alpha_at(sigma: float) -> float:
    """Factor on the picture where the noise has the standard deviation `sigma`, 0 to 1."""
    return 1 - sigma


def invert(image: Tensor, denoiser: ClosedFormDenoiser, levels: Sequence[float], stride: int = 1) -> Tensor:
    """`image` with noise that `denoiser` removes: the steps of `reconstruct` in the other order.

    Args:
        image: In [-1, 1].
        denoiser: Its own, that of its patches.
        levels: Noise levels, from 0 upwards.
        stride: Distance in pixels between patches.
    """
    x = image
    for sigma, next_sigma in itertools.pairwise(levels):
        # Without noise the image is its own nearest: the estimate of the noise is 0.
        picture = denoiser(x, sigma, alpha_at(sigma), stride) if sigma > 0 else x
        x = ddim_step(x, picture, sigma, next_sigma)
    return x


def reconstruct(x: Tensor, denoiser: ClosedFormDenoiser, levels: Sequence[float], stride: int = 1) -> Tensor:
    """The picture that `denoiser` finds in `x`, whose noise is at the first of the falling `levels`."""
    for sigma, next_sigma in itertools.pairwise(levels):
        x = ddim_step(x, denoiser(x, sigma, alpha_at(sigma), stride), sigma, next_sigma)
    return x


def ddim_step(x: Tensor, picture: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """`x` at the noise level `next_sigma` (DDIM, Song et al., ICLR 2021, eq. 12 without fresh noise).

    Args:
        x: alpha x picture + sigma x noise.
        picture: The denoiser's estimate of the picture in `x`.
        sigma: Noise level of `x`; at 0 the noise counts as 0.
    """
    noise = (x - alpha_at(sigma) * picture) / sigma if sigma > 0 else torch.zeros_like(x)
    return alpha_at(next_sigma) * picture + next_sigma * noise


def with_low_frequencies(picture: Tensor, coarse: Tensor) -> Tensor:
    """`picture` with the low frequencies of the smaller image `coarse`: those that a reduction to its size retains."""
    size = (picture.shape[-2], picture.shape[-1])
    lost = coarse - resize.resize(picture, (coarse.shape[-2], coarse.shape[-1]))
    return picture + resize.resize(lost, size)
