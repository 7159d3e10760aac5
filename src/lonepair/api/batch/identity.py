"""Which rows are equal: the content of a row's inputs, and its settings, as one number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from lonepair.api.batch.rows import BatchRow, map_files
from lonepair.api.batch.urls import is_remote, remote_identity
from lonepair.media.fingerprint import hash_files
from lonepair.media.source import open_source

_WITHOUT_EFFECT = frozenset({"device", "threads", "workers"})
"""Settings that change results by rounding at most."""


def row_fingerprint(row: BatchRow, known: dict[str, str] | None = None) -> str:
    """SHA-256 of the content of the row's inputs and of its settings: equal rows have equal results.

    Args:
        row: The row.
        known: Path or URL -> identity of its content, which is added to: rows that share a file read it once.

    Raises:
        UserError: An input cannot be read.
    """
    known = {} if known is None else known

    def identity(text: str, read: Callable[[str], str] = _identity) -> str:
        if text not in known:
            known[text] = read(text)
        return known[text]

    target = identity(row.target, _model_identity if row.uses_model else _identity)
    # Files of settings count by their content, and by their names, which hold the numbers of keyframes.
    files = map_files(row.settings, lambda path: f"{PurePosixPath(path).name} {identity(path)}")
    settings = {name: value for name, value in sorted(files.items()) if name not in _WITHOUT_EFFECT}
    text = json.dumps([identity(row.source), target, settings], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(text: str) -> str:
    return remote_identity(text) if is_remote(text) else open_source(text).fingerprint()


def _model_identity(text: str) -> str:
    if is_remote(text):
        return remote_identity(text)
    path = Path(text)
    return hash_files([path / "model.safetensors" if path.is_dir() else path])
