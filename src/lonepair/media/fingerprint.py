"""Fingerprints of inputs: equal content has an equal fingerprint, whatever it is called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from lonepair.media.clips.container import Frame
from lonepair.storage.files import check_file

_CHUNK_BYTES = 1 << 20


def hash_files(paths: list[Path]) -> str:
    """Return the SHA-256 of the files' bytes, in order."""
    digest = hashlib.sha256()
    for path in paths:
        check_file(path, "the file that the run was started with")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def hash_frames(frames: Iterator[Frame]) -> str:
    """Return the SHA-256 of the frames' times, shapes and pixels."""
    # Times and shapes are included: the same pixels at another speed are another clip.
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(f"{frame.time} {tuple(frame.image.shape)}".encode())
        digest.update(frame.image.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
