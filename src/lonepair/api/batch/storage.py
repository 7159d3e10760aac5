"""Where a batch keeps its results: a folder, or any place that fsspec opens, such as s3://bucket/folder.

Every file is written completely or not at all. fsspec is imported only for a URL.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lonepair.api.batch.urls import FILE, is_remote, one_line, open_url
from lonepair.errors import UserError
from lonepair.storage.files import atomic_write, error_reason

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss"})
"""Schemes of places without folders. fsspec's `makedirs` would create a bucket whose name is misspelled there."""


@dataclass(frozen=True)
class Storage:
    """A folder, here or elsewhere. Names are relative to it, with forward slashes."""

    url: str
    file_system: Any = None
    """The file system of fsspec; None: the folder is on this machine."""
    root: str = ""
    """The folder, as the file system names it."""

    @staticmethod
    def open(url: str | Path) -> Storage:
        """Open a folder, which need not exist.

        Raises:
            UserError: A package for the URL's scheme is missing, or the URL cannot be opened.
        """
        text = str(url)
        if not is_remote(text):
            folder = Path(text.removeprefix(FILE)).expanduser().absolute()
            return Storage(str(folder), None, str(folder))
        file_system, root = open_url(text)
        return Storage(text.rstrip("/"), file_system, root.rstrip("/"))

    def path(self, name: str) -> str:
        """The file `name` as the file system names it."""
        return f"{self.root}/{name}"

    def make_folder(self) -> None:
        """Create the folder, if it is on this machine.

        Raises:
            UserError: It cannot be created.
        """
        if self.file_system is None:
            self._make_folder(Path(self.root))

    def exists(self, name: str) -> bool:
        """Whether there is a file or a folder `name`.

        Raises:
            UserError: The place does not answer.
        """
        with self._explained(name, "read"):
            if self.file_system is None:
                return Path(self.path(name)).exists()
            return bool(self._current().exists(self.path(name)))

    def names(self, pattern: str) -> list[str]:
        """The names of the files that fit a pattern such as "jobs*.jsonl".

        Raises:
            UserError: The place does not answer.
        """
        with self._explained(pattern, "read"), contextlib.suppress(FileNotFoundError):
            if self.file_system is None:
                return sorted(path.name for path in Path(self.root).glob(pattern))
            return sorted(str(path).rpartition("/")[2] for path in self._current().glob(self.path(pattern)))
        return []

    @contextlib.contextmanager
    def _explained(self, name: str, action: str) -> Iterator[None]:
        """Context whose errors are one line: file systems raise errors of their own.

        Args:
            name: Name in the storage.
            action: What cannot be done with it, such as "read".
        """
        try:
            yield
        except (UserError, FileNotFoundError):
            raise
        except Exception as error:
            raise UserError(f"{self.url}/{name}: cannot be {action} ({one_line(error)}); check the place") from error

    def _current(self) -> Any:
        """The file system, without what it remembers of folders: other machines write to them, too."""
        self.file_system.invalidate_cache()
        return self.file_system

    def read(self, name: str) -> bytes:
        """The content of the file `name`.

        Raises:
            UserError: It cannot be read.
        """
        try:
            with self._explained(name, "read"):
                if self.file_system is None:
                    return Path(self.path(name)).read_bytes()
                return bytes(self.file_system.cat_file(self.path(name)))
        except FileNotFoundError:
            raise UserError(f"{self.url}/{name}: no such file; start the batch again") from None

    def write(self, name: str, data: bytes) -> None:
        """Write the file `name`, and the folders above it.

        Raises:
            UserError: It cannot be written.
        """
        self._write(name, lambda path: path.write_bytes(data), lambda system, place: system.pipe_file(place, data))

    def put(self, file: Path, name: str) -> None:
        """Write the content of a local file as `name`.

        Raises:
            UserError: It cannot be written.
        """
        self._write(
            name, lambda path: shutil.copyfile(file, path), lambda system, place: system.put_file(str(file), place)
        )

    def _write(self, name: str, locally: Callable[[Path], object], remotely: Callable[[Any, str], object]) -> None:
        """Write the file `name` and the folders above it.

        Args:
            name: Name in the storage.
            locally: Writes a local path.
            remotely: Writes a path of an fsspec file system.

        Raises:
            UserError: It cannot be written.
        """
        if self.file_system is None:
            path = Path(self.path(name))
            self._make_folder(path.parent)
            with atomic_write(path) as temporary:
                locally(temporary)
            return
        try:
            if self.url.partition("://")[0].lower() not in _OBJECT_STORES:
                self.file_system.makedirs(self.path(name).rpartition("/")[0], exist_ok=True)
            remotely(self.file_system, self.path(name))
        except Exception as error:  # file systems raise errors of their own
            raise UserError(f"{self.url}/{name}: cannot be written ({one_line(error)}); check the place") from error

    def put_folder(self, folder: Path, name: str, skipped: Iterable[str] = ()) -> None:
        """Write the files of a local folder below `name`, without entries of the names `skipped`."""
        left_out = set(skipped)
        for file in sorted(folder.rglob("*")):
            relative = file.relative_to(folder)
            if file.is_file() and not file.is_symlink() and relative.parts[0] not in left_out:
                self.put(file, f"{name}/{relative.as_posix()}")

    def put_archive(self, folder: Path, name: str, skipped: Iterable[str] = ()) -> None:
        """Write a local folder, without entries of the names `skipped`, as one file: a copy of one moment.

        Raises:
            UserError: It cannot be written.
        """
        left_out = {f"./{entry}" for entry in skipped}

        def archive(path: Path) -> None:
            with tarfile.open(path, "w") as file:
                file.add(folder, ".", filter=lambda entry: None if entry.name in left_out else entry)

        def send(system: Any, place: str) -> None:
            with tempfile.TemporaryDirectory(prefix="lonepair-") as scratch:
                local = Path(scratch) / "archive.tar"
                archive(local)
                system.put_file(str(local), place)

        self._write(name, archive, send)

    def get_archive(self, name: str, folder: Path) -> None:
        """Unpack the file of `put_archive` into the local `folder`, which is replaced.

        Raises:
            UserError: It cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="lonepair-") as scratch:
            file = Path(self.path(name))
            try:
                if self.file_system is not None:
                    file = Path(scratch) / "archive.tar"
                    self.file_system.get_file(self.path(name), str(file))
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                with tarfile.open(file) as archive:
                    archive.extractall(folder, filter="data")
            except Exception as error:  # file systems raise errors of their own
                raise UserError(f"{self.url}/{name}: cannot be unpacked ({one_line(error)}); delete it") from error

    def delete(self, name: str) -> None:
        """Delete the file `name`, if there is one.

        Raises:
            UserError: It cannot be deleted.
        """
        with self._explained(name, "deleted"):
            if self.file_system is None:
                Path(self.path(name)).unlink(missing_ok=True)
            elif self.exists(name):
                self.file_system.rm_file(self.path(name))

    def delete_folder(self, name: str) -> None:
        """Delete the folder `name` and all files in it, if there is one.

        Raises:
            UserError: It cannot be deleted.
        """
        with self._explained(name, "deleted"):
            if self.file_system is None:
                shutil.rmtree(self.path(name), ignore_errors=True)
            elif self.exists(name):
                self.file_system.rm(self.path(name), recursive=True)

    @staticmethod
    def _make_folder(folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be created ({error_reason(error)}); choose another folder") from error


def default_scratch() -> Path:
    """The folder for unfinished work where none is given. Each user of a machine has one of their own."""
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir()) / f"lonepair-batch{user}"
