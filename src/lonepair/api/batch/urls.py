"""Files that a path or a URL names, such as s3://bucket/clip.mp4. fsspec is imported only for a URL."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from lonepair.errors import UserError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
FILE = "file://"


def is_remote(text: str) -> bool:
    """Whether `text` is a URL rather than a path."""
    return bool(_SCHEME.match(text)) and not text.startswith(FILE)


def open_url(url: str) -> tuple[Any, str]:
    """The file system of fsspec and the path of a URL.

    Raises:
        UserError: A package is missing, or the URL cannot be opened.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UserError(f"{url}: needs a package; install it with `pip install 'lonepair[cluster]'`") from None
    try:
        file_system, path = url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:
        raise UserError(f"{url}: cannot be opened ({one_line(error)})") from None
    return file_system, str(path)


def fetch(url: str, folder: Path) -> Path:
    """A local copy of the file or folder at `url`, in `folder`; a path is returned unchanged.

    Raises:
        UserError: It cannot be read.
    """
    if not is_remote(url):
        return Path(url.removeprefix(FILE))
    file_system, path = open_url(url)
    local = folder / path.rstrip("/").rpartition("/")[2]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # fsspec copies a folder into an existing one of its name.
        shutil.rmtree(local, ignore_errors=True)
        file_system.get(path, str(local), recursive=bool(file_system.isdir(path)))
    except Exception as error:
        raise UserError(f"{url}: cannot be read ({one_line(error)}); check the name and your rights") from error
    return local


def remote_identity(url: str) -> str:
    """A text that changes when the file at `url` changes, as far as its file system tells.

    Raises:
        UserError: There is no such file.
    """
    file_system, path = open_url(url)
    try:
        file_system.invalidate_cache()
        if file_system.isdir(path):
            # What a file system says of a folder stays the same when a file in it changes.
            return str(sorted((name, str(entry)) for name, entry in file_system.find(path, detail=True).items()))
        return str(file_system.ukey(path))
    except FileNotFoundError:
        raise UserError(f"{url}: no such file; check the name") from None
    except Exception as error:
        raise UserError(f"{url}: cannot be read ({one_line(error)}); check the name and your rights") from error


def one_line(error: BaseException) -> str:
    """The text of an error in one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
