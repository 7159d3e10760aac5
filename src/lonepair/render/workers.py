"""Renders the parts of a clip in several processes, and joins their frames in order.

Each process has a copy of the translation. It keeps the frames of a part in a folder of its own, from which a render
that stops continues. The calling process finds the parts, and reads their frames when they are complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lonepair.compute.engine import choose_engine
from lonepair.compute.processes import SharedFlag
from lonepair.errors import UserError
from lonepair.ops.fingerprint import fingerprint
from lonepair.patches.carry import blend_textures
from lonepair.render.folder import RenderFolder, render_key
from lonepair.render.kept_frames import PartFolders
from lonepair.render.parts import Part, Workers, plan_parts
from lonepair.render.run import FrameRun
from lonepair.render.sequence import FinishedFrame

logger = logging.getLogger("lonepair")

_POLL = 0.2
"""Seconds between two looks at whether the render is to stop."""


@runtime_checkable
class ClipTranslation(Protocol):
    """What a worker needs of a translation (`Translation`)."""

    @property
    def run(self) -> FrameRun: ...
    def output(self, number: int, finished: FinishedFrame) -> Tensor: ...


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


def render_part(
    translation: ClipTranslation, part: Part, path: Path, key: str, bits: int, should_stop: Callable[[], bool]
) -> bool:
    """Render a part, from where an earlier call has stopped.

    Args:
        translation: The translation of the clip.
        part: Its frames.
        path: Folder of the part.
        key: SHA-256 of what its frames depend on.
        bits: Bits per channel of the output.
        should_stop: Called after each frame.

    Returns:
        Whether all frames are in the folder.
    """
    run = translation.run
    with RenderFolder(path, is_part=True) as folder:
        folder.open(key, bits)
        if folder.is_complete:
            return True
        # A part that depends on later frames has no state to continue from.
        start, scene = (None, None) if run.goes_both_ways else (folder.start, part.scene)
        frames = run.frames(part.start, part.stop, start, scene)
        for number, (_, finished) in enumerate(frames, part.start):
            if finished is None or number < part.first:
                continue
            folder.add(translation.output(number, finished), finished.state)
            if should_stop() and number + 1 < part.stop:
                with contextlib.suppress(KeyboardInterrupt):
                    folder.stop(finished.state)
                return False
        folder.complete()
    return True


# -- in the calling process -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Submitted:
    """A part that is given to the workers."""

    part: Part
    folder: Path
    key: str
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
        key = _render_key(self.translation.run)
        parts = self.folder.open_parts(key)
        pool = ProcessPoolExecutor(
            self.workers.count, context, _start_process, (_pickled(self.translation), share, halt)
        )
        planner = threading.Thread(target=self._submit, args=(pool, parts, key, first, stop, halt), daemon=True)
        try:
            planner.start()
            yield from self._joined(halt)
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

    def _submit(
        self,
        pool: Executor,
        parts: PartFolders,
        key: str,
        first: int,
        stop: int | None,
        halt: SharedFlag,
    ) -> None:
        """Find the parts, and give each to the workers."""
        try:
            for part in plan_parts(self.translation.run, first, stop, self.workers, halt.is_set):
                folder = parts.folder(part.start, part.stop)
                text = json.dumps([key, part.scene, part.start, part.first, part.stop])
                own = hashlib.sha256(text.encode()).hexdigest()
                self._queue.put(_Submitted(part, folder, own, pool.submit(_work, part, folder, own, self.bits)))
            self._queue.put(None)
        except BaseException as error:  # raised again by the thread that waits
            self._queue.put(error)

    def _joined(self, halt: SharedFlag) -> Iterator[Tensor]:
        """The frames of all parts in order; two parts are blended where they overlap."""
        before: list[Tensor] = []
        while (item := self._next(halt)) is not None:
            part, overlap = item.part, iter(before)
            before = []
            self._wait(item.result, halt)
            with RenderFolder(item.folder, is_part=True) as folder:
                folder.open(item.key, self.bits)
                for number, image in enumerate(folder.frames(), part.first):
                    if number < part.joint and (other := next(overlap, None)) is not None:
                        image = self._blend(other, image, part.weight(number))
                    if number < part.blended:
                        yield image
                    else:
                        before.append(image)

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

    def _blend(self, one: Tensor, other: Tensor, weight: float) -> Tensor:
        weights = torch.full_like(one[:, :1], weight)
        return blend_textures(one, other, weights, self.translation.run.pipeline.settings.max_blend_gain)


def _render_key(run: FrameRun) -> str:
    """SHA-256 of everything that the frames of a clip depend on, keyframes included."""
    keys = {number: fingerprint({}, {"key": key()}) for number, key in sorted(run.keys.items())}
    parts = [render_key(run.pipeline, run.source, run.companions), run.passes, keys]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


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
