"""CUDA streams: independent calls that a GPU may execute concurrently."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

T = TypeVar("T")


def run_independent(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Return the results of independent `calls`, which the device executes concurrently where that saves time.

    While a CUDA graph is captured, calls and their derivatives become parallel branches of it. Otherwise the calls run
    in turn: the host launches kernels of small images more slowly than a GPU executes them, so they would not overlap.
    """
    if not torch.cuda.is_available() or not torch.cuda.is_current_stream_capturing():
        return [call() for call in calls]
    return run_in_streams(calls, "branch")


def run_in_streams(calls: Sequence[Callable[[], T]], kind: str) -> list[T]:
    """The results of independent `calls`, each launched in a stream of its own; the current stream waits for all.

    Args:
        calls: Functions without arguments.
        kind: Name of the set of streams. Nested calls need another kind.
    """
    # Streams belong to a thread: two threads that shared one would wait for each other.
    current, results = torch.cuda.current_stream(), []
    streams = [thread_stream(current.device, kind, index) for index in range(len(calls))]
    try:
        for call, stream in zip(calls, streams, strict=True):
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                results.append(call())
    finally:
        # Also after an error: a capture cannot end while a stream has not joined it.
        for stream in streams:
            current.wait_stream(stream)
    return results


def thread_stream(device: torch.device, kind: str, index: int = 0) -> torch.cuda.Stream:
    """This thread's stream of that kind and index; the same object at each call."""
    return _stream(device, threading.get_ident(), kind, index)


@functools.cache
def _stream(device: torch.device, thread: int, kind: str, index: int) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
