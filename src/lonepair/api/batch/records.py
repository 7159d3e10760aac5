"""What a worker of a batch receives and returns, and the record of each row that is done."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from lonepair.api.batch.rows import BatchRow
from lonepair.api.batch.storage import Storage
from lonepair.errors import UserError
from lonepair.render.parts import Part

ROWS = "rows"
"""Folder, in the storage, of a file for each row that is done: a later batch leaves it out."""
State = Literal["waiting", "running", "split", "done", "failed", "stopped"]
"""split: the model is trained, and the parts of the clip are to be rendered before the row is run again."""


@dataclass(frozen=True)
class Unit:
    """What one worker does at a time."""

    row: int
    """Index of the row in the batch."""
    part: Part | None = None
    """The part of the row's clip; None: the row itself."""


@dataclass(frozen=True)
class RowTask:
    """A row, or a part of its clip, and what a worker needs beside it."""

    row: BatchRow
    fingerprint: str
    """`row_fingerprint`."""
    out: str
    """Path or URL of the batch's storage."""
    scratch: str | None = None
    """Folder for work on the worker's machine; None: one in the system's folder for temporary files."""
    threads: int = 0
    """CPU threads of the row; 0: those of the process."""
    device: str = "auto"
    splits: bool = False
    """Whether other workers can render parts of the row's clip."""
    part: Part | None = None
    """The part to render; None: the row itself."""


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
    parts: tuple[Part, ...] = ()
    """The parts of the clip that are to be rendered, in the state "split"."""


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
    del record["parts"]  # a row that is done has none
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
