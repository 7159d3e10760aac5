"""Small images and settings of tiny trainings, which tests of all folders use."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import lonepair.methods as methods
from lonepair.methods.base import Method
from lonepair.train.events import Report, Watcher
from lonepair.train.loop import Interrupted

_TINY: dict[str, Any] = {"stages": 2, "pyramid_ratio": 0.6, "min_side": 14, "max_side": 20}
_TINY |= {"width": 8, "max_width": 8, "steps": 3, "finest_steps": 3}
_TINY |= {"coarse_steps": 3, "fine_steps": 2}


def tiny(method: str, **settings: Any) -> dict[str, Any]:
    """Settings under which `method` trains in about a second: those of `_TINY` that it has, and `settings`."""
    known = methods.get_method(method).config_class.setting_names()
    return {**{name: value for name, value in _TINY.items() if name in known}, "device": "cpu", **settings}


TINY = tiny(methods.DEFAULT)


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    """A smooth random image (1, c, h, w) in [-1, 1]: blobs of color."""
    coarse = torch.rand(1, channels, 5, 5, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)


class StopAfter(Watcher):
    """Interrupts a training after `steps` steps, as Ctrl-C does, but without saving."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def stepped(self, method: Method, report: Report) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted
