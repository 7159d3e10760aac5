"""Where the rows of a batch run: in this process, or in processes of this machine. `cluster` runs them on Ray."""

from __future__ import annotations

import contextvars
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from lonepair.api.batch.many import MAX_CONCURRENT
from lonepair.api.batch.records import RowResult, RowTask, Unit
from lonepair.api.batch.task import run_row
from lonepair.compute.processes import SharedFlag

_POLL = 0.5
"""Seconds between two looks of a process at whether it is to stop."""
Run = Callable[[RowTask, threading.Event | None], RowResult]
"""Runs a row, as `run_row` does."""


@dataclass(frozen=True)
class Lost:
    """A row whose worker ended without a result: its process was killed, or its machine is gone."""

    reason: str


@runtime_checkable
class Pool(Protocol):
    """Runs rows, and parts of their clips."""

    @property
    def splits(self) -> bool:
        """Whether parts of one clip can run at the same time."""
        ...

    def slots(self) -> int:
        """How many units are worth submitting at the same time."""
        ...

    def submit(self, unit: Unit, task: RowTask) -> None:
        """Start a unit, or let it wait for a worker."""
        ...

    def wait(self, seconds: float) -> list[tuple[Unit, RowResult | Lost]]:
        """The units that have ended, after at most that many seconds."""
        ...

    def stop(self) -> None:
        """Let all rows save and stop."""
        ...

    def close(self) -> None:
        """Give back what the pool has."""
        ...


class InProcess:
    """Runs rows in this process: on a CPU one after another, on a GPU several at the same time (`fit_many`)."""

    splits = False

    def __init__(self, run: Run = run_row, has_gpu: bool = False) -> None:
        self._run, self._slots = run, MAX_CONCURRENT if has_gpu else 1
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(self._slots)
        self._futures: dict[Future[RowResult], Unit] = {}

    def slots(self) -> int:
        return self._slots

    def submit(self, unit: Unit, task: RowTask) -> None:
        context = contextvars.copy_context()
        self._futures[self._pool.submit(context.run, self._run, task, self._stop)] = unit

    def wait(self, seconds: float) -> list[tuple[Unit, RowResult | Lost]]:
        ended, _ = wait(self._futures, seconds, FIRST_COMPLETED)
        return [(self._futures.pop(future), future.result()) for future in ended]

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)


class Processes:
    """Runs rows in processes of this machine, each with an equal share of its CPU threads.

    Each process has a pool of its own: where one is killed, the others go on.
    """

    splits = True

    def __init__(self, count: int, threads: int, run: Run = run_row) -> None:
        """
        Args:
            count: Number of processes.
            threads: CPU threads of each.
            run: Runs a row.
        """
        self._run, self._threads, self._context = run, threads, multiprocessing.get_context("spawn")
        self._stop = SharedFlag()
        self._idle = [self._new_pool(number) for number in range(count)]
        self._count = count
        self._futures: dict[Future[RowResult], tuple[Unit, int, ProcessPoolExecutor]] = {}

    def _new_pool(self, number: int) -> tuple[int, ProcessPoolExecutor]:
        arguments = (number, self._stop)
        return number, ProcessPoolExecutor(1, self._context, _start_process, arguments)

    def slots(self) -> int:
        return self._count

    def submit(self, unit: Unit, task: RowTask) -> None:
        number, pool = self._idle.pop()
        task = replace(task, threads=task.threads or self._threads)
        try:
            future = pool.submit(_run_in_process, self._run, task)
        except BrokenProcessPool:  # its process was killed while it had no row
            pool.shutdown(wait=False)
            number, pool = self._new_pool(number)
            future = pool.submit(_run_in_process, self._run, task)
        self._futures[future] = (unit, number, pool)

    def wait(self, seconds: float) -> list[tuple[Unit, RowResult | Lost]]:
        ended, _ = wait(self._futures, seconds, FIRST_COMPLETED)
        results: list[tuple[Unit, RowResult | Lost]] = []
        for future in ended:
            unit, number, pool = self._futures.pop(future)
            try:
                results.append((unit, future.result()))
                self._idle.append((number, pool))
            except BrokenProcessPool:
                results.append((unit, Lost("its process was killed, perhaps for lack of memory")))
                pool.shutdown(wait=False)
                self._idle.append(self._new_pool(number))
        return results

    def pids(self) -> list[int]:
        """Process numbers of the workers that run rows."""
        return [pid for _, _, pool in self._futures.values() for pid in (getattr(pool, "_processes", None) or {})]

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._stop.set()
        for pool in [pool for _, pool in self._idle] + [pool for _, _, pool in self._futures.values()]:
            pool.shutdown(cancel_futures=True)


@dataclass
class _Process:
    """What a worker process has."""

    stop: threading.Event


_PROCESS = _Process(threading.Event())


def _start_process(number: int, stop: SharedFlag) -> None:
    """Prepare a new process: it stops where `stop` is set, and ends with the process that started it."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # One GPU for each process, in turn.
    gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu] or _gpu_numbers()
    if len(gpus) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()


def _gpu_numbers() -> list[str]:
    """Numbers of the machine's GPUs, without starting CUDA in this process."""
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _watch(stop: SharedFlag) -> None:
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        if stop.is_set():
            _PROCESS.stop.set()
        time.sleep(_POLL)
    os._exit(1)


def _run_in_process(run: Run, task: RowTask) -> RowResult:
    return run(task, _PROCESS.stop)


def has_gpu(device: str) -> bool:
    """Whether rows on `device` compute on a GPU of this machine."""
    import torch

    return device in ("auto", "cuda") and torch.cuda.is_available()
