"""Plain training loops of SinGAN and ConSinGAN: the reference for the package's methods `singan` and `consingan`.

They are written from what the released code does (github.com/tamarott/SinGAN and github.com/tohinz/ConSinGAN, training
of one image for random samples), and share nothing with the package but its resizing of images, so that both train on
equal pixels. `benchmarks/seeds.py --loops lonepair plain` trains both and compares them.

Images are (1, 3, h, w) in [-1, 1]; stage 0 is the coarsest. "Released" marks what the papers do not say.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lonepair.ops.resize import resize_image

Size = tuple[int, int]
"""(h, w) in pixels."""

MIN_SIDE = 25
"""Pixels on the shortest side at stage 0."""
RATE, BETAS = 5e-4, (0.5, 0.999)
"""Learning rate and betas of Adam, for critics and generators."""
DROP_AT, DROP_FACTOR = 0.8, 0.1
"""Share of a stage's steps after which the learning rate drops, and the factor."""
UPDATES = 3
"""Updates of the critic in a step, and of the generator."""
PENALTY_WEIGHT, RECONSTRUCTION_WEIGHT = 0.1, 10.0
"""Weights of the gradient penalty and of the reconstruction."""
NOISE_SCALE = 0.1
"""Amplitude of the noise of a stage above 0, relative to the RMSE of the reconstruction."""


# -- what both share --------------------------------------------------------------------------------------------------


def initialize(network: nn.Module) -> None:
    """Set weights as released: of convolutions N(0, 0.02), of BatchNorm N(1, 0.02); biases stay as torch has them."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 0.0 if isinstance(layer, nn.Conv2d) else 1.0, 0.02)


def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """WGAN-GP (Gulrajani et al. 2017, eq. 3); the gradient's norm is that of the channels of a pixel (released)."""
    alpha = torch.rand((), device=real.device)
    point = (alpha * real + (1 - alpha) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(point).sum(), point, create_graph=True)
    penalty = (gradient.norm(dim=1) - 1).square().mean()
    loss: Tensor = critic(fake).mean() - critic(real).mean() + PENALTY_WEIGHT * penalty
    return loss


def rate_drop(adam: torch.optim.Adam, steps: int) -> torch.optim.lr_scheduler.MultiStepLR:
    """The schedule of a stage's learning rate."""
    return torch.optim.lr_scheduler.MultiStepLR(adam, [round(DROP_AT * steps)], DROP_FACTOR)


def rmse(a: Tensor, b: Tensor) -> float:
    """Root of the mean squared difference."""
    return float((a - b).square().mean().sqrt())


class Loop(ABC):
    """A training of one image, from the coarsest stage to the finest."""

    def __init__(self, sizes: list[Size], image: Tensor) -> None:
        """
        Args:
            sizes: (h, w) of each stage, coarsest first.
            image: The image at the last of `sizes`.
        """
        self.device, self.sizes = image.device, sizes
        self.reals = [resize_image(image, size) for size in sizes]

    @abstractmethod
    def train_stage(self, steps: int) -> None:
        """Add the next stage and train it."""

    @abstractmethod
    def generate(self, is_random: bool) -> Tensor:
        """A random image or, if not `is_random`, the reconstruction, by all stages so far."""

    def train(self, steps: int) -> None:
        """Train all stages, `steps` each."""
        for _ in self.reals:
            self.train_stage(steps)

    def output(self, is_random: bool) -> Tensor:
        """`generate`, clamped to [-1, 1], on the CPU."""
        with torch.no_grad():
            return self.generate(is_random).clamp(-1, 1).cpu()


# -- SinGAN -----------------------------------------------------------------------------------------------------------

SINGAN_WIDTH = 32
"""Channels of the features at the first four stages; they double every four stages, up to four times as many."""


