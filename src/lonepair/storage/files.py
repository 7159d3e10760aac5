"""Checks of input and output paths, names in natural order, atomic writes, and numbers for names that are taken."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lonepair.errors import UserError
from lonepair.storage.protect import check_not_input
from lonepair.storage.temporary import in_use, temporary_path

_OVERWRITE = "give overwrite=True"


def error_reason(error: OSError) -> str:
    """Return the system's text for `error` in lower case without the file name, such as "no space left on device"."""
    return (error.strerror or str(error) or type(error).__name__).rstrip(".").lower()


def check_file(path: Path, expected: str) -> None:
    """Refuse a path that is not a readable regular file with content; a pipe or a device is not opened.

    Args:
        path: The file to read.
        expected: What the message asks for instead, such as "an image file".

    Raises:
        UserError: `path` is missing, a folder, a pipe, a device, a socket, empty, or not readable.
    """
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; give {expected}")
        if not path.exists():
            raise UserError(f"{path}: no such file; check the name, or give {expected}")
        if kind := special_kind(path):
            raise UserError(f"{path}: is {kind}, which has no length; save it as a file, or give {expected}")
        with path.open("rb") as file:
            if not file.read(1):
                raise UserError(f"{path}: the file is empty (0 bytes); give {expected}")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error_reason(error)}); check the file and its permissions"
        ) from error


