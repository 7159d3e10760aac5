"""Random draws. Every draw is named by integers (seed, stage, step, ...), so that no random state needs saving.

A step that is run again after an interruption draws exactly what it drew before, which is what makes a resumed
training equal the uninterrupted one.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

LARGE = 1 << 20
"""An image of more pixels than this is drawn in bands, and noise of its features in blocks of rows, each from keys of
its own."""
_ROWS = 32
_GLOBAL = threading.RLock()
"""Held while torch's global stream is another: trainings may run at the same time."""


def _sequence(keys: tuple[int, ...]) -> np.random.SeedSequence:
    """Different for different `keys`: numpy pads them with zeros, so (1,) and (1, 0) differ only by their number."""
    return np.random.SeedSequence((len(keys), *keys))


@dataclass(frozen=True)
class Choice:
    """A number that the host was given, and may have decided something by."""

    kind: str
    """The method of `RandomStream` that gave it."""
    among: float
    """What that was asked for."""
    fell: int | None
    """What it gave; None: one of more than could be met again."""


class RandomStream:
    """A stream of random numbers that `keys` (non-negative integers) decide entirely.

    `device` is where normal tensors are drawn and stay. A CUDA stream differs from the CPU's: within training that is
    cheap and harmless; samples that must be the same on every device are drawn on the CPU and moved (`place`), but for
    `LazyNoise`s.
    """

    def __init__(
        self,
        *keys: int,
        device: torch.device | str = "cpu",
        place: torch.device | str | None = None,
        lazy: bool = False,
        kept: list[Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """
        Args:
            lazy: Maps too large for memory come as `LazyNoise`s.
            kept: Takes the normal tensors that are drawn; another stream of the same keys that is asked for the same,
                and for no more, gives these: to draw them is slow.
            generator: Is seeded anew to rng tensors, in place of one of the stream's own.
        """
        words = _sequence(keys).generate_state(2, np.uint64)
        self._tensors = (generator or torch.Generator(device=device)).manual_seed(int(words[0]) >> 1)
        self._scalars = np.random.Generator(np.random.PCG64(int(words[1])))
        self._device = device
        self._place = place if place is not None else device
        self._keys, self._fields, self._lazy = keys, 0, lazy
        self._kept, self._given = kept, 0
        self.told: Callable[[Choice], None] = _nobody
        """Is told of each number that the host is given."""

    @classmethod
    def for_sample(cls, seed: int, index: int, place: torch.device | str) -> RandomStream:
        """The stream of picture `index` under `seed`, drawn on the CPU so that it is the same on every device.

        No training has keys of this length: a sample must not meet the numbers that networks or z* were drawn from
        under the same seed.
        """
        return cls(seed, index, 0, 0, place=place, lazy=True)

    def split(self, index: int, generator: torch.Generator | None = None) -> RandomStream:
        """A stream of its own, which hangs on nothing that was drawn from this one."""
        keys = (*self._keys, 2, index)
        return RandomStream(*keys, device=self._device, place=self._place, lazy=self._lazy, generator=generator)

    def normal(self, *shape: int) -> Tensor:
        """Independent N(0, 1) numbers, float32."""
        if self._kept is not None and self._given < len(self._kept):
            self._given += 1
            assert self._kept[self._given - 1].shape == shape
            return self._kept[self._given - 1]
        drawn = torch.randn(shape, generator=self._tensors, device=self._device).to(self._place)
        if self._kept is not None:
            self._kept.append(drawn)
            self._given += 1
        return drawn

    def feature_noise(self, channels: int, h: int, w: int) -> Any:
        """(1, channels, h, w) of N(0, 1), laid out channels last, as the features are that it is added to.

        A large one of features is a `LazyNoise` where the draw is lazy, and otherwise all that the field gives.
        """
        if h * w <= LARGE or channels <= 4:
            return self.normal(1, h, w, channels).permute(0, 3, 1, 2)
        self.told(Choice("feature_noise", channels, None))  # by generators of its own
        self._fields += 1
        field = LazyNoise((1, channels, h, w), (*self._keys, 1, self._fields), self._place)
        return field if self._lazy else field.whole()

    def host_uniform(self, *shape: int) -> Tensor:
        """Independent U(0, 1) numbers on the CPU, for choices that the host makes."""
        self.told(Choice("host_uniform", len(shape), None))
        return torch.from_numpy(self._scalars.random(shape, dtype=np.float32))

    def uniform(self, *shape: int) -> Tensor:
        """Independent U(0, 1) numbers where tensors are drawn, for what the host need not know."""
        if torch.device(self._device).type == "cpu":
            return self.host_uniform(*shape)
        return torch.rand(shape, generator=self._tensors, device=self._device)

    def integer(self, bound: int) -> Int[Tensor, ""]:
        """An integer in [0, bound), each equally likely, where tensors are drawn, for what the host need not know."""
        if torch.device(self._device).type == "cpu":
            return torch.tensor(self.host_integer(bound))
        return torch.randint(bound, (), generator=self._tensors, device=self._device)

    def host_bernoulli(self, probability: float) -> bool:
        """True with `probability`."""
        fell = bool(self._scalars.random() < probability)
        self.told(Choice("host_bernoulli", probability, fell))
        return fell

    def host_integer(self, bound: int) -> int:
        """An integer in [0, bound), each equally likely."""
        fell = int(self._scalars.integers(bound))
        if bound > 1:
            self.told(Choice("host_integer", bound, fell))
        return fell

    def host_distinct(self, count: int, bound: int) -> Tensor:
        """`count` different integers in [0, bound), on the CPU."""
        self.told(Choice("host_distinct", count, None))
        return torch.from_numpy(self._scalars.choice(bound, count, replace=False))


def _nobody(choice: Choice) -> None:
    pass


@dataclass(frozen=True)
class LazyNoise:
    """A large map of N(0, 1), of which any rows can be drawn, and drawn again."""

    shape: tuple[int, int, int, int]
    """(1, c, h, w)."""
    keys: tuple[int, ...]
    place: torch.device | str
    """Where it is drawn, and stays: to rng so much on the CPU would take a GPU's user ten times as long."""
    scale: float = 1.0

    def rows(self, first: int, last: int) -> Float[Tensor, "1 c _ w"]:
        """The rows from `first` to before `last`, laid out channels last."""
        drawn = []
        for block in range(first // _ROWS, -(-last // _ROWS)):
            top = block * _ROWS
            drawn.append(_block(self, block)[:, max(0, first - top) : last - top])
        rows = torch.cat(drawn, 1).permute(0, 3, 1, 2)
        return rows if self.scale == 1 else self.scale * rows

    def whole(self) -> Float[Tensor, "1 c h w"]:
        """All of it."""
        return self.rows(0, self.shape[2])

    def __rmul__(self, factor: float) -> LazyNoise:
        return replace(self, scale=factor * self.scale)


@functools.lru_cache(maxsize=2)  # the rows that one band shares with the next are not drawn again
def _block(field: LazyNoise, number: int) -> Float[Tensor, "1 _ w c"]:
    _, c, h, w = field.shape
    rng = RandomStream(*field.keys, number, device=field.place)
    return rng.normal(1, min(_ROWS, h - number * _ROWS), w, c)


@contextmanager
def seed_global(*keys: int) -> Iterator[None]:
    """Within the block torch's global CPU stream is decided by `keys`; for initialising weights. Restored after it."""
    with _GLOBAL, torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(_sequence(keys).generate_state(1, np.uint64)[0]) >> 1)
        yield


def noise_amplitude(
    real: Float[Tensor, "b c h w"], reconstruction: Float[Tensor, "b c h w"], base: float
) -> Float[Tensor, ""]:
    """base · RMSE(real, reconstruction): as large as the detail that a stage has yet to add (SinGAN, sec. 2.1)."""
    return base * (real - reconstruction).square().mean().sqrt()
