"""Tensors that are computed once and kept, as long as they are in use: also by a graph, which cannot say so.

What a GPU records knows where in memory a tensor lies and nothing else. Were it dropped from a cache that is full, the
graph would read whatever comes to lie there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_HOLDING: ContextVar[list[Any] | None] = ContextVar("_HOLDING", default=None)


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
