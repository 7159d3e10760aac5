"""The table of states of a batch: a JSON object a line for each row, in the batch's storage."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from lonepair.api.batch.records import RowResult, State
from lonepair.api.batch.rows import BatchRow
from lonepair.api.batch.storage import Storage

_SECONDS = 1.0
"""Smallest number of seconds between two writes of the table while rows run."""


@dataclass
class RowState:
    """Where a row of a batch stands."""

    row: int
    """Number of the row, from 1."""
    name: str
    source: str
    target: str
    fingerprint: str = ""
    state: State = "waiting"
    attempts: int = 0
    """How often the row was started; or one of its parts, where that is more."""
    seconds: float = 0.0
    """Wall-clock time of all attempts whose end is known."""
    cpu_seconds: float = 0.0
    """CPU time of them, over all cores."""
    peak_bytes: int = 0
    error: str = ""
    """One line; empty unless it failed."""
    output: str = ""
    """Name of the result, relative to the batch's folder."""
    node: str = ""
    """Machine of the last attempt."""
    parts: int = 0
    """Number of parts that its clip is rendered in, each by any machine; 0 where one machine renders it."""
    parts_done: int = 0
    is_earlier: bool = False
    """Whether an earlier batch did it."""
    is_copy: bool = False
    """Whether it takes the result of another row of this batch, with equal inputs and settings."""

    def add(self, result: RowResult) -> None:
        """Take the result of an attempt at the row."""
        self.state, self.error, self.output, self.node = result.state, result.error, result.output, result.node
        self.add_cost(result)

    def add_cost(self, result: RowResult) -> None:
        """Take the time and the memory of an attempt at the row or at a part of its clip."""
        self.seconds = round(self.seconds + result.seconds, 3)
        self.cpu_seconds = round(self.cpu_seconds + result.cpu_seconds, 3)
        self.peak_bytes = max(self.peak_bytes, result.peak_bytes)


@dataclass
class JobTable:
    """The states of all rows that this process runs."""

    storage: Storage
    name: str
    """Name of the table's file."""
    rows: list[RowState] = field(default_factory=list)
    _written: float = 0.0
    """Time of `time.monotonic` of the last write."""

    @staticmethod
    def of(storage: Storage, rows: Sequence[BatchRow], indices: Sequence[int], shard: str | None) -> JobTable:
        """The table of the rows of these indices; each shard has a file of its own."""
        name = "jobs.jsonl" if shard is None else f"jobs-{shard.replace('/', '-of-')}.jsonl"
        states = [RowState(index + 1, rows[index].name, rows[index].source, rows[index].target) for index in indices]
        return JobTable(storage, name, states)

    def write(self, is_last: bool = False) -> None:
        """Write the table, completely or not at all; not more often than once a second, but for the last time."""
        now = time.monotonic()
        if not is_last and now < self._written + _SECONDS:
            return
        # Before the write: one that fails is not repeated at once.
        self._written = now
        lines = "".join(json.dumps(asdict(row)) + "\n" for row in self.rows)
        self.storage.write(self.name, lines.encode())


@dataclass(frozen=True)
class BatchReport:
    """How a batch ended, or where it stands."""

    rows: list[RowState]
    seconds: float
    """Wall-clock time so far."""
    total: int
    """Number of rows."""

    def count(self, state: str) -> int:
        """Number of rows in a state."""
        return sum(row.state == state for row in self.rows)

    @property
    def failed(self) -> list[RowState]:
        """The rows that failed."""
        return [row for row in self.rows if row.state == "failed"]

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the rows that this batch ran."""
        return sum(row.cpu_seconds for row in self.rows if not row.is_earlier)

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time to the end, from the mean rate so far; None while no row is done."""
        own = [row for row in self.rows if not row.is_earlier and not row.is_copy]
        new = sum(row.state in ("done", "failed") for row in own)
        left = sum(row.state in ("waiting", "running") for row in own)
        return None if not new else self.seconds / new * left
