"""Images made from random numbers, and known changes of them, for tests of metrics."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lonepair.metrics.sifid import weight_shapes
from lonepair.ops.resize import resize


def blobs(height: int, width: int, seed: int = 0, channels: int = 3) -> Tensor:
    """Smooth blobs (1, c, h, w) in [-1, 1], about 6 pixels wide: another layout for each seed."""
    rng = torch.Generator().manual_seed(seed)
    coarse = 2 * torch.rand(1, channels, height // 6, width // 6, generator=rng) - 1
    return resize(coarse, (height, width)).clamp(-1, 1)


def add_noise(image: Tensor, amount: float) -> Tensor:
    """`image` plus normal noise of standard deviation `amount`."""
    return image + amount * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))


def blur(image: Tensor, factor: float) -> Tensor:
    """`image` reduced by `factor` and enlarged again."""
    h, w = image.shape[-2:]
    return resize(resize(image, (round(h / factor), round(w / factor))), (h, w))


def shuffle_blocks(image: Tensor, side: int) -> Tensor:
    """The square blocks of `image` in another order: the same patches, another layout."""
    h, w = image.shape[-2:]
    parts = image.unfold(2, side, side).unfold(3, side, side).reshape(image.shape[1], -1, side, side)
    parts = parts[:, torch.randperm(parts.shape[1], generator=torch.Generator().manual_seed(1))]
    rows = parts.reshape(image.shape[1], h // side, w // side, side, side).permute(0, 1, 3, 2, 4)
    return rows.reshape(1, image.shape[1], h, w)


def save_inception_weights(path: Path) -> None:
    """Write random weights with the names and shapes that SIFID needs to a .safetensors file."""
    generator, state = torch.Generator().manual_seed(0), {}
    constants = {"running_mean": 0.0, "running_var": 1.0, "weight": 1.0, "bias": 0.1}
    for name, shape in weight_shapes().items():
        if name.endswith("conv.weight"):
            state[name] = torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))
        else:
            state[name] = torch.full(shape, constants[name.rpartition(".")[2]])
    save_file(state, path)
