"""Groups of settings that several methods share, and the checks that groups and configs use.

A group is a frozen dataclass with defaults and a sentence under each field; `lonepair.methods.config` composes groups.
This module imports no torch, so that the command line can show every flag at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Normalization = Literal["none", "batch", "instance"]

# Upper bounds of the settings that decide the size of networks: a model file from elsewhere may hold any number.
MAX_SIDE = 4096
"""Longest side of a training image, in pixels."""
MAX_WIDTH = 1024
"""Largest number of channels of a network."""
MAX_LAYERS = 64
"""Largest number of convolutions of a stage, and of a critic."""


class SettingChecks:
    """Checks that groups and configs call in `problems`; each returns one sentence per problem."""

    def below(self, least: int, *names: str) -> list[str]:
        """A sentence for each of the fields `names` with a value below `least`."""
        return [
            f"{name} is {getattr(self, name)}: choose {least} or more"
            for name in names
            if not getattr(self, name) >= least
        ]

    def above(self, most: int, *names: str) -> list[str]:
        """A sentence for each of the fields `names` with a value above `most`."""
        return [
            f"{name} is {getattr(self, name)}: choose {most} or less" for name in names if getattr(self, name) > most
        ]

    def outside_unit(self, *names: str) -> list[str]:
        """A sentence for each of the fields `names` with a value outside [0, 1]."""
        return [
            f"{name} is {getattr(self, name)}: choose a number from 0 to 1"
            for name in names
            if not 0 <= getattr(self, name) <= 1
        ]

    def not_rates(self, *names: str) -> list[str]:
        """A sentence for each of the fields `names` with a value outside (0, 1), the range of learning rates."""
        return [
            f"{name} is {getattr(self, name)}: choose a number between 0 and 1, such as 5e-4"
            for name in names
            if not 0 < getattr(self, name) < 1
        ]

    def problems(self) -> list[str]:
        """A sentence with value and remedy for each invalid setting; none by default, and overridable."""
        return []


class Group(SettingChecks):
    """Base of the groups. `Config` calls `problems` of all its groups, to report all problems at once."""


@dataclass(frozen=True)
class SizeConfig(Group):
    """Sizes of the pyramid."""

    max_side: int = 220
    """Longest side of the finest stage, in pixels, `min_side` to 4096. Larger inputs are reduced for training and the
    output is enlarged. A larger value learns finer detail and is slower."""
    min_side: int = 25
    """Shortest side of the coarsest stage, in pixels, 12 or more, over all inputs. A larger value preserves the
    positions of larger shapes."""

    def problems(self) -> list[str]:
        problems = []
        if self.min_side < 12:
            problems.append(f"min_side is {self.min_side}: a critic's patch has 11 pixels a side; choose 12 or more")
        if self.max_side < self.min_side:
            problems.append(f"max_side is {self.max_side}, min_side {self.min_side}: choose max_side >= min_side")
        return problems + self.above(MAX_SIDE, "max_side")


@dataclass(frozen=True)
class ClipConfig(Group):
    """Training on a clip."""

    max_frames: int = 256
    """Largest number of frames, 1 or more, evenly spaced, of a clip that training uses. A larger value needs more
    memory."""

    def problems(self) -> list[str]:
        return self.below(1, "max_frames")


@dataclass(frozen=True)
class CropConfig(Group):
    """Training on random crops."""

    crop_size: int = 256
    """Train on random crops of an image with more than 2 x `crop_size`^2 pixels: four crops with `crop_size`^2 pixels
    in total. Values below 2 x `min_side` count as 2 x `min_side`; 0 disables crops. A larger value is slower and
    normalizes by the statistics of more of the image."""

    def problems(self) -> list[str]:
        return self.below(0, "crop_size")


@dataclass(frozen=True)
class TranslationConfig(Group):
    """Input of a translation."""

    start_stage: int = 0
    """Stage at which an image to translate enters, -1 (the newest) or more. A larger value retains more of the image:
    0 changes large shapes, the last stages change only texture."""
    reflect_pad_fraction: float = 0.0
    """Fraction, 0 to 0.5, of each side by which an image to translate is padded by reflection; the output is cropped
    back. A larger value gives fewer artifacts at the border and is slower."""

    def problems(self) -> list[str]:
        problems = self.below(-1, "start_stage")
        if not 0 <= self.reflect_pad_fraction <= 0.5:
            problems.append(f"reflect_pad_fraction is {self.reflect_pad_fraction}: choose a number from 0 to 0.5")
        return problems

    def stage_problems(self, lowest: int, stages: int) -> list[str]:
        """A sentence if `start_stage` is not from `lowest`, 0 or -1 (the newest), to `stages` - 1."""
        if lowest <= self.start_stage < stages:
            return []
        newest = "-1 (the newest) or " if lowest == -1 else ""
        return [f"start_stage is {self.start_stage} with {stages} stages: choose {newest}0 to {stages - 1}"]


@dataclass(frozen=True)
class ScheduleConfig(Group):
    """Length of the training."""

    steps: int = 2000
    """Training steps of a stage, 1 or more; of the coarsest stage if the method has the setting `finest_steps`, too. A
    larger value trains longer."""
    lr_drop_at: float = 0.8
    """Fraction, 0 to 1, of a stage's steps after which the learning rates drop; 1: never."""
    lr_drop_factor: float = 0.1
    """Factor, 0 to 1, on the learning rates after the drop. A larger value drops them less."""

    def problems(self) -> list[str]:
        return self.below(1, "steps") + self.outside_unit("lr_drop_at", "lr_drop_factor")


@dataclass(frozen=True)
class FinestStepsConfig(Group):
    """Length of the training of the fine stages."""

    finest_steps: int = 2000
    """Training steps of the finest stage, 1 or more; the steps of the stages between are interpolated geometrically. A
    larger value learns finer texture; these steps take most of the time."""

    def problems(self) -> list[str]:
        return self.below(1, "finest_steps")


