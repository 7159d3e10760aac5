"""What tensor code has to know of the device it runs on: whether reading a value waits, and how long tables live."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., Any])

_HOLDING: ContextVar[list[Any] | None] = ContextVar("_HOLDING", default=None)
"""What a graph knows of a tensor is where in memory it lies. Were it dropped from a cache that is full, the graph would
read whatever comes to lie there."""


class DeviceAware(nn.Module):
    """A network that computes in another way on some devices."""

    def on_placed(self, device: torch.device, plain: bool) -> None:
        """The network was moved to `device`; `plain` asks for torch's own way on every device."""
        raise NotImplementedError


def is_on_cpu(values: Tensor) -> bool:
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
def retain_cached() -> Iterator[list[Any]]:
    """Within it all that `cached` functions give is put into the list: whoever keeps that keeps it in memory."""
    held: list[Any] = []
    token = _HOLDING.set(held)
    try:
        yield held
    finally:
        _HOLDING.reset(token)
