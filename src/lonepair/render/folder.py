"""The folder of an unfinished render: its finished frames, and the state from which the same render continues.

A kill at any moment loses the work since the last state, which is a few seconds. Frames lie one behind another in
`frames.raw`, with 8 bits per channel, or 16 where the output has more than 8. `state.safetensors` holds the newest
state; what a scene never changes, the anchors of its texture, is written once, each to a file of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.source import Source
from lonepair.ops.arrays import from_integers, to_uint8, to_uint16
from lonepair.render.clip import Pipeline
from lonepair.render.kept_frames import OTHER_RENDER, OTHER_SETTINGS, PartFolders, check_header, read_tensors
from lonepair.render.run import Companions
from lonepair.render.sequence import SequenceState
from lonepair.storage.files import atomic_write, error_reason
from lonepair.storage.lock import FileLock
from lonepair.storage.temporary import remove_all

logger = logging.getLogger("lonepair")

_INTERVAL = 2.0
"""Smallest number of seconds between two states."""
_SHARE = 0.04
"""Largest share of the time that states take: where one takes long, they are rarer."""
_ANCHOR = "carrier.anchor."
"""Start of the names of tensors that a scene never changes (`SceneRenderer.state`)."""


def render_key(pipeline: Pipeline, source: Source, companions: Companions | None) -> str:
    """SHA-256 of everything that a render's frames depend on. Only a render with the same one may continue it."""
    beside = None if companions is None else companions.fingerprint()
    parts = [version("lonepair"), pipeline.fingerprint(), source.fingerprint(), beside]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class RenderFolder:
    """Context manager of the folder. A block without an error deletes it; any other end keeps it for the next time.

    Only one process uses a folder: where another one does, this is the folder of the next number.
    """

    def __init__(self, path: Path, after_each: bool = False, is_part: bool = False) -> None:
        """
        Args:
            path: The folder; it need not exist.
            after_each: Whether to write a state after each frame, so that a kill loses no frame.
            is_part: Whether it is one of the folders in that of a render in parts: it stays after its last frame.
        """
        self.path = path
        self.start: SequenceState | None = None
        """Where the render continues, once it is open; None: at its beginning."""
        self.is_complete = False
        """Whether it holds the last frame of a part."""
        self._preferred, self._after_each, self._is_part = path, after_each, is_part
        self._lock: FileLock | None = None
        self._file: IO[bytes] | None = None
        self._key, self._kept, self._count, self._saved = "", 0, 0, 0
        self._shape: tuple[int, ...] = (0, 0, 0)
        self._dtype: np.dtype[Any] = np.dtype(np.uint8)
        self._due = 0.0
        """Time of `time.monotonic` from which on the next state is written."""

    @staticmethod
    def beside(path: Path) -> RenderFolder:
        """The folder `.NAME.render` beside the file `path` that a render writes."""
        return RenderFolder(path.with_name(f".{path.name}.render"))

    # -- the context ----------------------------------------------------------------------------------------------

    def __enter__(self) -> RenderFolder:
        """Take the folder for this process.

        Raises:
            UserError: It cannot be created.
        """
        try:
            for number in count(1):
                name = self._preferred.name + ("" if number == 1 else f"-{number}")
                self.path = self._preferred.with_name(name)
                if not self.path.is_symlink() and self._take():
                    break
            # Unfinished files of a process that was killed, and names of files that belong to others.
            remove_all(self.path)
            for file in self.path.iterdir():
                if file.is_symlink() or (not file.is_dir() and (not file.is_file() or file.stat().st_nlink > 1)):
                    file.unlink()
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error_reason(error)}); choose another place for the output"
            ) from error
        return self

    def _take(self) -> bool:
        """Create and lock the folder `path`; False where another process has it."""
        while True:
            self.path.mkdir(exist_ok=True)
            lock = FileLock(self.path / "lock")
            try:
                is_taken = lock.take()
            except FileNotFoundError:  # its last process has just deleted it
                continue
            self._lock = lock if is_taken else None
            return is_taken

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        is_kept = self._is_part or (kind is not None and self.has_state)
        # Deleted before it is unlocked, so that it is not another process's. Windows does not delete an open file.
        if not is_kept:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            self._lock.release()
        if not is_kept and sys.platform == "win32":
            shutil.rmtree(self.path, ignore_errors=True)
        if is_kept and kind is KeyboardInterrupt and not str(error):
            raise KeyboardInterrupt(self._farewell()) from error

    def _farewell(self) -> str:
        count = self._saved or self._parts.frames
        frames = f"{count} frame{'' if count == 1 else 's'}"
        return f"stopped after {frames}; start the same again to continue there, or delete {self.path}"

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def has_state(self) -> bool:
        """Whether an earlier render, of whatever, has left a state."""
        return self._state_file.exists() or self._parts.frames > 0

    def open(self, key: str, bits: int) -> None:
        """Read the state of an earlier render with the same `key`; that of any other is deleted, and a message logged.

        Args:
            key: `render_key`.
            bits: Bits per channel of the output.
        """
        self._key, self._due = f"{key}-{bits}", time.monotonic() + _INTERVAL
        self._dtype = np.dtype(np.uint8 if bits <= 8 else np.uint16)
        if not self._is_part:
            self._parts.remove("it was rendered in parts, by workers")
        header, scene = self._read()
        if header is not None and header["key"] == self._key:
            self._shape, self._saved = tuple(header["shape"]), header["frames"]
            self.is_complete = bool(header.get("is_complete"))
            self.start = SequenceState(header["count"], header["scene_start"], scene)
            if not self._is_part:
                logger.info("%s: an earlier render stopped after %d frames; it continues there", self.path, self._saved)
        elif header is not None:
            logger.info(OTHER_RENDER, self.path, header["frames"], OTHER_SETTINGS)
        try:
            self._count = self._kept = self._saved
            self._file = self._frames_file.open("r+b" if self.start is not None else "wb")
            self._file.truncate(self._count * self._frame_bytes)
            self._file.seek(0, os.SEEK_END)
            if self.start is None:
                self._remove(set())
        except OSError as error:
            self._give_up(error)

    def _read(self) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
        """The newest state: its header and the scene's tensors; None and {} if there is none that can be read."""
        if not self._state_file.exists():
            return None, {}
        try:
            header, tensors = read_tensors(self._state_file)
            check_header(header)
            for name in header["anchors"]:
                tensors |= read_tensors(self.path / name)[1]
            if self._frames_file.stat().st_size < header["bytes"]:
                raise OSError("frames are missing")
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            logger.warning("%s: an earlier render cannot be read (%s); it starts again", self.path, error)
            return None, {}
        return header, tensors

    def frames(self) -> Iterator[Float[Tensor, "1 c h w"]]:
        """Yield the frames that the earlier render has kept, in [-1, 1]."""
        if not self._kept:
            return
        with self._frames_file.open("rb") as file:
            for _ in range(self._kept):
                array = np.frombuffer(file.read(self._frame_bytes), self._dtype)
                yield from_integers(array.reshape(self._shape))

    # -- a render in parts ----------------------------------------------------------------------------------------

    def open_parts(self, key: str) -> PartFolders:
        """The folders of parts, with those of an earlier render with the same `key`; all others are deleted.

        Args:
            key: SHA-256 of what all frames depend on.
        """
        if self._state_file.exists():
            header, self._saved = self._read()[0], 0
            frames = 0 if header is None else header["frames"]
            logger.info(OTHER_RENDER, self.path, frames, "it was not rendered in parts, by workers")
            self._frames_file.unlink(missing_ok=True)
            self._remove(set())
        self._parts.open(key)
        return self._parts

    def complete(self) -> None:
        """Write that the part has all of its frames, which are kept; `frames` yields them.

        Raises:
            UserError: They could not be written.
        """
        if self._file is None:
            raise UserError(f"{self.path}: cannot be written; free some space, or choose another place for the output")
        self.is_complete = True
        self._save(SequenceState(max(1, self._count), 0, {}))
        self._kept = self._count

    @property
    def _parts(self) -> PartFolders:
        return PartFolders(self.path)

    # -- writing --------------------------------------------------------------------------------------------------

    def add(
        self, image: Float[Tensor, "1 c h w"], state: Callable[[], SequenceState] | None
    ) -> Float[Tensor, "1 c h w"]:
        """Keep the next frame, and the state behind it if it is time.

        Args:
            image: The frame, in [-1, 1].
            state: Returns the state behind it; None: the render cannot continue there.

        Returns:
            The frame as `frames` yields it: rounded to the bits that are kept.
        """
        array = to_uint8(image) if self._dtype.itemsize == 1 else to_uint16(image)
        if self._file is not None:
            try:
                self._shape = array.shape
                self._file.write(array.data)
                self._count += 1
                if state is not None and (self._after_each or time.monotonic() >= self._due):
                    self._save(state())
            except (OSError, UserError) as error:
                self._give_up(error)
        return from_integers(array)

    def stop(self, state: Callable[[], SequenceState] | None) -> None:
        """End the render after the newest frame.

        Args:
            state: Returns the state behind it; None: that is saved already.

        Raises:
            KeyboardInterrupt: always, with a text that says how to continue.
        """
        if state is not None and self._file is not None:
            self._save(state())
        raise KeyboardInterrupt(self._farewell())

    def _save(self, state: SequenceState) -> None:
        """Write the state behind the newest frame."""
        begin = time.monotonic()
        assert self._file is not None
        # Frames and anchors before the state that needs them: after a kill the newest state is complete.
        self._file.flush()
        os.fsync(self._file.fileno())
        changing = {name: tensor for name, tensor in state.scene.items() if not name.startswith(_ANCHOR)}
        anchors: dict[str, dict[str, Tensor]] = {}
        for name in state.scene.keys() - changing.keys():
            number = name.removeprefix(_ANCHOR).partition(".")[0]
            file = f"anchor-{state.scene_start}-{number}.safetensors"
            anchors.setdefault(file, {})[name] = state.scene[name]
        for file, tensors in anchors.items():
            if not (self.path / file).exists():
                write_tensors(self.path / file, tensors, {})
        header = {"key": self._key, "count": state.count, "scene_start": state.scene_start, "shape": self._shape}
        header |= {"frames": self._count, "bytes": self._count * self._frame_bytes, "is_complete": self.is_complete}
        write_tensors(self._state_file, changing, {**header, "anchors": sorted(anchors)})
        self._saved = self._count
        self._remove(set(anchors))
        now = time.monotonic()
        self._due = now + max(_INTERVAL, (now - begin) / _SHARE)

    def _remove(self, anchors: set[str]) -> None:
        """Delete all files of anchors but `anchors`; without these the state, too."""
        for file in self.path.glob("anchor-*.safetensors"):
            if file.name not in anchors:
                file.unlink()
        if not self._saved:
            self._state_file.unlink(missing_ok=True)

    def _give_up(self, error: OSError | UserError) -> None:
        """Go on without keeping further frames: the output matters more."""
        cause = error_reason(error) if isinstance(error, OSError) else str(error)
        text = "%s: frames cannot be kept any more (%s); a render that stops would continue after frame %d"
        logger.warning(text, self.path, cause, self._saved)
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None

    @property
    def _frame_bytes(self) -> int:
        return math.prod(self._shape) * self._dtype.itemsize

    @property
    def _frames_file(self) -> Path:
        return self.path / "frames.raw"

    @property
    def _state_file(self) -> Path:
        return self.path / "state.safetensors"


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a header of JSON values, completely or not at all."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(contiguous, temporary, {"render": json.dumps(header)})
