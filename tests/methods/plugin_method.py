"""A method outside the package: one convolution that learns to blend noise into an image."""

from dataclasses import dataclass

import torch

from lonepair.methods.config import Config
from lonepair.methods.setting_groups import ScheduleConfig
from lonepair.methods.single import SingleMethod
from lonepair.methods.types import Plan, Player, Schedule


@dataclass(frozen=True)
class BlendConfig(Config):
    schedule: ScheduleConfig = ScheduleConfig()


class Blend(SingleMethod):
    name, config_class, citation = "blend", BlendConfig, ""
    inference_nets, uses, accepts_several = ("g",), frozenset({"sample"}), False

    @classmethod
    def plan_for(cls, config, channels, originals, sizes):
        return Plan(channels, dict(sizes), [1.0])

    def add_stage(self):
        self.stage += 1
        self.nets["g"] = torch.nn.Conv2d(self.plan.channels, self.plan.channels, 3, padding=1)

    def calibrate_noise(self, levels): ...

    def players(self):
        return {"generator": Player([{"params": list(self.nets.parameters()), "lr": 1e-3}])}

    def schedule(self, stage):
        return Schedule(self.config.steps, ["generator"], float(self.pixels_per_step(stage)))

    def losses(self, player, inputs):
        return {"mean": (self.nets["g"](inputs.real["a"][-1]) - inputs.real["a"][-1]).square().mean()}

    def noise_maps(self, sizes, rng):
        return [rng.feature_noise(self.plan.channels, *size) for size in sizes]

    def reconstruction_maps(self, sizes):
        return [torch.zeros(1, self.plan.channels, *size) for size in sizes]

    def render(self, noises, sizes):
        return self.nets["g"](noises[-1]).tanh()

    def translate(self, image, sizes, domain, start_stage, rng):
        return self.nets["g"](image).tanh()

    def parameter_counts(self):
        return {"g": sum(p.numel() for p in self.nets.parameters())}
