"""What a command says at its end, on stderr: files, durations, and commands to paste that go on from there."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

from lonepair.apply.translate import Translate

logger = logging.getLogger("lonepair")

VARIANTS = (
    ("structure", "1", "with the source's own fine edges"),
    ("texture_size", "2", "with strokes twice as large"),
    ("colour", "0", "in the source's own colours"),
)
"""Setting of `Translate`, a value to try, and what it gives."""
PROPOSALS = 3
"""Largest number of commands."""


def print_summary(paths: Sequence[Path], seconds: float, training: float | None, proposals: Sequence[str]) -> None:
    """Say what a translation has written, how long it took, and what to try next.

    Args:
        paths: The files.
        seconds: Duration of the translation.
        training: Duration of the training; None without one.
        proposals: What to try, and the command, by turns.
    """
    from lonepair.train.watchers import format_seconds

    durations = f"translation {format_seconds(seconds)}"
    if training is not None:
        durations = f"training {format_seconds(training)}, {durations}"
    logger.info("wrote %s (%s)", " and ".join(map(str, paths)), durations)
    logger.info("to go on with the same model:")
    for text in proposals:
        logger.info("  %s", text)


def proposals(source: Path, model: Path, reverse: bool, other: Path | None = None) -> list[str]:
    """Commands to paste that need no training, each below a line that says what it gives.

    Args:
        source: What was translated.
        model: The run's folder or the model file.
        reverse: Whether the model's other direction was used.
        other: The other image of the pair, where it is known.
    """
    words = ["lonepair", "translate", str(source), str(model), *(["--reverse"] if reverse else [])]
    names = {field.name for field in dataclasses.fields(Translate)}
    variants = [
        (text, [*words, "--" + name.replace("_", "-"), value]) for name, value, text in VARIANTS if name in names
    ]
    variants.append(("from new shapes to new material, all on one sheet", [*words, "--stage-sheet"]))
    if other is not None:
        back = ["lonepair", "translate", str(other), str(model), *([] if reverse else ["--reverse"])]
        variants.insert(1, ("the other direction", back))
    return [line for text, command in variants[:PROPOSALS] for line in (f"{text}:", f"  {shlex.join(command)}")]
