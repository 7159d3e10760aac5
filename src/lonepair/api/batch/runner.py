"""Runs a batch: rows that are done are left out, and a row whose worker is lost goes on from its last checkpoint."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from lonepair.api.batch.identity import row_fingerprint
from lonepair.api.batch.jobs import read_rows
from lonepair.api.batch.place import BatchPlace
from lonepair.api.batch.pools import Lost, Pool
from lonepair.api.batch.records import EarlierRows, RowResult, RowTask, State, Unit, earlier_rows
from lonepair.api.batch.rows import BatchRow, choose_shard, named_rows
from lonepair.api.batch.storage import Storage
from lonepair.api.batch.table import BatchReport, JobTable
from lonepair.api.stop import stop_on_signal
from lonepair.errors import UserError, printable
from lonepair.storage.lock import FileLock
from lonepair.storage.protect import check_not_input, protected

logger = logging.getLogger("lonepair")

_WAIT = 0.5
"""Seconds between two looks at the rows."""


def run_batch(
    jobs: str | Path | Sequence[BatchRow],
    out: str | Path,
    *,
    style: str | None = None,
    settings: Mapping[str, Any] | None = None,
    shard: str | None = None,
    place: BatchPlace | None = None,
    pool: Pool | None = None,
    progress: Callable[[BatchReport], None] = lambda report: None,
) -> BatchReport:
    """Train and translate each row of a batch.

    A row whose inputs and settings an earlier batch with the same `out` completed is left out. An error of a row stops
    no other. `out`/jobs.jsonl is the table of states; each result is `out`/NAME.png or .mp4, its run `out`/runs/NAME.

    Args:
        jobs: Rows; or a .csv or .jsonl table of them, or a pattern of sources (`read_rows`).
        out: Folder or URL of the results.
        style: Target of the rows that name none.
        settings: Settings of all rows; those of a row come first.
        shard: Such as "2/8": every eighth row from the second on.
        place: Where rows run; None: in this process.
        pool: What rows run in, instead of that of `place`.
        progress: Called when a row has started or ended, and while rows run.

    Returns:
        The states of all rows. Ctrl-C saves and stops them; the same call continues.

    Raises:
        UserError: The rows cannot be read, `out` cannot be written, or there is no such cluster.
    """
    place, common = place or BatchPlace(), dict(settings or {})
    if isinstance(jobs, str | Path):
        rows = read_rows(jobs, style, common)
    else:
        rows = named_rows(BatchRow(row.source, row.target, {**common, **row.settings}, row.name) for row in jobs)
    indices = list(range(len(rows))) if shard is None else choose_shard(rows, shard)
    storage = Storage.open(out)
    table = JobTable.of(storage, rows, indices, shard)
    _check_outputs(table, [jobs] if isinstance(jobs, str | Path) else [])
    with _locked(storage, table.name):
        table.write(is_last=True)  # fails at once where nothing can be written
        batch = _Batch(table, [rows[index] for index in indices], place, progress)
        if batch.prepare():
            opened = pool or place.open()
            try:
                batch.run(opened)
            finally:
                opened.close()
                table.write(is_last=True)
        table.write(is_last=True)
    return batch.report()


class _Batch:
    """The rows of one process's batch while they run."""

    def __init__(
        self,
        table: JobTable,
        rows: Sequence[BatchRow],
        place: BatchPlace,
        progress: Callable[[BatchReport], None],
    ) -> None:
        self._table, self._rows, self._place, self._progress = table, list(rows), place, progress
        self._waiting: deque[Unit] = deque()
        self._attempts: Counter[Unit] = Counter()
        self._parts: dict[int, set[Unit]] = {}
        """Index of a row -> the parts of its clip that are still to be rendered."""
        self._copies: dict[int, int] = {}
        """Index of a row -> that of one before it with the same inputs and settings, whose result is its own."""
        self._has_warned = False
        """Whether the table of states could not be written the last time."""
        self._start = time.monotonic()

    def report(self) -> BatchReport:
        """Where the batch stands."""
        return BatchReport(self._table.rows, time.monotonic() - self._start, len(self._rows))

    def prepare(self) -> bool:
        """Leave out rows that are done or cannot be read; returns whether any is left to run."""
        earlier, seen, known = earlier_rows(self._table.storage), dict[str, int](), dict[str, str]()
        for index, (row, state) in enumerate(zip(self._rows, self._table.rows, strict=True)):
            try:
                state.fingerprint = row_fingerprint(row, known)
            except UserError as error:
                state.state, state.error = "failed", printable(str(error), 400)
                continue
            done = earlier.results.get(state.fingerprint)
            if done is not None:
                state.add(done)
                state.is_earlier = True
            elif state.fingerprint in seen:
                self._copies[index] = seen[state.fingerprint]
                state.is_copy = True
            else:
                seen[state.fingerprint] = index
                self._waiting.append(Unit(index))
        self._rename(earlier)
        return bool(self._waiting)

    def _rename(self, earlier: EarlierRows) -> None:
        """Give each row that is to run a name of its own where its name is that of another row's result."""
        # Results of this table, and of other sources and targets. The same pair with other settings is replaced.
        taken = {PurePosixPath(state.output).stem.lower() for state in self._table.rows if state.is_earlier}
        for index in [unit.row for unit in self._waiting]:
            row, state = self._rows[index], self._table.rows[index]
            inputs = (row.source, row.target)
            if row.name.lower() in taken or earlier.inputs.get(row.name.lower(), inputs) != inputs:
                state.name = f"{row.name}-{state.fingerprint[:8]}"
                self._rows[index] = replace(row, name=state.name)

    def run(self, pool: Pool) -> None:
        """Run all waiting rows."""
        stop = threading.Event()
        running: set[Unit] = set()
        with stop_on_signal(stop, "checkpoint"):
            while self._waiting or running:
                if stop.is_set():
                    # Rows and parts that have not begun keep their state.
                    self._waiting.clear()
                    pool.stop()
                while self._waiting and len(running) < pool.slots():
                    unit = self._waiting.popleft()
                    running.add(unit)
                    self._submit(pool, unit)
                for unit, result in pool.wait(_WAIT) if running else []:
                    running.discard(unit)
                    self._take(unit, result)
                self._write_table()
                self._progress(self.report())
        for state in self._table.rows:
            # Stopped between two units of the row.
            state.state = "stopped" if state.state == "running" else state.state
        for index, original in self._copies.items():
            state, other = self._table.rows[index], self._table.rows[original]
            state.state, state.error, state.output = other.state, other.error, other.output

    def _write_table(self) -> None:
        """Write the table of states. Where that fails for once, rows go on: it is written again."""
        try:
            self._table.write()
            self._has_warned = False
        except UserError as error:
            if not self._has_warned:
                logger.warning("%s; rows go on", error)
            self._has_warned = True

    def _submit(self, pool: Pool, unit: Unit) -> None:
        state, row, place = self._table.rows[unit.row], self._rows[unit.row], self._place
        self._attempts[unit] += 1
        state.state, state.attempts = "running", max(state.attempts, self._attempts[unit])
        device = str(row.settings.get("device", place.device))
        url = self._table.storage.url
        pool.submit(
            unit, RowTask(row, state.fingerprint, url, place.scratch, 0, device, splits=pool.splits, part=unit.part)
        )

    def _take(self, unit: Unit, result: RowResult | Lost) -> None:
        """Take the result of a unit, or let it run again."""
        state = self._table.rows[unit.row]
        if isinstance(result, Lost):
            self._retry(unit, result)
        elif unit.part is not None:
            self._take_part(unit, result)
        else:
            state.add(result)
            if result.state == "split" and unit.row in self._parts:
                # Keys of parts are those of one device, number of threads and version of torch.
                self._end(unit, "failed", "the machines of its parts compute differently; give all the same device")
            elif result.state == "split":
                parts = [Unit(unit.row, part) for part in result.parts]
                state.state, state.parts, state.parts_done = "running", len(parts), 0
                self._parts[unit.row] = set(parts)
                # Before other rows: the fewer rows are unfinished, the fewer frames lie in the storage.
                self._waiting.extendleft(reversed(parts))

    def _take_part(self, unit: Unit, result: RowResult) -> None:
        """Take the result of a part; after the last one, the row is run again, to join them."""
        state, left = self._table.rows[unit.row], self._parts[unit.row]
        state.add_cost(result)
        if result.state == "done":
            left.discard(unit)
            state.parts_done += 1
            if not left:
                self._attempts[Unit(unit.row)] = 0
                self._waiting.appendleft(Unit(unit.row))
        elif state.state == "running":
            self._end(unit, result.state, result.error)

    def _retry(self, unit: Unit, lost: Lost) -> None:
        """Let a unit run again whose worker was lost, unless that has happened too often."""
        state, attempts = self._table.rows[unit.row], self._attempts[unit]
        if state.state != "running":  # another part of the row has failed
            return
        if attempts > self._place.retries:
            self._end(unit, "failed", f"{lost.reason}, in each of {attempts} attempts")
            return
        logger.warning("row %d, %s: %s; it starts again from its last checkpoint", state.row, state.name, lost.reason)
        if unit.part is None:
            state.state = "waiting"
        self._waiting.append(unit)

    def _end(self, unit: Unit, state: State, error: str) -> None:
        """End a row with one of its units; its other parts that wait are not rendered."""
        row = self._table.rows[unit.row]
        row.state, row.error = state, error
        self._waiting = deque(other for other in self._waiting if other.row != unit.row)


def _check_outputs(table: JobTable, jobs: Sequence[str | Path]) -> None:
    """Refuse a batch whose results or table of states would replace the table `jobs`, a source or a target.

    Raises:
        UserError: One would.
    """
    if table.storage.file_system is not None:
        return
    inputs = [Path(text) for row in table.rows for text in (row.source, row.target)]
    outputs = [table.name, *(f"{row.name}{suffix}" for row in table.rows for suffix in (".png", ".mp4"))]
    with protected([*inputs, *(Path(job).expanduser() for job in jobs)]):
        for name in outputs:
            check_not_input(Path(table.storage.path(name)))


@contextlib.contextmanager
def _locked(storage: Storage, name: str) -> Iterator[None]:
    """Context in which this process alone writes the table `name`; a place elsewhere has no locks.

    Raises:
        UserError: Another process has it, or the folder cannot be written.
    """
    if storage.file_system is not None:
        yield
        return
    storage.make_folder()
    lock = FileLock(Path(storage.root) / f".{name}.lock")
    if not lock.take():
        raise UserError(f"{storage.url}: is in use by {lock.holder()}; wait until it has ended, or give another folder")
    try:
        yield
    finally:
        lock.release()
        lock.path.unlink(missing_ok=True)
