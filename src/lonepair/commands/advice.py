"""What a command says at its end, on stderr: files, durations, and commands to paste that go on from there."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

from lonepair.apply.base import field_docs
from lonepair.apply.translate import Translate

logger = logging.getLogger("lonepair")


def print_summary(
    paths: Sequence[Path], seconds: float, training: float | None, source: Path, model: Path, reverse: bool
) -> None:
    """Say what a translation has written, how long it took, and what to try next.

    Args:
        paths: The files.
        seconds: Duration of the translation.
        training: Duration of the training; None without one.
        source: What was translated.
        model: The run's folder or the model file.
        reverse: Whether the model's other direction was used.
    """
    from lonepair.train.watchers import format_seconds

    parts = [f"translation {format_seconds(seconds)}"]
    if training is not None:
        parts.insert(0, f"training {format_seconds(training)}")
    logger.info("wrote %s (%s)", " and ".join(map(str, paths)), ", ".join(parts))
    logger.info("next, for example:")
    for command in next_commands(source, model, reverse):
        logger.info("  %s", command)


def next_commands(source: Path, model: Path, reverse: bool) -> list[str]:
    """Commands to paste that vary a translation with the same model."""
    words = ["lonepair", "translate", str(source), str(model)]
    if reverse:
        words.append("--reverse")
    variants = [["--stage-sheet"]]
    if "structure" in field_docs(Translate):
        variants.insert(0, ["--structure", "0.8"])
    return [shlex.join([*words, *variant]) for variant in variants]
