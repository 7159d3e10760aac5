"""Animate a still: a walk through the noise, close to the noise that reconstructs the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lonepair.apply.results import finished, metadata_of
from lonepair.apply.sampling import sizes_for
from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.media.container import Frame
from lonepair.media.files import check_output
from lonepair.media.write import WRITABLE, ClipWriter
from lonepair.methods.base import SingleMethod, Size
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image

Maps = Sequence[Tensor]
"""One map of noise for each stage."""


def random_walk(fixed: Maps, count: int, alpha: float, beta: float, random: Callable[[int], Maps]) -> Iterator[Maps]:
    """SinGAN's walk (supplementary, sec. 4) around the maps `fixed`; `random` gives r, another for each index.

    With r ~ N(0, 1): z₁ = 0.95·z* + 0.05·r; Δ = β·(z_t - z_{t-1}) + (1 - β)·r; z_{t+1} = α·z* + (1 - α)·(z_t + Δ).
    α draws the walk back to the image, β keeps its direction.
    """
    before = list(fixed)
    now = [0.95 * z + 0.05 * r for z, r in zip(fixed, random(0), strict=True)]
    for index in range(1, count + 1):
        yield now
        after = [
            alpha * star + (1 - alpha) * (z + beta * (z - old) + (1 - beta) * r)
            for star, z, old, r in zip(fixed, now, before, random(index), strict=True)
        ]
        before, now = now, after


def closed_walk(fixed: Maps, count: int, alpha: float, beta: float, random: Callable[[int], Maps]) -> Iterator[Maps]:
    """A walk like `random_walk` that ends where it began: ours, for seamless loops.

    A point goes once around an ellipse in noise, whose two axes are random maps. Its spread is that of the open walk in
    the long run, so that `alpha` and `beta` mean the same.
    """
    spread = walk_spread(alpha, beta)
    axes = list(zip(fixed, random(0), random(1), strict=True))
    for index in range(count):
        turn = 2 * math.pi * index / count
        yield [z + spread * (math.cos(turn) * one + math.sin(turn) * other) for z, one, other in axes]


def walk_spread(alpha: float, beta: float) -> float:
    """Standard deviation about z* that `random_walk` comes to.

    With y = z - z*: y_{t+1} = (1 - α)·((1 + β)·y_t - β·y_{t-1} + (1 - β)·r), an autoregression of second order, whose
    variance is (1 - φ₂)·σ² / ((1 + φ₂)·((1 - φ₂)² - φ₁²)) with φ₁ = (1-α)(1+β), φ₂ = -(1-α)β, σ = (1-α)(1-β). (The
    walk's pull α·z* leaves z* where it is: α·z* + (1 - α)·z* = z*.)
    """
    first, second = (1 - alpha) * (1 + beta), -(1 - alpha) * beta
    noise = ((1 - alpha) * (1 - beta)) ** 2
    return math.sqrt((1 - second) * noise / ((1 + second) * ((1 - second) ** 2 - first**2)))


@dataclass(frozen=True)
class Animation:
    """A clip made from a still; frames are drawn when they are asked for."""

    method: SingleMethod
    engine: Engine
    size: Size
    """(h, w) of the frames."""
    count: int
    rate: Fraction
    """Frames per second."""
    alpha: float
    """Pull towards the image, from 0 (none) to 1."""
    beta: float
    """How much of its direction the walk keeps, from 0 to 1."""
    start: int
    """The stage at which movement begins; those below keep the image's layout."""
    loop: bool
    """Whether the end leads back to the beginning."""
    seed: int
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        last = self.method.stage
        if not 0 <= self.start <= last:
            raise UserError(f"start is {self.start}, the model has {last + 1} stages: choose 0 to {last}")
        for name in ("alpha", "beta"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: choose a number between 0 and 1")
        if self.count < 1:
            raise UserError(f"frames is {self.count}: ask for 1 frame or more")
        if self.rate <= 0:
            raise UserError(f"rate is {self.rate}: choose a number of frames per second above 0")

    def frames(self) -> Iterator[Frame]:
        """Every frame, at its own time."""
        sizes = self.method.sizes["a"]
        fixed = self.method.reconstruction_maps(sizes)
        walk = closed_walk if self.loop else random_walk
        place = self.engine.device
        walked = walk(
            fixed,
            self.count,
            self.alpha,
            self.beta,
            lambda index: self.method.noise_maps(sizes, RandomStream.for_sample(self.seed, index, place)),
        )
        for index, moved in enumerate(walked):
            yield Frame(index / self.rate, self._drawn([*fixed[: self.start], *moved[self.start :]], sizes))

    @torch.no_grad()
    def _drawn(self, maps: Maps, sizes: Sequence[Size]) -> Tensor:
        with self.engine.autocast():
            image = self.method.render(maps, sizes)
        return resize_image(finished(image), self.size)

    def save(
        self,
        path: str | Path,
        overwrite: bool = False,
        progress: Callable[[Iterator[Frame]], Iterable[Frame]] = iter,
    ) -> Path:
        """Write GIF, APNG (.png, .apng), WebP, MP4 or lossless MKV, by the suffix.

        Args:
            path: Its suffix says what to write.
            overwrite: Replace what is there.
            progress: Passes frames through; such as `tqdm`, to show how far it is.

        Raises:
            UserError: where it cannot be written, before anything is computed.
        """
        path = Path(path).expanduser()
        check_output(path, WRITABLE, overwrite)
        with ClipWriter(path, self.size, self.rate, None, metadata_of(self.settings), overwrite) as clip:
            for frame in progress(self.frames()):
                clip.write(frame.image, frame.time)
        return path


def animation(
    method: SingleMethod,
    engine: Engine,
    *,
    frames: int,
    rate: float,
    alpha: float,
    beta: float,
    start: int,
    loop: bool,
    seed: int,
    size: Size | None,
    settings: Mapping[str, Any],
) -> Animation:
    """An `Animation` at `size`, or at the size that was trained."""
    full = size or sizes_for(method, "a", None)[-1]
    exact = Fraction(rate).limit_denominator(1001)
    return Animation(method, engine, full, frames, exact, alpha, beta, start, loop, seed, settings)
