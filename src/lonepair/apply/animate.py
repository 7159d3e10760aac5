"""Animate: the training image in motion, by a random walk through the noise (SinGAN, sec. 4)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lonepair.apply.base import SizeInput, Use
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel, check_start_stage

if TYPE_CHECKING:
    from lonepair.render import animation, sampling
    from lonepair.render.animation import Animation
else:
    animation = lazy("lonepair.render.animation")
    sampling = lazy("lonepair.render.sampling")


@dataclass(frozen=True)
class Animate(Use["Animation"]):
    """Set the training image in motion by a random walk through the noise."""

    name = "animate"
    summary = "set the training image in motion"

    _: KW_ONLY
    frames: int = 60
    """Number of frames, 1 or more."""
    rate: float = 10.0
    """Frames per second, above 0 to 1000. A larger value plays faster."""
    alpha: float = 0.1
    """Pull towards the training image (SinGAN's α), between 0 and 1. A larger value stays closer to it."""
    beta: float = 0.9
    """Persistence of the motion's direction (SinGAN's β), between 0 and 1. A larger value moves more smoothly."""
    start_stage: int | None = None
    """Stage at which movement begins, from 0 (coarsest). 0 moves the layout, too; a larger value moves finer detail
    only. If omitted, the second stage."""
    loop: bool = False
    """Make the last frame lead into the first without a seam, for endless repetition."""
    seed: int = 0
    """Random seed of the walk, 0 to 4294967295. Another seed gives another motion."""
    size: SizeInput | None = None
    """Size of the frames in pixels; frames are computed at the training size and resized. If omitted, that size."""

    def problems(self) -> list[str]:
        problems = []
        for name in ("alpha", "beta"):
            if not 0 < getattr(self, name) < 1:
                problems.append(f"{name} is {getattr(self, name)}: choose a number between 0 and 1")
        if self.frames < 1:
            problems.append(f"frames is {self.frames}: choose 1 or more")
        if not 0 < self.rate <= 1000:
            problems.append(f"rate is {self.rate}: choose a number of frames per second above 0, at most 1000")
        return problems

    def run(self, model: TrainedModel) -> Animation:
        method: Any = model.method  # `uses` of a method states that it has this one, so it is a `SingleMethod`
        default = min(1, method.stage)
        start_stage = check_start_stage(default if self.start_stage is None else self.start_stage, method)
        return animation.Animation(
            method,
            model.engine,
            self.size or sampling.sizes_for(method, "a", None)[-1],
            self.frames,
            Fraction(self.rate).limit_denominator(1001),
            self.alpha,
            self.beta,
            start_stage,
            self.loop,
            self.seed,
            self.metadata(model, start_stage=start_stage),
        )
