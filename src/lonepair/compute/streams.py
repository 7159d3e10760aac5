"""CUDA streams: independent calls that a GPU may run at the same time."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

T = TypeVar("T")


def run_branches(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What `calls` give: in a step that is being recorded as a graph each is a branch of its own, and so are its
    derivatives; otherwise one after the other.

    Kernels of small pictures fill a part of a GPU. Launched one by one, by the host, they would not overlap anyway.
    """
    if not torch.cuda.is_available() or not torch.cuda.is_current_stream_capturing():
        return [call() for call in calls]
    return run_in_streams(calls, "branch")


def run_in_streams(calls: Sequence[Callable[[], T]], kind: str) -> list[T]:
    """What `calls` give, each launched in a stream of its own, after which the current one goes on.

    Args:
        kind: Streams of another kind are others: calls may make such calls themselves.
    """
    here, found = torch.cuda.current_stream(), []
    streams = [thread_stream(here.device, kind, index) for index in range(len(calls))]
    try:
        for call, stream in zip(calls, streams, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                found.append(call())
    finally:
        for stream in streams:
            here.wait_stream(stream)
    return found


def thread_stream(device: torch.device, kind: str, index: int = 0) -> torch.cuda.Stream:
    """This thread's own stream of that name, the same each time."""
    return _stream(device, threading.get_ident(), kind, index)


@functools.cache
def _stream(device: torch.device, thread: int, kind: str, index: int) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
