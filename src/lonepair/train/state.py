"""The state of a training on the disk, in two generations: the newest one, and the one before it.

    state/state.pt  state/previous.pt  state/lock

A state that cannot be read is replaced by the one before it. Each write is an atomic move, and the newest state has its
name at every moment.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from lonepair.compute.memory import is_out_of_memory
from lonepair.errors import UserError
from lonepair.storage.files import atomic_write, give_second_name
from lonepair.train.validation import check_archive

logger = logging.getLogger("lonepair")

_ENTRIES = {
    "nets": dict,
    "stage": int,
    "step": int,
    "seconds": float,
    "optimizers": dict,
    "metrics_bytes": int,
}
"""Entry of every state -> its type."""


class StateFiles:
    """The files of a run's states."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the run's folder `state`."""
        self.folder = folder
        self.newest = folder / "state.pt"
        self.previous = folder / "previous.pt"
        self._damaged = folder / "damaged.pt"

    @property
    def exist(self) -> bool:
        """Whether there is a state, readable or not."""
        return os.path.lexists(self.newest) or os.path.lexists(self.previous)

    def write(self, state: dict[str, Any]) -> None:
        """Write the next state; the newest one becomes the previous one.

        Raises:
            UserError: It cannot be written; both states stay as they are.
        """
        data = io.BytesIO()  # torch's own writer does not report a full disk
        torch.save(state, data)
        with atomic_write(self.newest) as temporary:
            temporary.write_bytes(data.getbuffer())
            # The last moment before the move: an error of writing leaves both states.
            if self.newest.is_file():
                give_second_name(self.newest, self.previous)

    @contextlib.contextmanager
    def readable(self) -> Iterator[dict[str, Any]]:
        """Context with the newest state that can be read; nothing is changed.

        Raises:
            UserError: where there is none, or the block raises an error other than of memory: it does not fit.
        """
        state, _ = self._read()
        with self._explained(self.newest):
            yield state

    @contextlib.contextmanager
    def restored(self) -> Iterator[dict[str, Any]]:
        """As `readable`. A damaged newest state is set aside as damaged.pt, and the previous one takes its name."""
        state, problem = self._read()
        if problem:
            logger.warning(
                "%s: %s; the state before it is used, of stage %d after %d steps (the file is kept as %s)",
                self.newest,
                problem,
                state["stage"] + 1,
                state["step"],
                self._damaged.name,
            )
            with contextlib.suppress(FileNotFoundError):
                self.newest.replace(self._damaged)
            give_second_name(self.previous, self.newest)
        with self._explained(self.newest):
            yield state

    def _read(self) -> tuple[dict[str, Any], str]:
        """The newest readable state, and what is wrong with the newest one: empty where that is it."""
        problem = _problem(self.newest)
        path = self.previous if problem and not _problem(self.previous) else self.newest
        with self._explained(path):
            state = read_state(path)
        return state, problem

    @contextlib.contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        """Context in which an error of any kind becomes a `UserError` about the file `path`."""
        try:
            yield
        except Exception as error:
            # Any error: an incomplete archive raises errors of many kinds.
            if is_out_of_memory(error):
                raise
            raise UserError(
                f"{path}: cannot read the state ({_reason(error)}); leave out `resume` to start a new run"
            ) from error


def read_state(path: Path) -> dict[str, Any]:
    """The state in the file `path`, on the CPU.

    Raises:
        Exception: It cannot be read: errors of many kinds, since any part of the file may be damaged.
    """
    if not path.is_file():
        raise FileNotFoundError("it is missing" if not os.path.lexists(path) else "it is no regular file")
    check_archive(path)
    with zipfile.ZipFile(path) as archive:  # torch does not check the checksums
        if archive.testzip() is not None:
            raise ValueError("its checksum does not match")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    for name, kind in _ENTRIES.items():
        # Python counts True as an integer.
        if not isinstance(state, dict) or type(state.get(name)) is bool or not isinstance(state.get(name), kind):
            raise ValueError(f"its entry {name} is missing or of another type")
    return state


def _problem(path: Path) -> str:
    """Why the state in `path` cannot be read; empty where it can."""
    try:
        read_state(path)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return f"cannot be read ({_reason(error)})"
    return ""


def _reason(error: Exception) -> str:
    """The first line of the error's message, 100 characters at most."""
    if isinstance(error, pickle.UnpicklingError):  # torch's message advises to load it unsafely
        return "it is incomplete, or holds more than numbers"
    return (str(error).splitlines() or [type(error).__name__])[0][:100]
