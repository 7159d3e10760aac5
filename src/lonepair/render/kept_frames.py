"""What an unfinished render has left on disk: the file of its state, and the folders of its parts."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from lonepair.render.parts import Part
from lonepair.storage.files import atomic_write

logger = logging.getLogger("lonepair")

OTHER_RENDER = "%s: %d frames of another render are deleted: %s"
"""Message where frames cannot be used again: folder, number of frames, reason."""
OTHER_SETTINGS = "its source, model, settings or threads were others"


@dataclass(frozen=True)
class PartFolders:
    """The folders of the parts of a clip that are rendered independently, in the folder of the render."""

    path: Path

    @property
    def frames(self) -> int:
        """Number of frames that they hold."""
        return sum(map(_count_frames, self.path.glob("part-*")))

    def folder(self, start: int, stop: int) -> Path:
        """The folder of the part of frames `start` to `stop`."""
        return self.path / f"part-{start:07}-{stop:07}"

    def open(self, key: str) -> None:
        """Keep the parts of a render with the same `key`, and log how many frames they have; delete those of others."""
        marker = self.path / "parts.json"
        if not marker.exists() or marker.read_text(encoding="utf-8", errors="replace") != json.dumps(key):
            self.remove(OTHER_SETTINGS)
            with atomic_write(marker) as temporary:
                temporary.write_text(json.dumps(key), encoding="utf-8")
        elif count := self.frames:
            logger.info("%s: an earlier render stopped after %d frames; it continues there", self.path, count)

    def plan(self, key: str) -> list[Part] | None:
        """All parts of the clip, as `keep_plan` has kept them with the same `key`; None where it has not."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            values = json.loads(self._plan.read_text(encoding="utf-8"))
            if values["key"] == key:
                return read_plan(values["parts"])
        return None

    def keep_plan(self, key: str, parts: Sequence[Part]) -> None:
        """Keep which parts the clip has, so that a render that continues does not search for cuts again.

        Args:
            key: SHA-256 of the inputs and settings that decide the plan.
            parts: All parts.
        """
        with atomic_write(self._plan) as temporary:
            values = {"key": key, "parts": [astuple(part) for part in parts]}
            temporary.write_text(json.dumps(values), encoding="utf-8")

    @property
    def _plan(self) -> Path:
        return self.path / "plan.json"

    def remove(self, reason: str) -> None:
        """Delete them, and log why."""
        if count := self.frames:
            logger.info(OTHER_RENDER, self.path, count, reason)
        for folder in self.path.glob("part-*"):
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)
        for file in (self.path / "parts.json", self._plan):
            file.unlink(missing_ok=True)


def read_plan(values: Any) -> list[Part]:
    """The parts of a plan that was written as JSON: a list of numbers for each part.

    Raises:
        ValueError: It is no plan.
    """
    if not isinstance(values, list) or not values:
        raise ValueError("is no list of parts")
    for part in values:
        if not isinstance(part, list) or len(part) != len(fields(Part)):
            raise ValueError("is no list of numbers")
        if not all(type(number) is int and 0 <= number < 2**53 for number in part):
            raise ValueError("is no list of numbers")
    return [Part(*part) for part in values]


def _count_frames(folder: Path) -> int:
    """Number of frames of a part; 0 where it has no state that can be read."""
    try:
        header = read_tensors(folder / "state.safetensors")[0]
        check_header(header)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0
    return int(header["frames"])


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file of `write_tensors`."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        return json.loads((file.metadata() or {})["render"]), tensors


def check_header(header: dict[str, Any]) -> None:
    """Check the types of a state's header, and that it names no file outside its folder.

    Raises:
        ValueError: It is not as `RenderFolder` writes it.
        KeyError: An entry is missing.
    """
    numbers = [header[name] for name in ("count", "scene_start", "frames", "bytes")] + header["shape"]
    if not all(type(number) is int and 0 <= number < 2**53 for number in numbers) or not isinstance(header["key"], str):
        raise ValueError("its header is invalid")
    if header["bytes"] not in [header["frames"] * math.prod(header["shape"]) * size for size in (1, 2)]:
        raise ValueError("its number of bytes is not that of its frames")
    for name in header["anchors"]:
        if not re.fullmatch(r"anchor-[0-9]+-[0-9]+\.safetensors", name):
            raise ValueError("it names a file that is no anchor")
