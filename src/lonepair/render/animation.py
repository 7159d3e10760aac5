"""Animations of the training image: random walks through the noise around its reconstruction, and their frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.media.clips.codecs import Encoding
from lonepair.media.clips.container import Frame
from lonepair.media.clips.write import ClipWriter
from lonepair.methods.single import SingleMethod
from lonepair.methods.types import Size
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.render.results import metadata_of, output_image, png_bytes

Maps = Sequence[Tensor]
"""One map of noise for each stage."""


def random_walk(
    fixed: Maps, count: int, alpha: float, beta: float, random: Callable[[int], Maps], start: float = 0.05
) -> Iterator[Maps]:
    """SinGAN's random walk (supplementary, sec. 4) around the maps `fixed`.

    With r ~ N(0, 1) and `start` s: z₁ = (1 - s)·z* + s·r; Δ = β·(z_t - z_{t-1}) + (1 - β)·r;
    z_{t+1} = α·z* + (1 - α)·(z_t + Δ). α pulls the walk back to the image, β keeps its direction.

    Args:
        fixed: z*, the maps that reconstruct the image.
        count: Number of steps.
        alpha: α, between 0 and 1.
        beta: β, between 0 and 1.
        random: Index -> the maps r of that step.
        start: s, between 0 and 1: 0.05 in SinGAN's released code, 0.01 in ConSinGAN's.

    Yields:
        The maps z_t of each step.
    """
    previous = list(fixed)
    # z₁ = (1 - s)·z* + s·r
    current = [(1 - start) * z + start * r for z, r in zip(fixed, random(0), strict=True)]
    for index in range(1, count + 1):
        yield current
        # z_{t+1} = α·z* + (1 - α)·(z_t + β·(z_t - z_{t-1}) + (1 - β)·r)
        following = [
            alpha * star + (1 - alpha) * (z + beta * (z - old) + (1 - beta) * r)
            for star, z, old, r in zip(fixed, current, previous, random(index), strict=True)
        ]
        previous, current = current, following


def closed_walk(fixed: Maps, count: int, alpha: float, beta: float, random: Callable[[int], Maps]) -> Iterator[Maps]:
    """A walk like `random_walk` whose end leads back to its beginning, for seamless loops. Not in the paper.

    A point moves once around an ellipse in noise, whose two axes are random maps. Its standard deviation is the one
    that the open walk converges to, so that `alpha` and `beta` have the same meaning.
    """
    spread = walk_spread(alpha, beta)
    axes = list(zip(fixed, random(0), random(1), strict=True))
    for index in range(count):
        angle = 2 * math.pi * index / count
        yield [z + spread * (math.cos(angle) * one + math.sin(angle) * other) for z, one, other in axes]


def walk_spread(alpha: float, beta: float) -> float:
    """Standard deviation about z* that `random_walk` converges to.

    With y = z - z*: y_{t+1} = (1 - α)·((1 + β)·y_t - β·y_{t-1} + (1 - β)·r), an autoregression of second order, whose
    variance is (1 - φ₂)·σ² / ((1 + φ₂)·((1 - φ₂)² - φ₁²)) with φ₁ = (1-α)(1+β), φ₂ = -(1-α)β, σ = (1-α)(1-β). (The
    pull α·z* leaves the mean at z*: α·z* + (1 - α)·z* = z*.)
    """
    first, second = (1 - alpha) * (1 + beta), -(1 - alpha) * beta
    noise = ((1 - alpha) * (1 - beta)) ** 2
    return math.sqrt((1 - second) * noise / ((1 + second) * ((1 - second) ** 2 - first**2)))


@dataclass(frozen=True)
class Animation:
    """The training image in motion. Frames are computed when they are requested; a notebook shows the first."""

    method: SingleMethod
    engine: Engine
    size: Size
    """(h, w) of the frames."""
    count: int
    """Number of frames."""
    rate: Fraction
    """Frames per second."""
    alpha: float
    """Pull towards the image, between 0 and 1."""
    beta: float
    """Persistence of the walk's direction, between 0 and 1."""
    start_stage: int
    """Stage at which movement begins; the stages below keep the image's layout."""
    loop: bool
    """Whether the end leads back to the beginning."""
    seed: int
    """Random seed of the walk."""
    settings: Mapping[str, Any]
    """How the model was trained and used; `save` writes them into the file's metadata."""

    def __repr__(self) -> str:
        return (
            f"Animation({self.count} frames of {self.size[1]}x{self.size[0]} pixels, {float(self.rate):g} per second)"
        )

    def _repr_png_(self) -> bytes:
        """The first frame as PNG, for notebooks."""
        return png_bytes(next(self.frames()).image)

    def frames(self) -> Iterator[Frame]:
        """Every frame with its time."""
        sizes = self.method.sizes["a"]
        fixed = self.method.reconstruction_maps(sizes)
        if self.loop:
            maps = closed_walk(fixed, self.count, self.alpha, self.beta, self._noise_maps)
        else:
            maps = random_walk(fixed, self.count, self.alpha, self.beta, self._noise_maps, self.method.walk_start)
        for index, moved in enumerate(maps):
            image = self._render([*fixed[: self.start_stage], *moved[self.start_stage :]], sizes)
            yield Frame(index / self.rate, image)

    def _noise_maps(self, index: int) -> Maps:
        rng = RandomStream.for_sample(self.seed, index, self.engine.device)
        return self.method.noise_maps(self.method.sizes["a"], rng)

    @torch.no_grad()
    def _render(self, maps: Maps, sizes: Sequence[Size]) -> Tensor:
        with self.engine.autocast():
            image = self.method.render(maps, sizes)
        return resize_image(output_image(image), self.size)

    def save(
        self,
        path: str | Path,
        overwrite: bool = False,
        progress: Callable[[Iterator[Frame]], Iterable[Frame]] = iter,
        encoding: Encoding | None = None,
    ) -> Path:
        """Write GIF, APNG (.png, .apng), WebP, a video or a sequence, by the suffix of `path`.

        Args:
            path: File to write, or a pattern such as `name.%04d.png`.
            overwrite: Replace an existing file.
            progress: Receives the frames and passes them on, such as `tqdm`.
            encoding: Codec, quality, bits per channel and first number; None: as the suffix has it.

        Raises:
            UserError: where the file cannot be written, before anything is computed.
        """
        path = Path(path).expanduser()
        metadata = metadata_of(self.settings)
        with ClipWriter(path, self.size, self.rate, None, metadata, overwrite, encoding=encoding) as clip:
            for frame in progress(self.frames()):
                clip.write(frame.image, frame.time)
        return path
