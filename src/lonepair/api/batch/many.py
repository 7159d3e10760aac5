"""Several trainings in one call."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from lonepair.api.model import Model
from lonepair.api.stop import BATCH_STOP, stop_on_signal
from lonepair.train.loop import Interrupted

MAX_CONCURRENT = 8
"""Number of trainings that a GPU runs at the same time. Each takes several of its streams."""


def fit_many(fits: Sequence[Callable[[], Model]]) -> list[Model | Exception]:
    """Run several trainings: of one image with several seeds, say, or of several images.

        lp.fit_many([partial(lp.fit_pair, "a.jpg", "b.jpg", seed=seed) for seed in range(4)])

    On a GPU up to eight run at the same time, since a small training leaves most of it idle; on a CPU they run in turn.
    Ctrl-C stops all of them; those with a run's folder are saved.

    Args:
        fits: Calls of `fit`, `fit_pair` or `Job.run`, without arguments.

    Returns:
        For each of `fits`, in order, its model or the exception that it raised. A failure stops no other training.
    """
    stop = threading.Event()

    def run(fit: Callable[[], Model]) -> Model | Exception:
        # A training that still waits for its turn when Ctrl-C is pressed does not start.
        if stop.is_set():
            return Interrupted("not started, because the trainings were stopped")
        BATCH_STOP.set(stop)
        try:
            return fit()
        except Exception as error:
            return error

    with stop_on_signal(stop):
        # A context for each training, as `BATCH_STOP` must not reach the caller's later trainings.
        if not torch.cuda.is_available() or len(fits) < 2:
            return [contextvars.copy_context().run(run, fit) for fit in fits]
        # New threads would use the first GPU, whatever the caller has chosen.
        device = torch.cuda.current_device()
        workers = min(len(fits), MAX_CONCURRENT)
        with ThreadPoolExecutor(workers, initializer=torch.cuda.set_device, initargs=(device,)) as pool:
            futures = [pool.submit(contextvars.copy_context().run, run, fit) for fit in fits]
            return [future.result() for future in futures]