def singan_sizes(original: Size, full: Size) -> list[Size]:
    """(h, w) of each stage: a ratio near 4/3 between two stages (sec. 2.2; number of stages as released).

    Args:
        original: (h, w) of the image file.
        full: (h, w) of the image at the last stage.
    """
    steps_of_original = math.ceil(math.log(MIN_SIDE / min(original), 0.75))
    steps_to_full = math.ceil(math.log(max(full) / max(original), 0.75))
    last = steps_of_original + 1 - steps_to_full
    ratio = (MIN_SIDE / min(full)) ** (1 / last)
    return [(math.ceil(full[0] * ratio**n), math.ceil(full[1] * ratio**n)) for n in range(last, -1, -1)]


def singan_network(width: int, outputs: int) -> nn.Sequential:
    """Five convolutions with BatchNorm and LeakyReLU between them: a critic, or a generator before its tanh."""
    layers: list[nn.Module] = []
    for inputs in (3, width, width, width):
        layers += [nn.Conv2d(inputs, width, 3), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
    network = nn.Sequential(*layers, nn.Conv2d(width, outputs, 3))
    initialize(network)
    return network


class SinGANStage(nn.Module):
    """The generator of a stage: the image of the stage below plus detail (eq. 3 and 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.layers = singan_network(width, 3)

    def forward(self, noise: Tensor, image: Tensor) -> Tensor:
        """The image at this stage, from scaled noise and the upsampled image of the stage below."""
        # Five unpadded convolutions lose five pixels on each side.
        detail: Tensor = self.layers(F.pad(noise + image, [5] * 4)).tanh()
        return detail + image


class UncheckedAdam:
    """Adam that changes the parameters without autograd's notice, as torch did up to 1.4, with which SinGAN trained.

    A graph from before an update can then be differentiated after it: stored activations meet changed weights.
    """

    def __init__(self, network: nn.Module, steps: int) -> None:
        self.parameters = list(network.parameters())
        # `data` shares the values, but not the count of changes that autograd checks.
        self.values = [parameter.data for parameter in self.parameters]
        self.adam = torch.optim.Adam(self.values, RATE, BETAS)
        self.drop = rate_drop(self.adam, steps)

    def update(self, loss: Tensor, retain_graph: bool = False) -> None:
        """Update the parameters by the gradient of `loss`."""
        gradients = torch.autograd.grad(loss, self.parameters, retain_graph=retain_graph)
        for value, gradient in zip(self.values, gradients, strict=True):
            value.grad = gradient
        self.adam.step()


class SinGANLoop(Loop):
    """SinGAN (Rott Shaham et al., ICCV 2019)."""

    def __init__(self, original: Size, image: Tensor) -> None:
        super().__init__(singan_sizes(original, (image.shape[-2], image.shape[-1])), image)
        self.stages: list[SinGANStage] = []
        self.amplitudes: list[float] = []
        self.critic = nn.Module()
        self.z_star = torch.zeros_like(self.reals[0])

    def noise(self, stage: int) -> Tensor:
        """N(0, 1) of the stage's size; at stage 0 one channel, repeated."""
        channels = 1 if stage == 0 else 3
        h, w = self.sizes[stage]
        return torch.randn(1, channels, h, w, device=self.device).expand(-1, 3, -1, -1)

    @torch.no_grad()
    def generate(self, is_random: bool) -> Tensor:
        """The output of the stages so far (eq. 1 and 2), at the size of the next stage if there is one."""
        image = torch.zeros_like(self.reals[0])
        for n, (stage, amplitude) in enumerate(zip(self.stages, self.amplitudes, strict=True)):
            # The reconstruction has z* at stage 0 and no noise above (sec. 2.2).
            noise = self.noise(n) if is_random else (self.z_star if n == 0 else torch.zeros_like(image))
            image = stage(amplitude * noise, image)
            if n + 1 < len(self.reals):
                image = resize_image(image, self.sizes[n + 1])
        return image

    def train_stage(self, steps: int) -> None:
        n = len(self.stages)
        real = self.reals[n]

        # A stage as wide as the one below starts from its weights.
        width = min(SINGAN_WIDTH * 2 ** (n // 4), 4 * SINGAN_WIDTH)
        stage, critic = SinGANStage(width).to(self.device), singan_network(width, 1).to(self.device)
        if n > 0 and self.stages[-1].width == width:
            stage.load_state_dict(self.stages[-1].state_dict())
            critic.load_state_dict(self.critic.state_dict())
        generator_adam, critic_adam = UncheckedAdam(stage, steps), UncheckedAdam(critic, steps)

        # Sec. 2.2: the amplitude of the noise is relative to the RMSE of the upsampled reconstruction.
        reconstruction_below = self.generate(False)
        amplitude = 1.0 if n == 0 else NOISE_SCALE * rmse(real, reconstruction_below)

        for _ in range(steps):
            # Released: stage 0 has a new z* in every step, and the last one stays.
            if n == 0:
                self.z_star = self.noise(0)
            z_star = self.z_star if n == 0 else torch.zeros_like(real)
            # Released: the critic's updates share the noise of this stage, and have new noise below.
            noise = self.noise(n)
            for _ in range(UPDATES):
                fake = stage(amplitude * noise, self.generate(True))
                critic_adam.update(critic_loss(critic, real, fake.detach()))
            # Released: the generator's updates share the critic's last fake.
            for _ in range(UPDATES):
                reconstruction = stage(amplitude * z_star, reconstruction_below)
                loss = RECONSTRUCTION_WEIGHT * F.mse_loss(reconstruction, real) - critic(fake).mean()
                generator_adam.update(loss, retain_graph=True)
            critic_adam.drop.step()
            generator_adam.drop.step()

        # Stages that are trained stay as they are, with BatchNorm's running averages.
        self.stages.append(stage.eval())
        self.amplitudes.append(amplitude)
        self.critic = critic


# -- ConSinGAN --------------------------------------------------------------------------------------------------------

STAGES = 6
TRAINED_STAGES, STAGE_RATE_DECAY = 3, 0.1
"""Stages that are trained together, and the ratio of a stage's learning rate to that of the next finer one."""
WIDTH, SLOPE = 64, 0.05
"""Channels of the features, and negative slope of LeakyReLU."""


def consingan_sizes(full: Size) -> list[Size]:
    """(h, w) of each stage (sec. 3.2): more stages at small sizes."""
    last = STAGES - 1
    ratio = (MIN_SIDE / min(full)) ** (1 / last)
    factors = [ratio ** ((last - 1) / math.log(last) * math.log(last - n) + 1) for n in range(last)] + [1.0]
    return [(math.ceil(full[0] * factor), math.ceil(full[1] * factor)) for factor in factors]


def convolutions(count: int, inputs: int) -> nn.Sequential:
    """`count` convolutions, each with LeakyReLU."""
    layers: list[nn.Module] = []
    for n in range(count):
        layers += [nn.Conv2d(inputs if n == 0 else WIDTH, WIDTH, 3), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def upsample(features: Tensor, size: Size, margin: int = 0) -> Tensor:
    """`features` at `size`, plus `margin` pixels on each side, so that the border is as random as the interior."""
    h, w = size
    return F.interpolate(features, (h + 2 * margin, w + 2 * margin), mode="bicubic", align_corners=True)


class ConSinGANLoop(Loop):
    """ConSinGAN (Hinz et al., WACV 2021): one generator that grows by three convolutions a stage."""

    def __init__(self, original: Size, image: Tensor) -> None:
        super().__init__(consingan_sizes((image.shape[-2], image.shape[-1])), image)
        self.head, self.bodies, self.tail = convolutions(1, 3), [convolutions(3, WIDTH)], nn.Conv2d(WIDTH, 3, 3)
        self.critic = nn.Sequential(convolutions(4, 3), nn.Conv2d(WIDTH, 1, 3))
        for network in (self.head, self.bodies[0], self.tail, self.critic):
            initialize(network.to(self.device))
        self.amplitudes: list[float] = []
        # The reconstruction starts from the coarsest image and has fixed noise above (sec. 3.1).
        self.fixed_maps = [self.reals[0], *(self.noise(n) for n in range(1, STAGES))]

    def noise(self, stage: int) -> Tensor:
        """N(0, 1) of the input of `stage`: an image at stage 0, features with a margin above."""
        h, w = self.sizes[stage]
        shape = (1, 3, h, w) if stage == 0 else (1, WIDTH, h + 6, w + 6)
        return torch.randn(shape, device=self.device)

    def generate(self, is_random: bool) -> Tensor:
        maps = [self.noise(n) for n in range(len(self.bodies))] if is_random else self.fixed_maps
        features = self.head(F.pad(maps[0], [1] * 4))
        features = self.bodies[0](F.pad(upsample(features, self.sizes[0], margin=1), [2] * 4))
        for n in range(1, len(self.bodies)):
            inputs = upsample(features, self.sizes[n], margin=3) + self.amplitudes[n] * maps[n]
            features = upsample(features, self.sizes[n]) + self.bodies[n](inputs)
        image: Tensor = self.tail(F.pad(features, [1] * 4)).tanh()
        return image

    def generator_adam(self) -> torch.optim.Adam:
        """Adam of the tail and the trained stages, each at a tenth of the rate of the next finer one (sec. 3.1)."""
        newest = len(self.bodies) - 1
        trained = range(max(0, newest + 1 - TRAINED_STAGES), newest + 1)
        parts = [(self.bodies[n], STAGE_RATE_DECAY ** (newest - n)) for n in trained] + [(self.tail, 1.0)]
        # Released: the head is trained at the first three stages only, at the rate of stage 0.
        parts += [(self.head, STAGE_RATE_DECAY**newest)] if newest < TRAINED_STAGES else []
        groups = [{"params": list(part.parameters()), "lr": RATE * decay} for part, decay in parts]
        return torch.optim.Adam(groups, RATE, BETAS)

    def train_stage(self, steps: int) -> None:
        n = len(self.amplitudes)
        real = self.reals[n]

        # A new stage is a copy of the one below; the critic is the same at all stages.
        if n > 0:
            self.bodies.append(copy.deepcopy(self.bodies[-1]))
        for body in self.bodies[:-TRAINED_STAGES]:
            body.requires_grad_(False)
        critic_adam = torch.optim.Adam(self.critic.parameters(), RATE, BETAS)
        generator_adam = self.generator_adam()
        drops = [rate_drop(adam, steps) for adam in (critic_adam, generator_adam)]

        # The amplitude of the noise is relative to the RMSE of the reconstruction by the initial copy, without noise.
        self.amplitudes.append(0.0)
        with torch.no_grad():
            self.amplitudes[n] = 1.0 if n == 0 else NOISE_SCALE * rmse(real, self.generate(False))

        for _ in range(steps):
            fake = self.generate(True)
            for _ in range(UPDATES):
                critic_adam.zero_grad()
                critic_loss(self.critic, real, fake.detach()).backward()  # type: ignore[no-untyped-call]
                critic_adam.step()
            generator_adam.zero_grad()
            reconstruction = F.mse_loss(self.generate(False), real)
            (RECONSTRUCTION_WEIGHT * reconstruction - self.critic(fake).mean()).backward()
            # Released: three steps of Adam on one gradient.
            for _ in range(UPDATES):
                generator_adam.step()
            for drop in drops:
                drop.step()


LOOPS: dict[str, type[SinGANLoop] | type[ConSinGANLoop]] = {"singan": SinGANLoop, "consingan": ConSinGANLoop}
"""Method -> its loop, created from the (h, w) of the file and the image at the last stage."""
