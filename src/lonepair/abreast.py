"""What needs nothing of each other, side by side on a GPU."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

T = TypeVar("T")


def abreast(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What `calls` give: in a step that is being recorded as a graph each is a branch of its own, and so are its
    derivatives; otherwise one after the other.

    Kernels of small pictures fill a part of a GPU. Launched one by one, by the host, they would not overlap anyway.
    """
    if not torch.cuda.is_available() or not torch.cuda.is_current_stream_capturing():
        return [call() for call in calls]
    here, found = torch.cuda.current_stream(), []
    for index, call in enumerate(calls):
        branch = _branch(here.device_index, threading.get_ident(), index)
        branch.wait_stream(here)
        with torch.cuda.stream(branch):
            found.append(call())
    for index in range(len(calls)):
        here.wait_stream(_branch(here.device_index, threading.get_ident(), index))
    return found


@functools.cache
def _branch(device: int, thread: int, index: int) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
