"""Files that are checked before they are read, and never left half written: names, order, and the atomic write."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lonepair.errors import UserError


def error_reason(error: OSError) -> str:
    """The system's own words for `error`, in lower case and without the file's name: "no space left on device"."""
    return (error.strerror or str(error) or type(error).__name__).rstrip(".").lower()


def check_file(path: Path, expected: str) -> None:
    """Refuse a `path` that is not a readable file with something in it; `expected` says what to give instead.

    Raises:
        UserError: `path` is missing, a folder, empty, or may not be read.
    """
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; give {expected}")
        if not path.exists():
            raise UserError(f"{path}: no such file; check the name, or give {expected}")
        with path.open("rb") as file:
            if not file.read(1):
                raise UserError(f"{path}: the file is empty (0 bytes); give {expected}")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error_reason(error)}); check the file and its permissions"
        ) from error


def check_output(path: Path, suffixes: Sequence[str], overwrite: bool) -> None:
    """Refuse an output that could not be written at the end, before any work is done for it.

    Raises:
        UserError: `path` ends in none of `suffixes`, its folder does not exist, or it exists and `overwrite` is off.
    """
    try:
        _check_output(path, suffixes, overwrite)
    except OSError as error:  # such as a name that is too long
        raise UserError(f"{path}: cannot be written ({error_reason(error)}); give another -o") from error


def _check_output(path: Path, suffixes: Sequence[str], overwrite: bool) -> None:
    if path.suffix.lower() not in suffixes:
        ending = f"'{path.suffix}' is not a format that can be written" if path.suffix else "the name has no ending"
        raise UserError(f"{path}: {ending}; use one of {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first, or give another -o")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give a file's name with another -o")
    if path.exists() and not overwrite:
        raise UserError(f"{path}: the file exists already; give --overwrite to replace it, or another -o")


def check_frames_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder for numbered frames that holds something, or is none; one that is missing will be made.

    Raises:
        UserError: `folder` is a file, or not empty and `overwrite` is off, or cannot be read.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is a file; give a folder for the frames")
        if folder.is_dir() and not overwrite and any(folder.iterdir()):
            raise UserError(f"{folder}: the folder is not empty; give --overwrite to write into it, or another folder")
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error_reason(error)}); choose another folder") from error


def check_writable(folder: Path) -> None:
    """Refuse a folder that nothing can be written into, by trying.

    Raises:
        UserError: the folder is missing, read-only, or the disk is full.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 65536)
            file.flush()
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error_reason(error)}); choose another folder with -o"
        ) from error


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` and with its suffix, that becomes `path` when the block ends well.

    The file is flushed to the disk before it takes the name, so that a crash at any moment leaves either the old
    `path` or the whole new one. An error in the block deletes the temporary file and leaves `path` as it was.

    Raises:
        UserError: the folder is missing or not writable, the disk is full, or any other `OSError` of the block.
    """
    path = Path(path)
    temporary = path.parent / f".lonepair-{secrets.token_hex(4)}{path.suffix}"
    try:
        temporary.open("xb").close()  # fails at once where nothing can be written; keeps the user's file mode
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error_reason(error)}); {_remedy(error, path)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the new name itself; some systems cannot open folders
        _flush(path.parent)


def _flush(path: Path) -> None:
    """Have the system put `path` (a file or a folder) on the disk now."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remedy(error: OSError, path: Path) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"make the folder {path.parent} first"
    if isinstance(error, PermissionError):
        return "choose a folder that you may write to"
    return "free some space, or choose another place"


def next_free(path: str | Path, required_paths: Callable[[Path], Iterable[Path]] = lambda path: (path,)) -> Path:
    """`path` if nothing is there, else the first free one of name-2, name-3, ... (before a file's suffix).

    `required_paths`: All that must be free for a name to be, itself included.
    """
    path = Path(path)
    # A folder's name may hold a dot that starts no suffix: "run.v1" continues as "run.v1-2".
    stem, suffix = (path.name, "") if path.is_dir() else (path.stem, path.suffix)
    free, number = path, 1
    while any(each.exists() or each.is_symlink() for each in required_paths(free)):
        number += 1
        free = path.with_name(f"{stem}-{number}{suffix}")
    return free


def natural_key(path: str | Path) -> tuple[tuple[int, str], ...]:
    """A sort key of the file's name in which runs of digits count as numbers: frame2 before frame10."""
    name = Path(path).name
    parts = re.split(r"([0-9]+)", name.lower())
    key = tuple((int(part), "") if index % 2 else (-1, part) for index, part in enumerate(parts))
    return (*key, (-1, name))  # frame01 and frame1: still one fixed order


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """`paths` in natural order of their names (`natural_key`)."""
    return sorted(paths, key=natural_key)
