"""Where and how networks compute: device, precision, memory layout and concurrency. Methods do not see it."""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lonepair.compute.graphs import GraphedFunction
from lonepair.compute.streams import run_in_streams, thread_stream
from lonepair.errors import UserError
from lonepair.ops.device import DeviceAware

T = TypeVar("T")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (malloc.h)."""
_LOADING = threading.Lock()
"""Held while a library of the GPU is loaded."""


@dataclass(frozen=True)
class Engine:
    """A device, the precision of its convolutions, and how they are accelerated."""

    device: torch.device
    dtype: torch.dtype
    """Precision of convolutions: float32 or bfloat16."""
    plain: bool = False
    """Whether to use torch's defaults without any acceleration: float32, channels first. The results of other engines
    equal these up to rounding, and their speed is measured against it."""
    layout: torch.memory_format = torch.channels_last
    """Memory format of weights and images, which features inherit."""
    captures_graphs: bool = False
    """Whether training steps are replayed as CUDA graphs (see `lonepair.compute.graphs`)."""

    @property
    def for_inference(self) -> Engine:
        """The engine for trained networks: channels last, which is faster for forward convolutions."""
        return self if self.plain else replace(self, layout=torch.channels_last)

    def move(self, nets: nn.Module) -> None:
        """Move `nets` to the device, in the engine's layout."""
        nets.to(device=self.device)
        nets.to(memory_format=self.layout)  # type: ignore[call-overload]
        # Networks with a faster form for this device switch to it.
        for part in nets.modules():
            if isinstance(part, DeviceAware):
                part.on_placed(self.device, self.plain)

    def to_device(self, image: Tensor) -> Tensor:
        """`image` on the device, in the engine's layout."""
        return image.to(self.device, memory_format=self.layout)

    def adam(
        self, groups: list[dict[str, Any]], betas: tuple[float, float], state: dict[str, Any] | None = None
    ) -> Optimizer:
        """An Adam optimizer that updates all parameters of a group in one operation.

        Args:
            groups: Parameter groups, each with its learning rate `lr`.
            betas: Adam's decay rates.
            state: A state to continue from, saved by any engine.
        """
        options: dict[str, Any] = {
            "foreach": None,
            "fused": None if self.plain else True,
            "capturable": self.captures_graphs,
        }
        optimizer = Adam([{**group, "base_lr": group["lr"]} for group in groups], betas=betas, **options)
        if state is not None:
            # These options belong to the engine; all others come from the state.
            optimizer.load_state_dict({**state, "param_groups": [{**old, **options} for old in state["param_groups"]]})
        # A graph would freeze a number; it reads the current value of a tensor.
        for group in optimizer.param_groups if self.captures_graphs else ():
            group["lr"] = torch.tensor(group["base_lr"], device=self.device)
        return optimizer

    def set_rate(self, optimizer: Optimizer, rate: float) -> None:
        """Set the learning rate of every parameter group to `rate` times its base learning rate."""
        for group in optimizer.param_groups:
            if self.captures_graphs:
                group["lr"].fill_(group["base_lr"] * rate)  # in place: graphs read this tensor by address
            else:
                group["lr"] = group["base_lr"] * rate

    @contextmanager
    def training(self) -> Iterator[None]:
        """Context of training steps. On a GPU it enters a side stream, because the default one cannot be captured."""
        if not self.captures_graphs:
            yield
            return
        # Wait for the work before the block at its start, and let later work wait for the block at its end.
        stream, current = thread_stream(self.device, "training"), torch.cuda.current_stream()
        stream.wait_stream(current)
        try:
            with torch.cuda.stream(stream):
                yield
        finally:
            current.wait_stream(stream)

    def run_parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The results of independent `calls`, each on CPU cores, or in a CUDA stream, of its own.

        Small networks leave most of a second core idle, and most of a GPU; two of them do not.
        """
        threads = torch.get_num_threads()
        if self.captures_graphs and len(calls) > 1:
            return run_in_streams(calls, "group")
        # Two directions of `lonepair` with a core each take 51 s where two threads within each call take 70 s.
        if self.plain or self.device.type != "cpu" or len(calls) < 2 or threads < 2:
            return [call() for call in calls]
        pool = _thread_pool(len(calls), max(1, threads // len(calls)))
        return [future.result() for future in [pool.submit(call) for call in calls]]

    def accelerate(self, function: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
        """`function` in the fastest form for repeated calls with tensors of equal shapes (see `GraphedFunction`).

        The host must not read the values of the tensors within it.
        """
        return GraphedFunction(function) if self.captures_graphs else function

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which convolutions use the engine's precision; weights, optimizer and losses stay float32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    @property
    def rounding(self) -> list[str]:
        """What the last bits of results depend on: device, precision, number of threads, version of torch."""
        return [str(self), str(torch.get_num_threads()), torch.__version__]

    def __str__(self) -> str:
        return f"{self.device.type}, {str(self.dtype).removeprefix('torch.')}{', plain' if self.plain else ''}"


@functools.cache
def _thread_pool(count: int, threads: int) -> ThreadPoolExecutor:
    """`count` workers with `threads` torch threads each."""
    return ThreadPoolExecutor(count, initializer=_set_worker_threads, initargs=(threads,))


def _set_worker_threads(threads: int) -> None:
    """Make torch use `threads` threads for the calls of this worker, whatever other threads choose later."""
    # The first use of torch in a thread copies the number that any thread has set last. It must precede the worker's
    # own number: a worker that got no call at first would otherwise copy the later choice of the caller.
    torch.get_num_threads()
    torch.set_num_threads(threads)


def choose_engine(device: str = "auto", dtype: str = "auto", threads: int = 0, engine: str = "auto") -> Engine:
    """The engine for these options; "auto" chooses the fastest one that is available.

    Args:
        device: "auto", "cpu", "cuda" or "mps".
        dtype: "auto", "float32" or "bfloat16".
        threads: CPU threads; 0 leaves torch's number.
        engine: "auto", or "plain" for torch's defaults.

    Raises:
        UserError: where the device is not available, or the precision is unknown or does not fit the engine.
    """
    # Threads
    if threads:
        torch.set_num_threads(threads)

    # Device
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available.get(device, False):
        names = ", ".join(name for name, is_available in available.items() if is_available)
        raise UserError(f"device {device!r} is not available; this machine has: {names}")
    if device == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed gives the same file
        with _LOADING:
            _load_linear_algebra()
    plain = engine == "plain"
    if device == "cpu" and not plain:
        _reuse_freed_memory()

    # Precision
    if dtype not in ("auto", "float32", "bfloat16"):
        raise UserError(f"dtype is {dtype!r}: choose one of auto, float32, bfloat16")
    if plain and dtype == "bfloat16":
        raise UserError("dtype is 'bfloat16', engine 'plain' computes in float32; leave one of them at 'auto'")
    if dtype == "auto":
        dtype = "bfloat16" if not plain and computes_bfloat16(device) else "float32"
    precision = torch.bfloat16 if dtype == "bfloat16" else torch.float32

    index = torch.device(device, torch.cuda.current_device()) if device == "cuda" else torch.device(device)
    # Memory layout and graphs follow from device and precision.
    layout = _training_layout(device, precision, plain)
    return Engine(index, precision, plain, layout, captures_graphs=device == "cuda" and not plain)


@functools.cache
def _load_linear_algebra() -> None:
    """Load what `torch.linalg` needs on a GPU.

    torch loads it at its first use, and raises where several threads do so at once, as trainings side by side do.
    """
    torch.linalg.inv(torch.ones((1, 1), device="cuda"))


def _training_layout(device: str, dtype: torch.dtype, plain: bool) -> torch.memory_format:
    """The memory format in which networks train fastest."""
    # With AVX2 in float32 the weight gradient takes four times as long in channels last, the rest a sixth less.
    slow = device == "cpu" and dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if plain or slow else torch.channels_last


def _reuse_freed_memory() -> None:
    """Let glibc reuse freed memory for feature maps.

    By default it returns large blocks to the kernel, which clears every page before it maps it again: a third of the
    time that a large image takes.
    """
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        # glibc keeps blocks of up to 32 MB, and a band of a feature map is smaller. `consingan` at 4096x4096 takes 57 s
        # instead of 67. Without any mapping it is slightly faster still, but needs 4.0 GB instead of 2.7.
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 25)  # glibc's maximum
        ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, 1 << 27)


def computes_bfloat16(device: str) -> bool:
    """Whether the hardware computes bfloat16 faster than float32, rather than emulating it."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)  # Ampere
    if device == "cpu":
        # torch has no stable query before 2.10; where none exists, float32 is always right.
        return any(
            getattr(torch.cpu, query, bool)() for query in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        )
    return False
