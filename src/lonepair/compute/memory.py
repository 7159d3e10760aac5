"""Errors of memory as one line: what was asked for, what there is, and which setting to lower."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lonepair.errors import OutOfMemoryError

_TEXTS = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|unable to allocate|failed to allocate|bad_alloc"
    r"|insufficient memory|CUBLAS_STATUS_ALLOC_FAILED|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
"""What PyTorch (CPU and CUDA), NumPy, OpenCV, FFmpeg, Python and the loader say."""
_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_ASKED = re.compile(r"(?:allocate|Failed to allocate) (?P<number>[\d.]+) ?(?P<unit>[KMGT]i)?B?(?:ytes)?", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or one that it explains, says that memory is missing, on the CPU or on a GPU."""
    if isinstance(error, OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError | ImportError) and _TEXTS.search(str(error)):
        return True
    # cv2.error is none of Python's own kinds.
    if type(error).__module__ == "cv2" and _TEXTS.search(str(error)):
        return True
    before = error.__cause__ or error.__context__
    return before is not None and is_out_of_memory(before)


def asked_bytes(error: BaseException) -> int | None:
    """Bytes that could not be had, as the message of `error`, or of one that it explains, says; None: it does not."""
    if match := _ASKED.search(str(error)):
        return round(float(match["number"]) * _UNITS[(match["unit"] or "").capitalize()])
    before = error.__cause__ or error.__context__
    return None if before is None else asked_bytes(before)


def memory_text(error: BaseException, doing: str, remedy: str) -> str:
    """One line about an error of memory.

    Args:
        error: The error, as `is_out_of_memory` accepts it.
        doing: What needed the memory, such as "training stage 3".
        remedy: Which setting to lower.
    """
    on_gpu = "CUDA" in str(error)
    asked, free = asked_bytes(error), _free_gpu_memory() if on_gpu else free_memory()
    facts = [] if asked is None else [f"{gigabytes(asked)} asked for"]
    facts += [] if free is None else [f"{gigabytes(free)} free"]
    where = "the GPU's memory" if on_gpu else "memory"
    return f"{doing}: out of {where}" + (f" ({', '.join(facts)})" if facts else "") + f"; {remedy}"


@contextlib.contextmanager
def explain_memory(doing: str, remedy: str) -> Iterator[None]:
    """Context in which an error of memory becomes an `OutOfMemoryError`; arguments as of `memory_text`.

    Raises:
        OutOfMemoryError: The block runs out of memory.
    """
    try:
        yield
    except OutOfMemoryError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(memory_text(error, doing, remedy)) from error


def gigabytes(count: int) -> str:
    """`count` bytes as text, in MB below 1 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.0f} MB"


def free_memory() -> int | None:
    """Bytes that this process can get without swapping; None where the system does not say.

    A container's limit (cgroup v2) and the limit on the process's address space (`ulimit -v`) count where they are
    lower than the machine's free memory.
    """
    machine, space = _free_on_machine(), _free_address_space()
    known = [value for value in (machine, space) if value is not None]
    return min(known) if known else None


def _free_on_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        with contextlib.suppress(OSError, ValueError):  # no limit reads "max"
            limit, used = (int(Path(f"/sys/fs/cgroup/memory.{n}").read_text()) for n in ("max", "current"))
            free = min(free, max(0, limit - used))
        return free
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        # macOS counts no available pages; all there is, less a third for the system, is a fair estimate.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 2 // 3
    return None


def _free_address_space() -> int | None:
    """Bytes of address space below the process's limit; None where there is no limit, or the system does not say."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
    return None


def _free_gpu_memory() -> int | None:
    with contextlib.suppress(Exception):  # after an error of CUDA any call can fail
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return None
