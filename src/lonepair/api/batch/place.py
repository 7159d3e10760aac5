"""Where and how the rows of a batch run."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lonepair.api.batch.pools import InProcess, Pool, Processes, has_gpu
from lonepair.errors import UserError


@dataclass(frozen=True)
class BatchPlace:
    """Where and how the rows of a batch run."""

    workers: int = 1
    """Processes on this machine; 1 runs rows in this process, 0 one process for each core."""
    address: str | None = None
    """Address of a Ray cluster: auto, HOST:PORT or ray://HOST:PORT. None: this machine."""
    cpus: float = 1.0
    """CPUs of a row on a cluster."""
    gpus: float | None = None
    """GPUs of a row on a cluster; None: an eighth where it has GPUs."""
    device: str = "auto"
    """Device of all rows."""
    scratch: str | None = None
    """Folder for unfinished work on each machine; None: one in the system's folder for temporary files."""
    retries: int = 2
    """How often a row starts again whose worker was lost."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UserError: One is out of its range.
        """
        for name, lowest in (("workers", 0), ("retries", 0), ("cpus", 0), ("gpus", 0)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise UserError(f"{name} is {value}: give {lowest} or more")
        for name in ("cpus", "gpus"):
            value = getattr(self, name)
            if value is not None and value > 1 and value != int(value):
                raise UserError(f"{name} is {value}: above 1 Ray takes whole numbers; give {int(value)}")
        if self.address is not None and self.workers != 1:
            raise UserError(f"workers is {self.workers}, and rows run on the cluster {self.address}: leave one out")
        if self.address is None and (self.cpus != 1 or self.gpus is not None):
            raise UserError("cpus and gpus are those of a row on a cluster: give `address`, too, or leave them out")

    def open(self) -> Pool:
        """Start what rows run in.

        Raises:
            UserError: There is no such cluster, or Ray is missing.
        """
        if self.address is not None:
            from lonepair.api.batch.cluster import RayPool

            return RayPool(self.address, self.cpus, self.gpus)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = self.workers or cores
        return InProcess(has_gpu=has_gpu(self.device)) if workers == 1 else Processes(workers, max(1, cores // workers))
