"""Where and in which precision a training computes; methods do not see it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lonepair.errors import UserError


@dataclass(frozen=True)
class Engine:
    """A device and the precision of its convolutions."""

    device: torch.device
    dtype: torch.dtype

    def place(self, nets: nn.Module) -> None:
        """Move `nets` to the device, convolutions in channels-last layout (1.6 times as fast as NCHW on a CPU)."""
        nets.to(device=self.device)
        nets.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def put(self, image: Tensor) -> Tensor:
        """`image` on the device, channels last."""
        return image.to(self.device, memory_format=torch.channels_last)

    def autocast(self) -> AbstractContextManager[None]:
        """Within it convolutions run in the engine's precision; weights, optimizer and losses stay float32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def __str__(self) -> str:
        return f"{self.device.type}, {str(self.dtype).removeprefix('torch.')}"


def choose_engine(device: str = "auto", dtype: str = "auto", threads: int = 0) -> Engine:
    """The engine that `device` and `dtype` name, or the best there is for "auto".

    Raises:
        UserError: where the device is not there, or the precision unknown.
    """
    if threads:
        torch.set_num_threads(threads)
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there.get(device, False):
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise UserError(f"device {device!r} is not available here; this machine has: {found}")
    if dtype not in ("auto", "float32", "bfloat16"):
        raise UserError(f"dtype {dtype!r} is unknown; choose auto, float32 or bfloat16")
    if device == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed is the same file
    if dtype == "auto":
        dtype = "bfloat16" if computes_bfloat16(device) else "float32"
    return Engine(torch.device(device), torch.bfloat16 if dtype == "bfloat16" else torch.float32)


def computes_bfloat16(device: str) -> bool:
    """Whether the hardware multiplies bfloat16 faster than float32, rather than emulating it."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    if device == "cpu":
        # torch names no stable query for this before 2.10; where none answers, float32 is always right.
        return any(
            getattr(torch.cpu, query, bool)() for query in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        )
    return False
