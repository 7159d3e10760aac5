"""Renders the parts of a clip in several processes, and joins their frames in order.

Each process has a copy of the translation. It keeps the frames of a part in a folder of its own, from which a render
that stops continues. The calling process finds the parts, and reads their frames when they are complete.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lonepair.compute.engine import choose_engine
from lonepair.compute.processes import SharedFlag
from lonepair.errors import UserError
from lonepair.render.clip_parts import ClipParts, ClipTranslation, render_part
from lonepair.render.folder import RenderFolder
from lonepair.render.kept_frames import PartFolders
from lonepair.render.parts import Part, Workers

logger = logging.getLogger("lonepair")

_POLL = 0.2
"""Seconds between two looks at whether the render is to stop."""


# -- in a worker ------------------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    """What a worker process has."""

    translation: ClipTranslation | None = None
    stop: SharedFlag | None = None


_WORKER = _Worker()


def _start_process(translation: bytes, threads: int, stop: SharedFlag) -> None:
    """Prepare a new process; arguments as of `set_up_worker`."""
    # The calling process says when to stop; without it, the work is of no use.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    set_up_worker(translation, threads, stop)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def set_up_worker(translation: bytes, threads: int, stop: SharedFlag) -> None:
    """Prepare this process for parts.

    Args:
        translation: The pickled translation.
        threads: Number of CPU threads.
        stop: Where it is set, parts stop after their current frame.
    """
    torch.set_num_threads(threads)
    _WORKER.translation, _WORKER.stop = pickle.loads(translation), stop
    assert _WORKER.translation is not None
    engine = _WORKER.translation.run.pipeline.engine
    choose_engine(engine.device.type, "auto" if not engine.plain else "float32", threads)


def _work(part: Part, folder: Path, key: str, bits: int) -> bool:
    """Render a part in a worker; arguments and result as of `render_part`."""
    assert _WORKER.translation is not None
    assert _WORKER.stop is not None
    return render_part(_WORKER.translation, part, folder, key, bits, _WORKER.stop.is_set)


# -- in the calling process -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Submitted:
    """A part that is given to the workers."""

    part: Part
    folder: Path
    result: Future[bool]


@dataclass
class PartRenderer:
    """Renders a clip in parts."""

    translation: ClipTranslation
    folder: RenderFolder
    """Folder of the render."""
    bits: int
    """Bits per channel of the output."""
    workers: Workers
    stop: threading.Event | None = None
    _queue: queue.Queue[_Submitted | BaseException | None] = field(default_factory=queue.Queue, repr=False)
    """Parts in order, an error, or None after the last part."""

    def frames(self, first: int, stop: int | None) -> Iterator[Tensor]:
        """Yield frames `first` to `stop` of the clip, rounded to `bits`.

        Raises:
            KeyboardInterrupt: `self.stop` was set; the text says how to continue.
            UserError: The translation cannot be sent to another process, a worker ended, or a frame cannot be read.
        """
        threads = torch.get_num_threads()
        share = max(1, threads // self.workers.count)
        context = multiprocessing.get_context("spawn")
        halt = SharedFlag()
        # As many threads here as in a worker: rounding depends on it, and both search for cuts.
        torch.set_num_threads(share)
        clip = ClipParts(self.translation, self.workers, self.bits, first, stop)
        folders = self.folder.open_parts(clip.key)
        # It starts its processes with the first part that is submitted.
        pool = ProcessPoolExecutor(
            self.workers.count, context, _start_process, (_pickled(self.translation), share, halt)
        )
        planner = threading.Thread(target=self._submit, args=(pool, clip, folders, halt), daemon=True)
        try:
            planner.start()
            yield from clip.join(self._complete_parts(halt))
        except BrokenProcessPool:
            raise UserError(
                f"workers is {self.workers.count}, and one of them ended, perhaps for lack of memory: give fewer; "
                "the same call continues after the frames that are kept"
            ) from None
        finally:
            halt.set()
            pool.shutdown(cancel_futures=True)
            planner.join()
            torch.set_num_threads(threads)

    def _submit(self, pool: Executor, clip: ClipParts, folders: PartFolders, halt: SharedFlag) -> None:
        """Find the parts, and give each to the workers unless an earlier render has left it complete."""
        try:
            earlier = folders.plan(clip.plan_key)
            parts = []
            for part in clip.plan(halt.is_set) if earlier is None else earlier:
                path = folders.folder(part.start, part.stop)
                result: Future[bool] = Future()
                if clip.is_complete(part, path):
                    result.set_result(True)
                else:
                    result = pool.submit(_work, part, path, clip.part_key(part), self.bits)
                self._queue.put(_Submitted(part, path, result))
                parts.append(part)
            if earlier is None and not halt.is_set():
                folders.keep_plan(clip.plan_key, parts)
            self._queue.put(None)
        except BaseException as error:  # raised again by the thread that waits
            self._queue.put(error)

    def _complete_parts(self, halt: SharedFlag) -> Iterator[tuple[Part, Path]]:
        """Yield each part and its folder, in order, when it is complete."""
        while (item := self._next(halt)) is not None:
            self._wait(item.result, halt)
            yield item.part, item.folder

    def _next(self, halt: SharedFlag) -> _Submitted | None:
        """The next part; None after the last one."""
        while True:
            self._check_stop(halt)
            with contextlib.suppress(queue.Empty):
                item = self._queue.get(timeout=_POLL)
                if isinstance(item, BaseException):
                    raise item
                return item

    def _wait(self, result: Future[bool], halt: SharedFlag) -> None:
        """Wait until a part is complete."""
        while not result.done():
            self._check_stop(halt)
            wait([result], _POLL)
        result.result()

    def _check_stop(self, halt: SharedFlag) -> None:
        """Where the render is to stop, let the workers save their parts.

        Raises:
            KeyboardInterrupt: The render is to stop.
        """
        if self.stop is not None and self.stop.is_set():
            halt.set()
            raise KeyboardInterrupt


def _pickled(translation: ClipTranslation) -> bytes:
    """A copy of the translation for another process.

    Raises:
        UserError: It holds something that exists in this process only.
    """
    try:
        return pickle.dumps(translation)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise UserError(
            f"workers: this translation cannot be copied to other processes ({error}); leave out `workers`"
        ) from None
