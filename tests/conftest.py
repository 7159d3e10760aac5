"""Small inputs that tests draw for themselves, and small trainings that many tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lonepair.image import write_image

TINY = {"stages": 2, "min_side": 14, "max_side": 20, "width": 8, "steps": 3, "finest_steps": 3, "device": "cpu"}
"""Settings under which every method trains in about a second."""


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    """A smooth random image (1, c, h, w) in [-1, 1]: blobs of colour, no file needed."""
    coarse = torch.rand(1, channels, 5, 5, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small tensors are slower on two threads, and a machine's cores may be shared by several test processes."""
    torch.set_num_threads(1)


@pytest.fixture
def pair_files(tmp_path: Path) -> tuple[Path, Path]:
    """A source image of 24x20 (height x width) and a target of 20x26."""
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    write_image(a, picture(24, 20, seed=1))
    write_image(b, picture(20, 26, seed=2))
    return a, b
