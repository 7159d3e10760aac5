"""Where and how a training computes; methods do not see it."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lonepair.compute.graphs import Repeated
from lonepair.compute.streams import run_in_streams, thread_stream
from lonepair.errors import UserError
from lonepair.ops.device import DeviceAware

T = TypeVar("T")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's names for settings of its allocator (malloc.h)."""


@dataclass(frozen=True)
class Engine:
    """A device, the precision of its convolutions, and whether anything is done for speed."""

    device: torch.device
    dtype: torch.dtype
    plain: bool = False
    """As torch has it by itself: float32, channels first, the optimizer that it chooses. What `auto` must equal but for
    rounding, and is timed against."""
    layout: torch.memory_format = torch.channels_last
    """Of weights and images, which features then have, too."""
    captures_graphs: bool = False
    """Whether steps are repeated as graphs (see `lonepair.compute.graphs`)."""

    @property
    def for_inference(self) -> Engine:
        """For networks that learn no more: channels last, in which forward convolutions are the faster ones."""
        return self if self.plain else replace(self, layout=torch.channels_last)

    def move(self, nets: nn.Module) -> None:
        """Move `nets` to the device, in the engine's layout."""
        nets.to(device=self.device)
        nets.to(memory_format=self.layout)  # type: ignore[call-overload]
        for part in nets.modules():
            if isinstance(part, DeviceAware):
                part.on_placed(self.device, self.plain)

    def to_device(self, image: Tensor) -> Tensor:
        """`image` on the device, in the engine's layout."""
        return image.to(self.device, memory_format=self.layout)

    def adam(
        self, groups: list[dict[str, Any]], betas: tuple[float, float], state: dict[str, Any] | None = None
    ) -> Optimizer:
        """The optimizer of parameter `groups`, all of a group in one operation; with a `state`, of whatever engine, as
        that tells."""
        ours: dict[str, Any] = {
            "foreach": None,
            "fused": None if self.plain else True,
            "capturable": self.captures_graphs,
        }
        optimizer = Adam([{**group, "base_lr": group["lr"]} for group in groups], betas=betas, **ours)
        if state is not None:
            optimizer.load_state_dict({**state, "param_groups": [{**old, **ours} for old in state["param_groups"]]})
        for group in optimizer.param_groups if self.captures_graphs else ():
            group["lr"] = torch.tensor(group["base_lr"], device=self.device)
        return optimizer

    def set_rate(self, optimizer: Optimizer, rate: float) -> None:
        """Let every group of parameters learn at `rate` times its own learning rate."""
        for group in optimizer.param_groups:
            if self.captures_graphs:
                group["lr"].fill_(group["base_lr"] * rate)  # what was recorded reads this very tensor
            else:
                group["lr"] = group["base_lr"] * rate

    @contextmanager
    def training(self) -> Iterator[None]:
        """Within it steps are taken: a stream may be recorded if it is not the default one."""
        if not self.captures_graphs:
            yield
            return
        stream, here = thread_stream(self.device, "training"), torch.cuda.current_stream()
        stream.wait_stream(here)
        try:
            with torch.cuda.stream(stream):
                yield
        finally:
            here.wait_stream(stream)

    def run_parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """What `calls` give, which need nothing of each other: each on cores, or in a stream of a GPU, of its own.

        Small networks leave most of a second core idle, and most of a GPU; two of them do not.
        """
        threads = torch.get_num_threads()
        if self.captures_graphs and len(calls) > 1:
            return run_in_streams(calls, "group")
        if self.plain or self.device.type != "cpu" or len(calls) < 2 or threads < 2:
            return [call() for call in calls]
        crew = _crew(len(calls), max(1, threads // len(calls)))
        return [done.result() for done in [crew.submit(call) for call in calls]]

    def captured(self, function: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
        """`function` of tensors, as a graph where there are such (see `lonepair.compute.graphs.Repeated`)."""
        return Repeated(function) if self.captures_graphs else function

    def autocast(self) -> AbstractContextManager[None]:
        """Within it convolutions run in the engine's precision; weights, optimizer and losses stay float32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def __str__(self) -> str:
        return f"{self.device.type}, {str(self.dtype).removeprefix('torch.')}{', plain' if self.plain else ''}"


@functools.cache
def _crew(count: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(threads,))


def choose_engine(device: str = "auto", dtype: str = "auto", threads: int = 0, engine: str = "auto") -> Engine:
    """The engine that `device`, `dtype` and `engine` name, or the best there is for "auto".

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
    if engine == "plain" and dtype == "bfloat16":
        raise UserError("engine 'plain' computes in float32; leave out bfloat16, or the engine")
    if device == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed is the same file
    if device == "cpu" and engine != "plain":
        _keep_memory()
    if dtype == "auto":
        dtype = "bfloat16" if engine != "plain" and computes_bfloat16(device) else "float32"
    precision = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    plain = engine == "plain"
    layout = _layout(device, precision, plain)
    place = torch.device(device, torch.cuda.current_device()) if device == "cuda" else torch.device(device)
    return Engine(place, precision, plain, layout, captures_graphs=device == "cuda" and not plain)


def _layout(device: str, dtype: torch.dtype, plain: bool) -> torch.memory_format:
    """That in which networks learn fastest."""
    # With AVX2 in float32 the weights' gradient takes four times as long channels last, the rest a sixth less.
    slow = device == "cpu" and dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if plain or slow else torch.channels_last


def _keep_memory() -> None:
    """Let feature maps come from memory that was freed before, where the process's allocator is glibc's.

    By itself it gives a map back to the kernel, which clears each page before it hands it out again: a third of the
    time that a large picture takes to rng.
    """
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 25)  # the most that it takes
        ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, 1 << 27)


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
