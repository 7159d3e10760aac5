"""The record of each row of a batch that is done: how it ended, and of which inputs and settings."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from lonepair.api.batch.rows import BatchRow
from lonepair.api.batch.storage import Storage
from lonepair.errors import UserError

ROWS = "rows"
"""Folder, in the storage, of a file for each row that is done: a later batch leaves it out."""
State = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class RowResult:
    """How a row ended."""

    state: State
    error: str = ""
    """One line; empty unless it failed."""
    output: str = ""
    """Name of the result in the storage."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """CPU time of the process meanwhile, and of processes that it started, over all cores."""
    peak_bytes: int = 0
    """Largest memory of the process so far."""
    node: str = ""
    """Name of the machine."""
    continued: bool = False
    """Whether it went on from a checkpoint."""


def write_record(storage: Storage, row: BatchRow, fingerprint: str, result: RowResult) -> None:
    """Write the record of a row that is done.

    Args:
        storage: The batch's storage.
        row: The row.
        fingerprint: `row_fingerprint` of it.
        result: How it ended.

    Raises:
        UserError: It cannot be written.
    """
    record = {"fingerprint": fingerprint, "source": row.source, "target": row.target, **asdict(result)}
    storage.write(f"{ROWS}/{row.name}.json", json.dumps(record).encode())


@dataclass(frozen=True)
class EarlierRows:
    """The rows that are done, of all batches in a storage."""

    results: dict[str, RowResult]
    """By their fingerprints."""
    inputs: dict[str, tuple[str, str]]
    """Name in lower case -> source and target."""


def earlier_rows(storage: Storage) -> EarlierRows:
    """Read the record of each row that is done and whose result exists."""
    rows = EarlierRows({}, {})
    for name in storage.names(f"{ROWS}/*.json"):
        with contextlib.suppress(UserError, ValueError, TypeError, KeyError):
            values = json.loads(storage.read(f"{ROWS}/{name}"))
            fingerprint, source, target = (str(values.pop(key)) for key in ("fingerprint", "source", "target"))
            result = RowResult(**values)
            if result.state == "done" and storage.exists(result.output):
                rows.results[fingerprint] = result
                rows.inputs[name.removesuffix(".json").lower()] = source, target
    return rows
