"""Runs the rows of a batch on a Ray cluster. Ray is imported only when a cluster is asked for."""

from __future__ import annotations

import contextlib
import importlib
import logging
import socket
import threading
from dataclasses import replace
from typing import Any

from lonepair.api.batch.many import MAX_CONCURRENT
from lonepair.api.batch.pools import Lost, Run
from lonepair.api.batch.records import RowResult, RowTask, Unit
from lonepair.api.batch.task import run_row
from lonepair.errors import UserError

_POLL = 2.0
"""Seconds between two questions of a row whether it is to stop."""
_MARGIN = 2
"""Rows that are submitted for each one that has room now: a cluster that grows by itself sees the demand."""


def import_ray() -> Any:
    """The module `ray`.

    Raises:
        UserError: It is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UserError("`address` needs Ray; install it with `pip install 'lonepair[cluster]'`") from None


class StopFlag:
    """Says whether the batch is to stop; runs as an actor, which all rows ask."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Let all rows stop."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether rows are to stop."""
        return self._is_set


def _watch(flag: Any, stop: threading.Event, has_ended: threading.Event) -> None:
    """Set `stop` when the actor `flag` is set, until the row `has_ended`."""
    ray = import_ray()
    while not stop.is_set() and not has_ended.wait(_POLL):
        # The actor's machine can be lost, too: it starts again on another one.
        with contextlib.suppress(ray.exceptions.RayError):
            if ray.get(flag.is_set.remote(), timeout=60):
                stop.set()


def _run_on_node(run: Run, task: RowTask, flag: Any) -> RowResult:
    """Run a row in a worker of the cluster."""
    stop, has_ended = threading.Event(), threading.Event()
    threading.Thread(target=_watch, args=(flag, stop, has_ended), daemon=True).start()
    try:
        return run(task, stop)
    finally:
        has_ended.set()  # the cluster gives this process further rows


class RayPool:
    """Runs each row, and each part of a clip, as a task of Ray, with its CPUs and its share of a GPU."""

    splits = True

    def __init__(self, address: str, cpus: float = 1.0, gpus: float | None = None, run: Run = run_row) -> None:
        """
        Args:
            address: "auto" for the cluster that this machine belongs to, HOST:PORT of its head, or ray://HOST:PORT.
            cpus: CPUs of each row.
            gpus: GPUs of each row, such as 0.25; None: an eighth where the cluster has GPUs, else none.
            run: Runs a row.

        Raises:
            UserError: Ray is not installed, or there is no such cluster.
        """
        self._ray = import_ray()
        self._is_own = not self._ray.is_initialized()
        """Whether the connection is this pool's: one that the program had before stays open."""
        try:
            _check_reachable(address)
            self._ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"address is {address!r}: no Ray cluster answers ({_first_line(error)}); start one with "
                "`ray start --head`, or leave `address` out"
            ) from None
        resources = self._ray.cluster_resources()
        gpus = (1 / MAX_CONCURRENT if resources.get("GPU") else 0.0) if gpus is None else gpus
        self._check(resources, "CPU", cpus)
        self._check(resources, "GPU", gpus)
        self._cpus, self._gpus, self._run = cpus, gpus, run
        self._threads = max(1, int(cpus))
        self._flag = self._ray.remote(num_cpus=0, max_restarts=-1)(StopFlag).remote()
        # Retries are the batch's own, so that the table of states shows them.
        self._remote = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(_run_on_node)
        self._running: dict[Any, Unit] = {}

    @staticmethod
    def _check(resources: dict[str, float], kind: str, wanted: float) -> None:
        # A cluster that grows by itself may have none at first.
        has = resources.get(kind, 0.0)
        if wanted > 0 and 0 < has < wanted:
            name = "cpus" if kind == "CPU" else "gpus"
            raise UserError(f"{name} is {wanted:g}, the cluster has {has:g} in all: give less")

    def slots(self) -> int:
        resources = self._ray.cluster_resources()
        room = resources.get("CPU", 0.0) / self._cpus if self._cpus else 1.0
        if self._gpus:
            room = min(room, resources.get("GPU", 0.0) / self._gpus)
        return max(1, _MARGIN * int(room))

    def submit(self, unit: Unit, task: RowTask) -> None:
        task = replace(task, threads=task.threads or self._threads)
        self._running[self._remote.remote(self._run, task, self._flag)] = unit

    def wait(self, seconds: float) -> list[tuple[Unit, RowResult | Lost]]:
        ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        results: list[tuple[Unit, RowResult | Lost]] = []
        for reference in ended:
            unit = self._running.pop(reference)
            try:
                results.append((unit, self._ray.get(reference)))
            except self._ray.exceptions.RayError as error:
                results.append((unit, Lost(_reason(error))))
        return results

    def stop(self) -> None:
        with contextlib.suppress(Exception):
            self._ray.get(self._flag.set.remote(), timeout=10)

    def close(self) -> None:
        self.stop()
        with contextlib.suppress(Exception):
            self._ray.kill(self._flag)
        if self._is_own:
            self._ray.shutdown()


def _check_reachable(address: str) -> None:
    """Check that something listens at HOST:PORT: Ray itself waits for minutes.

    Raises:
        OSError: Nothing does.
        ValueError: The port is no number.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port.partition("/")[0])), timeout=10).close()


def _reason(error: BaseException) -> str:
    """What is said of a worker that is lost."""
    names = {"WorkerCrashedError": "its process was killed", "NodeDiedError": "its machine is gone"}
    names |= {"OutOfMemoryError": "its machine ran out of memory"}
    return names.get(type(error).__name__, f"{type(error).__name__}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
