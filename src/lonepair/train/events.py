"""What a training tells those who watch it: progress bar, metrics file, previews, a user's own callback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lonepair.methods.base import Method


@dataclass(frozen=True)
class Report:
    """One step, as told to watchers."""

    stage: int
    stages: int
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
    """Hears of a training's progress. Each call does nothing unless a subclass says what."""

    def stage_started(self, method: Method) -> None:
        """A stage was grown and is about to be trained."""

    def stepped(self, method: Method, report: Report) -> None:
        """A step was taken."""

    def stage_finished(self, method: Method) -> None:
        """A stage's last step was taken."""

    def finished(self) -> None:
        """The training ended, for whatever reason; release what you hold."""
