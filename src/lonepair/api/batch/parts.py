"""The parts of a row's clip in the batch's storage, where any machine renders one of them, or joins all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

from lonepair.api.batch.storage import Storage
from lonepair.errors import UserError
from lonepair.media.clips.write import ClipWriter
from lonepair.render.clip_parts import ClipParts
from lonepair.render.folder import RenderFolder
from lonepair.render.kept_frames import read_plan
from lonepair.render.parts import Part, Workers
from lonepair.render.translation import Translation
from lonepair.train.loop import Interrupted


class StoredParts:
    """The parts of a row's clip, in a folder of the storage."""

    def __init__(
        self,
        storage: Storage,
        name: str,
        translation: Translation,
        workers: Workers,
        file: Path,
        should_stop: Callable[[], bool],
    ) -> None:
        """
        Args:
            storage: The batch's storage.
            name: Name of the row.
            translation: The translation of its clip.
            workers: How the clip is split.
            file: Where the joined clip will be written.
            should_stop: Called after each frame.
        """
        self._should_stop = should_stop
        bits = ClipWriter.for_source(translation.source, file, translation.size, overwrite=True).bits
        self._clip = ClipParts(translation, workers, bits, *translation.frame_range)
        self._storage, self._row_folder = storage, f"parts/{name}"
        # Parts of other settings, or of another number of threads, are others.
        self._folder = f"{self._row_folder}/{self._clip.plan_key[:16]}"

    def missing(self) -> list[Part]:
        """The parts that are still to be rendered.

        Raises:
            Interrupted: The row is to stop.
            UserError: The clip or the plan cannot be read.
        """
        there = set(self._storage.names(f"{self._folder}/*.tar"))
        return [part for part in self._plan() if self._name(part).rpartition("/")[2] not in there]

    def _plan(self) -> list[Part]:
        """All parts. They are searched for once: another machine could find other cuts."""
        name = f"{self._folder}/plan.json"
        if not self._storage.exists(name):
            plan = [astuple(part) for part in self._clip.plan(self._should_stop)]
            if self._should_stop():
                raise Interrupted
            self._storage.write(name, json.dumps(plan).encode())
        try:
            return read_plan(json.loads(self._storage.read(name)))
        except ValueError as error:
            raise UserError(f"{self._storage.url}/{name}: {error}; delete it") from None

    def render(self, part: Part, folder: Path) -> None:
        """Render a part, and store it.

        Args:
            part: The part.
            folder: Local folder, where a later call continues.

        Raises:
            Interrupted: The row is to stop.
        """
        if not self._clip.render(part, folder, self._should_stop):
            raise Interrupted
        self._storage.put_archive(folder, self._name(part))

    def fetch(self, render: RenderFolder) -> None:
        """Put all parts into the folder of a render, which joins them."""
        plan, folders = self._plan(), render.open_parts(self._clip.key)
        for part in plan:
            self._storage.get_archive(self._name(part), folders.folder(part.start, part.stop))
        folders.keep_plan(self._clip.plan_key, plan)

    def delete(self) -> None:
        """Delete all parts of the row from the storage."""
        self._storage.delete_folder(self._row_folder)

    def _name(self, part: Part) -> str:
        return f"{self._folder}/{part.start:07}-{part.stop:07}.tar"
