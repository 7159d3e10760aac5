"""Random draws. Every draw is named by integers (seed, stage, step, ...), so that no random state needs saving.

A step that is run again after an interruption draws exactly what it drew before, which is what makes a resumed
training equal the uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def _sequence(keys: tuple[int, ...]) -> np.random.SeedSequence:
    """Different for different `keys`: numpy pads them with zeros, so (1,) and (1, 0) differ only by their number."""
    return np.random.SeedSequence((len(keys), *keys))


class Draw:
    """A stream of random numbers that `keys` (non-negative integers) decide entirely.

    `device` is where normal tensors are drawn and stay. A CUDA stream differs from the CPU's: within training that is
    cheap and harmless; samples that must be the same on every device are drawn on the CPU and moved (`place`).
    """

    def __init__(self, *keys: int, device: torch.device | str = "cpu", place: torch.device | str | None = None) -> None:
        words = _sequence(keys).generate_state(2, np.uint64)
        self._tensors = torch.Generator(device=device).manual_seed(int(words[0]) >> 1)
        self._scalars = np.random.Generator(np.random.PCG64(int(words[1])))
        self._device = device
        self._place = place if place is not None else device

    @classmethod
    def of_picture(cls, seed: int, index: int, place: torch.device | str) -> Draw:
        """The stream of picture `index` under `seed`, drawn on the CPU so that it is the same on every device.

        No training has keys of this length: a sample must not meet the numbers that networks or z* were drawn from
        under the same seed.
        """
        return cls(seed, index, 0, 0, place=place)

    def normal(self, *shape: int) -> Tensor:
        """Independent N(0, 1) numbers, float32."""
        return torch.randn(shape, generator=self._tensors, device=self._device).to(self._place)

    def maps(self, channels: int, h: int, w: int) -> Tensor:
        """(1, channels, h, w) of N(0, 1), laid out channels last, as the features are that it is added to."""
        return self.normal(1, h, w, channels).permute(0, 3, 1, 2)

    def scalars(self, *shape: int) -> Tensor:
        """Independent U(0, 1) numbers on the CPU, for choices that the host makes, such as where to cut a window."""
        return torch.from_numpy(self._scalars.random(shape, dtype=np.float32))

    def coin(self, probability: float) -> bool:
        """True with `probability`."""
        return bool(self._scalars.random() < probability)

    def below(self, bound: int) -> int:
        """An integer in [0, bound), each equally likely."""
        return int(self._scalars.integers(bound))

    def some(self, count: int, bound: int) -> Tensor:
        """`count` different integers in [0, bound), on the CPU."""
        return torch.from_numpy(self._scalars.choice(bound, count, replace=False))


@contextmanager
def seeded(*keys: int) -> Iterator[None]:
    """Within the block torch's global CPU stream is decided by `keys`; for initialising weights. Restored after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(_sequence(keys).generate_state(1, np.uint64)[0]) >> 1)
        yield


def noise_amplitude(
    real: Float[Tensor, "b c h w"], reconstruction: Float[Tensor, "b c h w"], base: float
) -> Float[Tensor, ""]:
    """base · RMSE(real, reconstruction): as large as the detail that a stage has yet to add (SinGAN, sec. 2.1)."""
    return base * (real - reconstruction).square().mean().sqrt()
