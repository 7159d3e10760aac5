"""Random numbers, identified by integers (seed, stage, step, ...), so that no random state needs to be saved.

A step that runs again after an interruption draws the same numbers as before. This makes a resumed training equal to
an uninterrupted one, bit for bit.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

LARGE = 1 << 20
"""Number of pixels above which an image is computed in bands of rows, and noise for its features in blocks of rows that
each have keys of their own."""
_BLOCK_ROWS = 32
_GLOBAL_STREAM_LOCK = threading.RLock()
"""Held while torch's global random state is replaced, because several trainings may run in one process."""


def _seed_sequence(keys: tuple[int, ...]) -> np.random.SeedSequence:
    """The seeds that `keys` identify; numpy pads keys with zeros, so their number keeps (1,) and (1, 0) apart."""
    return np.random.SeedSequence((len(keys), *keys))


class RandomStream:
    """A stream of random numbers that is fully determined by `keys`, non-negative integers.

    A stream has two sources. Tensors come from a torch generator on `device`. Numbers that the host decides by
    (`host_*`) come from a numpy generator, so that a GPU, whose generator differs from the CPU's, takes the same
    decisions. Training draws its tensors on the training device. Samples must be the same on every device, so their
    tensors are drawn on the CPU and moved to `place`, except for `LazyNoise`.
    """

    def __init__(
        self,
        *keys: int,
        device: torch.device | str = "cpu",
        place: torch.device | str | None = None,
        lazy: bool = False,
        reuse: list[Tensor] | None = None,
        generator: torch.Generator | None = None,
        scale: float = 1.0,
    ) -> None:
        """
        Args:
            keys: Integers >= 0 that identify the stream.
            device: Device of the tensors' generator.
            place: Device that tensors are moved to; None for `device`.
            lazy: Return large feature maps as `LazyNoise`, which is computed when it is read.
            reuse: Normal tensors that an earlier stream with these keys appended here, in the same order of shapes.
                They are returned before any is drawn; new ones are appended. Drawing them again would be slow.
            generator: A generator on `device` to seed and draw from, instead of a new one.
            scale: Standard deviation of normal numbers; 0 turns noise off.
        """
        # One word for each of the two generators. Torch's seeds are signed, so they have 63 bits.
        words = _seed_sequence(keys).generate_state(2, np.uint64)
        self._tensors = (generator or torch.Generator(device=device)).manual_seed(int(words[0]) >> 1)
        self._scalars = np.random.Generator(np.random.PCG64(int(words[1])))
        self._device = device
        self._place = place if place is not None else device
        self._keys, self._lazy = keys, lazy
        self._lazy_count = 0
        self._reuse, self._reused = reuse, 0
        self._scale = scale
        self._forbidden: str | None = None

    @classmethod
    def for_sample(cls, seed: int, index: int, place: torch.device | str) -> RandomStream:
        """The stream of sample `index` under `seed`, drawn on the CPU so that it is the same on every device.

        Training never uses keys of this length: a sample must not reuse the numbers that initialized the networks or
        z* under the same seed.
        """
        return cls(seed, index, 0, 0, place=place, lazy=True)

    def split(self, index: int, generator: torch.Generator | None = None) -> RandomStream:
        """An independent stream with keys of its own: it does not depend on what was drawn from this one."""
        keys = (*self._keys, 2, index)
        return RandomStream(*keys, device=self._device, place=self._place, lazy=self._lazy, generator=generator)

    # -- tensors --------------------------------------------------------------------------------------------------

    def normal(self, *shape: int) -> Tensor:
        """Independent N(0, 1) numbers times the stream's scale, float32."""
        if self._reuse is not None and self._reused < len(self._reuse):
            tensor = self._reuse[self._reused]
            self._reused += 1
            assert tensor.shape == shape
            return tensor
        tensor = torch.randn(shape, generator=self._tensors, device=self._device).to(self._place)
        if self._scale != 1:
            tensor = self._scale * tensor
        if self._reuse is not None:
            self._reuse.append(tensor)
            self._reused += 1
        return tensor

    def feature_noise(self, channels: int, h: int, w: int) -> Any:
        """(1, channels, h, w) of N(0, 1) in the channels-last layout of the features that it is added to.

        Maps of more than `LARGE` pixels and more than 4 channels have keys of their own and are a `LazyNoise` where
        the stream is lazy, else its values.
        """
        # Drawn as (h, w, c) and permuted: the result is contiguous in channels-last layout.
        if h * w <= LARGE or channels <= 4:
            return self.normal(1, h, w, channels).permute(0, 3, 1, 2)
        self._check_host_draw()  # each block of rows has a new generator, which the host seeds
        self._lazy_count += 1
        noise = LazyNoise((1, channels, h, w), (*self._keys, 1, self._lazy_count), self._place, self._scale)
        return noise if self._lazy else noise.materialize()

    def uniform(self, *shape: int) -> Tensor:
        """Independent U(0, 1) numbers on the stream's device, float32; the host does not read them."""
        if torch.device(self._device).type == "cpu":
            return self._cpu_uniform(shape)
        return torch.rand(shape, generator=self._tensors, device=self._device)

    def integer(self, bound: int) -> Int[Tensor, ""]:
        """A uniform integer in [0, bound) on the stream's device; the host does not read it."""
        if torch.device(self._device).type == "cpu":
            return torch.tensor(int(self._scalars.integers(bound)))
        return torch.randint(bound, (), generator=self._tensors, device=self._device)

    # -- numbers that the host decides by -------------------------------------------------------------------------

    def host_uniform(self, *shape: int) -> Tensor:
        """Independent U(0, 1) numbers on the CPU, float32."""
        self._check_host_draw()
        return self._cpu_uniform(shape)

    def host_bernoulli(self, probability: float) -> bool:
        """True with `probability`."""
        self._check_host_draw()
        return bool(self._scalars.random() < probability)

    def host_integer(self, bound: int) -> int:
        """A uniform integer in [0, bound)."""
        if bound > 1:  # with one outcome there is nothing to decide
            self._check_host_draw()
        return int(self._scalars.integers(bound))

    def host_choice(self, probabilities: Float[Tensor, n]) -> int:
        """An index of `probabilities`, on the CPU, drawn with the probability there; they sum to 1."""
        self._check_host_draw()
        # The first index whose cumulative probability exceeds a number in [0, 1). Rounding may leave the last below it.
        ends = np.cumsum(probabilities.double().numpy())
        return min(int(np.searchsorted(ends, self._scalars.random(), side="right")), len(ends) - 1)

    def host_distinct(self, count: int, bound: int) -> Tensor:
        """`count` different integers in [0, bound), on the CPU."""
        self._check_host_draw()
        return torch.from_numpy(self._scalars.choice(bound, count, replace=False))

    def forbid_host_draws(self, message: str) -> None:
        """From now on `host_*` raises RuntimeError with `message`: the host must take no further decisions."""
        self._forbidden = message

    def _check_host_draw(self) -> None:
        if self._forbidden is not None:
            raise RuntimeError(self._forbidden)

    def _cpu_uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(self._scalars.random(shape, dtype=np.float32))


