"""The files of one result: written into a hidden folder, then all of them moved to their names, or none."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from lonepair.errors import UserError
from lonepair.storage.files import error_reason, keep_mode, write_remedy
from lonepair.storage.protect import check_not_input
from lonepair.storage.temporary import in_use, remove_left_over, temporary_path


@contextlib.contextmanager
def staging_folder(parent: Path, destination: Path | None = None) -> Iterator[Path]:
    """Context with a new hidden folder in `parent`, for the files of one result until `publish` moves them.

    The folder is deleted at the end, whatever happens; those that killed processes have left are deleted first.

    Args:
        parent: A folder.
        destination: The folder to which `publish` moves the files; None: `parent`. Messages of errors name it instead.

    Raises:
        UserError: The folder cannot be created, or the block raises it.
    """
    destination = destination or parent
    remove_left_over(parent)
    staging = temporary_path(parent)
    try:
        staging.mkdir()
    except OSError as error:
        remedy = write_remedy(error, destination / staging.name)
        raise UserError(f"{destination}: cannot be written ({error_reason(error)}); {remedy}") from error
    try:
        with in_use(staging):
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
        UserError: `folder` cannot be written, or a file to replace is an input.
    """
    files = sorted(staging.iterdir(), key=lambda file: (len(file.name), file.name))
    number = 1
    try:
        while True:
            start = stem if number == 1 else f"{stem}-{number}"
            paths = [folder / (start + file.name.removeprefix(stem)) for file in files]
            if overwrite:
                for path in paths:
                    check_not_input(path)
                for file, path in zip(files, paths, strict=True):
                    keep_mode(path, file)
                    file.replace(path)
                return paths
            if _take_names(files, paths):
                return paths
            number += 1
    except OSError as error:
        raise UserError(
            f"{folder / files[0].name}: cannot be written ({error_reason(error)}); {write_remedy(error, folder / stem)}"
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
