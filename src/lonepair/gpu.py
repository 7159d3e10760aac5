"""What a GPU asks of code that it may record as a graph (`lonepair.train.graphs`).

That the host reads nothing of what is computed, that tensors which are kept stay where they are, and that what needs
nothing of each other is said to be so.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_HOLDING: ContextVar[list[Any] | None] = ContextVar("_HOLDING", default=None)
"""What a graph knows of a tensor is where in memory it lies. Were it dropped from a cache that is full, the graph would
read whatever comes to lie there."""


def on_host(values: Tensor) -> bool:
    """Whether the host can read `values` at once: it need not wait for a GPU, nor does a recording forbid it."""
    return values.device.type == "cpu"


def cached(most: int) -> Callable[[F], F]:
    """A decorator: the function's last `most` results are kept, and those that are asked for while `holding`, held."""

    def decorate(function: F) -> F:
        kept = functools.lru_cache(maxsize=most)(function)

        @functools.wraps(function)
        def asked(*given: Any) -> Any:
            found, held = kept(*given), _HOLDING.get()
            if held is not None:
                held.append(found)
            return found

        return asked  # type: ignore[return-value]

    return decorate


@contextmanager
def holding() -> Iterator[list[Any]]:
    """Within it all that `cached` functions give is put into the list: whoever keeps that keeps it in memory."""
    held: list[Any] = []
    token = _HOLDING.set(held)
    try:
        yield held
    finally:
        _HOLDING.reset(token)


def abreast(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What `calls` give: in a step that is being recorded as a graph each is a branch of its own, and so are its
    derivatives; otherwise one after the other.

    Kernels of small pictures fill a part of a GPU. Launched one by one, by the host, they would not overlap anyway.
    """
    if not torch.cuda.is_available() or not torch.cuda.is_current_stream_capturing():
        return [call() for call in calls]
    return in_streams(calls, "branch")


def in_streams(calls: Sequence[Callable[[], T]], kind: str) -> list[T]:
    """What `calls` give, each launched in a stream of its own, after which the current one goes on.

    Args:
        kind: Streams of another kind are others: calls may make such calls themselves.
    """
    here, found = torch.cuda.current_stream(), []
    streams = [stream_of(here.device, kind, index) for index in range(len(calls))]
    try:
        for call, stream in zip(calls, streams, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                found.append(call())
    finally:
        for stream in streams:
            here.wait_stream(stream)
    return found


def stream_of(device: torch.device, kind: str, index: int = 0) -> torch.cuda.Stream:
    """This thread's own stream of that name, the same each time."""
    return _stream(device, threading.get_ident(), kind, index)


@functools.cache
def _stream(device: torch.device, thread: int, kind: str, index: int) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