@dataclass(frozen=True)
class LazyNoise:
    """A map of N(0, 1) numbers too large for memory, of which any rows can be computed, repeatedly."""

    shape: tuple[int, int, int, int]
    """(1, c, h, w)."""
    keys: tuple[int, ...]
    """Keys of the map; each block of rows appends its number."""
    place: torch.device | str
    """Device on which rows are drawn. Drawing on the CPU and copying takes ten times as long for a GPU."""
    scale: float = 1.0
    """Standard deviation."""

    def rows(self, first: int, last: int) -> Float[Tensor, "1 c _ w"]:
        """Rows [first, last), in channels-last layout."""
        # The blocks that the rows lie in; each is drawn from its own keys, whatever was drawn before.
        parts = []
        for block in range(first // _BLOCK_ROWS, -(-last // _BLOCK_ROWS)):
            top = block * _BLOCK_ROWS
            parts.append(_block(self, block)[:, max(0, first - top) : last - top])
        rows = torch.cat(parts, 1).permute(0, 3, 1, 2)
        return rows if self.scale == 1 else self.scale * rows

    def materialize(self) -> Float[Tensor, "1 c h w"]:
        """All rows."""
        return self.rows(0, self.shape[2])

    def __rmul__(self, factor: float) -> LazyNoise:
        return replace(self, scale=factor * self.scale)


@functools.lru_cache(maxsize=2)  # two neighboring bands of rows share blocks
def _block(noise: LazyNoise, number: int) -> Float[Tensor, "1 _ w c"]:
    """Block `number` of the noise: at most `_BLOCK_ROWS` rows, unscaled."""
    _, c, h, w = noise.shape
    rng = RandomStream(*noise.keys, number, device=noise.place)
    return rng.normal(1, min(_BLOCK_ROWS, h - number * _BLOCK_ROWS), w, c)


@contextmanager
def seed_global(*keys: int) -> Iterator[None]:
    """Within the block `keys` seed torch's global CPU generator, for weight initialization; its state is restored."""
    # The CPU's state only: networks are initialized there and moved to the device afterwards.
    with _GLOBAL_STREAM_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(_seed_sequence(keys).generate_state(1, np.uint64)[0]) >> 1)
        yield


def noise_amplitude(
    real: Float[Tensor, "b c h w"], reconstruction: Float[Tensor, "b c h w"], base: float
) -> Float[Tensor, ""]:
    """base · RMSE(real, reconstruction): as large as the detail that a stage has yet to add (SinGAN, sec. 2.2)."""
    return base * (real - reconstruction).square().mean().sqrt()
