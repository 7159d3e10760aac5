"""Stopping trainings: Ctrl-C on the main thread, and one event for all trainings of a batch."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType

logger = logging.getLogger("lonepair")

BATCH_STOP: ContextVar[threading.Event | None] = ContextVar("BATCH_STOP", default=None)
"""Stops all trainings that run in this context. `fit_many` sets it, and handles Ctrl-C for them."""


@contextlib.contextmanager
def stop_on_ctrl_c(stop: threading.Event, unit: str = "step") -> Iterator[None]:
    """Within the block, on the main thread, the first Ctrl-C sets `stop`; the second one quits immediately.

    Args:
        stop: What the block reads.
        unit: What the block completes before it stops.
    """

    def on_first(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, previous)
        logger.warning("stopping after this %s; Ctrl-C again quits at once, without saving", unit)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, on_first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
