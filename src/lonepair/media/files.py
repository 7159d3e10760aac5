"""Checks of input and output paths, names in natural order, atomic writes, and numbers for names that are taken."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lonepair.errors import UserError

_OVERWRITE = "give overwrite=True"


def error_reason(error: OSError) -> str:
    """Return the system's text for `error` in lower case without the file name, such as "no space left on device"."""
    return (error.strerror or str(error) or type(error).__name__).rstrip(".").lower()


def check_file(path: Path, expected: str) -> None:
    """Refuse a path that is not a readable file with content.

    Args:
        path: The file to read.
        expected: What the message asks for instead, such as "an image file".

    Raises:
        UserError: `path` is missing, a folder, empty, or not readable.
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
    """Refuse an output file that could not be written, before any work is done for it.

    Args:
        path: The file to write.
        suffixes: Supported suffixes, in lower case with the dot.
        overwrite: Accept a file that exists.

    Raises:
        UserError: The suffix is not supported, the folder does not exist, or the file exists and `overwrite` is off.
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
    the complete new one. An error in the block deletes the temporary file and leaves `path` unchanged.

    Args:
        path: The file to write.

    Yields:
        The temporary path.

    Raises:
        UserError: The folder is missing or not writable, the disk is full, or the block raises another `OSError`.
    """
    path = Path(path)
    # In the same folder, because a file can replace another one atomically on one file system only.
    temporary = path.parent / f".lonepair-{os.urandom(4).hex()}{path.suffix}"
    try:
        # Fails at once where nothing can be written, and applies the user's file mode.
        temporary.open("xb").close()
        yield temporary
        # The content before the name: after a crash the name must not point to an empty file.
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error_reason(error)}); {_remedy(error, path)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    # Flush the new name as well. Some systems cannot open folders.
    with contextlib.suppress(OSError):
        _flush(path.parent)


def _flush(path: Path) -> None:
    """Make the system write `path` (a file or a folder) to the disk now."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remedy(error: OSError, path: Path) -> str:
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


@contextlib.contextmanager
def staging_folder(parent: Path, destination: Path | None = None) -> Iterator[Path]:
    """Context with a new hidden folder in `parent`, for the files of one result until `publish` moves them.

    The folder is deleted at the end, whatever happens.

    Args:
        parent: A folder.
        destination: The folder to which `publish` moves the files; None: `parent`. Messages of errors name it instead.

    Raises:
        UserError: The folder cannot be created, or the block raises it.
    """
    destination = destination or parent
    staging = parent / f".lonepair-{os.urandom(4).hex()}"
    try:
        staging.mkdir()
    except OSError as error:
        raise UserError(
            f"{destination}: cannot be written ({error_reason(error)}); {_remedy(error, destination / staging.name)}"
        ) from error
    try:
        yield staging
    except UserError as error:
        inside, outside = str(staging / "x")[:-1], str(destination / "x")[:-1]
        raise UserError(str(error).replace(inside, outside)) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish(staging: Path, folder: Path, stem: str, overwrite: bool = False) -> list[Path]:
    """Move all files of a result, complete as they are, from `staging` into `folder`.

    Where a name is taken, all files get the next number behind `stem`: out.png and out-sheet.png become out-2.png and
    out-2-sheet.png. Taking a name is atomic: of several processes each gets its own number, and no file is lost.

    Args:
        staging: A folder on the same file system, such as that of `staging_folder`. All names start with `stem`.
        folder: The folder of the result.
        stem: Start of all names.
        overwrite: Replace files of the same names instead.

    Returns:
        The new paths, shortest name first.

    Raises:
        UserError: `folder` cannot be written.
    """
    files = sorted(staging.iterdir(), key=lambda file: (len(file.name), file.name))
    number = 1
    try:
        while True:
            start = stem if number == 1 else f"{stem}-{number}"
            paths = [folder / (start + file.name.removeprefix(stem)) for file in files]
            if overwrite:
                for file, path in zip(files, paths, strict=True):
                    file.replace(path)
                return paths
            if _take_names(files, paths):
                return paths
            number += 1
    except OSError as error:
        raise UserError(
            f"{folder / files[0].name}: cannot be written ({error_reason(error)}); {_remedy(error, folder / stem)}"
        ) from error


def _take_names(files: Sequence[Path], paths: Sequence[Path]) -> bool:
    """Give each file its new path; where one is taken, none is moved and the result is False."""
    new: list[Path] = []
    for file, path in zip(files, paths, strict=True):
        try:
            _link(file, path)
        except FileExistsError:
            for other in new:
                other.unlink()
            return False
        new.append(path)
    return True


def _link(file: Path, path: Path) -> None:
    """Give `file` also the name `path`, in one step that fails with `FileExistsError` where that is taken."""
    try:
        os.link(file, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as exFAT: take the name first, then replace the content
        path.open("xb").close()
        try:
            shutil.copyfile(file, path)
        except BaseException:
            path.unlink()
            raise


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
