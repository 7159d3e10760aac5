"""log.txt of a run: the package's messages during the training, and how the training ended."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from lonepair.errors import printable_lines

logger = logging.getLogger("lonepair")


@contextlib.contextmanager
def write_log(path: Path) -> Iterator[None]:
    """Within the block the file at `path` receives this thread's messages, and finally how the training ended."""
    handler = _LogFile(path)
    with _INFO_LEVEL:
        logger.addHandler(handler)
        # The last line says how the training ended, also after Ctrl-C.
        try:
            yield
            handler.note("training is complete")
        except BaseException as error:
            handler.note(f"ended by {type(error).__name__}: {error}".rstrip(": "))
            raise
        finally:
            logger.removeHandler(handler)
            handler.close()


class _InfoLevel:
    """Context in which the package's logger emits at level INFO; with several runs, until the last one leaves it."""

    def __init__(self) -> None:
        self._lock, self._runs, self._level = threading.Lock(), 0, logging.NOTSET
        self._others: list[logging.Handler] = []

    def __enter__(self) -> None:
        with self._lock:
            self._runs += 1
            if self._runs > 1:
                return
            # Python prints the warnings of a program without log handlers; ours must not turn that off.
            self._others = [] if logger.hasHandlers() or logging.lastResort is None else [logging.lastResort]
            self._level = logger.level
            for handler in self._others:
                logger.addHandler(handler)
            if not logger.isEnabledFor(logging.INFO):
                logger.setLevel(logging.INFO)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._runs -= 1
            if self._runs:
                return
            logger.setLevel(self._level)
            for handler in self._others:
                logger.removeHandler(handler)


_INFO_LEVEL = _InfoLevel()


class _Lines(logging.Formatter):
    """Lines that can be shown in a terminal: messages repeat names of files, which may hold its commands."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


class _LogFile(logging.FileHandler):
    """log.txt. A full disk stops the training elsewhere, with a message; here it is ignored."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True, errors="backslashreplace")
        thread = threading.get_ident()
        self.addFilter(lambda record: record.thread == thread)  # other threads may train at the same time
        self.setFormatter(_Lines("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))

    def note(self, text: str) -> None:
        """Write a line to the file only."""
        self.handle(logger.makeRecord(logger.name, logging.INFO, "", 0, text, (), None))

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # opens the file at the first record
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Ignore the error: the line is lost."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()
