"""What tensor code must know about the device it runs on, and a cache for tensors that depend on sizes only."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., Any])

_RETAINED: ContextVar[list[Any] | None] = ContextVar("_RETAINED", default=None)
"""Collects the results of `cached` functions within `retain_cached`."""


class DeviceAware(nn.Module, ABC):
    """A network that computes differently on some devices."""

    @abstractmethod
    def on_placed(self, device: torch.device, plain: bool) -> None:
        """Called after the network was moved to `device`.

        Args:
            device: The new device.
            plain: Whether to use the same reference computation on every device.
        """


def is_on_cpu(values: Tensor) -> bool:
    """Whether the host can read `values` without waiting for a device to compute them."""
    return values.device.type == "cpu"


def cached(max_entries: int) -> Callable[[F], F]:
    """A decorator that caches the function's last `max_entries` results by its arguments.

    Within `retain_cached` every result that is returned is also retained by the caller of that.
    """

    def decorate(function: F) -> F:
        lookup = functools.lru_cache(maxsize=max_entries)(function)

        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            # A hit counts as well: the graph that is being captured reads that entry, too.
            result, retained = lookup(*args), _RETAINED.get()
            if retained is not None:
                retained.append(result)
            return result

        return wrapper  # type: ignore[return-value]

    return decorate


@contextmanager
def retain_cached() -> Iterator[list[Any]]:
    """Collect the results of all `cached` functions within the block.

    The caller keeps the list as long as it uses the memory of these tensors by address, after the cache has evicted
    them.
    """
    retained: list[Any] = []
    token = _RETAINED.set(retained)
    try:
        yield retained
    finally:
        _RETAINED.reset(token)