@dataclass(frozen=True)
class AdamConfig(Group):
    """Decay rates of the optimizer, Adam (Kingma and Ba 2015)."""

    beta1: float = 0.5
    """Adam's decay rate, 0 to 1, of the mean gradient. A larger value averages over more steps."""
    beta2: float = 0.999
    """Adam's decay rate, 0 to 1, of the mean squared gradient. A larger value averages over more steps."""

    @property
    def betas(self) -> tuple[float, float]:
        """(beta1, beta2)."""
        return self.beta1, self.beta2

    def problems(self) -> list[str]:
        return self.outside_unit("beta1", "beta2")


@dataclass(frozen=True)
class NetworkConfig(Group):
    """Layers of the networks; the defaults are ConSinGAN's."""

    width: int = 64
    """Channels of the networks' features, 1 to 1024; of the first four stages if the method has `max_width`, too. A
    larger value has more capacity and is slower."""
    leaky_slope: float = 0.05
    """Negative slope of LeakyReLU, 0 or more."""

    def problems(self) -> list[str]:
        return self.below(1, "width") + self.above(MAX_WIDTH, "width") + self.below(0, "leaky_slope")


@dataclass(frozen=True)
class GrowthConfig(Group):
    """A generator that gains convolutions with every stage; the defaults are ConSinGAN's."""

    stages: int = 6
    """Number of stages, 2 to 12; each adds `blocks_per_stage` convolutions. A larger value trains longer and has a
    smaller ratio between the sizes of two stages."""
    pyramid_rule: Literal["consingan", "geometric"] = "consingan"
    """Rule of the sizes from `min_side` to `max_side`: ConSinGAN's, with more stages at small sizes, or a constant
    ratio."""
    blocks_per_stage: int = 3
    """Convolution blocks of a stage, 1 to 64. A larger value enlarges the receptive field and is slower."""
    normalization: Normalization = "none"
    """Normalization inside the generators."""
    trained_stages: int = 3
    """Number of the newest stages, 1 or more, that are trained together; the others are frozen. A larger value adapts
    coarse stages to fine ones."""
    stage_lr_decay: float = 0.1
    """Factor, 0 to 1, from the learning rate of a trained stage to that of the stage below. A larger value changes
    coarse stages more."""

    def problems(self) -> list[str]:
        problems = [] if 2 <= self.stages <= 12 else [f"stages is {self.stages}: choose 2 to 12"]
        problems += self.below(1, "blocks_per_stage", "trained_stages") + self.above(MAX_LAYERS, "blocks_per_stage")
        return problems + self.outside_unit("stage_lr_decay")


@dataclass(frozen=True)
class BorderConfig(Group):
    """Borders of images."""

    border_padding: Literal["zeros", "reflect"] = "zeros"
    """Padding of the generators' convolutions at the image's border. With zeros the networks can detect the border."""


@dataclass(frozen=True)
class PyramidConfig(Group):
    """A pyramid with one network per stage; the defaults are SinGAN's."""

    pyramid_ratio: float = 0.75
    """Nominal ratio, 0.5 to 0.95, between the sizes of two stages. A larger value gives more stages and trains
    longer."""
    max_width: int = 128
    """Channels of the widest stage, 1 to 1024: `width` is doubled every four stages up to it."""
    convolutions: int = 5
    """Convolutions of each network, 3 to 64. A larger value enlarges the receptive field and is slower."""

    def problems(self) -> list[str]:
        problems = []
        if not 0.5 <= self.pyramid_ratio <= 0.95:
            problems.append(f"pyramid_ratio is {self.pyramid_ratio}: choose a number from 0.5 to 0.95")
        problems += self.below(1, "max_width") + self.above(MAX_WIDTH, "max_width")
        return problems + self.below(3, "convolutions") + self.above(MAX_LAYERS, "convolutions")


@dataclass(frozen=True)
class AdversarialConfig(Group):
    """Adversarial training with WGAN-GP; the defaults are SinGAN's."""

    lr_g: float = 5e-4
    """Learning rate of the generator's newest stage, between 0 and 1."""
    lr_d: float = 5e-4
    """Learning rate of the critic, between 0 and 1."""
    lambda_gp: float = 0.1
    """Weight of the critic's gradient penalty, 0 or more. A larger value gives a smoother critic."""
    noise_scale: float = 0.1
    """Amplitude of a stage's noise, 0 or more, as a multiple of the RMSE between the image and its reconstruction by
    the stages below. A larger value gives more varied images."""

    def problems(self) -> list[str]:
        return self.not_rates("lr_g", "lr_d") + self.below(0, "lambda_gp", "noise_scale")


@dataclass(frozen=True)
class ReconstructionConfig(Group):
    """Weight of the reconstruction."""

    lambda_rec: float = 10.0
    """Weight of the squared error of reconstructing the real image, 0 or more. A larger value stays closer to the
    image."""

    def problems(self) -> list[str]:
        return self.below(0, "lambda_rec")


@dataclass(frozen=True)
class CriticStepsConfig(Group):
    """Number of updates of the critic."""

    critic_steps: int = 3
    """Critic updates per step, 1 or more. A larger value gives the generator a better gradient and is slower."""

    def problems(self) -> list[str]:
        return self.below(1, "critic_steps")


@dataclass(frozen=True)
class CycleConfig(Group):
    """Weight of the cycle loss."""

    lambda_cyc: float = 1.0
    """Weight of the cycle loss, 0 or more: the squared difference between an image and its translation to the other
    domain and back. A larger value retains more of the source."""

    def problems(self) -> list[str]:
        return self.below(0, "lambda_cyc")
