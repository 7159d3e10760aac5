"""A lock on a file: one process at a time. The system releases it when the process ends, however that happens.

The file holds who has the lock, for messages of the others.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
from pathlib import Path

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
"""Errors that say that another process has the lock; any other one says that the file system has no locks."""
_FAR = 1 << 30
"""Byte that Windows locks: behind the text, which others may then read."""


class FileLock:
    """The lock on one file."""

    def __init__(self, path: Path) -> None:
        """`path` is the file; its folder must exist when the lock is taken."""
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock, and write into the file who has it.

        Returns:
            False where another process, or another lock of this one, has it.

        Raises:
            OSError: The file cannot be created, or it is a link.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self.path, flags, 0o666)
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _HELD:
                os.close(descriptor)
                return False
        # The one before may have deleted its folder between both calls: that lock is nobody's.
        try:
            is_own = os.path.samestat(self.path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            is_own = False
        if not is_own:
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        self._descriptor = descriptor
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        self._write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}))
        return True

    def release(self) -> None:
        """Give the lock back; the file stays, empty."""
        if self._descriptor is not None:
            self._write("")
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> str:
        """Who has the lock, as text: "process 123 on HOST, since 2026-01-31 12:00:00"."""
        try:
            values = json.loads(self.path.read_text(encoding="utf-8")[:1000])
            pid, host, since = (str(values[name])[:64] for name in ("pid", "host", "since"))
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
        return f"process {pid} on {host}, since {since}"

    def _write(self, text: str) -> None:
        assert self._descriptor is not None
        with contextlib.suppress(OSError):  # such as a full disk: the lock counts, not the text
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, text.encode())


def _lock(descriptor: int) -> None:
    """Lock an open file for this process, without waiting."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
