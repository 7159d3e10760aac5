"""Events of a training, for progress bars, metrics, previews and a user's own watchers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lonepair.methods.base import Method


@dataclass(frozen=True)
class Report:
    """State of a training after a step."""

    stage: int
    """Index of the current stage, from 0."""
    stages: int
    """Number of stages."""
    step: int
    """Steps done at this stage, counting this one."""
    steps: int
    """Steps that this stage will take."""
    losses: dict[str, float] | None
    """Weighted losses by name; None at steps where they were not fetched from the device."""
    seconds: float
    """Training time so far, over all sessions of the run."""
    eta_seconds: float
    """Estimated time to the end of the training."""


class Watcher:
    """Receives the events of a training. A subclass overrides those that it needs."""

    def stage_started(self, method: Method) -> None:
        """Called after a stage was added, before its first step."""

    def stepped(self, method: Method, report: Report) -> None:
        """Called after each step."""

    def saved(self, folder: Path) -> None:
        """Called after a checkpoint was written into the run's `folder`."""

    def stage_finished(self, method: Method) -> None:
        """Called after the last step of a stage."""

    def finished(self) -> None:
        """Called when the training has ended for any reason: release resources here."""
