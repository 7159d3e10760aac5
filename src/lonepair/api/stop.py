"""Stopping: signals on the main thread, and one event for all trainings of a batch."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any

logger = logging.getLogger("lonepair")

BATCH_STOP: ContextVar[threading.Event | None] = ContextVar("BATCH_STOP", default=None)
"""Stops all trainings that run in this context. `fit_many` sets it, and handles signals for them."""
RECEIVED: list[int] = []
"""Numbers of the signals that stopped this process's work, the last one at the end: they decide the exit status."""

_OTHERS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that stop as Ctrl-C does: a shutdown or `kill`, and a terminal that closes."""


@contextlib.contextmanager
def stop_on_signal(stop: threading.Event, unit: str = "step") -> Iterator[None]:
    """Within the block, on the main thread, the first Ctrl-C, SIGTERM or SIGHUP sets `stop`; the second one quits.

    A SIGTERM or SIGHUP that the program ignores (`nohup`) or handles in its own way stays so.

    Args:
        stop: What the block reads.
        unit: What the block completes before it stops.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def on_first(number: int, frame: FrameType | None) -> None:
        stop.set()
        RECEIVED.append(number)
        restore()
        again = "Ctrl-C again quits" if number == signal.SIGINT else "a second signal quits"
        logger.warning("stopping after this %s; %s at once, without saving", unit, again)

    for number in (signal.SIGINT, *_OTHERS):
        if number == signal.SIGINT or signal.getsignal(number) in (signal.SIG_DFL, _interrupt):
            previous[number] = signal.signal(number, on_first)
    try:
        yield
    finally:
        restore()


@contextlib.contextmanager
def interrupt_on_signal() -> Iterator[None]:
    """Within the block, on the main thread, SIGTERM and SIGHUP raise `KeyboardInterrupt`, as Ctrl-C does."""
    RECEIVED.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in _OTHERS if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    RECEIVED.append(number)
    raise KeyboardInterrupt