def special_kind(path: Path) -> str:
    """Return what `path` is if that is no regular file or folder, such as "a pipe"; else, and if missing, "".

    Reading one of these can wait for ever, or never end.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return kinds.get(stat.S_IFMT(mode), "")


def check_output(path: Path, suffixes: Sequence[str], overwrite: bool) -> None:
    """Refuse an output file that could not be written, before any work is done for it.

    Args:
        path: The file to write.
        suffixes: Supported suffixes, in lower case with the dot.
        overwrite: Accept a file that exists.

    Raises:
        UserError: The suffix is not supported, the folder does not exist, or the file or a link of that name exists
            and `overwrite` is off.
    """
    try:
        _check_output(path, suffixes, overwrite)
    except OSError as error:  # such as a name that is too long
        raise UserError(f"{path}: cannot be written ({error_reason(error)}); choose another name") from error


def _check_output(path: Path, suffixes: Sequence[str], overwrite: bool) -> None:
    if path.suffix.lower() not in suffixes:
        problem = f"'{path.suffix}' is not a format that can be written" if path.suffix else "the name has no suffix"
        raise UserError(f"{path}: {problem}; use one of {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; create it, or choose another one")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; choose the name of a file")
    if path.exists() and not overwrite:
        raise UserError(f"{path}: the file exists already; {_OVERWRITE} to replace it, or another name")
    if path.is_symlink() and not path.exists() and not overwrite:
        raise UserError(f"{path}: is a link to a missing file; {_OVERWRITE} to replace it, or another name")
    if kind := special_kind(path):
        raise UserError(f"{path}: is {kind}; choose the name of a file")
    check_not_input(path)


def check_frames_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder for numbered frames that is a file or holds other files; a missing folder is accepted.

    Args:
        folder: The folder to write into.
        overwrite: Accept a folder that is not empty.

    Raises:
        UserError: `folder` is a file, cannot be read, or is not empty and `overwrite` is off.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is a file; choose a folder")
        if folder.is_dir() and not overwrite and any(folder.iterdir()):
            raise UserError(f"{folder}: the folder is not empty; {_OVERWRITE} to write into it, or another folder")
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error_reason(error)}); choose another folder") from error


def check_writable(folder: Path) -> None:
    """Refuse a folder into which nothing can be written; tries it with a temporary file of 64 KiB.

    Raises:
        UserError: The folder is missing or read-only, or the disk is full.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 65536)
            file.flush()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error_reason(error)}); choose another folder") from error


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    The block writes to a temporary path beside `path`, with the same suffix. When the block ends without an error, the
    temporary file is flushed to the disk and takes the name `path`: a crash at any moment leaves either the old file or
    the complete new one. An error in the block deletes the temporary file and leaves `path` unchanged. The new file has
    the permissions of the old one. Where `path` is a link, the file takes the link's place, and what the link names
    stays unchanged.

    Args:
        path: The file to write.

    Yields:
        The temporary path.

    Raises:
        UserError: The folder is missing or not writable, the disk is full, the block raises another `OSError`, or
            `path` is an input of the running command.
    """
    path = Path(path)
    check_not_input(path)
    # In the same folder, because a file can replace another one atomically on one file system only.
    temporary = temporary_path(path.parent, path.suffix)
    try:
        # Fails at once where nothing can be written, and applies the user's file mode.
        temporary.open("xb").close()
        with in_use(temporary):
            yield temporary
        # The content before the name: after a crash the name must not point to an empty file.
        _flush(temporary)
        keep_mode(path, temporary)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error_reason(error)}); {write_remedy(error, path)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    # Flush the new name as well. Some systems cannot open folders.
    with contextlib.suppress(OSError):
        _flush(path.parent)


def keep_mode(old: Path, new: Path) -> None:
    """Give the file `new` the permissions of `old`, if that is a regular file."""
    with contextlib.suppress(OSError):  # a file system without permissions
        mode = old.stat().st_mode
        if stat.S_ISREG(mode):
            new.chmod(stat.S_IMODE(mode))


def give_second_name(file: Path, path: Path) -> None:
    """Give the content of `file` also the name `path`, in one step; a file that has it is replaced.

    Raises:
        UserError: `path` cannot be written.
    """
    link = temporary_path(path.parent, path.suffix)
    try:
        os.link(file, link)
    except OSError:  # a file system without hard links, such as exFAT
        with atomic_write(path) as temporary:
            shutil.copyfile(file, temporary)
        return
    try:
        link.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error_reason(error)}); {write_remedy(error, path)}") from error
    finally:
        # Where both names were of the same file already, `replace` leaves them.
        link.unlink(missing_ok=True)


def separate(path: Path) -> None:
    """Give the file `path` content of its own, if it has several names: lines that are appended go to no other file.

    Raises:
        UserError: It cannot be written.
    """
    if path.is_file() and path.stat().st_nlink > 1:
        with atomic_write(path) as temporary:
            shutil.copyfile(path, temporary)


def _flush(path: Path) -> None:
    """Make the system write `path` (a file or a folder) to the disk now."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_remedy(error: OSError, path: Path) -> str:
    """Return the remedy for an `error` in writing `path`."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"make the folder {path.parent} first"
    if isinstance(error, PermissionError):
        return "choose a folder that you may write to"
    return "free some space, or choose another place"


def next_free(path: str | Path, required_paths: Callable[[Path], Iterable[Path]] = lambda path: (path,)) -> Path:
    """Return the first unused name of name, name-2, name-3, ...; the number precedes a file's suffix.

    Args:
        path: The preferred path.
        required_paths: Maps a candidate to all paths that must be unused, the candidate included.

    Returns:
        `path` itself, or `path` with a number.
    """
    path = Path(path)
    # The dot in a folder's name starts no suffix: "run.v1" continues as "run.v1-2".
    stem, suffix = (path.name, "") if path.is_dir() else (path.stem, path.suffix)
    candidate, number = path, 1
    while any(required.exists() or required.is_symlink() for required in required_paths(candidate)):
        number += 1
        candidate = path.with_name(f"{stem}-{number}{suffix}")
    return candidate


def create_numbered_folder(path: Path) -> Path:
    """Create a new folder at `path`, or at path-2, path-3, ... where that exists; its parent must exist.

    Several processes that call this at the same time get different folders.

    Raises:
        OSError: The folder cannot be created.
    """
    while True:
        folder = next_free(path)
        try:
            folder.mkdir()
        except FileExistsError:  # another process was faster
            continue
        return folder


def natural_key(path: str | Path) -> tuple[tuple[int, str], ...]:
    """Return a sort key of the file's name that compares runs of digits as numbers: frame2 before frame10."""
    name = Path(path).name
    parts = re.split(r"([0-9]+)", name.lower())
    key = tuple((int(part), "") if index % 2 else (-1, part) for index, part in enumerate(parts))
    # The name itself orders frame01 and frame1, whose keys are equal.
    return (*key, (-1, name))


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort `paths` by `natural_key`."""
    return sorted(paths, key=natural_key)


def distinct_names(names: Iterable[str]) -> list[str]:
    """`names` in their order; one that differs from an earlier one by case at most gets a number: x, x-2, x-3."""
    result: list[str] = []
    taken: set[str] = set()
    # The largest number of each name, so that many equal names take no longer each.
    numbers: dict[str, int] = {}
    for name in names:
        distinct, number = name, numbers.get(name.lower(), 1)
        while distinct.lower() in taken:
            number += 1
            distinct = f"{name}-{number}"
        numbers[name.lower()] = number
        taken.add(distinct.lower())
        result.append(distinct)
    return result
