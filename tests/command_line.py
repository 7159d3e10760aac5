"""Tiny settings and small helpers for tests that run commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import lonepair.methods as methods
from lonepair.commands.main import main
from lonepair.media.clips.write import ClipWriter
from tiny_settings import picture

TINY_FLAGS = shlex.split(
    "--stages 2 --min-side 14 --max-side 20 --width 8 --steps 3 --finest-steps 3 --device cpu --dtype float32 "
    "--threads 1"
)
"""Flags of a training that takes about a second. Each has one value."""


def tiny_flags(method: str = methods.DEFAULT) -> list[str]:
    """Those of `TINY_FLAGS` that `method` has."""
    known = {*methods.get_method(method).config_class.setting_names(), "device", "dtype", "threads"}
    pairs = zip(TINY_FLAGS[::2], TINY_FLAGS[1::2], strict=True)
    return [word for flag, value in pairs if flag[2:].replace("-", "_") in known for word in (flag, value)]


def list_files(folder: str | Path = ".") -> set[str]:
    """Paths, relative to `folder`, of all files in it and below."""
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def write_clip(path: str | Path, times: Iterable[Fraction]) -> None:
    """Write a clip of 24x20 pixels (width x height) with a random frame at each of `times` (seconds)."""
    times = list(times)
    with ClipWriter(path, (20, 24), len(times) / (times[-1] + Fraction(1, 25))) as clip:
        for index, time in enumerate(times):
            clip.write(picture(20, 24, seed=index), time)


def translate(*words: str) -> None:
    """Train with tiny settings and translate: `lonepair translate` with `words`, which must succeed."""
    assert main(["translate", *tiny_flags(), *words]) == 0
