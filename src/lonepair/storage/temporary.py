"""Temporary files and folders beside an output, and their removal after a process that was killed.

Names are `.lonepair-PID-RANDOM`. The process that uses one holds a lock on it, so that another process can tell what is
left over from what is in use.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".lonepair-"
"""Start of the names."""
_NAME = re.compile(r"\.lonepair-(?:(\d+)-)?[0-9a-f]{8}(?:\.\w+)?")
_OLD = 24 * 3600.0
"""Seconds after which a file is left over where locks cannot tell: on Windows, and on a file system without locks."""


def temporary_path(folder: Path, suffix: str = "") -> Path:
    """Return a new name in `folder`."""
    return folder / f"{PREFIX}{os.getpid()}-{os.urandom(4).hex()}{suffix}"


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Context in which `remove_left_over` of other processes keeps the file or folder `path`, which exists."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = None
    try:
        with contextlib.suppress(OSError):  # a file system without locks: its age decides
            descriptor = os.open(path, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove_all(folder: Path) -> None:
    """Remove all temporary files and folders in `folder`, which no other process uses. Errors are ignored."""
    for path in _temporaries(folder):
        _remove(path)


def remove_left_over(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` that killed processes have left. Errors are ignored."""
    for path in _temporaries(folder):
        if _is_left_over(path):
            _remove(path)


def _temporaries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]
    except OSError:
        return []


def _is_left_over(path: Path) -> bool:
    """Whether no process uses `path`."""
    try:
        if path.is_symlink():
            return False
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    if sys.platform == "win32":
        return age > _OLD
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return age > _OLD
    finally:
        os.close(descriptor)
    # A process that lives locks the file at once after it creates it.
    match = _NAME.fullmatch(path.name)
    return age > 60 or match is None or match[1] is None or not _is_alive(int(match[1]))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
